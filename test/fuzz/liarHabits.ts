import {
  encodeAccepted,
  encodeConfirm,
  encodeContext,
  encodeDemand,
  encodeRejected,
  encodeStreamOffset,
  encodeText,
} from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { encodeRoute, encodeStreamBegin, type Route, stampAttempt, stampSource } from '../../src/wire/objectHeader.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { objectFrame } from '../support/relayWorld.ts'
import { identityOf, type Liar } from './liar.ts'
import { chunk, maybeExtended } from './peerHabits.ts'

/** What a relay does that keeps the rules. */
export type LiarHabit = (liar: Liar, random: SeededRandom) => void

const LARGE_BYTES = [140_000, 300_000, 1_000_000]

const confirm: LiarHabit = (liar) =>
  liar.write(encodeConfirm(liar.receivedFrames, liar.receivedFrames * 1_000 + 8_388_608))

/** Bodies that can be read, and bodies that cannot: the relay reads none. */
export function body(random: SeededRandom): Buffer {
  if (random.chance(0.7)) return Buffer.of(0, 0x18, random.integer(24, 255))
  return Buffer.from(Array.from({ length: random.integer(0, 200) }, () => random.integer(0, 255)))
}

/** A route with a group of the endpoint, and where in it. */
function someRoute(random: SeededRandom, group: string, kind: Route['kind']): [Route, number] {
  const groups = random.chance(0.3) ? ['elsewhere', group] : [group]
  const copies = groups.map(() => (kind === 'produce' && random.chance(0.2) ? 3 : 1))
  return [{ kind, groups, copies }, groups.indexOf(group)]
}

/** For which group something may be delivered now. */
function occasion(liar: Liar, random: SeededRandom): { group: string; kind: Route['kind'] } | undefined {
  const asked = liar.groups.filter((group) => (liar.credit.get(group) ?? 0) > 0)
  if (asked.length > 0 && random.chance(0.6)) return { group: random.pick(asked), kind: 'produce' }
  const kind = random.chance(0.3) ? 'unretained' : 'broadcast'
  return liar.groups.length === 0 ? undefined : { group: random.pick(liar.groups), kind }
}

/** Counts a delivery in the books. */
function count(liar: Liar, group: string, kind: Route['kind'], bytes: number): void {
  liar.sentObjectBytes += bytes
  if (kind !== 'produce') return
  liar.leases++
  liar.credit.set(group, (liar.credit.get(group) ?? 0) - 1)
}

/** Each session has objects of its own. */
function stamp(liar: Liar, kind: Route['kind'], frame: Buffer, sequence: number, attempt: number): void {
  const source = liar.book.sessions
  stampAttempt(frame, 0, attempt)
  stampSource(frame, 0, source)
  if (kind === 'produce') liar.book.delivered.add(identityOf(source, sequence, attempt))
}

const deliver: LiarHabit = (liar, random) => {
  const next = occasion(liar, random)
  if (next === undefined) return
  const { group, kind } = next
  const sequence = liar.nextSequence++
  const frame = maybeExtended(objectFrame(kind, group, sequence, body(random)), random)
  if (liar.sentObjectBytes + frame.length > liar.roomBytes) return
  stamp(liar, kind, frame, sequence, random.integer(1, 5))
  if (random.chance(0.3)) liar.send(encodeContext(0, random.integer(0, 3), false))
  count(liar, group, kind, frame.length)
  liar.send(frame)
}

const deliverLarge: LiarHabit = (liar, random) => {
  const next = occasion(liar, random)
  if (next === undefined) return
  const { group, kind } = next
  const totalBytes = random.pick(LARGE_BYTES)
  if (liar.sentObjectBytes + totalBytes > liar.roomBytes) return
  const [route, groupIndex] = someRoute(random, group, kind)
  const id = liar.nextStream++
  const sequence = liar.nextSequence++
  if (groupIndex !== 0) liar.send(encodeContext(groupIndex, 0, false))
  count(liar, group, kind, totalBytes)
  liar.outgoing.set(id, { sequence, totalBytes, offset: 0, windowBytes: 262_144 })
  const begin = maybeExtended(encodeStreamBegin(encodeRoute(route), sequence, 0, id, totalBytes), random)
  stamp(liar, kind, begin, sequence, 1)
  liar.send(begin)
}

