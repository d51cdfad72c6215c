import { describe, expect, test } from 'vitest'
import { decode, decodeHex, encode, encodeHex, throughMemory } from '../../test/support/objects.ts'
import { sameGraph } from '../../test/support/sameGraph.ts'
import { DeserializationError } from '../errors.ts'
import { ObjectDecoder } from './decoder.ts'
import { ObjectEncoder } from './encoder.ts'

describe('what other programs write', () => {
  test.each<[string, string, unknown]>([
    ['a date as text', `c074${Buffer.from('2024-02-29T12:00:00Z').toString('hex')}`, new Date('2024-02-29T12:00:00Z')],
    ['a day as text', `d903ec6a${Buffer.from('2024-02-29').toString('hex')}`, new Date('2024-02-29')],
    ['a day as a number', 'd8640a', new Date(10 * 86_400_000)],
    ['a date before 1970', 'c120', new Date(-1000)],
    ['a UUID', `d82550${'00112233445566778899aabbccddeeff'}`, '00112233-4455-6677-8899-aabbccddeeff'],
    [
      'numbers as keys',
      'a2016161026162',
      new Map([
        [1, 'a'],
        [2, 'b'],
      ]),
    ],
    [
      'numbers as keys behind a text',
      'a26161010203',
      new Map<unknown, unknown>([
        ['a', 1],
        [2, 3],
      ]),
    ],
    ['a typed array in big-endian order', 'd84144000100ff', new Uint16Array([1, 255])],
    ['floats in big-endian order', 'd8514400000000'.replace('00000000', '3f800000'), new Float32Array([1])],
    [
      'a tensor',
      'd828828201 02d85548000000000000803f'.replace(' ', ''),
      { dtype: 'float32', shape: [1, 2], data: new Float32Array([0, 1]) },
    ],
    ['an array of alike elements', 'd829820102', [1, 2]],
    ['a byte string in pieces as a typed array', 'd8405f41014102ff', new Uint8Array([1, 2])],
    ['marks around everything', 'd81c82d81c80d81d01', [[], []]],
    ['a text with a replacement character', '63efbfbd', '\ufffd'],
  ])('reads %s', (_, hex, expected) => {
    expect(decodeHex(hex)).toStrictEqual(expected)
  })
})

describe('what is no valid encoding', () => {
  test.each<[string, string, RegExp]>([
    ['nothing', '', /cut off/],
    ['something behind the object', '0000', /follows/],
    ['a text that is not UTF-8', '62c328', /UTF-8/],
    ['a surrogate in a text', '63eda080', /UTF-8/],
    ['a pair written as two surrogates', 'd9011146eda080edb080', /WTF-8/],
    ['a reserved length code', '1c', /reserved length/],
    ['a break where an item belongs', 'ff', /break/],
    ['a piece of another kind', '5f6161ff', /piece/],
    ['an unknown tag', 'd9ffff00', /tag 65535, which has no meaning/],
    ['a decimal fraction', 'c48221196ab3', /tag 4/],
    ['a reference to nothing', 'd81d00', /shared object 0/],
    ['a reference to what is not there yet', 'd81cd81b82615681d81d00', /shared object 0/],
    ['a map with a key twice', 'a201010102', /key twice/],
    ['a set with an element twice', 'd90102820101', /element twice/],
    ['a typed array that ends within an element', 'd8554100', /within an element/],
    ['a tensor whose shape does not fit', 'd828828103d8404101', /shape/],
    ['a segment that is not there', 'da6f626a0000', /segment 0/],
    ['an invalid regular expression', 'd8236128', /regular expression/],
    ['a date that is none', 'c06161', /RFC 3339/],
    ['a hole outside of an array', 'a16161d81ff7', /tag 31/],
    ['a box around something else', 'd81b82664e756d6265726161', /Number object/],
    ['a class that is not registered', 'd81b82634e6f7000', /type "Nop".*registerType/],
  ])('%s is refused', (_, hex, message) => {
    expect(() => decodeHex(hex)).toThrow(DeserializationError)
    expect(() => decodeHex(hex)).toThrow(message)
  })

  test.each<[string, string, RegExp]>([
    ['nothing at all', '', /empty/],
    ['an unknown form', '0900', /form 9/],
    ['reserved bytes that are not zero', '0100000101000000', /cut off|reserved/],
    ['no segments in the form with segments', `01000000${'00'.repeat(20)}`, /0 segments/],
    ['more segments than possible', `01000000ffffffff${'00'.repeat(20)}`, /4294967295 segments/],
    ['lengths that do not add up', `0100000001000000${'0100000000000000'.repeat(2)}f6`, /add up/],
    ['a segment that belongs to nothing', `0100000001000000${'0100000000000000'.repeat(2)}f600`, /belongs to nothing/],
  ])('a body with %s is refused', (_, hex, message) => {
    expect(() => decode(Buffer.from(hex, 'hex'))).toThrow(DeserializationError)
    expect(() => decode(Buffer.from(hex, 'hex'))).toThrow(message)
  })

  test('too deep nesting is refused, of arrays and of tags, without exhausting the stack', () => {
    expect(decodeHex(`${'81'.repeat(500)}00`)).toBeDefined()
    expect(() => decodeHex(`${'81'.repeat(501)}00`)).toThrow(/deeper than 500/)
    expect(() => decodeHex(`${'81'.repeat(500_000)}00`)).toThrow(/deeper than 500/)
    expect(() => decodeHex(`${'d81c'.repeat(500_000)}00`)).toThrow(/tags are nested/)
    expect(() => decodeHex(`${'9f'.repeat(500_000)}00`)).toThrow(/deeper than 500/)
  })

  test('an object beyond the bound is refused', () => {
    const body = encode('x'.repeat(100))
    expect(() => new ObjectDecoder({ objectBytesMax: 50 }).decode(body, 0, body.length)).toThrow(/objectBytesMax is 50/)
  })
})

