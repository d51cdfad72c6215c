import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { createRandom } from '../shared/random.js'

/**
 * Ten thousand handwritten digits of 28 x 28 grey values (part of MNIST: Y. LeCun, C. Cortes, C. Burges), which the
 * registry package `mnist` brings as one JSON file per digit, about a thousand images each.
 *
 * @typedef {object} DataSet
 * @property {Float32Array} inputs One image after the other, `inputCount` values each.
 * @property {Uint8Array} labels The digit that each image shows.
 * @property {number} inputCount
 *
 * @typedef {object} Digits
 * @property {DataSet} training What the weights are fitted to.
 * @property {DataSet} validation What trials are compared by.
 * @property {DataSet} test What neither the weights nor the choice among trials ever saw.
 */

const originalSide = 28
const side = originalSide / 2
export const inputCount = side * side
export const classCount = 10

/** Images of each digit in the three parts; the rarest digit has 863. */
const imagesPerDigit = { training: 600, validation: 100, test: 150 }

/**
 * Halves the width and the height: each value is the mean of four.
 *
 * @param {ArrayLike<number>} values
 * @param {number} start
 * @param {Float32Array} target
 * @param {number} targetStart
 */
export function downscale(values, start, target, targetStart) {
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const corner = start + 2 * row * originalSide + 2 * column
      const sum =
        values[corner] + values[corner + 1] + values[corner + originalSide] + values[corner + originalSide + 1]
      target[targetStart + row * side + column] = sum / 4
    }
  }
}

/**
 * Reads the digits and splits them; the same seed gives the same split in every process.
 *
 * @param {number} seed
 * @returns {Promise<Digits>}
 */
export async function loadDigits(seed) {
  const folder = new URL('./digits/', pathToFileURL(createRequire(import.meta.url).resolve('mnist')))
  const random = createRandom(seed)
  const digits = {
    training: emptyDataSet(imagesPerDigit.training),
    validation: emptyDataSet(imagesPerDigit.validation),
    test: emptyDataSet(imagesPerDigit.test),
  }
  for (let digit = 0; digit < classCount; digit += 1) {
    const { data } = JSON.parse(await readFile(new URL(`${digit}.json`, folder), 'utf8'))
    const order = random.shuffle(Uint32Array.from({ length: data.length / originalSide ** 2 }, (_, index) => index))
    let next = 0
    for (const part of /** @type {const} */ (['training', 'validation', 'test'])) {
      const count = imagesPerDigit[part]
      for (let image = digit * count; image < (digit + 1) * count; image += 1) {
        downscale(data, order[next] * originalSide ** 2, digits[part].inputs, image * inputCount)
        digits[part].labels[image] = digit
        next += 1
      }
    }
  }
  return digits
}

/**
 * @param {number} perDigit
 * @returns {DataSet}
 */
function emptyDataSet(perDigit) {
  const count = perDigit * classCount
  return { inputs: new Float32Array(count * inputCount), labels: new Uint8Array(count), inputCount }
}
