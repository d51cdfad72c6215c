import { relayLimitDefaults } from '../../src/limits.ts'
import {
  encodeAccepted,
  encodeAcknowledge,
  encodeConfirm,
  encodeContext,
  encodeDemand,
  encodeJson,
  encodeNotify,
  encodeReclaim,
  encodeRejected,
  encodeSeen,
  encodeStreamOffset,
  encodeText,
} from '../../src/wire/controlFrames.ts'
import { FIRST_CLAIMED_LEASE, FrameType } from '../../src/wire/frameTypes.ts'
import { writeUint32 } from '../../src/wire/integers.ts'
import { encodeRoute, encodeStreamBegin } from '../../src/wire/objectHeader.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { frameOf, objectFrame as oddObject } from '../support/frames.ts'
import { objectFrame } from '../support/relayWorld.ts'
import type { Liar } from './liar.ts'
import { oddJson, oddValue } from './oddJson.ts'
import { chunk } from './peerHabits.ts'
import type { Verdict } from './peerLies.ts'

/** One way in which a relay breaks the rules; `undefined` if there is no occasion for it. */
export type LiarLie = (liar: Liar, random: SeededRandom) => Verdict | undefined

const MAX = Number.MAX_SAFE_INTEGER

function sent(verdict: Verdict, ...frames: (() => Buffer)[]): LiarLie {
  return (liar, random) => {
    const frame = random.pick(frames)
    liar.send(frame())
    return verdict
  }
}

const oddObjects = [
  () => oddObject({ kind: 0x81 }),
  () => oddObject({ kind: 0x80, body: Buffer.alloc(0) }),
  () => oddObject({ kind: 0x80, body: Buffer.of(5, 0, 1, 0, 2, 0, 0xee) }),
  () => oddObject({ kind: 0x89, body: Buffer.of(4, 0, 1, 0, 0, 0) }),
  () => oddObject({ kind: 9 }),
  () => oddObject({ kind: 4, destinations: Buffer.from('\x01g') }),
  () => encodeStreamBegin(encodeRoute({ kind: 'clear', groups: ['g'], copies: [1] }), 0, 0, 1, 100_000),
  () => oddObject({ kind: 0, count: 0, destinations: Buffer.alloc(0) }),
  () => oddObject({ kind: 0, destinations: Buffer.of(200, 0x67) }),
  () => oddObject({ kind: 0, destinations: Buffer.of(2, 0xc3, 0x28) }),
  () => oddObject({ kind: 0, count: 2, destinations: Buffer.from('\x01g\x01g') }),
  () => oddObject({ kind: 2, destinations: Buffer.from('\x01g\0\0\0\0', 'latin1') }),
  () => frameOf(FrameType.OBJECT, Buffer.alloc(4)),
  () => frameOf(FrameType.STREAM_BEGIN, Buffer.alloc(30, 1)),
  () => objectFrame('broadcast', 'nobody', 0, 'x'),
  () => objectFrame('produce', 'nobody', 0, 'x'),
]

const someClaim = { source: 1, sequence: 0, groupIndex: 0, isDead: false, attempt: 1, leaseNumber: FIRST_CLAIMED_LEASE }

const wordsOfEndpoints = [
  () => encodeNotify('g', 1),
  () => encodeAcknowledge(0, 0),
  () => encodeSeen(0, 0),
  () => encodeText(FrameType.GOODBYE, ''),
  () => encodeReclaim(someClaim),
  () => encodeText(FrameType.RECLAIM_END, ''),
  () => encodeJson(FrameType.HELLO, { version: 1 }),
  () => encodeJson(FrameType.WELCOME, { version: 1 }),
  () => frameOf(4, Buffer.alloc(52)),
]

const beyondRoom: LiarLie = (liar) => {
  const [group] = liar.groups
  if (group === undefined) return undefined
  // The one that goes beyond is taken; none after it may come.
  const bytes = Math.max(0, liar.roomBytes - liar.sentObjectBytes)
  const frames = Math.ceil(bytes / 100_000) + 2
  if (frames > 100) return undefined
  liar.write(
    Buffer.concat(Array.from({ length: frames }, () => objectFrame('broadcast', group, 0, Buffer.alloc(100_000)))),
  )
  // Its program may have taken some meanwhile.
  return 'either'
}

