import {
  encodeAccepted,
  encodeAcknowledge,
  encodeChunkHead,
  encodeConfirm,
  encodeContext,
  encodeDemand,
  encodeJson,
  encodeNotify,
  encodeRejected,
  encodeRelease,
  encodeStreamOffset,
  encodeText,
} from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { encodeRoute, encodeStreamBegin } from '../../src/wire/objectHeader.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { frameOf, objectFrame as oddObject } from '../support/frames.ts'
import { objectFrame } from '../support/relayWorld.ts'
import { attemptLies } from './attemptLies.ts'
import { claimLies } from './claimLies.ts'
import { oddJson } from './oddJson.ts'
import type { Peer } from './peer.ts'
import { beginStream, chunk, smallObject } from './peerHabits.ts'

/**
 * What the relay has to do about it: refuse it with a typed error; let it be, because the protocol says so; or either, where
 * it depends on what the peer cannot know.
 */
export type Verdict = 'refused' | 'tolerated' | 'either'

/** One way of breaking the rules, or of going to their very edge; `undefined` if there is no occasion for it. */
export type Lie = (peer: Peer, random: SeededRandom, others: readonly Peer[]) => Verdict | undefined

const MAX = Number.MAX_SAFE_INTEGER
const route = encodeRoute({ kind: 'produce', groups: ['g'], copies: [1] })

/** Sends frames that must be refused. */
function refused(...frames: Buffer[]): (peer: Peer) => Verdict {
  return (peer) => {
    for (const frame of frames) peer.send(frame)
    return 'refused'
  }
}

const oddObjects = [
  oddObject({ kind: 0x81 }),
  oddObject({ kind: 0x80, body: Buffer.alloc(0) }),
  oddObject({ kind: 0x80, body: Buffer.of(5, 0, 1, 0, 2, 0, 0xee) }),
  oddObject({ kind: 0x89, body: Buffer.of(4, 0, 1, 0, 0, 0) }),
  oddObject({ kind: 9 }),
  oddObject({ count: 0, destinations: Buffer.alloc(0) }),
  oddObject({ destinations: Buffer.of(200, 0x67) }),
  oddObject({ destinations: Buffer.of(2, 0xc3, 0x28) }),
  oddObject({ destinations: Buffer.of(1, 7) }),
  oddObject({ count: 2, destinations: Buffer.from('\x01g\x01g') }),
  oddObject({ count: 255, destinations: Buffer.from('\x01g') }),
  oddObject({ kind: 2, destinations: Buffer.from('\x01g\0\0\0\0', 'latin1') }),
  oddObject({ kind: 5 }),
  oddObject({ kind: 3, count: 0, destinations: Buffer.alloc(0) }),
  oddObject({ kind: 4, destinations: Buffer.from('\x01gbody') }),
  oddObject({ kind: 4, destinations: Buffer.from('\x01g\x01\0\0\0', 'latin1') }),
  encodeStreamBegin(encodeRoute({ kind: 'clear', groups: ['g'], copies: [1] }), 0, 0, 1, 100_000),
  oddObject({ kind: 2, destinations: Buffer.from('\x01g\xff\xff\xff\xff', 'latin1') }),
  frameOf(FrameType.OBJECT, Buffer.alloc(4)),
  frameOf(FrameType.STREAM_BEGIN, Buffer.alloc(30, 1)),
]

/** What only a relay says. */
const wordsOfRelays = [
  encodeAccepted(0, 0, [1]),
  encodeRejected(0, { code: 'QUEUE_FULL', message: 'full' }),
  encodeText(FrameType.BLOCKED, 'g'),
  encodeText(FrameType.UNBLOCKED, 'g'),
  encodeDemand('g', 3),
  encodeContext(0, 0, false),
  encodeJson(FrameType.WELCOME, { version: 1 }),
  encodeJson(FrameType.REFUSED, { error: {} }),
]

const oddNotify: Lie = (peer, random) => {
  const name = random.pick(['nowhere', '', 'x'.repeat(60_000), '\u0001'.repeat(60_000), 'g\u0000', 'g.dead'])
  peer.send(random.chance(0.5) ? encodeNotify(name, 1) : encodeNotify('g', random.pick([0, -2, 1_000_001, -(2 ** 31)])))
  return 'refused'
}

const unknownType: Lie = (peer, random) => {
  const type = random.pick([0, 0x09, 0x0f, 0x15, 0x1f, 0x26, 0x2f, 0x3e, 0x7f, 0xff])
  peer.send(frameOf(type, Buffer.alloc(random.integer(0, 100))))
  return 'refused'
}

