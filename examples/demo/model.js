import { createRandom } from '../shared/random.js'

/**
 * A perceptron with one hidden layer: inputs -> hidden units (rectified) -> classes (softmax), trained by stochastic
 * gradient descent with momentum.
 *
 * All its numbers are in one Float32Array, which is how it travels:
 * input weights (input by input), hidden biases, output weights (hidden unit by hidden unit), output biases.
 *
 * @typedef {object} Shape
 * @property {number} inputs
 * @property {number} hidden
 * @property {number} classes
 *
 * @typedef {object} Model
 * @property {Shape} shape
 * @property {Float32Array} weights
 *
 * @typedef {object} TrainingOptions
 * @property {number} learningRate At the start; it falls to a tenth in the course of the training.
 * @property {number} momentum
 * @property {number} l2 How strongly large weights are pulled back.
 * @property {number} batchSize
 * @property {number} epochs
 * @property {number} seed
 *
 * @typedef {import('./data.js').DataSet} DataSet
 */

/**
 * Where the four parts lie in the array.
 *
 * @param {Shape} shape
 */
function layout({ inputs, hidden, classes }) {
  const hiddenBiases = inputs * hidden
  const outputWeights = hiddenBiases + hidden
  const outputBiases = outputWeights + hidden * classes
  return { hiddenBiases, outputWeights, outputBiases, length: outputBiases + classes }
}

/**
 * A model that has learned nothing. The spread of its weights keeps signals as large behind a rectified layer as before
 * it: K. He et al., "Delving Deep into Rectifiers" (2015).
 *
 * @param {Shape} shape
 * @param {number} seed
 * @returns {Model}
 */
export function createModel(shape, seed) {
  const random = createRandom(seed)
  const { hiddenBiases, outputWeights, outputBiases, length } = layout(shape)
  const weights = new Float32Array(length)
  for (let index = 0; index < hiddenBiases; index += 1) weights[index] = random.normal() * Math.sqrt(2 / shape.inputs)
  for (let index = outputWeights; index < outputBiases; index += 1) {
    weights[index] = random.normal() * Math.sqrt(1 / shape.hidden)
  }
  return { shape, weights }
}

/**
 * Whether training can go on from `model`.
 *
 * @param {Model | undefined} model
 * @param {Shape} shape
 * @returns {model is Model}
 */
export function fits(model, shape) {
  return (
    model !== undefined &&
    model.shape.inputs === shape.inputs &&
    model.shape.hidden === shape.hidden &&
    model.shape.classes === shape.classes &&
    model.weights.length === layout(shape).length
  )
}

/**
 * Computes what the network makes of one image: `hidden` gets the activations, `output` the probabilities.
 *
 * @param {Model} model
 * @param {Float32Array} inputs
 * @param {number} start Where the image begins in `inputs`.
 * @param {Float32Array} hidden
 * @param {Float32Array} output
 */
function forward({ shape, weights }, inputs, start, hidden, output) {
  const { hiddenBiases, outputWeights, outputBiases } = layout(shape)
  for (let unit = 0; unit < shape.hidden; unit += 1) hidden[unit] = weights[hiddenBiases + unit]
  for (let input = 0; input < shape.inputs; input += 1) {
    const value = inputs[start + input]
    // Two thirds of an image are empty.
    if (value === 0) continue
    const row = input * shape.hidden
    for (let unit = 0; unit < shape.hidden; unit += 1) hidden[unit] += value * weights[row + unit]
  }
  for (let label = 0; label < shape.classes; label += 1) output[label] = weights[outputBiases + label]
  for (let unit = 0; unit < shape.hidden; unit += 1) {
    if (hidden[unit] <= 0) {
      hidden[unit] = 0
      continue
    }
    const row = outputWeights + unit * shape.classes
    for (let label = 0; label < shape.classes; label += 1) output[label] += hidden[unit] * weights[row + label]
  }
  softmax(output)
}

