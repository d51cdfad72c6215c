import { describe, expect, test } from 'vitest'
import { ObjectRelayError } from '../../src/errors.ts'
import { BodyAssembler } from '../../src/objects/bodyAssembler.ts'
import { ObjectDecoder } from '../../src/objects/decoder.ts'
import { encode, throughMemory } from '../support/objects.ts'
import { hasRepeatedKey } from '../support/repeatedKeys.ts'
import { sameGraph } from '../support/sameGraph.ts'

const seed = 20_240_607
const rounds = 20_000
const oneDecodeMsMax = 250

function randomNumbers(start: number): (below: number) => number {
  let state = start
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

function corpus(): Buffer[] {
  const cyclic: Record<string, unknown> = { name: 'circle', list: [1, 2, { deep: [[[[]]]] }] }
  cyclic.self = cyclic
  const sparse: unknown[] = [undefined, null]
  sparse[3] = 1
  const table: unknown[] = []
  table[1_767_225_600] = { row: 1 }
  table.length = 4_000_000_000
  const error = new TypeError('no', { cause: new AggregateError([new Error('inner')], 'several') })
  return [
    { id: 1, worker: 'w-3', reward: 0.123, done: false, obs: [0.1, 0.2, 0.3] },
    cyclic,
    [
      new Map<unknown, unknown>([
        [1, 'a'],
        [{}, new Set([1n, -(2n ** 80n)])],
      ]),
      new Map([['k', 1]]),
      new Date(0),
    ],
    [error, /a(b)c/giu, /abc/, 'é水𐅑', '\ud800x', Buffer.from('bytes'), new ArrayBuffer(3), sparse],
    [table, [table], new DOMException('no', 'AbortError'), { list: sparse, table }],
    [
      { a: 1, b: { a: 2, b: 3 } },
      { b: { b: 1, a: 2 }, a: 3 },
      { long_key_that_is_not_remembered: 1, 7: 1, '-7': 2 },
    ],
    {
      weights: new Float32Array(2000),
      small: new Int16Array(5),
      tensor: { dtype: 'float64', shape: [2, 3], data: new Float64Array(6) },
    },
    { a: new Uint8Array(5000), b: new DataView(new ArrayBuffer(6000)), c: Buffer.alloc(4096) },
    Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`key${index}`, index * 1000])),
    JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"100":1}'),
  ].map(encode)
}

// Bytes that mean much: heads of arrays, maps, tags and texts with long lengths, indefinite lengths, breaks.
const meaningful = [
  0x9b, 0xbb, 0x5b, 0x7b, 0xdb, 0x9a, 0xba, 0x9f, 0xbf, 0x5f, 0x7f, 0xff, 0xd8, 0xd9, 0xda, 0x1c, 0x1d, 0x1b, 0xfb,
  0x80, 0xa0,
]

/** A run of holes, which may be long. */
function holes(random: (below: number) => number): Buffer {
  const run = Buffer.from('da6f626a031a00000000', 'hex')
  run.writeUInt32BE(random((2 ** 32) >>> random(32)), 6)
  return run
}

/** Some bytes twice: with luck a key with its value, in a map that has one more. */
function repeatSome(bytes: Buffer, position: number, random: (below: number) => number): Buffer {
  const some = bytes.subarray(position, position + 1 + random(12))
  const result = Buffer.concat([bytes.subarray(0, position), some, bytes.subarray(position)])
  for (let at = position; at > 0; at--) {
    const byte = result[at] ?? 0
    if (byte < 0xa0 || byte > 0xb6) continue
    result[at] = byte + 1
    return result
  }
  return result
}

function mutate(original: Buffer, random: (below: number) => number): Buffer {
  let bytes: Buffer = Buffer.from(original)
  for (let count = 1 + random(4); count > 0; count--) {
    const position = random(bytes.length)
    const kind = random(8)
    if (kind === 0) bytes[position] = random(256)
    else if (kind === 1) bytes[position] = meaningful[random(meaningful.length)] ?? 0
    else if (kind === 2) bytes = bytes.subarray(0, Math.max(1, position))
    else if (kind === 3)
      bytes = Buffer.concat([bytes.subarray(0, position), Buffer.from([random(256)]), bytes.subarray(position)])
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, position), bytes.subarray(position + 1 + random(8))])
    else if (kind === 5)
      bytes = Buffer.concat([bytes.subarray(0, position), original.subarray(random(original.length))])
    else if (kind === 6) bytes = Buffer.concat([bytes.subarray(0, position), holes(random), bytes.subarray(position)])
    else bytes = repeatSome(bytes, position, random)
    if (bytes.length === 0) bytes = Buffer.from([0])
  }
  return bytes
}

const refused = Symbol('refused')

