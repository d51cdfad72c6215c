import { loadDriver } from '../drivers/catalogue.js'
import { Participant } from './participant.js'

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
 * @param {Workload} workload
 * @param {System} system
 * @param {import('./types.js').Parameters} parameters
 * @param {Cast} cast
 * @param {(error: Error) => void} onEnd
 */
async function perform(workload, system, parameters, cast, onEnd) {
  const { driver, options } = system
  /** @param {string} name */
  const enter = (name) => {
    const participant = new Participant(name, onEnd)
    cast.set(name, participant)
    return participant
  }
  const address = workload.relayless ? {} : await enter('relay').call('startRelay', { driver, options })
  for (const role of Object.keys(workload.roles)) {
    await enter(role).call('prepare', { workload: workload.name, role, driver, address, options, parameters })
  }
  /** @type {import('./types.js').Measured} */
  const measured = { parameters, results: {}, usage: {} }
  for (const phase of workload.phases) {
    const { results, usage } = await runPhase(workload, phase, cast)
    measured.results[phase] = results
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
  let relayPeakRssKiB = 0
  for (const usage of Object.values(measured.usage)) {
    for (const [name, { cpuUs, peakRssKiB }] of Object.entries(usage)) {
      cpuUsPerObject[name] = (cpuUsPerObject[name] ?? 0) + cpuUs / objects
      if (name === 'relay') relayPeakRssKiB = Math.max(relayPeakRssKiB, peakRssKiB)
    }
  }
  const relayPeakRssMiB = relayPeakRssKiB === 0 ? undefined : relayPeakRssKiB / 1024
  return { metrics: workload.measure(measured), cpuUsPerObject, relayPeakRssMiB }
}

/**
 * Runs a workload once under one system: a fresh relay and fresh processes, all gone at the end.
 * @param {{ workload: Workload, system: System, scale: number, timeoutMs: number }} options
 * @returns {Promise<import('./types.js').Outcome>}
 */
export async function measureOnce({ workload, system, scale, timeoutMs }) {
  /** @type {Cast} */
  const cast = new Map()
  let onEnd = (/** @type {Error} */ _error) => {}
  const accident = new Promise((/** @type {(value: never) => void} */ _resolve, reject) => {
    onEnd = reject
  })
  // At the end all processes are ended on purpose.
  accident.catch(() => {})
  try {
    const parameters = workload.parameters(scale, await loadDriver(system.driver))
    const performing = perform(workload, system, parameters, cast, onEnd)
    const measured = await within(Promise.race([performing, accident]), timeoutMs, 'the run')
    const outcome = evaluate(workload, measured)
    // The relay goes last: an endpoint that stops wants to tell it so.
    for (const participant of [...cast.values()].reverse()) {
      await within(participant.call('stop'), stopMs, `stopping the ${participant.name}`)
    }
    return outcome
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error)
    return { metrics: [], cpuUsPerObject: {}, relayPeakRssMiB: undefined, failure }
  } finally {
    await Promise.all([...cast.values()].map((participant) => participant.end()))
  }
}
