import { setTimeout } from 'node:timers/promises'
import { Endpoint } from 'objectrelay'
import { connectionFromCommandLine } from '../shared/connection.js'
import { createRandom } from '../shared/random.js'
import { meanReturn } from './cartpole.js'
import { drawPolicy } from './learner.js'

/** An actor: plays with the newest weights there are, and never with a backlog of old ones. */

const name = process.argv[3] ?? 'actor'
const random = createRandom(Number(process.argv[4] ?? 1))
const episodesPerRollout = 2
/** A real environment, a game or a robot, takes its time; this one would be over in microseconds. */
const environmentStepMs = 0.1

const endpoint = await Endpoint.connect({ ...connectionFromCommandLine(), groups: 'actors', broadcasts: 'latest' })
let skipped = 0

for await (const delivery of endpoint.deliveries()) {
  skipped += delivery.skipped
  const weights = /** @type {import('./learner.js').Weights} */ (delivery.object)
  if (weights.finished) break
  const policy = drawPolicy(weights, random)
  const result = meanReturn(policy, random, episodesPerRollout)
  await setTimeout(result * episodesPerRollout * environmentStepMs)
  const rollout = { actor: name, version: weights.version, policy, meanReturn: result, skipped }
  await endpoint.produce(rollout, 'trainers')
}

await endpoint.stop()
