// The scales of a plot's axes: from values to places, and the values that get a mark.

/**
 * @typedef {object} Scale
 * @property {(value: number) => number} place From 0 to 1.
 * @property {number[]} ticks
 */

/** A value that passes a power of ten by less than this does not make the axis a decade longer. */
const overshootMax = 1.1

/**
 * Powers of ten around the values; with only a few of them, twice and five times each too.
 * @param {number[]} values Above 0.
 * @returns {Scale}
 */
export function logScale(values) {
  const first = Math.floor(Math.log10(Math.min(...values)) + 1e-9)
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values) / overshootMax)))
  const decades = last - first
  const steps = decades <= 2 ? [1, 2, 5] : [1]
  const ticks = []
  for (let power = first; power <= last; power++) {
    for (const step of steps) {
      // A division keeps 0.1 what it is, where a multiplication by 10 ** -1 may not.
      const tick = power < 0 ? step / 10 ** -power : step * 10 ** power
      if (tick <= 10 ** last * 1.001) ticks.push(tick)
    }
  }
  return { place: (value) => (Math.log10(value) - first) / decades, ticks }
}

/**
 * From 0 to a round number above the values.
 * @param {number[]} values
 * @returns {Scale}
 */
export function linearScale(values) {
  const top = Math.max(...values, Number.MIN_VALUE)
  const magnitude = 10 ** Math.floor(Math.log10(top / 4))
  const step = magnitude * ([1, 2, 5, 10].find((factor) => factor * magnitude * 5 >= top) ?? 10)
  const count = Math.max(1, Math.ceil(top / step - 1e-9))
  const ticks = Array.from({ length: count + 1 }, (_tick, index) => index * step)
  return { place: (value) => value / (step * count), ticks }
}

const prefixes = [
  { factor: 1e9, letter: 'G' },
  { factor: 1e6, letter: 'M' },
  { factor: 1e3, letter: 'k' },
]

/**
 * A short number for an axis: 20 k, 1 G, 0.5.
 * @param {number} value
 * @param {string} unit
 */
export function formatTick(value, unit) {
  const { factor, letter } = prefixes.find((each) => Math.abs(value) >= each.factor * 0.9995) ?? {
    factor: 1,
    letter: '',
  }
  const number = Number((value / factor).toPrecision(3))
  return `${number} ${letter}${unit}`.trim()
}
