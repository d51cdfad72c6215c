import { releaseReasons } from '../../src/deadLetter.ts'
import {
  encodeAcknowledge,
  encodeChunkHead,
  encodeConfirm,
  encodeNotify,
  encodeReclaim,
  encodeRelease,
  encodeSeen,
  encodeStreamOffset,
  encodeText,
  type ReleaseTerms,
} from '../../src/wire/controlFrames.ts'
import { withExtensions } from '../../src/wire/extensions.fixture.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { encodeRoute, encodeStreamBegin, type Route } from '../../src/wire/objectHeader.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { objectFrame } from '../support/relayWorld.ts'
import type { Peer } from './peer.ts'

/** What an endpoint does that keeps the rules; each does nothing where the rules leave it nothing to do. */
export type Habit = (peer: Peer, random: SeededRandom) => void

export const groups = ['g', 'h', 'full', 'tight', 'drop'] as const

/** Frames up to here; what is larger is a large object. */
const FRAME_BYTES_MAX = 120_000

function someRoute(random: SeededRandom, kind: Route['kind']): Route {
  const chosen = random.some(groups, 0.3)
  const copies = chosen.map(() => (kind === 'produce' && random.chance(0.2) ? random.integer(1, 4) : 1))
  return { kind, groups: chosen, copies }
}

function someBytes(random: SeededRandom): number {
  return random.chance(0.8) ? random.integer(1, 300) : random.integer(1, 60_000)
}

function someKind(random: SeededRandom): Route['kind'] {
  return random.chance(0.5) ? 'produce' : random.chance(0.7) ? 'broadcast' : 'unretained'
}

const confirm: Habit = (peer, random) => {
  // An inbox that its program empties now and then.
  const { inboxBytes } = peer.identity
  if (random.chance(0.7)) peer.givenRoomBytes = Math.max(peer.givenRoomBytes, peer.receivedObjectBytes + inboxBytes)
  peer.write(encodeConfirm(peer.receivedFrames, peer.givenRoomBytes))
}

const notify: Habit = (peer, random) => {
  if (peer.identity.groups.length === 0) return
  const group = random.pick(peer.identity.groups)
  const count = random.pick([-1, 1, 2, 5, 50, 1_000_000])
  if (count === -1) peer.drains++
  else peer.credit.set(group, (peer.credit.get(group) ?? 0) + count)
  peer.send(encodeNotify(group, count))
}

const sendSmall: Habit = (peer, random) => {
  for (let left = random.integer(1, 5); left > 0; left--) {
    const frame = smallObject(peer, random, someBytes(random))
    if (peer.sentObjectBytes + frame.length > peer.relayRoomBytes) return
    peer.sentObjectBytes += frame.length
    peer.sequence++
    peer.send(frame)
  }
}

/** An OBJECT with one destination; some have no body, and clear what is retained. */
export function smallObject(peer: Peer, random: SeededRandom, bytes: number): Buffer {
  if (random.chance(0.03)) return objectFrame('clear', random.pick(groups), peer.sequence, '')
  const frame = objectFrame(someKind(random), random.pick(groups), peer.sequence, Buffer.alloc(bytes, 0x61))
  return maybeExtended(frame, random)
}

/** Some objects have extensions that nobody knows. */
export function maybeExtended(frame: Buffer, random: SeededRandom): Buffer {
  if (random.chance(0.9)) return frame
  const extension = () => ({ type: random.integer(0, 0xffff), value: Buffer.alloc(random.integer(0, 300), 0x62) })
  return withExtensions(frame, ...Array.from({ length: random.integer(1, 3) }, extension))
}

const beginLarge: Habit = (peer, random) => {
  if (peer.outgoing.size >= 4) return
  const route = someRoute(random, someKind(random))
  beginStream(peer, route, random.integer(FRAME_BYTES_MAX, 700_000), (frame) => maybeExtended(frame, random))
}

export function beginStream(
  peer: Peer,
  route: Route,
  totalBytes: number,
  extend: (begin: Buffer) => Buffer = (begin) => begin,
): number {
  const id = peer.nextStream++
  const sequence = peer.sequence++
  peer.outgoing.set(id, { sequence, totalBytes, sentBytes: 0, windowBytes: 0 })
  peer.send(extend(encodeStreamBegin(encodeRoute(route), sequence, 0, id, totalBytes)))
  return id
}

const sendChunks: Habit = (peer, random) => {
  for (const [id, part] of peer.outgoing) {
    while (part.sentBytes < Math.min(part.windowBytes, part.totalBytes) && random.chance(0.9)) {
      const bytes = Math.min(random.chance(0.3) ? random.integer(1, 5_000) : 65_536, roomOf(part))
      peer.send(chunk(id, part.sentBytes, bytes))
      part.sentBytes += bytes
    }
  }
}

function roomOf(part: { sentBytes: number; windowBytes: number; totalBytes: number }): number {
  return Math.min(part.windowBytes, part.totalBytes) - part.sentBytes
}

