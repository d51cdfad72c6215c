/**
 * A pole on a cart: push the cart left or right so that the pole stays up. The equations of motion and constants are
 * those of A. G. Barto, R. S. Sutton, C. W. Anderson, "Neuronlike adaptive elements that can solve difficult learning
 * control problems", IEEE Transactions on Systems, Man, and Cybernetics 13 (1983), without friction, as is usual.
 *
 * @typedef {[position: number, velocity: number, angle: number, angularVelocity: number]} State
 */

const gravity = 9.8
const cartMass = 1
const poleMass = 0.1
/** From the hinge to the middle of the pole, in metres. */
const poleHalfLength = 0.5
const pushNewtons = 10
const stepSeconds = 0.02
const positionMax = 2.4
const angleMax = (12 * Math.PI) / 180

export const stateCount = 4
export const stepsMax = 200

/**
 * One step of Euler's method.
 *
 * @param {State} state
 * @param {boolean} pushRight
 * @returns {State}
 */
export function step([position, velocity, angle, angularVelocity], pushRight) {
  const force = pushRight ? pushNewtons : -pushNewtons
  const totalMass = cartMass + poleMass
  const sine = Math.sin(angle)
  const cosine = Math.cos(angle)
  const shared = (force + poleMass * poleHalfLength * angularVelocity ** 2 * sine) / totalMass
  const angularAcceleration =
    (gravity * sine - cosine * shared) / (poleHalfLength * (4 / 3 - (poleMass * cosine ** 2) / totalMass))
  const acceleration = shared - (poleMass * poleHalfLength * angularAcceleration * cosine) / totalMass
  return [
    position + stepSeconds * velocity,
    velocity + stepSeconds * acceleration,
    angle + stepSeconds * angularVelocity,
    angularVelocity + stepSeconds * angularAcceleration,
  ]
}

/**
 * Plays one episode with a linear policy: push right when the weighted sum of the state is positive.
 *
 * @param {Float32Array} policy
 * @param {import('../shared/random.js').Random} random For where the episode begins.
 * @returns {number} The return: how many steps the pole stayed up, `stepsMax` at most.
 */
export function playEpisode(policy, random) {
  const begin = () => 0.1 * (random.uniform() - 0.5)
  /** @type {State} */
  let state = [begin(), begin(), begin(), begin()]
  for (let steps = 0; steps < stepsMax; steps += 1) {
    if (Math.abs(state[0]) > positionMax || Math.abs(state[2]) > angleMax) return steps
    const sum = state.reduce((total, value, index) => total + value * policy[index], 0)
    state = step(state, sum > 0)
  }
  return stepsMax
}

/**
 * The mean return of several episodes.
 *
 * @param {Float32Array} policy
 * @param {import('../shared/random.js').Random} random
 * @param {number} episodes
 */
export function meanReturn(policy, random, episodes) {
  let sum = 0
  for (let episode = 0; episode < episodes; episode += 1) sum += playEpisode(policy, random)
  return sum / episodes
}
