import { describe, expect, test } from 'vitest'
import { decode, decodeHex, encode, encodeHex, throughMemory } from '../../test/support/objects.ts'
import { ObjectRelayError } from '../errors.ts'
import { ObjectDecoder } from './decoder.ts'
import { ObjectEncoder } from './encoder.ts'

/** An array used as a table: a few elements, far apart. */
function table(entries: Readonly<Record<number, unknown>>, length?: number): unknown[] {
  const array: unknown[] = []
  for (const [index, value] of Object.entries(entries)) array[Number(index)] = value
  if (length !== undefined) array.length = length
  return array
}

/** The same array, with what it is asked for counted. */
function counted(array: unknown[]): { proxy: unknown[]; asked: () => number } {
  let count = 0
  const ask = <Answer>(answer: Answer): Answer => {
    count++
    return answer
  }
  const proxy = new Proxy(array, {
    get: (target, key) => ask(Reflect.get(target, key)),
    has: (target, key) => ask(Reflect.has(target, key)),
    ownKeys: (target) => ask(Reflect.ownKeys(target)),
  })
  return { proxy, asked: () => count }
}

function code(work: () => unknown): unknown {
  try {
    return work()
  } catch (thrown) {
    if (thrown instanceof ObjectRelayError) return thrown.code
    throw thrown
  }
}

describe('an array with holes', () => {
  test.each<[string, unknown[], string]>([
    ['one hole', table({ 0: 1, 2: 3 }), '8301d81ff703'],
    ['some holes', table({ 1: 1, 5: 2 }), '84d81ff701da6f626a030302'],
    ['holes at the end', table({ 0: 1 }, 100), '980201da6f626a031863'],
    ['nothing but holes', table({}, 2 ** 32 - 1), '9a00000001da6f626a031affffffff'],
    ['an element for each second', table({ 1767225600: 'row' }), '9a00000002da6f626a031a6955b90063726f77'],
    ['the last element that there can be', table({ 4294967294: 0 }), '9a00000002da6f626a031afffffffe00'],
  ])('with %s takes what its elements take, and comes back', (_, array, hex) => {
    expect(encodeHex(array)).toBe(hex)
    const received = throughMemory(array)
    if (!Array.isArray(received)) throw new Error('not an array')
    expect(received.length).toBe(array.length)
    expect(Object.entries(received)).toEqual(Object.entries(array))
  })

  test('is asked for what it holds, however long it is', () => {
    const entries = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [index * 80_000_000 + 7, index]))
    for (const array of [table(entries), table({}, 2 ** 32 - 1), table({ 4294967294: 1 })]) {
      const { proxy, asked } = counted(array)
      const hex = encodeHex({ proxy })
      expect(asked()).toBeLessThan(1000)
      expect(hex).toBe(encodeHex({ proxy: array }))
    }
  })

  test('is not walked twice for a few holes among many elements', () => {
    const array = Array.from({ length: 10_000 }, (_, index) => index)
    for (let index = 5000; index < 5100; index++) delete array[index]
    const { proxy, asked } = counted(array)
    expect(encodeHex(proxy)).toBe(encodeHex(array))
    expect(asked()).toBeLessThan(10_000 + 500)
    expect(throughMemory(array)).toStrictEqual(array)
  })

  test('that lies about its length is refused', () => {
    for (const length of [-1, 2 ** 32, Number.NaN, 'x']) {
      const liar = new Proxy([], { get: (target, key) => (key === 'length' ? length : Reflect.get(target, key)) })
      expect(code(() => encode([liar]))).toBe('NOT_SERIALIZABLE')
    }
  })

  test('that is changed by its own getter is sent as far as it is there', () => {
    const array: unknown[] = [0, undefined, undefined, 3]
    Object.defineProperty(array, 1, {
      enumerable: true,
      get: () => {
        array.length = 2
        return 'gone'
      },
    })
    expect(encodeHex(array)).toBe('8300 64676f6e65 da6f626a0302'.replaceAll(' ', ''))
  })

  test('takes no more memory on arrival than its elements', () => {
    const before = process.memoryUsage()
    const list = decode(
      Buffer.concat([
        Buffer.from('009903e8', 'hex'),
        // Each says 30 000 000 holes, one element, 8 holes, and one element.
        ...Array.from({ length: 1000 }, () => Buffer.from('84da6f626a031a01c9c38001da6f626a030801', 'hex')),
      ]),
    )
    const after = process.memoryUsage()
    expect(after.heapUsed + after.rss - before.heapUsed - before.rss).toBeLessThan(100e6)
    expect(Reflect.get(Object(list), 999)).toHaveLength(30_000_010)
    expect(Object.keys(Object(Reflect.get(Object(list), 999)))).toEqual(['30000000', '30000009'])
  })

  test('with many runs takes a time that follows their number', () => {
    const runs = 20_000
    for (const [head, tail] of [
      ['9a00009c40', ''],
      ['9f', 'ff'],
    ]) {
      const body = `00${head}${'da6f626a031903e800'.repeat(runs)}${tail}`
      const startMs = performance.now()
      const received = decode(Buffer.from(body, 'hex'))
      expect(received).toHaveLength(1001 * runs)
      // The square of their number would take minutes.
      expect(performance.now() - startMs).toBeLessThan(1_000)
    }
  })

  test.each([
    ['more holes than an array can have', '81da6f626a031b0000000100000000'],
    ['holes beyond what an array can have', '8200da6f626a031affffffff'],
    ['a run without a length', '81da6f626a0300'],
    ['a run that is no number', '81da6f626a036161'],
    ['a run outside of an array', 'a16161da6f626a0302'],
  ])('is refused with %s', (_, hex) => {
    expect(() => decodeHex(hex)).toThrow(/Cannot decode/)
  })
})