function decodeOrRefuse(work: () => unknown): unknown {
  const startMs = performance.now()
  let result: unknown = refused
  try {
    result = work()
  } catch (thrown) {
    if (!(thrown instanceof ObjectRelayError) || thrown.code !== 'NOT_DESERIALIZABLE') throw thrown
  }
  expect(performance.now() - startMs).toBeLessThan(oneDecodeMsMax)
  return result
}

/** What was decoded has no key twice, and is an object like any other: it can be sent, and comes out the same. */
function expectSound(object: unknown, bytes: Buffer): void {
  if (object === refused) return
  if (bytes[0] === 0) expect(hasRepeatedKey(bytes.subarray(1)), bytes.toString('hex')).not.toBe(true)
  expect(sameGraph(throughMemory(object), object), bytes.toString('hex')).toBe(true)
}

describe('mutated encodings', () => {
  test(`are decoded or refused with a typed error, whatever they are (seed ${seed})`, () => {
    const random = randomNumbers(seed)
    const originals = corpus()
    const decoder = new ObjectDecoder()
    const namesBefore = Object.getOwnPropertyNames(Object.prototype)
    for (let round = 0; round < rounds; round++) {
      const bytes = mutate(originals[round % originals.length] ?? Buffer.from([0]), random)
      expectSound(
        decodeOrRefuse(() => decoder.decode(bytes, 0, bytes.length)),
        bytes,
      )
      decodeOrRefuse(() => {
        const assembler = new BodyAssembler(bytes.length)
        const middle = random(bytes.length)
        assembler.writeAt(0, bytes.subarray(0, middle))
        assembler.writeAt(middle, bytes.subarray(middle))
        return decoder.decodeParts(assembler.finish())
      })
    }
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(namesBefore)
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  test('leave the decoder fit for what is sound', () => {
    const decoder = new ObjectDecoder()
    const sound = encode({ a: [1, 2, 3] })
    for (let cut = 1; cut < sound.length; cut++) {
      expect(() => decoder.decode(sound, 0, cut)).toThrow(/Cannot decode/)
      expect(decoder.decode(sound, 0, sound.length)).toEqual({ a: [1, 2, 3] })
    }
  })
})

describe('small encodings that announce much', () => {
  const bytesMax = 100_000

  function heapGrowth(body: Buffer): number {
    const decoder = new ObjectDecoder()
    const before = process.memoryUsage()
    decodeOrRefuse(() => decoder.decode(body, 0, body.length))
    const after = process.memoryUsage()
    return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  }

  function repeated(start: string, unit: string): Buffer {
    const bytes = Buffer.alloc(bytesMax, Buffer.from(unit, 'hex'))
    Buffer.from(`00${start}`, 'hex').copy(bytes)
    return bytes
  }

  test.each([
    ['an array of 2^64 elements', '009bffffffffffffffff'],
    ['an array of 2^32 elements', '009affffffff'],
    ['a map of 2^63 entries', '00bb7fffffffffffffff6161'],
    ['bytes of 2^40', '005b0000010000000000'],
    ['a text of 2^40', '007b0000010000000000'],
    ['a set of 2^31', '00d901029a7fffffff'],
    ['65 536 segments', '0100000000000100'],
    ['a segment of 2^40', '0100000001000000010000000000000000000000000100006f'],
  ])('refuse %s at once', (_, hex) => {
    const body = Buffer.from(hex, 'hex')
    expect(heapGrowth(body)).toBeLessThan(1 << 20)
    expect(() => new ObjectDecoder().decode(body, 0, body.length)).toThrow(/Cannot decode/)
  })

  test('cannot count the same bytes twice by nesting arrays that claim all that is left', () => {
    expect(heapGrowth(repeated('', '9a00010000'))).toBeLessThan(200 * bytesMax)
  })

  test('cannot make an object allocate an array by a large property name', () => {
    // Many objects { "1023": 0 }, each of which would hold 1 500 empty places.
    expect(heapGrowth(repeated('9f', 'a16431303233009f'.slice(0, 14)))).toBeLessThan(200 * bytesMax)
  })

  test('cannot use one segment many times', () => {
    const body = encode({ a: new Uint8Array(5000) })
    const cbor = body.indexOf(Buffer.from('da6f626a0000', 'hex'))
    const copies = Buffer.concat([
      Buffer.from('82', 'hex'),
      body.subarray(cbor, cbor + 6),
      body.subarray(cbor, cbor + 6),
    ])
    const header = Buffer.from(body.subarray(0, 24))
    header.writeUInt32LE(copies.length, 8)
    const hostile = Buffer.concat([header, copies, Buffer.alloc(5000)])
    expect(() => new ObjectDecoder().decode(hostile, 0, hostile.length)).toThrow(/used before/)
  })
})
