import { loadDriver } from '../drivers/catalogue.js'
import { Participant } from './participant.js'
import { makeRunFolder, removeRunFolder } from './runFolder.js'

/** @typedef {import('./types.js').Workload} Workload */
/** @typedef {import('./types.js').System} System */
/** @typedef {Map<string, Participant>} Cast */

const stopMs = 10_000

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} limitMs
 * @param {string} what
 */
async function within(promise, limitMs, what) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const expired = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${limitMs / 1000} s`)), limitMs)
  })
  try {
    return /** @type {T} */ (await Promise.race([promise, expired]))
  } finally {
    clearTimeout(timer)
  }
}

/**
 * One phase: those in the foreground run to their end; in the last phase, those in the background until they are told
 * to finish.
 * @param {Workload} workload
 * @param {string} phase
 * @param {Cast} cast
 */
async function runPhase(workload, phase, cast) {
  const background = phase === workload.phases.at(-1) ? (workload.background ?? []) : []
  const everyone = [...cast.values()]
  await Promise.all(everyone.map((participant) => participant.call('mark')))
  const running = everyone.map((participant) => ({
    name: participant.name,
    result: participant.call('run', { phase }),
  }))
  const all = Promise.all(running.map(({ result }) => result))
  // Whoever fails first ends the run, in the background too.
  await Promise.race([
    all,
    Promise.all(running.filter(({ name }) => !background.includes(name)).map(({ result }) => result)),
  ])
  for (const name of background) await cast.get(name)?.call('run', { phase: 'finish' })
  const values = await all
  const results = Object.fromEntries(running.map(({ name }, index) => [name, values[index]]))
  const usages = await Promise.all(everyone.map((participant) => participant.call('usage')))
  const usage = Object.fromEntries(everyone.map(({ name }, index) => [name, usages[index]]))
  return { results, usage }
}

/**
 * What the steps of one run share.
 * @typedef {object} Performance
 * @property {Workload} workload
 * @property {System} system
 * @property {import('./types.js').Driver | undefined} driver
 * @property {import('./types.js').Parameters} parameters
 * @property {Cast} cast
 * @property {(error: Error) => void} onEnd
 */

/** @param {Performance} performance */
async function startRelay({ system, driver, cast, onEnd }) {
  // What a relay leaves in the temporary folder goes with the run, also when the relay was killed.
  const environment = { ...driver?.environment, TMPDIR: system.options.folder ?? '' }
  const participant = new Participant('relay', onEnd, environment)
  cast.set('relay', participant)
  return participant.call('startRelay', { driver: system.driver, options: system.options })
}

/**
 * Kills the relay at once, starts another on what it kept, and tells everybody where it is.
 * @param {Performance} performance
 */
async function restartRelay(performance) {
  const { cast } = performance
  await cast.get('relay')?.kill()
  const { address, startMs } = await startRelay(performance)
  await Promise.all([...cast.values()].map((participant) => participant.call('moveTo', { address })))
  return { startMs }
}

/** @param {Performance} performance */
async function perform(performance) {
  const { workload, system, parameters, cast, onEnd } = performance
  const { driver, options } = system
  const address = driver === '' ? {} : (await startRelay(performance)).address
  for (const role of Object.keys(workload.roles)) {
    const participant = new Participant(role, onEnd)
    cast.set(role, participant)
    await participant.call('prepare', { workload: workload.name, role, driver, address, options, parameters })
  }
  /** @type {import('./types.js').Measured} */
  const measured = { parameters, results: {}, usage: {} }
  for (const phase of workload.phases) {
    const restarted = workload.restartsBefore === phase ? await restartRelay(performance) : undefined
    const { results, usage } = await runPhase(workload, phase, cast)
    measured.results[phase] = restarted === undefined ? results : { ...results, relay: restarted }
    measured.usage[phase] = usage
  }
  return measured
}

/**
 * @param {Workload} workload
 * @param {import('./types.js').Measured} measured
 * @returns {import('./types.js').Outcome}
 */
function evaluate(workload, measured) {
  const objects = workload.objects(measured.parameters)
  /** @type {Record<string, number>} */
  const cpuUsPerObject = {}
  /** @type {Record<string, number>} */
  const peakRssMiB = {}
  for (const phase of workload.countedPhases ?? workload.phases) {
    for (const [name, { cpuUs, peakRssKiB }] of Object.entries(measured.usage[phase] ?? {})) {
      cpuUsPerObject[name] = (cpuUsPerObject[name] ?? 0) + cpuUs / objects
      peakRssMiB[name] = Math.max(peakRssMiB[name] ?? 0, peakRssKiB / 1024)
    }
  }
  return { metrics: workload.measure(measured), cpuUsPerObject, peakRssMiB }
}

/**
 * Runs a workload once under one system: a fresh relay, fresh processes and a fresh folder, all gone at the end.
 * @param {{ workload: Workload, system: System, scale: number, point?: number, timeoutMs: number }} options
 * @returns {Promise<import('./types.js').Outcome>}
 */
export async function measureOnce({ workload, system, scale, point = 0, timeoutMs }) {
  /** @type {Cast} */
  const cast = new Map()
  let onEnd = (/** @type {Error} */ _error) => {}
  const accident = new Promise((/** @type {(value: never) => void} */ _resolve, reject) => {
    onEnd = reject
  })
  // At the end all processes are ended on purpose.
  accident.catch(() => {})
  const folder = makeRunFolder()
  try {
    const driver = system.driver === '' ? undefined : await loadDriver(system.driver)
    const parameters = workload.parameters(scale, driver, point)
    const inFolder = { ...system, options: { ...system.options, folder } }
    const performing = perform({ workload, system: inFolder, driver, parameters, cast, onEnd: (error) => onEnd(error) })
    const measured = await within(Promise.race([performing, accident]), timeoutMs, 'the run')
    const outcome = evaluate(workload, measured)
    // The relay goes last: an endpoint that stops wants to tell it so.
    const relay = cast.get('relay')
    for (const participant of [...cast.values()].filter((each) => each !== relay).concat(relay ?? [])) {
      await within(participant.call('stop'), stopMs, `stopping the ${participant.name}`)
    }
    return outcome
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error)
    return { metrics: [], cpuUsPerObject: {}, peakRssMiB: {}, failure }
  } finally {
    await Promise.all([...cast.values()].map((participant) => participant.end()))
    removeRunFolder(folder)
  }
}