describe('an object beyond objectBytesMax', () => {
  const encoder = new ObjectEncoder({ objectBytesMax: 10_000 })
  const target = Buffer.alloc(20_000)

  /** An element that tells when it is looked at. */
  function watched(): { element: object; seen: () => boolean } {
    let seen = false
    const element = {
      get value() {
        seen = true
        return 1
      },
    }
    return { element, seen: () => seen }
  }

  test.each<[string, (element: object) => unknown]>([
    ['an array', (element) => [...Array.from({ length: 10_000 }, () => 0), element]],
    [
      'a map',
      (element) =>
        new Map([[0, element], ...Array.from({ length: 6000 }, (_, key): [number, object] => [key + 1, {}])]),
    ],
    ['a set', (element) => new Set([element, ...Array.from({ length: 10_001 }, (_, value) => value)])],
    [
      'a plain object',
      (element) => ({ element, ...Object.fromEntries(Array.from({ length: 6000 }, (_, key) => [`k${key}`, 0])) }),
    ],
    ['a long text', (element) => ['x'.repeat(10_000), element]],
    ['a long text of other characters', (element) => ['é'.repeat(10_000), element]],
    ['a string that is no Unicode', (element) => ['\ud800'.repeat(10_000), element]],
    ['a large array', (element) => [new Uint8Array(10_000), element]],
    [
      'a few large arrays',
      (element) => [new Uint8Array(5_000), new Float32Array(1_200), new Uint8Array(5_000), element],
    ],
    ['many small arrays', (element) => [...Array.from({ length: 20 }, () => new Uint8Array(600)), element]],
    ['a big number', (element) => [1n << 100_000n, element]],
    ['a deep graph', (element) => [Array.from({ length: 100 }, () => Array.from({ length: 200 }, () => [0])), element]],
  ])('such as %s is refused before what follows is looked at, whatever the room', (_, make) => {
    for (const room of [0, 20_000]) {
      const { element, seen } = watched()
      const object = make(element)
      expect(code(() => encoder.encodeInto(object, target, 0, room))).toBe('OBJECT_TOO_LARGE')
      expect(seen()).toBe(false)
    }
  })

  test('is refused by the bound of the other side, if that is lower', () => {
    expect(code(() => encoder.encodeInto('x'.repeat(2000), target, 0, 20_000, 1000))).toBe('OBJECT_TOO_LARGE')
    expect(code(() => encoder.encodeInto('x'.repeat(2000), target, 0, 20_000, 50_000))).toBe(2004)
  })

  test('costs the time of what fits', () => {
    const huge = Array.from({ length: 1000 }, () => 'x'.repeat(1 << 20))
    const startMs = performance.now()
    for (let round = 0; round < 1000; round++) expect(code(() => encoder.encodeParts(huge))).toBe('OBJECT_TOO_LARGE')
    // A gigabyte each time would take minutes.
    expect(performance.now() - startMs).toBeLessThan(5_000)
  })

  test('of exactly that size is sent', () => {
    expect(encoder.encodeParts('x'.repeat(9_996)).byteLength).toBe(10_000)
    expect(code(() => encoder.encodeParts('x'.repeat(9_997)))).toBe('OBJECT_TOO_LARGE')
    const { byteLength } = encoder.encodeParts({ a: new Uint8Array(9_800) })
    const exact = new ObjectEncoder({ objectBytesMax: byteLength })
    expect(exact.encodeParts({ a: new Uint8Array(9_800) }).byteLength).toBe(byteLength)
    expect(code(() => exact.encodeParts({ a: new Uint8Array(9_801) }))).toBe('OBJECT_TOO_LARGE')
  })
})