describe('prototypes', () => {
  test('are never touched, whatever the keys are', () => {
    const sent: unknown = JSON.parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":1}',
    )
    const received = throughMemory(sent)
    expect(sameGraph(sent, received)).toBe(true)
    expect(Object.getPrototypeOf(received)).toBe(Object.prototype)
    expect(Object.hasOwn(Object(received), '__proto__')).toBe(true)
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  test('are not touched by the properties of an error', () => {
    const received = decodeHex(`d81b84654572726f72654572726f72a1695f5f70726f746f5f5fa1617801a0`)
    expect(received).toBeInstanceOf(Error)
    expect(Object.getPrototypeOf(received)).toBe(Error.prototype)
  })

  test('keep an inherited enumerable property out of what is sent', () => {
    Object.defineProperty(Object.prototype, 'inherited', { value: 1, enumerable: true, configurable: true })
    let hex = ''
    try {
      hex = encodeHex({ a: 1 })
    } finally {
      Reflect.deleteProperty(Object.prototype, 'inherited')
    }
    expect(hex).toBe('a1616101')
  })
})

describe('memory', () => {
  test('of the input is never part of the result', () => {
    const body = encode({
      bytes: Buffer.from([1, 2, 3]),
      small: new Uint8Array([4]),
      large: new Uint8Array(5000).fill(5),
      text: 'text',
    })
    const received = decode(body)
    body.fill(0xff)
    expect(received).toStrictEqual({
      bytes: Buffer.from([1, 2, 3]),
      small: new Uint8Array([4]),
      large: new Uint8Array(5000).fill(5),
      text: 'text',
    })
  })

  test('of received segments is used as it is', () => {
    const { head } = new ObjectEncoder().encodeParts({ large: new Float32Array(2000) })
    const segment = new ArrayBuffer(8000)
    const received = new ObjectDecoder().decodeParts({ head: Uint8Array.from(head), segments: [segment] })
    expect(Reflect.get(Reflect.get(Object(received), 'large'), 'buffer')).toBe(segment)
    expect(() =>
      new ObjectDecoder().decodeParts({ head: Uint8Array.from(head), segments: [new ArrayBuffer(7999)] }),
    ).toThrow(DeserializationError)
  })

  test('of strings that repeat is shared, and strings that only look alike are not confused', () => {
    const decoder = new ObjectDecoder()
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 3000; index++) {
        const object = { [`key${index}`]: `value${index}`, key: 'é', 'k\u00e9y': 'value' }
        const body = encode(object)
        expect(decoder.decode(body, 0, body.length)).toStrictEqual(object)
      }
    }
  })
})