const impossibleLength: Lie = (peer, random) => {
  const frame = Buffer.alloc(40)
  frame.writeUInt32LE(random.pick([0, 1, 4, 131_073, 0x7fff_ffff, 0xffff_ffff]))
  frame[4] = random.pick([FrameType.OBJECT, FrameType.NOTIFY, FrameType.STREAM_CHUNK, FrameType.CONFIRM])
  peer.send(frame)
  return 'refused'
}

const overrunRoom: Lie = (peer) => {
  // Written at once, before the relay can give more room than two windows.
  const frames = Array.from({ length: 12 }, () => {
    return objectFrame('broadcast', 'g', peer.sequence++, Buffer.alloc(60_000))
  })
  peer.send(Buffer.concat(frames))
  return 'refused'
}

const confirmLie: Lie = (peer, random) => {
  const { receivedFrames, givenRoomBytes } = peer
  const [frames, room] = random.pick([
    [receivedFrames + 1_000_000, givenRoomBytes],
    [MAX, MAX],
    [receivedFrames, -1],
    [receivedFrames, 2 ** 60],
    [2 ** 60, givenRoomBytes],
  ])
  peer.write(encodeConfirm(frames, room))
  return 'refused'
}

const confirmLess: Lie = (peer) => {
  peer.write(encodeConfirm(peer.receivedFrames, peer.givenRoomBytes))
  peer.write(encodeConfirm(peer.receivedFrames, peer.givenRoomBytes - 1))
  return 'refused'
}

const settleLie: Lie = (peer, random) => {
  const { nextLease } = peer
  const settledOrNever = [...Array(Math.min(nextLease, 50)).keys()].find((number) => !peer.leases.has(number))
  const [from, to] = random.pick([
    [nextLease + 1_000, nextLease + 1_000],
    [0, MAX],
    [5, 2],
    [2 ** 60, 2 ** 60],
    ...(settledOrNever === undefined ? [] : [[settledOrNever, settledOrNever]]),
  ])
  if (from === undefined || to === undefined) return undefined
  peer.send(
    random.chance(0.5) ? encodeAcknowledge(from, to) : encodeRelease(from, to, { attemptCounted: random.chance(0.5) }),
  )
  // Leases that were aborted or taken back may be named by an endpoint that does not know it yet.
  return from === settledOrNever ? 'either' : 'refused'
}

const settleTwice: Lie = (peer) => {
  const [number] = [...peer.leases].find(([, { stream }]) => stream === undefined) ?? []
  if (number === undefined) return undefined
  peer.leases.delete(number)
  peer.send(encodeAcknowledge(number, number))
  peer.send(encodeRelease(number, number, { attemptCounted: true }))
  return 'either'
}

const acknowledgePartial: Lie = (peer) => {
  const [number] = [...peer.leases].find(([, { stream }]) => stream !== undefined) ?? []
  if (number === undefined) return undefined
  peer.send(encodeAcknowledge(number, number))
  return 'either'
}

const oddStream: Lie = (peer, random) => {
  // For another group, the relay may not have room, and reject the first one.
  const [group] = peer.identity.groups
  if (group === undefined) return undefined
  const id = peer.nextStream++
  const own = encodeRoute({ kind: 'broadcast', groups: [group], copies: [1] })
  const begin = encodeStreamBegin(own, peer.sequence++, 0, id, 500_000)
  const tail = Buffer.from(begin)
  tail.writeBigUInt64LE(random.pick([0n, 2n ** 53n, 2n ** 64n - 1n]), tail.length - 8)
  peer.send(random.chance(0.7) ? tail : Buffer.concat([begin, begin]))
  return 'refused'
}

const tooManyStreams: Lie = (peer) => {
  // For another group, the relay may not have room; and what it remembers to have accepted, it takes for begun and answered.
  const [group] = peer.identity.groups
  if (group === undefined) return undefined
  for (let left = 20; left > 0; left--) beginStream(peer, { kind: 'broadcast', groups: [group], copies: [1] }, 200_000)
  return 'refused'
}

/** More than fits anywhere: the object is rejected, its sender is not. */
const giantStream: Lie = (peer, random) => {
  if (peer.outgoing.size >= 4) return undefined
  beginStream(peer, { kind: 'produce', groups: ['g'], copies: [1] }, random.pick([2 ** 31, 2 ** 45, MAX]))
  return 'tolerated'
}

/** So small that it costs more than it counts. */
const tinyStreams: Lie = (peer) => {
  for (let left = 4; left > 0; left--) beginStream(peer, { kind: 'produce', groups: ['g'], copies: [1] }, 1)
  return 'refused'
}

const chunkLie: Lie = (peer, random) => {
  const [id, part] = [...peer.outgoing][0] ?? []
  if (id === undefined || part === undefined || random.chance(0.3)) {
    peer.send(random.chance(0.5) ? chunk(9_999_999, 0, 10) : encodeChunkHead(1, 0, 0))
    return 'refused'
  }
  const { sentBytes, windowBytes, totalBytes } = part
  const offset = random.pick([sentBytes + 1, windowBytes, totalBytes, totalBytes - 1, MAX, 2 ** 60])
  peer.send(chunk(id, offset, random.integer(1, 65_536)))
  return offset === totalBytes - 1 || offset <= windowBytes ? 'either' : 'refused'
}