export function chunk(id: number, offset: number, bytes: number): Buffer {
  return Buffer.concat([encodeChunkHead(id, offset, bytes), Buffer.alloc(bytes)])
}

const abortLarge: Habit = (peer, random) => {
  const id = random.chance(0.5) ? [...peer.outgoing.keys()][0] : undefined
  if (id === undefined) return
  peer.outgoing.delete(id)
  peer.send(encodeStreamOffset(FrameType.STREAM_ABORT, id, 0))
}

/** Its program has been given what has come as a whole. */
const seeLeases: Habit = (peer, random) => {
  const whole = [...peer.leases].filter(([, { stream }]) => stream === undefined).map(([number]) => number)
  const from = whole[random.integer(0, Math.max(0, whole.length - 1))]
  if (from === undefined) return
  let to = from
  while (whole.includes(to + 1) && random.chance(0.7)) to++
  peer.send(encodeSeen(from, to))
}

/** Ways to give something back. */
function someTerms(random: SeededRandom): ReleaseTerms {
  if (random.chance(0.4)) return { attemptCounted: false }
  return {
    attemptCounted: true,
    isFinal: random.chance(0.2),
    // The largest number stands for none.
    retryDelayMs: random.pick([0, 5, 3_000, 0xffff_fffe, 0xffff_ffff]),
    failure: random.chance(0.5)
      ? { reason: random.pick(releaseReasons), error: { message: 'x'.repeat(random.integer(0, 9_000)) } }
      : undefined,
  }
}

/** Acknowledges or gives back what has come as a whole, lease by lease or as a range. */
const settleLeases: Habit = (peer, random) => {
  const whole = [...peer.leases].filter(([, { stream }]) => stream === undefined).map(([number]) => number)
  const [from] = whole
  if (from === undefined) return
  let to = from
  while (whole.includes(to + 1) && random.chance(0.8)) to++
  for (let number = from; number <= to; number++) peer.leases.delete(number)
  peer.send(random.chance(0.7) ? encodeAcknowledge(from, to) : encodeRelease(from, to, someTerms(random)))
}

/** Gives back a large object of which only a part is there. */
const releasePartial: Habit = (peer) => {
  for (const [number, { stream }] of peer.leases) {
    if (stream === undefined) continue
    peer.leases.delete(number)
    peer.send(encodeRelease(number, number, { attemptCounted: true }))
    return
  }
}

const openWindows: Habit = (peer) => {
  for (const [id, part] of peer.incoming) {
    part.windowBytes = Math.min(part.receivedBytes + 65_536, part.totalBytes)
    peer.send(encodeStreamOffset(FrameType.STREAM_WINDOW, id, part.windowBytes))
  }
}

/** Claims some of what it had before the relay was started again. */
const reclaimSome: Habit = (peer, random) => {
  if (!peer.reclaimDue) return
  for (const lease of peer.earlier.splice(0, random.integer(1, 10))) {
    peer.claimed.set(lease.leaseNumber, lease)
    peer.send(encodeReclaim(lease))
  }
}

/** It claims no more; the rest, its program never saw. */
const endReclaim: Habit = (peer) => {
  if (!peer.reclaimDue) return
  peer.reclaimDue = false
  peer.earlier = []
  peer.send(encodeText(FrameType.RECLAIM_END, ''))
}

const settleClaimed: Habit = (peer, random) => {
  const [from] = peer.claimed.keys()
  if (from === undefined) return
  let to = from
  while (peer.claimed.has(to + 1) && random.chance(0.8)) to++
  for (let number = from; number <= to; number++) peer.claimed.delete(number)
  peer.send(random.chance(0.7) ? encodeAcknowledge(from, to) : encodeRelease(from, to, someTerms(random)))
}

const stopReading: Habit = ({ link }) => link.near.pause()
const read: Habit = ({ link }) => link.near.resume()
const cut: Habit = ({ link }) => link.cut()

const goodbye: Habit = (peer) => {
  peer.goodbyeSaid = true
  peer.send(encodeText(FrameType.GOODBYE, ''))
}

/** With how often each is done, compared with the others. */
export const habits: readonly (readonly [Habit, number])[] = [
  [confirm, 8],
  [notify, 5],
  [sendSmall, 8],
  [beginLarge, 3],
  [sendChunks, 8],
  [abortLarge, 1],
  [seeLeases, 3],
  [settleLeases, 5],
  [releasePartial, 1],
  [openWindows, 4],
  [reclaimSome, 3],
  [endReclaim, 1],
  [settleClaimed, 3],
  [stopReading, 0.5],
  [read, 2],
  [cut, 1],
  [goodbye, 0.4],
]

/** One of some, by their weights. */
export function pickWeighted<Item>(random: SeededRandom, items: readonly (readonly [Item, number])[]): Item {
  let at = random.next() * items.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [item, weight] of items) {
    at -= weight
    if (at < 0) return item
  }
  const [first] = items
  if (first === undefined) throw new Error('There is nothing to choose from.')
  return first[0]
}
