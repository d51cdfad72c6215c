// The interfaces of the benchmark, in one place; nothing runs here.

/**
 * One connection of a system under test.
 * @typedef {object} Link
 * @property {(object: unknown, group?: string) => Promise<unknown> | undefined} produce Sends into the queue of the destination, or of another group where the system `makesGroups`; the promise resolves when the system has confirmed it, `undefined` if it confirms nothing.
 * @property {(object: unknown) => Promise<unknown> | undefined} broadcast The same, to every member of the destination.
 * @property {() => Promise<void> | undefined} [room] A promise while the link can take no more.
 * @property {(onObject: (object: unknown) => void, count: number) => Promise<void>} consume Takes `count` produced objects, asking for them if the system wants to be asked.
 * @property {(onObject: (object: unknown) => void, count: number) => Promise<void>} listen Takes `count` broadcast objects.
 * @property {() => Promise<unknown>} stop
 */

/**
 * What a driver's `connect` is told.
 * @typedef {object} LinkOptions
 * @property {string | string[]} [receives] The groups that the connection is a member of.
 * @property {string} [sendsTo] The group that `produce` and `broadcast` send to.
 * @property {boolean} [listens] It will `listen` to broadcasts and not `consume`: some systems need to know at once.
 */

/**
 * A running relay: `address` is plain data that `connect` in another process understands. Where the relay is a program
 * that the driver started, `serverPid` is the process whose time and memory count.
 * @typedef {{ address: object, serverPid?: number | undefined, stop: () => Promise<unknown> }} RunningRelay
 */

/**
 * A system under test: one module in drivers/, listed in drivers/catalogue.js.
 * @typedef {object} Driver
 * @property {boolean} keepsObjects Whether objects wait in the relay while nobody consumes them.
 * @property {boolean} makesGroups Whether a group is something that the relay knows of, beyond its members.
 * @property {number} objectBytesMax The largest object that it is asked to carry.
 * @property {boolean} [isDurable] Whether it can keep objects on disk; raw2, the limit, does not say.
 * @property {boolean} [restarts] Whether its relay can be killed and started again on what it kept.
 * @property {Record<string, string>} [environment] Of the relay's process.
 * @property {(options: SystemOptions) => string | undefined} [missing] What must be installed first, as a table says it.
 * @property {(options: SystemOptions) => Promise<RunningRelay>} startRelay
 * @property {(address: any, link: LinkOptions, options: SystemOptions) => Promise<Link>} connect
 */

/**
 * @typedef {object} SystemOptions
 * @property {string} io
 * @property {string} [store] Where objectrelay keeps what waits: `memory` or `file`.
 * @property {string} [durability] Of that store.
 * @property {string} [folder] For all that the relay keeps on disk, fresh for each run.
 * @property {string} [variant] In a workload that has variants: which.
 */

/** `driver` is empty in a workload of variants. @typedef {{ name: string, driver: string, options: SystemOptions }} System */
/** @typedef {Record<string, number>} Parameters */

/**
 * What a role has prepared: a function for each phase, `finish` for what runs until the others are done, and `stop`.
 * @typedef {Record<string, (() => Promise<any>) | undefined> & { stop: () => Promise<unknown> }} Prepared
 */

/** @typedef {{ driver: Driver | undefined, connect: (link: LinkOptions) => Promise<Link>, parameters: Parameters, variant: string }} RoleContext */
/** @typedef {{ name: string, unit: string, value: number, better: 'higher' | 'lower' }} Metric */
/** @typedef {{ cpuUs: number, peakRssKiB: number, rssBytes: number, rssAtStartBytes: number }} Usage */

/**
 * @typedef {object} Measured
 * @property {Parameters} parameters
 * @property {Record<string, Record<string, any>>} results By phase and role.
 * @property {Record<string, Record<string, Usage>>} usage By phase and role, `relay` among them.
 */

/**
 * One workload: one module in workloads/, listed in workloads/catalogue.js.
 * @typedef {object} Workload
 * @property {string} name
 * @property {string} title
 * @property {string[]} [variants] It needs no relay, and runs under these instead of under systems; ratios are to the first.
 * @property {string[]} [peers] Other systems that it is always measured beside.
 * @property {boolean} [isDurable] What was accepted is on disk.
 * @property {number} [objectBytes] The size of all its objects, where they are large.
 * @property {boolean} [needsKeptObjects] It makes no sense for a system that remembers nothing.
 * @property {string[]} phases
 * @property {string[]} [countedPhases] Those whose processor time and memory are shown; all of them if it does not say.
 * @property {string} [restartsBefore] The phase before which the relay is killed and started again.
 * @property {string[]} [background] Roles that run until the others are done.
 * @property {(scale: number, driver: Driver | undefined, point: number) => Parameters} parameters `point` is where on its axis a growth is measured.
 * @property {Record<string, (context: RoleContext) => Promise<Prepared>>} roles Each is a process; prepared in this order.
 * @property {(measured: Measured) => Metric[]} measure The first metric is the main one.
 * @property {(parameters: Parameters) => number} objects What CPU time is divided by.
 */

/**
 * What a plot shows: `value` is a metric's name, or `cpu` for the processor time of all processes.
 * @typedef {{ file: string, title: string, value: string, y: import('../report/plot.js').Axis }} GrowthPlot
 */

/**
 * A workload that is run at several points of an axis, to show how cost grows.
 * @typedef {Workload & GrowthAxis} GrowthWorkload
 */

/**
 * @typedef {object} GrowthAxis
 * @property {import('../report/plot.js').Axis} axis
 * @property {number[]} points
 * @property {(point: number, driver: Driver) => boolean} [carries] Whether a system goes that far.
 * @property {GrowthPlot[]} plots
 */

/**
 * @typedef {object} Outcome
 * @property {Metric[]} metrics
 * @property {Record<string, number>} cpuUsPerObject By process.
 * @property {Record<string, number>} peakRssMiB By process.
 * @property {string} [failure]
 */

export {}
