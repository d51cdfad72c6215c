/**
 * Which hyperparameters to try next: first at random all over the space, then around the best so far, in ever smaller
 * steps. Simple, and hard to beat when trials come back in any order: nothing waits for a generation to be complete.
 *
 * @typedef {object} Hyperparameters
 * @property {number} learningRate
 * @property {number} momentum
 * @property {number} l2
 * @property {number} batchSize
 * @property {number} hidden
 * @property {number} epochs
 *
 * What is produced to the group `workers`.
 * @typedef {object} Trial
 * @property {number} id
 * @property {number} seed
 * @property {boolean} warmStart Whether to go on from the best model so far, if it has as many hidden units.
 * @property {Hyperparameters} hyperparameters
 *
 * What is produced to the group `trainers`.
 * @typedef {object} Result
 * @property {Trial} trial
 * @property {string} worker
 * @property {number} attempt 2 or more if an earlier worker vanished with the trial.
 * @property {boolean} warmStarted
 * @property {number} accuracy On the validation data.
 * @property {number} trainingMs
 * @property {import('./model.js').Model} model
 *
 * @typedef {{ accuracy: number, hyperparameters: Hyperparameters }} Known
 */

/**
 * Each hyperparameter's range. `logarithmic`: equal factors are equally likely, as fits what spans powers of ten.
 *
 * @type {{ readonly [Name in keyof Hyperparameters]: { min: number, max: number, logarithmic: boolean, whole: boolean } }}
 */
export const space = {
  learningRate: { min: 0.003, max: 0.5, logarithmic: true, whole: false },
  momentum: { min: 0, max: 0.95, logarithmic: false, whole: false },
  l2: { min: 1e-6, max: 1e-2, logarithmic: true, whole: false },
  batchSize: { min: 8, max: 128, logarithmic: true, whole: true },
  hidden: { min: 24, max: 160, logarithmic: true, whole: true },
  epochs: { min: 4, max: 12, logarithmic: false, whole: true },
}

export const hyperparameterNames = /** @type {(keyof Hyperparameters)[]} */ (Object.keys(space))

/** Where most people would begin; so even a search of a few trials has something sound to refine. */
const customary = { learningRate: 0.1, momentum: 0.8, l2: 1e-5, batchSize: 32, hidden: 64, epochs: 6 }

/**
 * @param {number} fraction From 0 to 1.
 * @param {keyof Hyperparameters} name
 */
function fromFraction(fraction, name) {
  const { min, max, logarithmic, whole } = space[name]
  const value = logarithmic ? min * (max / min) ** fraction : min + (max - min) * fraction
  return whole ? Math.round(value) : value
}

/**
 * What went over an edge of the range comes back by as much; cutting it off would try the edge again and again.
 *
 * @param {number} fraction
 */
function reflect(fraction) {
  const folded = Math.abs(fraction) % 2
  return folded > 1 ? 2 - folded : folded
}

/**
 * Where a value lies in its range, from 0 to 1.
 *
 * @param {number} value
 * @param {keyof Hyperparameters} name
 */
export function toFraction(value, name) {
  const { min, max, logarithmic } = space[name]
  return logarithmic ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min)
}

/**
 * Proposes the next trial from what is known so far.
 *
 * @param {object} situation
 * @param {number} situation.id The number of the trial, from 1.
 * @param {number} situation.trialsMax How many there will be.
 * @param {Known | undefined} situation.best
 * @param {import('../shared/random.js').Random} situation.random
 * @returns {Trial}
 */
export function propose({ id, trialsMax, best, random }) {
  const exploring = id <= trialsMax * 0.4
  if (id === 1) return { id, seed: id, warmStart: false, hyperparameters: { ...customary } }
  const hyperparameters = { ...customary }
  // From a quarter of the range down to a twentieth.
  const spread = 0.25 - 0.2 * (id / trialsMax)
  for (const name of hyperparameterNames) {
    const fraction =
      best === undefined || exploring
        ? random.uniform()
        : toFraction(best.hyperparameters[name], name) + spread * random.normal()
    hyperparameters[name] = fromFraction(reflect(fraction), name)
  }
  // Half of the refining trials keep the shape of the best model, so that they can start from it.
  const warmStart = best !== undefined && !exploring && random.uniform() < 0.5
  if (warmStart) hyperparameters.hidden = best.hyperparameters.hidden
  return { id, seed: id, warmStart, hyperparameters }
}
