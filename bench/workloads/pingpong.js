import { nowMs, percentile } from '../harness/clock.js'
import { checkSmall, makeSmall } from '../objects/small.js'

/** @typedef {import('../harness/types.js').RoleContext} RoleContext */
/** @typedef {import('../harness/types.js').Link} Link */

/** Runs until it is told to finish: sends each object of `pings` back to `pongs`. */
export async function echoRole(/** @type {RoleContext} */ { connect }) {
  const link = await connect({ receives: 'pings', sendsTo: 'pongs' })
  return background(link, () =>
    link.consume((object) => {
      link.produce(object)?.catch(() => {})
    }, Number.POSITIVE_INFINITY),
  )
}

/**
 * A role that runs for ever, with the `finish` that ends it.
 * @param {Link} link
 * @param {() => Promise<unknown>} run
 */
function background(link, run) {
  let finish = () => {}
  const finished = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
    finish = resolve
  })
  return {
    run: () => Promise.race([run(), finished]),
    finish: async () => finish(),
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