const contextLie: LiarLie = (liar) => {
  const [group] = liar.groups
  if (group === undefined) return undefined
  liar.send(encodeContext(200, 0, false))
  liar.send(objectFrame('broadcast', group, 0, 'x'))
  return 'refused'
}

/** A dead letter that does not say how it died, or says it of what is none. */
const deadLetterLie: LiarLie = (liar, random) => {
  const [group] = liar.groups
  if (group === undefined) return undefined
  const death = { reason: 'failed', attempts: 5, endpoint: 'e', diedAtMs: 1 }
  const field = random.pick(['reason', 'attempts', 'endpoint', 'diedAtMs', 'name', 'error'])
  const bad = random.pick([null, [], { message: {} }, Number.NaN])
  const isAlive = random.chance(0.2)
  const text = random.pick(['{', '[]', 'null', JSON.stringify({ ...death, [field]: bad })])
  const frame = Buffer.concat([encodeContext(0, 0, !isAlive), Buffer.from(isAlive ? JSON.stringify(death) : text)])
  writeUint32(frame, 0, frame.length)
  liar.send(frame)
  liar.send(objectFrame('broadcast', group, 0, 'x'))
  return 'refused'
}

const streamLie: LiarLie = (liar, random) => {
  const [group] = liar.groups
  if (group === undefined) return undefined
  const route = encodeRoute({ kind: 'broadcast', groups: [group], copies: [1] })
  const begin = encodeStreamBegin(route, 0, 0, liar.nextStream++, random.pick([0, 1, 500]))
  const large = encodeStreamBegin(route, 0, 0, liar.nextStream++, 100_000)
  liar.send(random.chance(0.5) ? begin : Buffer.concat([large, large]))
  return 'refused'
}

/** More than the endpoint takes, or than there is memory: it passes over it. */
const giantStream: LiarLie = (liar, random) => {
  const [group] = liar.groups
  if (group === undefined || liar.sentObjectBytes >= liar.roomBytes) return undefined
  const id = liar.nextStream++
  const totalBytes = random.pick([2 ** 31, 2 ** 45, MAX - 2 ** 30])
  liar.send(encodeStreamBegin(encodeRoute({ kind: 'broadcast', groups: [group], copies: [1] }), 0, 0, id, totalBytes))
  liar.send(chunk(id, 0, 60_000))
  liar.sentObjectBytes += totalBytes
  return 'tolerated'
}

const chunkLie: LiarLie = (liar, random) => {
  const [id, part] = [...liar.outgoing][0] ?? []
  if (id === undefined || part === undefined) liar.send(chunk(9_999, 0, 10))
  else liar.send(chunk(id, random.pick([part.offset + 1, part.totalBytes, MAX - 100, 2 ** 60]), 60_000))
  return 'refused'
}

const acceptedLie: LiarLie = (liar, random) => {
  liar.send(random.pick([encodeAccepted(5, 2, [1]), encodeAccepted(0, MAX, [1]), encodeAccepted(2 ** 60, 2 ** 60, [])]))
  return 'refused'
}

const oddAnswer: LiarLie = (liar, random) => {
  const sequence = random.pick([...liar.unanswered.keys(), 1_000_000])
  liar.unanswered.delete(sequence)
  const counts = random.pick([[], [1, 2, 3], [0xffff_ffff]])
  liar.send(random.chance(0.5) ? encodeAccepted(sequence, sequence, counts) : encodeRejected(sequence, oddJson(random)))
  return 'either'
}

const confirmLie: LiarLie = (liar, random) => {
  const [frames, room] = random.pick([
    [liar.receivedFrames + 100_000, MAX],
    [0, 1],
    [2 ** 60, MAX],
    [0, 2 ** 60],
  ])
  liar.write(encodeConfirm(frames, room))
  return 'refused'
}

const strangeStreams: LiarLie = (liar) => {
  for (const type of [FrameType.STREAM_WINDOW, FrameType.STREAM_ABORT]) liar.send(encodeStreamOffset(type, 77_777, 5))
  return 'tolerated'
}

