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
