import { describe, expect, it } from 'vitest'
import { isGroupName } from '../core/groupName.ts'
import { encodeExtensions, withExtensionBytes, withExtensions } from './extensions.fixture.ts'
import { FrameType } from './frameTypes.ts'
import {
  contentStart,
  encodeRoute,
  encodeStreamBegin,
  isProduced,
  isRetained,
  OBJECT_HEAD_BYTES,
  ObjectKind,
  parseRoute,
  type Route,
  readStreamBeginTail,
  writeObjectHead,
} from './objectHeader.ts'
import { RouteCache } from './routeCache.ts'

function encode(route: Route, body = 'body'): Buffer {
  const encoded = encodeRoute(route)
  const frame = Buffer.alloc(OBJECT_HEAD_BYTES + encoded.destinations.length + body.length)
  const at = writeObjectHead(frame, 0, FrameType.OBJECT, encoded, 1, 2)
  frame.writeUInt32LE(frame.length)
  frame.write(body, at)
  return frame
}

/** A frame with destinations that this implementation would not write. */
function forged(kind: number, count: number, destinations: Buffer): Buffer {
  const frame = Buffer.concat([Buffer.alloc(OBJECT_HEAD_BYTES), destinations])
  frame[5] = kind
  frame[7] = count
  return frame
}

function named(...names: (string | Buffer)[]): Buffer {
  return Buffer.concat(names.flatMap((name) => [Buffer.of(Buffer.byteLength(name)), Buffer.from(name)]))
}

const read = (frame: Buffer) => parseRoute(frame, 0, frame.length, isGroupName)

/** Each of one byte; their types and values count up. */
const short = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ type: index, value: Buffer.of(index & 0xff) }))
const oneOf = (bytes: number) => ({ type: 0xffff, value: Buffer.alloc(bytes, 7) })

describe('The extensions of an object', () => {
  const routes: readonly Route[] = [
    { kind: 'broadcast', groups: ['one'], copies: [1] },
    { kind: 'clear', groups: ['one', 'two'], copies: [1, 1] },
    { kind: 'produce', groups: ['one', 'two'], copies: [3, 1] },
  ]

  it.each(routes)('are skipped, and change nothing else: $kind to $groups', (route) => {
    const plain = encode(route)
    expect(contentStart(plain, 0, read(plain))).toBe(plain.length - 4)
    for (const extensions of [
      short(1),
      short(200),
      [oneOf(0)],
      [oneOf(8_188)],
      [oneOf(8_183), ...short(0), oneOf(1)],
    ]) {
      const frame = withExtensions(plain, ...extensions)
      const { hasExtensions, ...rest } = read(frame)
      expect(hasExtensions).toBe(true)
      expect({ ...rest, hasExtensions: false }).toEqual(read(plain))
      expect(frame.toString('latin1', contentStart(frame, 0, read(frame)))).toBe('body')
      expect([isProduced(frame, 0), isRetained(frame, 0)]).toEqual([isProduced(plain, 0), isRetained(plain, 0)])
      expect(frame.readUInt32LE(0)).toBe(frame.length)
    }
  })

  it('stand before the stream of a STREAM_BEGIN', () => {
    const begin = encodeStreamBegin(encodeRoute({ kind: 'produce', groups: ['one'], copies: [1] }), 1, 2, 3, 100_000)
    const frame = withExtensions(begin, ...short(3))
    const at = contentStart(frame, 0, read(frame))
    expect(readStreamBeginTail(frame, at, frame.length)).toEqual({ stream: 3, bodyBytes: 100_000 })
  })

  it.each([
    ['none though it says so', Buffer.alloc(2)],
    ['a cut length', Buffer.of(1)],
    ['more bytes than the frame', Buffer.from('1000010001', 'hex')],
    ['a cut head of one', Buffer.from('0300010000', 'hex')],
    ['a cut value', Buffer.from('050001000200ee', 'hex')],
    ['a second one that is cut', Buffer.from('060001000000beef', 'hex')],
    ['too many bytes', encodeExtensions([oneOf(8_189)])],
  ])('are refused: %s', (_, bytes) => {
    const cache = new RouteCache(isGroupName)
    const plain = encode({ kind: 'produce', groups: ['one'], copies: [1] }, '')
    const good = withExtensions(plain, oneOf(3))
    const frame = withExtensionBytes(plain, bytes)
    expect(() => read(frame)).toThrow('extensions that are cut')
    expect(() => cache.read(frame, 0, frame.length)).toThrow('extensions that are cut')
    expect(cache.read(good, 0, good.length)).toBe(cache.read(good, 0, good.length))
    expect(() => cache.read(frame, 0, frame.length)).toThrow('extensions that are cut')
  })
})

