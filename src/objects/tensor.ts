import { kindOf, type TypedArray } from './typedArrays.ts'

/** A tensor: elements in rows, the last index running fastest. Objects with exactly these properties travel as tag 40. */
export interface Tensor<Data extends TypedArray = TypedArray> {
  /** The kind of the elements: `float32`, `float64`, `int8` to `int64`, `uint8` to `uint64`. */
  dtype: string
  shape: number[]
  data: Data
}

/** Whether the product of a shape is the count of the elements. */
export function shapeFits(shape: readonly unknown[], count: number): shape is readonly number[] {
  let product = 1
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || Object.is(size, -0)) return false
    product *= size
  }
  return product === count
}

/**
 * The object as a tensor, when it has exactly those three properties and the type of its data is the one that `dtype`
 * says. Anything else with such names travels as the plain object that it is.
 */
export function asTensor(properties: Readonly<Record<string, unknown>>): Tensor | undefined {
  if (!Object.hasOwn(properties, 'dtype')) return undefined
  const dtype = dataProperty(properties, 'dtype')
  const shape = dataProperty(properties, 'shape')
  const data = dataProperty(properties, 'data')
  if (typeof dtype !== 'string' || !Array.isArray(shape) || !ArrayBuffer.isView(data)) return undefined
  const kind = kindOf(data)
  if (kind?.dtype !== dtype || Object.getPrototypeOf(shape) !== Array.prototype) return undefined
  const array = data as TypedArray // it has the prototype of one
  return shapeFits(shape, array.length) ? { dtype, shape, data: array } : undefined
}

/** The value of a property. What a getter gives is not looked at twice: the object is none then. */
function dataProperty(properties: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(properties, name)?.value
}
