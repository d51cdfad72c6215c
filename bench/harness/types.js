// The interfaces of the benchmark, in one place; nothing runs here.

/**
 * One connection of a system under test.
 * @typedef {object} Link
 * @property {(object: unknown) => Promise<unknown> | undefined} produce Sends into the queue of the destination; the promise resolves when the system has confirmed it, `undefined` if it confirms nothing.
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
 */

/**
 * A running relay: `address` is plain data that `connect` in another process understands.
 * @typedef {{ address: object, stop: () => Promise<unknown> }} RunningRelay
 */

/**
 * A system under test: one module in drivers/, listed in drivers/catalogue.js.
 * @typedef {object} Driver
 * @property {boolean} keepsObjects Whether objects wait in the relay while nobody consumes them.
 * @property {boolean} makesGroups Whether a group is something that the relay knows of, beyond its members.
 * @property {number} objectBytesMax The largest object that it is asked to carry.
 * @property {(options: SystemOptions) => Promise<RunningRelay>} startRelay
 * @property {(address: any, link: LinkOptions, options: SystemOptions) => Promise<Link>} connect
 * @property {() => Promise<Codec>} [codec]
 */

/** `receive` turns what `encode` gave into what a receiver holds when it begins to decode. @typedef {{ encode: (object: unknown) => any, receive: (encoded: any) => any, decode: (received: any) => unknown }} Codec */
/** @typedef {{ io: string }} SystemOptions */
/** @typedef {{ name: string, driver: string, options: SystemOptions }} System */
/** @typedef {Record<string, number>} Parameters */

/**
 * What a role has prepared: a function for each phase, `finish` for what runs until the others are done, and `stop`.
 * @typedef {Record<string, (() => Promise<any>) | undefined> & { stop: () => Promise<unknown> }} Prepared
 */

/** @typedef {{ driver: Driver, connect: (link: LinkOptions) => Promise<Link>, parameters: Parameters }} RoleContext */
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
 * @property {boolean} [relayless] It needs no relay: the codec alone.
 * @property {boolean} [needsKeptObjects] It makes no sense for a system that remembers nothing.
 * @property {string[]} phases
 * @property {string[]} [background] Roles that run until the others are done.
 * @property {(scale: number, driver: Driver) => Parameters} parameters
 * @property {Record<string, (context: RoleContext) => Promise<Prepared>>} roles Each is a process; prepared in this order.
 * @property {(measured: Measured) => Metric[]} measure The first metric is the main one.
 * @property {(parameters: Parameters) => number} objects What CPU time is divided by.
 */

/**
 * @typedef {object} Outcome
 * @property {Metric[]} metrics
 * @property {Record<string, number>} cpuUsPerObject By process.
 * @property {number | undefined} relayPeakRssMiB
 * @property {string} [failure]
 */

export {}
