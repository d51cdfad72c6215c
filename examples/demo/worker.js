import { Endpoint } from 'objectrelay'
import { connectionFromCommandLine } from '../shared/connection.js'
import { classCount, inputCount, loadDigits } from './data.js'
import { createModel, evaluate, fits, train } from './model.js'

/**
 * A worker: takes a trial from the queue, trains, produces the result, takes the next one. It may vanish at any moment;
 * its trial then goes to another one.
 *
 * What is broadcast to the group `workers`.
 * @typedef {{ kind: 'best', model: import('./model.js').Model } | { kind: 'finished' }} Notice
 */

const name = process.argv[3] ?? 'worker'
const digits = await loadDigits(1)
const endpoint = await Endpoint.connect({ ...connectionFromCommandLine(), groups: 'workers' })

/** @type {import('./model.js').Model | undefined} */
let best

/**
 * @param {import('./search.js').Trial} trial
 * @param {{ attempt: number }} delivery
 */
async function runTrial(trial, { attempt }) {
  await endpoint.broadcast({ kind: 'started', worker: name, trial: trial.id, attempt }, 'watchers')
  const { hyperparameters, seed } = trial
  const shape = { inputs: inputCount, hidden: hyperparameters.hidden, classes: classCount }
  const warmStarted = trial.warmStart && fits(best, shape)
  const model = warmStarted && best ? { shape, weights: best.weights.slice() } : createModel(shape, seed)

  // The program is busy now for about a second. The library's own thread keeps the connection alive meanwhile.
  const startedMs = performance.now()
  train(model, digits.training, { ...hyperparameters, seed })
  const trainingMs = performance.now() - startedMs

  const { accuracy } = evaluate(model, digits.validation)
  // Only when the relay has accepted the result does this function end, and with it the lease of the trial.
  await endpoint.produce({ trial, worker: name, attempt, warmStarted, accuracy, trainingMs, model }, 'trainers')
}

const work = endpoint.work('workers', runTrial)

// What is produced to the group goes to `runTrial`; what is broadcast to it arrives here.
for await (const received of endpoint) {
  const notice = /** @type {Notice} */ (received)
  if (notice.kind === 'finished') break
  best = notice.model
}

await work.stop()
await endpoint.stop()
