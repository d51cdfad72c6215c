import { nowMs, percentile } from '../harness/clock.js'
import { checkSmall, makeSmall } from '../objects/small.js'

/** @typedef {import('../harness/types.js').RoleContext} RoleContext */
/** @typedef {import('../harness/types.js').Link} Link */

/**
 * A role's `run` that goes on until `finish` is called.
 * @param {(finished: Promise<void>) => Promise<unknown>} run
 */
export function untilFinished(run) {
  let finish = () => {}
  const finished = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
    finish = resolve
  })
  return { run: () => run(finished), finish: async () => finish() }
}

/**
 * Sends each object of `pings` back to `pongs`.
 * @param {RoleContext} context
 */
export async function echoRole({ connect }) {
  const link = await connect({ receives: 'pings', sendsTo: 'pongs' })
  const echo = (/** @type {unknown} */ object) => {
    // An echo that fails is a ping that never returns, which the pinger reports.
    link.produce(object)?.catch(() => {})
  }
  return {
    ...untilFinished((finished) => Promise.race([link.consume(echo, Number.POSITIVE_INFINITY), finished])),
    stop: link.stop,
  }
}

/**
 * Sends a small object and waits for its return, again and again.
 * @param {Link} link
 */
export function startPinging(link) {
  /** @type {number[]} */
  const roundTripsUs = []
  let next = 0
  let sentMs = 0
  let returned = () => {}
  let failed = (/** @type {unknown} */ _error) => {}
  const received = link.consume((object) => {
    roundTripsUs.push((nowMs() - sentMs) * 1000)
    checkSmall(object, next - 1)
    returned()
  }, Number.POSITIVE_INFINITY)
  received.catch((error) => failed(error))
  return {
    roundTripsUs,
    /** @returns {Promise<void>} */
    ping: () =>
      new Promise((resolve, reject) => {
        returned = resolve
        failed = reject
        sentMs = nowMs()
        link.produce(makeSmall(next++))?.catch(reject)
      }),
  }
}

/**
 * @param {number[]} roundTripsUs
 */
export function latencyOf(roundTripsUs) {
  const sorted = roundTripsUs.toSorted((a, b) => a - b)
  return { p50Us: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) }
}

/**
 * Round trips of a small object between two endpoints, nothing else running.
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.title
 * @param {number} options.rounds
 * @param {number} options.warmUp Round trips before, that are not counted.
 * @returns {import('../harness/types.js').Workload}
 */
export function pingpongWorkload({ name, title, rounds: roundsWhole, warmUp }) {
  return {
    name,
    title,
    phases: ['run'],
    background: ['echo'],
    parameters: (scale) => ({ rounds: Math.max(100, Math.round(roundsWhole * scale)) }),
    roles: {
      echo: echoRole,
      async pinger({ connect, parameters }) {
        const link = await connect({ receives: 'pongs', sendsTo: 'pings' })
        return {
          async run() {
            const pinging = startPinging(link)
            for (let round = 0; round < warmUp; round++) await pinging.ping()
            pinging.roundTripsUs.length = 0
            for (let round = 0; round < (parameters.rounds ?? 0); round++) await pinging.ping()
            return latencyOf(pinging.roundTripsUs)
          },
          stop: link.stop,
        }
      },
    },
    objects: ({ rounds = 1 }) => rounds + warmUp,
    measure({ results }) {
      const { p50Us, p99Us } = results.run?.pinger ?? {}
      return [
        { name: 'p50', unit: 'us', value: p50Us, better: 'lower' },
        { name: 'p99', unit: 'us', value: p99Us, better: 'lower' },
      ]
    },
  }
}