describe('keys that are repeated', () => {
  const key = (text: string) => `${(0x60 + text.length).toString(16)}${Buffer.from(text).toString('hex')}`
  test.each<[string, string]>([
    ['at once', `a2${key('a')}01${key('a')}02`],
    ['later', `a3${key('a')}01${key('b')}02${key('a')}03`],
    ['with an object between that has it, too', `a2${key('a')}a1${key('a')}01${key('a')}02`],
    ['in an object of indefinite length', `bf${key('a')}01${key('a')}02ff`],
    ['in pieces', `a2${key('ab')}017f${key('a')}${key('b')}ff02`],
    ['with a longer head', `a2${key('a')}0178016102`],
    ['that are numbers', `a2${key('7')}01${key('7')}02`],
    ['that are numbers, far apart', `a2${key('9999999')}01${key('9999999')}02`],
    ['__proto__', `a2${key('__proto__')}01${key('__proto__')}02`],
    ['toString', `a2${key('toString')}01${key('toString')}02`],
    ['that are long', `a278${(30).toString(16)}${'61'.repeat(30)}0178${(30).toString(16)}${'61'.repeat(30)}02`],
    ['that are no ASCII', 'a262c3a90162c3a902'],
    ['that are no Unicode', 'a2d9011143eda08001d9011143eda08002'],
    ['before a key that is no text', `a3${key('a')}01${key('a')}020102`],
    ['behind a key that is no text', `a3${key('a')}010102${key('a')}03`],
    ['in the properties of an error', `d81b84${key('Error')}${key('Error')}a0a2${key('a')}01${key('a')}02`],
  ])('%s are refused, however often they came before', (_, hex) => {
    const decoder = new ObjectDecoder()
    const bad = Buffer.from(`00${hex}`, 'hex')
    // As keys of objects that are sound they are known to the decoder, and lead to each other.
    const sound = encode([
      { a: 1, b: 2 },
      { b: 1, a: { a: 2 } },
      { ab: 1, 7: 2 },
      { toString: 1, a: 1 },
    ])
    for (let round = 0; round < 5; round++) {
      expect(() => decoder.decode(bad, 0, bad.length)).toThrow(/key twice/)
      decoder.decode(sound, 0, sound.length)
    }
  })

  test('are refused although other keys took their place among those that are remembered', () => {
    const decoder = new ObjectDecoder()
    for (let round = 0; round < 4; round++) {
      for (let first = 0; first < 3000; first += 100) {
        const keys = Array.from({ length: 100 }, (_, index) => `k${first + index}`)
        const sound = encode(Object.fromEntries(keys.map((text) => [text, 1])))
        decoder.decode(sound, 0, sound.length)
        const last = key(keys[0] ?? '')
        const bad = Buffer.concat([Buffer.from('00b865', 'hex'), sound.subarray(3), Buffer.from(`${last}01`, 'hex')])
        expect(() => decoder.decode(bad, 0, bad.length)).toThrow(/key twice/)
      }
    }
  })
})
