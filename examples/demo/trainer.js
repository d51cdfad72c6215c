import { Endpoint } from 'objectrelay'
import { connectionFromCommandLine } from '../shared/connection.js'
import { createRandom } from '../shared/random.js'
import { loadDigits } from './data.js'
import { evaluate } from './model.js'
import { propose } from './search.js'

/**
 * The trainer: proposes trials, collects what came of them, and tells the workers the best model so far.
 *
 * What it broadcasts to the group `watchers` for each result: the result without the weights.
 * @typedef {Omit<import('./search.js').Result, 'model'> & { kind: 'result', isBest: boolean }} Report
 *
 * What it produces to the group `watchers` at the end.
 * @typedef {object} Summary
 * @property {'summary'} kind
 * @property {number} proposed
 * @property {number} arrived Different trials whose result came in.
 * @property {number} duplicates Results that came in more than once.
 * @property {number} bestTrial
 * @property {number} testAccuracy Of the best model, on images that played no part in the search.
 */

const trialsMax = Number(process.argv[3])
const proposingMs = Number(process.argv[4])
/** So many trials are proposed and not yet back; a few more than workers, so that none of them waits for the trainer. */
const trialsUnderWay = 6

const random = createRandom(1)
const { test } = await loadDigits(1)
const endpoint = await Endpoint.connect({ ...connectionFromCommandLine(), groups: 'trainers' })

const startedMs = performance.now()
/** @type {Set<number>} */
const arrived = new Set()
/** @type {import('./search.js').Result | undefined} */
let best
let proposed = 0
let duplicates = 0

async function proposeNext() {
  if (proposed === trialsMax || performance.now() - startedMs > proposingMs) return
  proposed += 1
  const known = best && { accuracy: best.accuracy, hyperparameters: best.trial.hyperparameters }
  await endpoint.produce(propose({ id: proposed, trialsMax, best: known, random }), 'workers')
}

/** @param {import('./search.js').Result} result */
async function take(result) {
  if (arrived.has(result.trial.id)) {
    duplicates += 1
    return
  }
  arrived.add(result.trial.id)
  const isBest = best === undefined || result.accuracy > best.accuracy
  if (isBest) {
    best = result
    await endpoint.broadcast({ kind: 'best', model: result.model }, 'workers')
  }
  const { model, ...report } = result
  await endpoint.broadcast({ kind: 'result', isBest, ...report }, 'watchers')
}

// Ask for every result there will be, as they come; asking again for each would cost a round trip.
await endpoint.notify({ trainers: trialsMax })
for (let count = 0; count < trialsUnderWay; count += 1) await proposeNext()

for await (const received of endpoint) {
  await take(/** @type {import('./search.js').Result} */ (received))
  await proposeNext()
  if (arrived.size === proposed) break
}

// Nothing may come now; if it does, something came twice, and the run has failed.
await endpoint.notify({ trainers: -1 })
for (const received of await endpoint.pop({ blocking: true, maxItems: trialsMax, timeoutMs: 500 })) {
  await take(/** @type {import('./search.js').Result} */ (received))
}

const bestTrial = best?.trial.id ?? 0
const testAccuracy = best === undefined ? 0 : evaluate(best.model, test).accuracy
await endpoint.broadcast({ kind: 'finished' }, 'workers')
await endpoint.produce(
  { kind: 'summary', proposed, arrived: arrived.size, duplicates, bestTrial, testAccuracy },
  'watchers',
)
await endpoint.stop()