const oddEnd: LiarLie = (liar, random) => {
  const error = random.chance(0.5) ? { error: oddValue(random) } : oddJson(random)
  liar.write(encodeJson(random.pick([FrameType.CLOSE, FrameType.REFUSED]), error))
  return 'either'
}

const blockFlood: LiarLie = (liar, random) => {
  const long = random.chance(0.5) ? 'x'.repeat(60_000) : ''
  for (let index = 0; index < 3_000; index++) liar.send(encodeText(FrameType.BLOCKED, `strange ${index}${long}`))
  return 'refused'
}

const strangeRoom: LiarLie = (liar) => {
  liar.send(encodeText(FrameType.UNBLOCKED, 'strange'))
  return 'refused'
}

const garbage: LiarLie = (liar, random) => {
  liar.send(Buffer.from(Array.from({ length: random.integer(1, 300) }, () => random.integer(0, 255))))
  return 'either'
}

const impossibleLength: LiarLie = (liar, random) => {
  const frame = Buffer.alloc(40)
  frame.writeUInt32LE(random.pick([0, 4, 131_073, 0xffff_ffff]))
  frame[4] = random.pick([FrameType.OBJECT, FrameType.ACCEPTED, FrameType.STREAM_CHUNK, FrameType.CONFIRM])
  liar.send(frame)
  return 'refused'
}

export const liarLies: Readonly<Record<string, LiarLie>> = {
  'a malformed object': sent('refused', ...oddObjects),
  'what only an endpoint says': sent('refused', ...wordsOfEndpoints),
  'an unknown type': sent(
    'refused',
    () => frameOf(0x7f, Buffer.alloc(9)),
    () => frameOf(0x1f, Buffer.alloc(9)),
  ),
  'a demand of nobody': sent(
    'refused',
    () => encodeDemand('nobody', 3),
    () => encodeDemand('g', -1),
  ),
  'an impossible length': impossibleLength,
  'more than the room': beyondRoom,
  'a destination that is not': contextLie,
  'a death that cannot be': deadLetterLie,
  'a stream that cannot be': streamLie,
  'a giant stream': giantStream,
  'a chunk out of place': chunkLie,
  'what was never sent accepted': acceptedLie,
  'an odd answer': oddAnswer,
  'a confirmation of what was not': confirmLie,
  'streams that are not': strangeStreams,
  'an odd end': oddEnd,
  'a flood of blocked groups': blockFlood,
  'room for a group that was not blocked': strangeRoom,
  garbage,
}

/** Answers HELLO as no relay does. */
export function welcomeLying(liar: Liar, random: SeededRandom): Verdict {
  liar.hasLied = true
  const limits = relayLimitDefaults
  switch (random.integer(0, 7)) {
    case 0:
      liar.welcome({ received: random.pick([1_000_000, -1, 1.5, 'x', null]) })
      return 'refused'
    case 1:
      liar.welcome({ limits: { ...limits, [random.pick(Object.keys(limits).slice(0, 4))]: oddValue(random) } })
      return 'either'
    case 2:
      liar.welcome({
        limits: { ...limits, ...random.pick([{ heartbeatMs: 1 }, { sendWindowBytes: 5 }, { streamsMax: 0 }]) },
      })
      return 'refused'
    case 3:
      liar.welcome({ resumed: true, received: random.integer(0, 3) })
      return 'either'
    case 4:
      liar.welcome(
        random.chance(0.5)
          ? { [random.pick(['keepsLeases', 'reclaims'])]: random.pick([1, 'true', {}, null, [true]]) }
          : { keepsLeases: true, reclaims: true, receivedBefore: random.pick([-1, '1', null, 2 ** 60]) },
      )
      return 'refused'
    case 5:
      // Waits for claims that there cannot be, of a session that goes on or was never there.
      liar.awaitsClaims = true
      liar.welcome({ keepsLeases: random.chance(0.5), reclaims: true, resumed: random.chance(0.3) })
      return 'either'
    case 6:
      liar.phase = 'open'
      liar.write(encodeJson(FrameType.WELCOME, oddJson(random)))
      return 'refused'
    default:
      liar.phase = 'open'
      liar.write(encodeJson(FrameType.REFUSED, { error: oddValue(random) }))
      return 'either'
  }
}