/** The same bytes of a large object, again and again: harmless, since they are passed over. */
const endlessChunks: Lie = (peer) => {
  for (const [id, { sentBytes, totalBytes }] of peer.outgoing) {
    if (sentBytes === 0 || sentBytes === totalBytes) continue
    for (let left = 50; left > 0; left--) peer.send(chunk(id, 0, Math.min(sentBytes, 3_000)))
    return 'tolerated'
  }
  return undefined
}

/** About streams that are over, or never were. */
const strangeStreams: Lie = (peer) => {
  for (const type of [FrameType.STREAM_WINDOW, FrameType.STREAM_ABORT])
    peer.send(encodeStreamOffset(type, 77_777_777, 5))
  return 'tolerated'
}

const duplicates: Lie = (peer, random) => {
  const frame = smallObject(peer, random, 20)
  const again = Array.from({ length: 20 }, () => frame)
  if (peer.sentObjectBytes + 20 * frame.length > peer.relayRoomBytes) return undefined
  peer.sentObjectBytes += 20 * frame.length
  peer.sequence++
  for (const one of again) peer.send(one)
  return 'tolerated'
}

const unknownGroups: Lie = (peer) => {
  const frames = Array.from({ length: 20 }, (_, index) =>
    objectFrame('produce', `strange ${index}`, peer.sequence++, 'x'),
  )
  const bytes = frames.reduce((sum, { length }) => sum + length, 0)
  if (peer.sentObjectBytes + bytes > peer.relayRoomBytes) return undefined
  peer.sentObjectBytes += bytes
  for (const frame of frames) peer.send(frame)
  return 'tolerated'
}

/** Asks and asks, and does not listen. */
const floodOfQuestions: Lie = (peer) => {
  const [group] = peer.identity.groups
  if (group === undefined) return undefined
  peer.link.near.pause()
  for (let left = 2_000; left > 0; left--) {
    peer.drains++
    peer.send(encodeNotify(group, -1))
  }
  return 'tolerated'
}

const afterGoodbye: Lie = (peer, random) => {
  peer.goodbyeSaid = true
  peer.send(encodeText(FrameType.GOODBYE, ''))
  for (let left = 5; left > 0; left--) peer.send(smallObject(peer, random, 50))
  peer.send(encodeText(FrameType.GOODBYE, ''))
  peer.send(encodeNotify('g', 1_000_000))
  return 'either'
}

const mutated: Lie = (peer, random) => {
  const frame = Buffer.from(random.pick([smallObject(peer, random, 50), encodeNotify('g', 3), route.destinations]))
  for (let left = random.integer(1, 4); left > 0; left--)
    frame[random.integer(0, frame.length - 1)] = random.integer(0, 255)
  peer.sequence++
  peer.send(frame)
  return 'either'
}

const garbage: Lie = (peer, random) => {
  peer.send(Buffer.from(Array.from({ length: random.integer(1, 400) }, () => random.integer(0, 255))))
  return 'either'
}

const oddClose: Lie = (peer, random) => {
  peer.send(encodeJson(FrameType.CLOSE, oddJson(random)))
  return 'either'
}

export const lies: Readonly<Record<string, Lie>> = {
  'a malformed object': (peer, random) => refused(random.pick(oddObjects))(peer),
  'what only a relay says': (peer, random) => refused(random.pick(wordsOfRelays))(peer),
  'a second HELLO': refused(encodeJson(FrameType.HELLO, { version: 1 })),
  'a proof once more': refused(frameOf(1, Buffer.alloc(96))),
  'to be given what cannot be': oddNotify,
  'an unknown type': unknownType,
  'an impossible length': impossibleLength,
  'more than the room': overrunRoom,
  'a confirmation of what was not': confirmLie,
  'a confirmation that takes back': confirmLess,
  'leases that it has not': settleLie,
  'a lease twice': settleTwice,
  'a lease that is not whole': acknowledgePartial,
  ...attemptLies,
  ...claimLies,
  'a stream that cannot be': oddStream,
  'too many streams': tooManyStreams,
  'a giant stream': giantStream,
  'tiny streams': tinyStreams,
  'a chunk out of place': chunkLie,
  'endless chunks': endlessChunks,
  'streams that are not': strangeStreams,
  duplicates,
  'unknown groups': unknownGroups,
  'a flood of questions': floodOfQuestions,
  'more after goodbye': afterGoodbye,
  'a mutated frame': mutated,
  garbage,
  'an odd CLOSE': oddClose,
}
