import { Endpoint } from 'objectrelay'
import { connectionFromCommandLine } from '../shared/connection.js'
import { createRandom } from '../shared/random.js'
import { meanReturn, stateCount, stepsMax } from './cartpole.js'
import { createLearner } from './learner.js'

/** The trainer: learns from each rollout as it comes, and broadcasts the weights anew after each. */

const goal = 195
const evaluateEvery = 10
const deadlineMs = 40_000

/** Held out: episodes that begin where none of the actors' do. */
function evaluate(/** @type {Float32Array} */ policy) {
  return meanReturn(policy, createRandom(1_000_003), 100)
}

const endpoint = await Endpoint.connect({ ...connectionFromCommandLine(), groups: 'trainers' })
const learner = createLearner(stateCount)
/** @type {Map<string, number>} */
const skipped = new Map()
let rollouts = 0
let result = 0

await endpoint.notify({ trainers: 1_000 })
await endpoint.broadcast(learner.weights(), 'actors')
const endsAtMs = performance.now() + deadlineMs

while (result < goal && performance.now() < endsAtMs) {
  for (const received of await endpoint.pop({ blocking: true, maxItems: 20, timeoutMs: 1_000 })) {
    const rollout = /** @type {import('./learner.js').Rollout} */ (received)
    learner.learn(rollout)
    rollouts += 1
    skipped.set(rollout.actor, rollout.skipped)
    // Asking is credit: for each rollout that came, one more may come.
    await endpoint.notify('trainers')
    await endpoint.broadcast(learner.weights(), 'actors')
    if (rollouts % evaluateEvery === 0) {
      const { mean, version } = learner.weights()
      result = evaluate(mean)
      console.log(`version ${version}: mean return ${result.toFixed(1)} of ${stepsMax}`)
      if (result >= goal) break
    }
  }
}

await endpoint.broadcast({ ...learner.weights(), finished: true }, 'actors')
for (const [actor, count] of [...skipped].sort()) {
  console.log(`${actor} skipped ${count} of ${rollouts} versions and always played the newest.`)
}
console.log(`Mean return over 100 held-out episodes: ${result.toFixed(1)} of ${stepsMax}, after ${rollouts} rollouts.`)
await endpoint.stop()
process.exitCode = result >= goal ? 0 : 1