/** @param {Float32Array} values */
function softmax(values) {
  let largest = Number.NEGATIVE_INFINITY
  for (const value of values) largest = Math.max(largest, value)
  let sum = 0
  for (let index = 0; index < values.length; index += 1) {
    values[index] = Math.exp(values[index] - largest)
    sum += values[index]
  }
  for (let index = 0; index < values.length; index += 1) values[index] /= sum
}

/**
 * Adds the gradient of the cross entropy of one image, whose forward pass is in `hidden` and `output`, to `gradient`.
 *
 * @param {Model} model
 * @param {DataSet} data
 * @param {number} image
 * @param {Float32Array} hidden
 * @param {Float32Array} output
 * @param {Float32Array} gradient
 */
function backward({ shape, weights }, data, image, hidden, output, gradient) {
  const { hiddenBiases, outputWeights, outputBiases } = layout(shape)
  // The derivative at the output of softmax with cross entropy: the probabilities minus the truth.
  output[data.labels[image]] -= 1
  for (let label = 0; label < shape.classes; label += 1) gradient[outputBiases + label] += output[label]
  for (let unit = 0; unit < shape.hidden; unit += 1) {
    const activation = hidden[unit]
    // A unit that was off passes nothing back.
    if (activation === 0) continue
    const row = outputWeights + unit * shape.classes
    let derivative = 0
    for (let label = 0; label < shape.classes; label += 1) {
      derivative += output[label] * weights[row + label]
      gradient[row + label] += output[label] * activation
    }
    hidden[unit] = derivative
    gradient[hiddenBiases + unit] += derivative
  }
  for (let input = 0; input < shape.inputs; input += 1) {
    const value = data.inputs[image * shape.inputs + input]
    if (value === 0) continue
    const row = input * shape.hidden
    for (let unit = 0; unit < shape.hidden; unit += 1) gradient[row + unit] += value * hidden[unit]
  }
}

/**
 * Trains the model in place.
 *
 * @param {Model} model
 * @param {DataSet} data
 * @param {TrainingOptions} options
 */
export function train(model, data, { learningRate, momentum, l2, batchSize, epochs, seed }) {
  const { shape, weights } = model
  const random = createRandom(seed)
  const hidden = new Float32Array(shape.hidden)
  const output = new Float32Array(shape.classes)
  const gradient = new Float32Array(weights.length)
  const velocity = new Float32Array(weights.length)
  const order = Uint32Array.from(data.labels, (_, index) => index)
  const steps = epochs * Math.ceil(order.length / batchSize)
  let step = 0
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    random.shuffle(order)
    for (let start = 0; start < order.length; start += batchSize) {
      const batch = order.subarray(start, start + batchSize)
      gradient.fill(0)
      for (const image of batch) {
        forward(model, data.inputs, image * shape.inputs, hidden, output)
        backward(model, data, image, hidden, output, gradient)
      }
      const rate = learningRate * (1 - (0.9 * step) / steps)
      for (let index = 0; index < weights.length; index += 1) {
        const slope = gradient[index] / batch.length + l2 * weights[index]
        velocity[index] = momentum * velocity[index] - rate * slope
        weights[index] += velocity[index]
      }
      step += 1
    }
  }
}

/**
 * The share of images whose digit the model finds, and the mean cross entropy.
 *
 * @param {Model} model
 * @param {DataSet} data
 * @returns {{ accuracy: number, loss: number }}
 */
export function evaluate(model, data) {
  const hidden = new Float32Array(model.shape.hidden)
  const output = new Float32Array(model.shape.classes)
  let correct = 0
  let loss = 0
  for (let image = 0; image < data.labels.length; image += 1) {
    forward(model, data.inputs, image * model.shape.inputs, hidden, output)
    if (output.indexOf(Math.max(...output)) === data.labels[image]) correct += 1
    loss -= Math.log(Math.max(output[data.labels[image]], 1e-12))
  }
  return { accuracy: correct / data.labels.length, loss: loss / data.labels.length }
}
