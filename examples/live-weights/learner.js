/**
 * The cross-entropy method (R. Y. Rubinstein, 1999): policies are drawn from a normal distribution, whose mean and
 * deviation follow the best of the latest. It takes results one by one and in any order, so nobody has to wait.
 *
 * What is broadcast to the group `actors`.
 * @typedef {object} Weights
 * @property {number} version
 * @property {Float32Array} mean
 * @property {Float32Array} deviation
 * @property {boolean} finished
 *
 * What is produced to the group `trainers`.
 * @typedef {object} Rollout
 * @property {string} actor
 * @property {number} version Of the weights that it was drawn from.
 * @property {Float32Array} policy
 * @property {number} meanReturn
 * @property {number} skipped How many versions the actor has not seen so far, because newer ones replaced them.
 */

/** How many of the latest rollouts are looked at, and how many of these are followed. */
const windowLength = 40
const eliteLength = 8

/** @param {number} parameterCount */
export function createLearner(parameterCount) {
  /** @type {Rollout[]} */
  const latest = []
  let version = 0
  let mean = new Float32Array(parameterCount)
  let deviation = new Float32Array(parameterCount).fill(1)

  /** @param {Rollout} rollout */
  function learn(rollout) {
    latest.push(rollout)
    if (latest.length > windowLength) latest.shift()
    version += 1
    if (latest.length < windowLength / 2) return
    const elite = [...latest].sort((first, second) => second.meanReturn - first.meanReturn).slice(0, eliteLength)
    mean = mean.map((_, index) => elite.reduce((sum, { policy }) => sum + policy[index], 0) / elite.length)
    // A little more than the spread of the elite, lest it shrink to a point before it is where it should be.
    deviation = deviation.map((_, index) => {
      const variance = elite.reduce((sum, { policy }) => sum + (policy[index] - mean[index]) ** 2, 0) / elite.length
      return Math.sqrt(variance) + 0.05
    })
  }

  /** @returns {Weights} */
  function weights() {
    return { version, mean, deviation, finished: false }
  }

  return { learn, weights }
}

/**
 * Draws a policy from the distribution.
 *
 * @param {Weights} weights
 * @param {import('../shared/random.js').Random} random
 */
export function drawPolicy({ mean, deviation }, random) {
  return mean.map((value, index) => value + deviation[index] * random.normal())
}
