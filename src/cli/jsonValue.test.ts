import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromJsonValue } from './fromJsonValue.ts'
import { toJsonValue } from './toJsonValue.ts'

/** As it is written and read again by somebody else. */
function throughText(value: unknown): unknown {
  return fromJsonValue(JSON.parse(JSON.stringify(toJsonValue(value))))
}

describe('the JSON form of an object', () => {
  it('shows what JSON has as itself', () => {
    const value = { text: 'a', list: [1, 2.5, true, null], inner: { '': 'empty' } }
    expect(toJsonValue(value)).toEqual(value)
  })

  it('shows what JSON does not have by its type', () => {
    expect(toJsonValue(12n)).toEqual({ $type: 'BigInt', value: '12' })
    expect(toJsonValue([undefined, Number.NaN, -0])).toEqual([
      { $type: 'undefined' },
      { $type: 'number', value: 'NaN' },
      { $type: 'number', value: '-0' },
    ])
    expect(toJsonValue(new Float32Array([1]))).toEqual({ $type: 'Float32Array', base64: 'AACAPw==' })
    expect(toJsonValue(new Map([['a', 1]]))).toEqual({ $type: 'Map', entries: [['a', 1]] })
    expect(toJsonValue(new Date(0))).toEqual({ $type: 'Date', value: '1970-01-01T00:00:00.000Z' })
  })

  it('gives back what it showed', () => {
    const value = {
      date: new Date(5),
      pattern: /a\/b/giu,
      map: new Map<unknown, unknown>([[{ key: 1 }, new Set([1n, undefined])]]),
      bytes: Buffer.from('hello'),
      doubles: new Float64Array([Number.NaN, -0, 1.5]),
      longs: new BigInt64Array([-1n]),
      buffer: Uint8Array.of(1, 2).buffer,
      view: new DataView(Uint8Array.of(3).buffer),
      own: { $type: 'mine', value: 1 },
      invalid: new Date(Number.NaN),
    }
    expect(throughText(value)).toStrictEqual(value)
    const error = throughText(Object.assign(new RangeError('too far', { cause: new Error('why') }), { code: 'E1' }))
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({ message: 'too far', code: 'E1', cause: { message: 'why' } })
  })

  it('refers to what was shown before, also in a circle', () => {
    const shared = { name: 'shared' }
    const circle: Record<string, unknown> = { 'a/b~c': shared, again: shared, map: new Map([[1, shared]]) }
    circle.self = circle
    expect(toJsonValue(circle)).toMatchObject({
      again: { $type: 'Reference', path: '/a~1b~0c' },
      self: { $type: 'Reference', path: '' },
    })
    const back = throughText(circle)
    expect(back).toStrictEqual(circle)
  })

  it('is not longer for an object that is shared many times', () => {
    let value: unknown = 'leaf'
    for (let level = 0; level < 100; level++) value = [value, value]
    expect(JSON.stringify(toJsonValue(value)).length).toBeLessThan(50_000)
  })

  it('touches no prototype', () => {
    const back = fromJsonValue(JSON.parse('{"__proto__":{"polluted":1},"$typ":2}'))
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
    expect(Object.hasOwn(Object(back), '__proto__')).toBe(true)
    expect('polluted' in {}).toBe(false)
  })

  it.each([
    '{"$type":"Nonsense"}',
    '{"$type":"constructor","base64":""}',
    '{"$type":"BigInt","value":"1.5"}',
    '{"$type":"Reference","path":"/nowhere"}',
    '{"$type":"Map","entries":[[1]]}',
    '{"$type":"Float64Array","base64":"AAAA"}',
    '{"$type":"Uint8Array","base64":"?"}',
    '{"$type":7}',
  ])('refuses %s', (json) => {
    expect(() => fromJsonValue(JSON.parse(json))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it('refuses what is nested too deep', () => {
    expect(() => fromJsonValue(JSON.parse('['.repeat(2_000) + ']'.repeat(2_000)))).toThrow(/deeper/)
  })

  it('gives back any value', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: false,
    })
    fc.assert(
      fc.property(anything, (value) => {
        expect(throughText(value)).toStrictEqual(value)
      }),
      { numRuns: 300 },
    )
  })
})
