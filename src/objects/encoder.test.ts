import { describe, expect, test } from 'vitest'
import { decode, decodeHex, encode, encodeHex, throughMemory } from '../../test/support/objects.ts'
import { sameGraph } from '../../test/support/sameGraph.ts'
import { ObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { ObjectDecoder } from './decoder.ts'
import { type EncodedParts, ObjectEncoder } from './encoder.ts'

function wholeBody({ head, segments }: EncodedParts): Buffer {
  return Buffer.concat([head, ...segments])
}

function failure(work: () => unknown): ObjectRelayError {
  try {
    work()
  } catch (thrown) {
    if (thrown instanceof ObjectRelayError) return thrown
    throw thrown
  }
  throw new Error('nothing was thrown')
}

describe('the layout of a body', () => {
  test('is form 0 and the CBOR without segments', () => {
    expect(encode({ a: 1 }).toString('hex')).toBe('00a1616101')
  })

  test('is form 1 with a table of lengths when there are segments', () => {
    const body = encode([new Uint8Array(4096).fill(0xab), new Float32Array(1025).fill(1)])
    const table = ['01000000', '02000000', '1100000000000000', '0010000000000000', '0410000000000000'].join('')
    const cbor = ['82', 'd840', 'da6f626a00', '00', 'd855', 'da6f626a00', '01'].join('')
    const head = (table + cbor).length / 2
    expect(body.subarray(0, head).toString('hex')).toBe(table + cbor)
    expect(body.length).toBe(head + 4096 + 4100)
    expect(body.subarray(head, head + 4096).every((byte) => byte === 0xab)).toBe(true)
    expect(body.subarray(-4).toString('hex')).toBe('0000803f')
  })

  test('is form 2 and the bytes of a serializer of the user', () => {
    const serializer = {
      serialize: (object: unknown) => Buffer.from(JSON.stringify(object)),
      deserialize: (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString()),
    }
    const encoder = new ObjectEncoder({ serializer })
    const target = Buffer.alloc(20)
    expect(encoder.encodeInto([1], target, 2)).toBe(6)
    expect(target.subarray(2, 6).toString('hex')).toBe('025b315d')
    expect(encoder.encodeInto('a text that is too long', target, 2)).toMatchObject({ byteLength: 26 })
    const { head, segments, byteLength } = encoder.encodeParts([1])
    expect(Buffer.concat([head, ...segments]).toString('hex')).toBe('025b315d')
    expect(byteLength).toBe(4)
    expect(new ObjectDecoder({ serializer }).decode(target, 2, 6)).toEqual([1])
    expect(failure(() => decode(target.subarray(2, 6))).message).toMatch(/serializer/)
  })

  test('uses registered tags for what has one', () => {
    expect(encodeHex(new Uint8Array([1, 2]))).toBe('d840420102')
    expect(encodeHex(new Float32Array([1]))).toBe('d855440000803f')
    expect(encodeHex(Buffer.from([1, 2]))).toBe('420102')
    expect(encodeHex(new ArrayBuffer(1))).toBe('da6f626a014100')
    expect(encodeHex(new DataView(new ArrayBuffer(1)))).toBe('da6f626a024100')
    expect(encodeHex(new Set([1]))).toBe('d901028101')
    expect(encodeHex(new Map([['a', 1]]))).toBe('d90103a1616101')
    expect(encodeHex(/ab*/)).toBe('d8236361622a')
    expect(encodeHex(/a/g)).toBe('d9524a8261616167')
    expect(encodeHex('\ud800')).toBe('d9011143eda080')
    expect(encodeHex(5n)).toBe('c24105')
    expect(encodeHex(new Date(Number.NaN))).toBe('d81b826444617465f97e00')
  })

  test('marks an object only where it is met again', () => {
    const shared = { x: 1 }
    expect(encodeHex([shared, 7])).toBe('82a161780107')
    expect(encodeHex([shared, shared])).toBe('82d81ca1617801d81d1a00000000')
    const circle: unknown[] = []
    circle.push(circle)
    expect(encodeHex(circle)).toBe('d81c81d81d1a00000000')
  })

  test('writes a tensor as its shape and its data', () => {
    const tensor = { dtype: 'float32', shape: [1, 2], data: new Float32Array([0, 1]) }
    expect(encodeHex(tensor)).toBe('d82882820102d85548000000000000803f')
    expect(throughMemory(tensor)).toStrictEqual(tensor)
    const unlike = { dtype: 'bfloat16', shape: [1, 2], data: new Uint16Array(2) }
    expect(throughMemory(unlike)).toStrictEqual(unlike)
  })
})

describe('encodeInto', () => {
  const encoder = new ObjectEncoder()
  const objects: unknown[] = [
    { id: 1, list: [1.5, 'text', null], deep: { flag: true } },
    'é'.repeat(50),
    'x'.repeat(300),
    [1, 300, 70_000, 2 ** 40, -0, 0.1, 10n ** 30n],
    (() => {
      const shared = {}
      return [shared, shared]
    })(),
    { a: new Uint8Array(5000), b: new Uint8Array(10) },
  ]

  test.each(objects)('fits a target of exactly the size, and says so when it is one byte shorter', (object) => {
    const exact = encode(object).length
    const target = Buffer.alloc(exact + 3, 0xee)
    expect(encoder.encodeInto(object, target, 3)).toBe(exact + 3)
    expect(decode(target.subarray(3))).toStrictEqual(object)
    for (let shorter = 1; shorter <= Math.min(exact, 40); shorter++) {
      const short = Buffer.alloc(exact + 3, 0xee)
      expect(encoder.encodeInto(object, short.subarray(0, exact + 3 - shorter), 3)).toMatchObject({ byteLength: exact })
      expect(short.subarray(exact + 3 - shorter).every((byte) => byte === 0xee)).toBe(true)
    }
  })

  test('asks for each value once, whether the body fits or not', () => {
    for (const size of [10, 100_000]) {
      const asked: string[] = []
      const object = {
        get before() {
          asked.push('before')
          return 'x'.repeat(size)
        },
        large: new Uint8Array(size),
        get after() {
          asked.push('after')
          return [new Uint8Array(size), { dtype: 1, shape: 2, data: 3 }]
        },
      }
      const encoded = encoder.encodeInto(object, Buffer.alloc(50_000), 0)
      expect(typeof encoded).toBe(size === 10 ? 'number' : 'object')
      expect(asked).toEqual(['before', 'after'])
    }
  })

  test('goes on in memory of its own from wherever the room ends', () => {
    const shared = { deep: [1, 2, 3] }
    const list: unknown[] = [shared, 'x'.repeat(70)]
    list[4] = new Float32Array(1100)
    list.push(shared, [shared], list, ...Array.from({ length: 300 }, () => [1]))
    const whole = wholeBody(encoder.encodeParts(list))
    for (let limit = 0; limit < 900; limit++) {
      const target = Buffer.alloc(1000, 0xee)
      const encoded = encoder.encodeInto(list, target, 7, 7 + limit)
      if (typeof encoded === 'number') throw new Error('it cannot fit')
      expect(wholeBody(encoded).equals(whole)).toBe(true)
      expect(target.subarray(7 + limit).every((byte) => byte === 0xee)).toBe(true)
    }
    expect(sameGraph(decode(whole), list)).toBe(true)
  })

  test('may be called again by a getter of what it encodes', () => {
    const inner = Buffer.alloc(100)
    const object = {
      get value() {
        return [encoder.encodeInto([1, 2], inner, 0), encoder.encodeParts('x').byteLength]
      },
    }
    const target = Buffer.alloc(100)
    const end = encoder.encodeInto(object, target, 0)
    if (typeof end !== 'number') throw new Error('it fits')
    expect(decode(target.subarray(0, end))).toEqual({ value: [4, 3] })
  })

  test('refuses an object whose memory its own getter gives away', () => {
    const weights = new Float32Array(5000)
    const object = {
      weights,
      get after() {
        structuredClone(weights, { transfer: [weights.buffer] })
        return 1
      },
    }
    expect(failure(() => encoder.encodeParts(object)).message).toMatch(/was changed while it was being encoded/)
  })
})

describe('encodeParts', () => {
  test('grows for a large encoding and keeps large arrays where they are', () => {
    const encoder = new ObjectEncoder()
    const weights = new Float64Array(100_000).fill(0.5)
    const object = { texts: Array.from({ length: 20_000 }, (_, index) => `text ${index}`), weights }
    const { head, segments, byteLength } = encoder.encodeParts(object)
    expect(segments.map((segment) => segment.buffer)).toEqual([weights.buffer])
    expect(byteLength).toBe(head.length + 800_000)
    expect(decode(Buffer.concat([head, ...segments]))).toStrictEqual(object)
    expect(encoder.encodeParts(1).head).toEqual(Uint8Array.of(0, 1))
  })

  test('refuses what is larger than the bound, in segments or in the encoding', () => {
    const encoder = new ObjectEncoder({ objectBytesMax: 10_000 })
    expect(failure(() => encoder.encodeParts(new Uint8Array(10_000))).code).toBe('OBJECT_TOO_LARGE')
    expect(failure(() => encoder.encodeParts('x'.repeat(10_000))).details).toMatchObject({ objectBytesMax: 10_000 })
    expect(encoder.encodeParts('x'.repeat(9_996)).byteLength).toBe(10_000)
  })
})

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

describe('what cannot be sent', () => {
  class Unknown {}
  const sharedMemory = new SharedArrayBuffer(8)
  test.each<[string, unknown, string, RegExp]>([
    [
      'a function',
      { policy: { layers: [0, 1, { activation: () => 0 }] } },
      'object.policy.layers[2].activation',
      /function/,
    ],
    ['a symbol', [[Symbol('s')]], 'object[0][0]', /symbol/],
    ['a class instance', { 'a b': new Unknown() }, 'object["a b"]', /instance of Unknown.*registerType\(Unknown/],
    ['a promise', new Map([['k', Promise.resolve()]]), 'object.get("k")', /is a promise; await it/],
    ['a weak map as key', new Map([[new WeakMap(), 1]]), 'object.keys()[0]', /WeakMap/],
    ['an element of a set', new Set([1, () => 0]), 'object.values()[1]', /function/],
    ['a cause', new Error('x', { cause: { f: () => 0 } }), 'object.cause.f', /function/],
    ['shared memory', { a: sharedMemory }, 'object.a', /shared memory/],
    ['a view of shared memory', { a: new Uint8Array(sharedMemory) }, 'object.a', /shared memory/],
    ['a subclass of an array', { a: new (class Listing extends Array {})() }, 'object.a', /Listing/],
    [
      'a getter that throws',
      {
        get a(): never {
          throw new Error('boom')
        },
      },
      'object.a',
      /boom/,
    ],
    ['an object made to look like a map', { a: Object.create(Map.prototype) }, 'object.a', /Map/],
    ['a generator', { a: (function* () {})() }, 'object.a', /is an iterator or generator.*\[\.\.\.it\]/],
    ['an iterator of a map', [new Map().keys()], 'object[0]', /is an iterator or generator/],
    ['an asynchronous generator', { a: (async function* () {})() }, 'object.a', /asynchronous iterator or generator/],
    ['a generator function', { *a() {} }, 'object.a', /is a function, which cannot be sent/],
    ['a weak set', { a: new WeakSet() }, 'object.a', /is a WeakSet.*send a Set/],
    ['a weak reference', { a: new WeakRef({}) }, 'object.a', /is a WeakRef/],
    ['a finalization registry', { a: new FinalizationRegistry(() => undefined) }, 'object.a', /FinalizationRegistry/],
    ['a signal', { a: AbortSignal.abort() }, 'object.a', /AbortSignal/],
    ['an address', { a: new URL('http://host') }, 'object.a', /instance of URL.*registerType\(URL/],
    ['a class without a name', { a: new (class {})() }, 'object.a', /a class without a name.*registerType\(the class/],
    [
      'an object that inherits from another',
      { a: Object.create({ b: 1 }) },
      'object.a',
      /inherits from another object/,
    ],
    [
      'an instance whose constructor is data',
      { a: Object.assign(new Unknown(), { constructor: 1 }) },
      'object.a',
      /Unknown/,
    ],
    ['an object that nobody may look at', { a: revoked() }, 'object.a', /revoked/],
    [
      'a getter that throws what has no text',
      {
        get a(): never {
          throw Object.create(null)
        },
      },
      'object.a',
      /something was thrown that has no text/,
    ],
  ])('%s is named with its path', (_, object, path, message) => {
    const error = failure(() => encode(object))
    expect(error.code).toBe('NOT_SERIALIZABLE')
    expect(error.details).toEqual({ path })
    expect(error.message).toMatch(message)
  })

  test('memory that was given away', () => {
    const array = new Float32Array(10)
    structuredClone(array, { transfer: [array.buffer] })
    expect(failure(() => encode({ array })).details).toEqual({ path: 'object.array' })
  })

  test('more levels than the bound, and exactly as many can be read back', () => {
    const nest = (levels: number): unknown => {
      let object: unknown = 1
      for (let level = 0; level < levels; level++) object = level % 2 === 0 ? [object] : new Map([['k', object]])
      return object
    }
    expect(throughMemory(nest(fixedLimits.depthMax))).toStrictEqual(nest(fixedLimits.depthMax))
    expect(failure(() => encode(nest(fixedLimits.depthMax + 1))).message).toMatch(/deeper than 500/)
  })

  test('is named without a step when it is the object itself', () => {
    for (const object of [() => 0, Symbol('s'), new Unknown(), Promise.resolve(), revoked()]) {
      expect(failure(() => encode(object))).toMatchObject({ code: 'NOT_SERIALIZABLE', details: { path: 'object' } })
    }
  })

  test('leaves the encoder fit for the next object', () => {
    expect(() => encode([{}, {}, () => 0])).toThrow()
    expect(decodeHex(encodeHex([1, {}]))).toEqual([1, {}])
  })
})

describe('what differs from what was sent', () => {
  test('objects without prototype become plain ones; extra properties of arrays and symbol keys stay behind', () => {
    expect(throughMemory(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 })
    expect(throughMemory({ a: 1, [Symbol('s')]: 2 })).toStrictEqual({ a: 1 })
    expect(throughMemory(Object.assign([1], { extra: 2 }))).toStrictEqual([1])
  })

  test('a view carries what it shows, not the memory around it, and two views become two memories', () => {
    const memory = new ArrayBuffer(64)
    const received = throughMemory([new Uint8Array(memory, 8, 4), new Uint8Array(memory, 8, 4)])
    if (!Array.isArray(received)) throw new Error('not an array')
    expect(received[0].buffer.byteLength).toBe(4)
    expect(received[0].buffer).not.toBe(received[1].buffer)
  })

  test('an error of an own class becomes the nearest built-in one with its name', () => {
    class QuotaError extends RangeError {
      override name = 'QuotaError'
      readonly code = 'E_QUOTA'
    }
    const received = throughMemory(new QuotaError('too much'))
    expect(received).toBeInstanceOf(RangeError)
    expect(received).toMatchObject({ name: 'QuotaError', code: 'E_QUOTA', message: 'too much' })
  })
})