describe('The head of an object', () => {
  it.each<Route>([
    { kind: 'broadcast', groups: ['one'], copies: [1] },
    { kind: 'broadcast', groups: ['one', 'zwei', '三'], copies: [1, 1, 1] },
    { kind: 'unretained', groups: ['one', 'two'], copies: [1, 1] },
    { kind: 'clear', groups: ['one'], copies: [1] },
    { kind: 'produce', groups: ['x'.repeat(128)], copies: [1] },
    { kind: 'produce', groups: ['one', 'two'], copies: [1, 1_000_000] },
    { kind: 'produce', groups: Array.from({ length: 255 }, (_, index) => `g${index}`), copies: Array(255).fill(1) },
    { kind: 'produce', groups: ['\ufffd', '\ufeffone'], copies: [1, 1] },
  ])('is read as it was written: $kind to $groups', (route) => {
    expect(read(encode(route))).toMatchObject({ kind: route.kind, groups: route.groups, copies: route.copies })
  })

  it.each([
    ['no destination', forged(ObjectKind.PRODUCE, 0, Buffer.alloc(0))],
    ['an unknown kind', forged(5, 1, named('one'))],
    ['an empty name', forged(ObjectKind.PRODUCE, 1, named(''))],
    ['a name of control characters', forged(ObjectKind.PRODUCE, 1, named('a\nb'))],
    ['a name that is too long', forged(ObjectKind.PRODUCE, 1, named('x'.repeat(129)))],
    ['a name that is no UTF-8', forged(ObjectKind.PRODUCE, 1, named(Buffer.of(0xff, 0xfe)))],
    [
      'a cut character, which decodes to one of the same length',
      forged(ObjectKind.PRODUCE, 1, named(Buffer.of(0xf0, 0x9f, 0x98))),
    ],
    ['a surrogate', forged(ObjectKind.PRODUCE, 1, named(Buffer.of(0xed, 0xa0, 0x80)))],
    ['a repeated name', forged(ObjectKind.PRODUCE, 2, named('one', 'one'))],
    ['fewer destinations than it says', forged(ObjectKind.PRODUCE, 2, named('one'))],
    ['a cut name', forged(ObjectKind.PRODUCE, 1, named('one').subarray(0, 3))],
    ['no copies', forged(ObjectKind.PRODUCE_COPIES, 1, Buffer.concat([named('one'), Buffer.alloc(4)]))],
    ['too many copies', forged(ObjectKind.PRODUCE_COPIES, 1, Buffer.concat([named('one'), Buffer.alloc(4, 0xff)]))],
    ['cut copies', forged(ObjectKind.PRODUCE_COPIES, 1, Buffer.concat([named('one'), Buffer.alloc(3, 1)]))],
    ['a cut head', forged(ObjectKind.PRODUCE, 1, Buffer.alloc(0)).subarray(0, 20)],
  ])('is refused with %s', (_, frame) => {
    expect(() => read(frame)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    const behind = Buffer.concat([frame, named('two', 'three')])
    expect(() => parseRoute(behind, 0, frame.length, isGroupName)).toThrow('The peer sent')
  })

  it('has a stream of at least one byte behind it, and nothing else', () => {
    const tail = Buffer.alloc(12)
    expect(() => readStreamBeginTail(tail, 0, 12)).toThrow('wrong length or size')
    tail[4] = 1
    expect(readStreamBeginTail(tail, 0, 12)).toEqual({ stream: 0, bodyBytes: 1 })
    expect(() => readStreamBeginTail(Buffer.alloc(13, 1), 0, 13)).toThrow('wrong length or size')
    expect(() => readStreamBeginTail(Buffer.alloc(12, 0xff), 0, 12)).toThrow('wrong length or size')
  })
})

describe('The cache of routes', () => {
  it('gives the same route for the same destinations, whatever else differs', () => {
    const cache = new RouteCache(isGroupName)
    const one = encode({ kind: 'produce', groups: ['one'], copies: [1] }, 'short')
    const again = encode({ kind: 'produce', groups: ['one'], copies: [1] }, 'a longer body')
    const two = encode({ kind: 'broadcast', groups: ['one'], copies: [1] })
    const route = cache.read(one, 0, one.length)
    expect(cache.read(two, 0, two.length)).not.toBe(route)
    expect(cache.read(again, 0, again.length)).toBe(route)
  })

  it('tells routes apart that begin alike', () => {
    const cache = new RouteCache(isGroupName)
    for (const groups of [['a'], ['a', 'b'], ['ab'], ['a', 'b', 'c'], ['a']]) {
      const frame = encode({ kind: 'produce', groups, copies: groups.map(() => 1) })
      expect(cache.read(frame, 0, frame.length).groups).toEqual(groups)
    }
  })

  it('does not read beyond the frame to find a route that it knows', () => {
    const cache = new RouteCache(isGroupName)
    const frame = encode({ kind: 'produce', groups: ['one'], copies: [1] }, '')
    cache.read(frame, 0, frame.length)
    expect(() => cache.read(frame, 0, frame.length - 1)).toThrow('cut destination')
  })

  it('forgets, so that a peer with ever new routes costs no more than some', () => {
    let looked = 0
    const cache = new RouteCache((name) => {
      looked++
      return isGroupName(name)
    })
    const frames = Array.from({ length: 5_000 }, (_, index) =>
      encode({ kind: 'produce', groups: [`group ${index}`], copies: [1] }),
    )
    for (let round = 0; round < 2; round++) for (const frame of frames) cache.read(frame, 0, frame.length)
    expect(looked).toBe(10_000)
  })
})
