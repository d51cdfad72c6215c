import { nowMs } from './clock.js'

/**
 * Operations in a second, the best of three times: what disturbs a loop only ever slows it down.
 * @param {() => unknown} operation
 * @param {number} forMs
 */
export function rateOf(operation, forMs) {
  let best = 0
  for (let round = 0; round < 3; round++) {
    const startedMs = nowMs()
    let operations = 0
    let elapsedMs = 0
    for (let batch = 1; elapsedMs < forMs; batch = Math.min(batch * 2, 256)) {
      for (let index = 0; index < batch; index++) operation()
      operations += batch
      elapsedMs = nowMs() - startedMs
    }
    best = Math.max(best, (operations / elapsedMs) * 1000)
  }
  return best
}
