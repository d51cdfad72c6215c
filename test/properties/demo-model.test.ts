import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

interface DataSet {
  inputs: Float32Array
  labels: Uint8Array
  inputCount: number
}
interface Shape {
  inputs: number
  hidden: number
  classes: number
}
interface Model {
  shape: Shape
  weights: Float32Array
}
interface TrainingOptions {
  learningRate: number
  momentum: number
  l2: number
  batchSize: number
  epochs: number
  seed: number
}
/** The examples are plain JavaScript, which the compiler is not given; this is what the demo's model offers. */
interface DemoModel {
  createModel(shape: Shape, seed: number): Model
  fits(model: Model | undefined, shape: Shape): boolean
  train(model: Model, data: DataSet, options: TrainingOptions): void
  evaluate(model: Model, data: DataSet): { accuracy: number; loss: number }
}

const location: string = new URL('../../examples/demo/model.js', import.meta.url).href
const { createModel, fits, train, evaluate }: DemoModel = await import(location)

const shape: Shape = { inputs: 6, hidden: 5, classes: 3 }

/** Three classes, each with two inputs of its own that are bright, and some noise. */
function blobs(count: number, noise: (index: number) => number): DataSet {
  const labels = Uint8Array.from({ length: count }, (_, image) => image % 3)
  const inputs = Float32Array.from({ length: count * 6 }, (_, index) => {
    const own = labels[Math.floor(index / 6)] === Math.floor((index % 6) / 2)
    return (own ? 1 : 0) + 0.2 * noise(index)
  })
  return { inputs, labels, inputCount: 6 }
}

describe('the model of the demo', () => {
  const options: TrainingOptions = { learningRate: 0.2, momentum: 0.5, l2: 0, batchSize: 8, epochs: 20, seed: 3 }

  it('learns to tell three classes apart', () => {
    const model = createModel(shape, 1)
    const data = blobs(150, (index) => Math.sin(index * 12.9898))
    expect(evaluate(model, data).accuracy).toBeLessThan(0.9)
    train(model, data, options)
    expect(evaluate(model, data).accuracy).toBeGreaterThan(0.98)
  })

  it('steps down the numerical gradient of the loss', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1000 }), (seed) => {
        const data = blobs(12, (index) => Math.sin(index + seed))
        const model = createModel(shape, seed)
        const before = model.weights.slice()
        const learningRate = 1e-2
        // One batch of all images and no momentum: the change of the weights is the gradient itself.
        train(model, data, { ...options, learningRate, momentum: 0, batchSize: 12, epochs: 1, seed })
        const loss = (weights: Float32Array) => evaluate({ shape, weights }, data).loss
        const delta = 1e-3
        const differences = before.map((weight, index) => {
          const [up, down] = [before.slice(), before.slice()]
          up[index] = weight + delta
          down[index] = weight - delta
          const numerical = (loss(up) - loss(down)) / (2 * delta)
          const analytical = (weight - (model.weights[index] ?? Number.NaN)) / learningRate
          return Math.abs(numerical - analytical)
        })
        // A rectified unit may sit on its edge for an image or two, where the difference quotient lies; hence the median,
        // which is below 1.1e-5 for each of the 1 001 seeds that there are.
        expect([...differences].sort((one, other) => one - other)[differences.length >> 1]).toBeLessThan(1e-4)
      }),
      { numRuns: 30 },
    )
  })

  it('gives the same weights for the same seed and others for another', () => {
    const data = blobs(30, (index) => Math.cos(index))
    const trained = (seed: number) => {
      const model = createModel(shape, seed)
      train(model, data, { ...options, epochs: 2, seed })
      return model.weights
    }
    expect(trained(5)).toEqual(trained(5))
    expect(trained(5)).not.toEqual(trained(6))
  })

  it('goes on only from a model of the same shape', () => {
    const model = createModel(shape, 1)
    expect(fits(model, shape)).toBe(true)
    expect(fits(model, { ...shape, hidden: 6 })).toBe(false)
    expect(fits({ shape, weights: new Float32Array(3) }, shape)).toBe(false)
    expect(fits(undefined, shape)).toBe(false)
  })
})