const sendChunks: LiarHabit = (liar, random) => {
  for (const [id, part] of liar.outgoing) {
    while (random.chance(0.9)) {
      const bytes = Math.min(65_536, part.windowBytes - part.offset, part.totalBytes - part.offset)
      if (bytes <= 0) break
      liar.send(chunk(id, part.offset, bytes))
      part.offset += bytes
    }
    if (part.offset === part.totalBytes) liar.outgoing.delete(id)
  }
}

const abortLarge: LiarHabit = (liar) => {
  const [id] = liar.outgoing.keys()
  if (id === undefined) return
  liar.outgoing.delete(id)
  liar.send(encodeStreamOffset(FrameType.STREAM_ABORT, id, 0))
}

/** Answers one object; a large one only when it is whole, or by refusing it. */
const answer: LiarHabit = (liar, random) => {
  for (const sequence of liar.unanswered.keys()) {
    const stream = [...liar.incoming].find(([, part]) => part.sequence === sequence)
    const isWhole = stream === undefined || stream[1].offset === stream[1].totalBytes
    const rejects = random.chance(0.2)
    if (!isWhole && !rejects) continue
    liar.unanswered.delete(sequence)
    if (stream !== undefined) liar.incoming.delete(stream[0])
    liar.send(
      rejects
        ? encodeRejected(sequence, { code: 'QUEUE_FULL', message: 'full' })
        : encodeAccepted(sequence, sequence, [random.integer(0, 5)]),
    )
    if (random.chance(0.3)) return
  }
}

const openWindows: LiarHabit = (liar) => {
  for (const [id, part] of liar.incoming) {
    part.windowBytes = Math.min(part.totalBytes, part.offset + 262_144)
    liar.send(encodeStreamOffset(FrameType.STREAM_WINDOW, id, part.windowBytes))
  }
}

const demand: LiarHabit = (liar, random) => {
  const group = liar.drains.shift()
  if (group === undefined) return
  const added = random.integer(0, 5)
  liar.credit.set(group, (liar.credit.get(group) ?? 0) + added)
  liar.send(encodeDemand(group, added))
}

const block: LiarHabit = (liar, random) => {
  const [blocked] = liar.blocked
  if (blocked !== undefined && random.chance(0.6)) {
    liar.blocked.delete(blocked)
    liar.send(encodeText(FrameType.UNBLOCKED, blocked))
    return
  }
  const groups = [...liar.unanswered.values()].flat().filter((group) => !liar.blocked.has(group))
  if (groups.length === 0) return
  const group = random.pick(groups)
  liar.blocked.add(group)
  liar.send(encodeText(FrameType.BLOCKED, group))
}

const farewell: LiarHabit = (liar) => {
  if (liar.goodbyeHeard) liar.send(encodeText(FrameType.GOODBYE, ''))
}

const cut: LiarHabit = ({ transport }) => transport.destroy()

/** Welcomes the endpoint, and waits for its claims if it had a session with this relay, or one like it. */
export function welcomeRightly(liar: Liar, random: SeededRandom): void {
  const { keepsLeases, sessions } = liar.book
  liar.awaitsClaims = keepsLeases && sessions > 0 && random.chance(0.8)
  const relay = random.chance(0.1) ? 'another liar' : 'liar'
  liar.welcome(keepsLeases ? { relay, keepsLeases, reclaims: liar.awaitsClaims } : { relay })
}

export const liarHabits: readonly (readonly [LiarHabit, number])[] = [
  [confirm, 6],
  [deliver, 8],
  [deliverLarge, 3],
  [sendChunks, 8],
  [abortLarge, 1],
  [answer, 8],
  [openWindows, 5],
  [demand, 4],
  [block, 1],
  [farewell, 2],
  [cut, 1],
]
