import { failureBytesMax } from '../../src/deadLetter.ts'
import { encodeRelease, encodeSeen } from '../../src/wire/controlFrames.ts'
import { FIRST_CLAIMED_LEASE, FrameType } from '../../src/wire/frameTypes.ts'
import { writeUint32 } from '../../src/wire/integers.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { frameOf } from '../support/frames.ts'
import { objectFrame } from '../support/relayWorld.ts'
import { oddJson, oddValue } from './oddJson.ts'
import type { Peer } from './peer.ts'
import type { Lie } from './peerLies.ts'

const MAX = Number.MAX_SAFE_INTEGER
const ATTEMPT_COUNTED = 1
const FINAL = 2

const seenLie: Lie = (peer, random) => {
  const { nextLease } = peer
  const [from, to] = random.pick([
    [nextLease, nextLease],
    [0, MAX],
    [0, nextLease + 1_000],
    [0, FIRST_CLAIMED_LEASE],
    [5, 2],
    [2 ** 60, 2 ** 60],
  ] as const)
  // What was delivered and has not arrived yet, the relay has delivered.
  const isAhead = from === nextLease || to === nextLease + 1_000
  peer.send(random.chance(0.2) ? frameOf(FrameType.SEEN, Buffer.alloc(random.pick([0, 18, 20]))) : encodeSeen(from, to))
  return isAhead ? 'either' : 'refused'
}

/** It has seen what it has settled, and what it has seen before, over and over. */
const seenAgain: Lie = (peer, random) => {
  const partial = [...peer.leases].find(([, { stream }]) => stream !== undefined)?.[0] ?? peer.nextLease
  // Behind one that is not whole, nothing is said.
  if (partial === 0) return undefined
  for (let left = random.pick([1, 200]); left > 0; left--) peer.send(encodeSeen(0, partial - 1))
  peer.send(encodeSeen(FIRST_CLAIMED_LEASE, MAX))
  return 'tolerated'
}

const seenPartial: Lie = (peer) => {
  const [number] = [...peer.leases].find(([, { stream }]) => stream !== undefined) ?? []
  if (number === undefined) return undefined
  peer.send(encodeSeen(number, number))
  return 'either'
}

function wholeLease({ leases }: Peer): number {
  return [...leases].find(([, { stream }]) => stream === undefined)?.[0] ?? 0
}

/** A RELEASE of its own lease, if it has one, with these flags and with something behind its fields. */
function released(peer: Peer, flags: number, behind: Buffer): Buffer {
  const number = wholeLease(peer)
  const frame = Buffer.concat([encodeRelease(number, number, { attemptCounted: true }), behind])
  writeUint32(frame, 0, frame.length)
  frame[5] = flags
  return frame
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

const badReleases: readonly ((peer: Peer, random: SeededRandom) => Buffer)[] = [
  (peer) => released(peer, FINAL, Buffer.alloc(0)),
  (peer) => released(peer, 0xfe, Buffer.alloc(0)),
  (peer) =>
    released(peer, ATTEMPT_COUNTED, json({ reason: 'failed', error: { message: 'x'.repeat(failureBytesMax) } })),
  (peer) => released(peer, ATTEMPT_COUNTED, Buffer.concat([json({}), Buffer.alloc(60_000, 0x20)])),
  (peer) => released(peer, ATTEMPT_COUNTED, Buffer.from('{"reason":"failed"')),
  (peer, random) => released(peer, ATTEMPT_COUNTED, json({ reason: random.pick([null, 1, 'lost', '__proto__', {}]) })),
  (peer, random) => released(peer, ATTEMPT_COUNTED, json({ error: random.pick([null, 1, 'x', []]) })),
  (peer, random) => released(peer, ATTEMPT_COUNTED, json({ error: { stack: random.pick([null, 1, [], {}]) } })),
  (_, random) => frameOf(FrameType.RELEASE, Buffer.alloc(random.pick([0, 19, 22]))),
]

const releaseLie: Lie = (peer, random) => {
  peer.send(random.pick(badReleases)(peer, random))
  return 'refused'
}

/** JSON that is not what it should be, or is; and bits that mean nothing. */
const oddRelease: Lie = (peer, random) => {
  const behind = random.pick([
    json(oddJson(random)),
    json({ error: oddValue(random) }),
    json({ reason: oddValue(random) }),
  ])
  peer.leases.delete(wholeLease(peer))
  peer.send(released(peer, random.pick([0, 1, 3, 0xf1, 0xff]), random.chance(0.5) ? behind : Buffer.alloc(0)))
  return 'either'
}

/** Only the relay puts objects there. */
const sendDead: Lie = (peer, random) => {
  for (let left = random.pick([1, 30]); left > 0; left--)
    peer.send(objectFrame(random.pick(['produce', 'broadcast'] as const), 'g.dead', peer.sequence++, 'x'))
  return 'tolerated'
}

/** What an endpoint may say of what its program has seen and given back, and should not. */
export const attemptLies: Readonly<Record<string, Lie>> = {
  'to have seen what it was not given': seenLie,
  'to have seen it over and over': seenAgain,
  'to have seen what is not whole': seenPartial,
  'a release that cannot be': releaseLie,
  'an odd release': oddRelease,
  'dead letters of its own': sendDead,
}
