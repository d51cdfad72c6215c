import { describe, expect, test } from 'vitest'
import { decodeHex, encodeHex, throughMemory, throughParts } from '../../test/support/objects.ts'

const type: unknown = Reflect.get(globalThis, 'Float16Array')

function halves(values: readonly number[]): unknown {
  if (typeof type !== 'function') throw new Error('this JavaScript has no Float16Array')
  return Reflect.construct(type, [values])
}

describe.runIf(typeof type === 'function')('Float16Array', () => {
  test('travels as the array of RFC 8746', () => {
    expect(encodeHex(halves([1, -4]))).toBe('d85444003c00c4')
    expect(throughMemory(halves([1, -4, -0, Number.NaN, 65504]))).toStrictEqual(halves([1, -4, -0, Number.NaN, 65504]))
    expect(decodeHex('d850443c00c400')).toStrictEqual(halves([1, -4]))
  })

  test('travels beside the encoding when it is large, and as a tensor', () => {
    const data = halves(Array.from({ length: 5000 }, (_, index) => index / 8))
    const tensor = { dtype: 'float16', shape: [50, 100], data }
    expect(throughParts({ data, tensor }, [700])).toStrictEqual({ data, tensor })
    expect(encodeHex({ dtype: 'float16', shape: [1], data: halves([1]) })).toBe('d828828101d85442003c')
  })
})

describe.runIf(type === undefined)('A Float16Array that arrives where JavaScript has no such class', () => {
  test('is a Float32Array of the same numbers', () => {
    expect(decodeHex('d85444003c00c4')).toStrictEqual(new Float32Array([1, -4]))
    expect(decodeHex('d850443c00c400')).toStrictEqual(new Float32Array([1, -4]))
    expect(decodeHex('d828828101d85442003c')).toStrictEqual({
      dtype: 'float32',
      shape: [1],
      data: new Float32Array([1]),
    })
  })
})
