/**
 * Random numbers from a seed, so that a run can be repeated.
 *
 * @typedef {object} Random
 * @property {() => number} uniform A number from 0 up to, and not including, 1.
 * @property {() => number} normal A number of the standard normal distribution.
 * @property {(count: number) => number} integer A whole number from 0 to `count - 1`.
 * @property {(values: Uint32Array) => Uint32Array} shuffle Puts the values into a random order, in place.
 */

/**
 * The xorshift generator with 32 bits of state: G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003).
 * Small and quick, good enough to initialise weights; never for secrets.
 *
 * @param {number} seed Any whole number.
 * @returns {Random}
 */
export function createRandom(seed) {
  // Neighbouring seeds would begin with similar numbers, and a state of zero would stay zero.
  let state = Math.imul(seed + 1, 0x9e3779b1) | 0 || 1

  function uniform() {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  for (let skipped = 0; skipped < 8; skipped += 1) uniform()

  function normal() {
    // Box and Muller; the state is never zero, so neither is the argument of the logarithm.
    return Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  }

  /** @param {number} count */
  function integer(count) {
    return Math.floor(uniform() * count)
  }

  /** @param {Uint32Array} values */
  function shuffle(values) {
    for (let last = values.length - 1; last > 0; last -= 1) {
      const other = integer(last + 1)
      const value = values[last]
      values[last] = values[other]
      values[other] = value
    }
    return values
  }

  return { uniform, normal, integer, shuffle }
}
