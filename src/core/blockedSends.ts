import type { Group } from './group.ts'
import type { LargeObject } from './largeObject.ts'
import type { Payload } from './ports.ts'
import type { ResolvedRoute } from './queueEntry.ts'
import type { Session } from './session.ts'
import { TombstoneQueue } from './tombstoneQueue.ts'

/**
 * A produced object that found no room. It stands in its session's line of each of its groups, so that nothing overtakes it there; once
 * it is the first in all of them, it has a turn among the others that wait.
 */
export interface BlockedSend {
  readonly session: Session
  readonly sequence: number
  readonly route: ResolvedRoute
  readonly payload: Payload
  /** Set if not the object but only its beginning is here. */
  readonly large: LargeObject | undefined
  /** Who has the lower one goes first. 0: it stands behind others of its session. */
  turn: number
  /** Where it was found to lack room. It keeps its place at all of them until it gets in. */
  readonly bounds: Set<BlockedSends>
  /** Where it lacked room when it was last tried. */
  lacking: BlockedSends | undefined
  /** Its sender gave it up. */
  gone: boolean
}

/** The turn of what has not waited. */
export const NEWCOMER: number = Number.POSITIVE_INFINITY

/** What an object needs of the room of a group, or of the relay. */
export interface Need {
  readonly bytes: number
  readonly copies: number
}

/** Others may take this part of a bound however much the first that waits there needs, as long as anything older is kept. */
const OVERTAKING_PART = 16

/**
 * What waits for room in the queue of a group, or in the relay as a whole.
 *
 * Whatever fits goes in, also past those that wait. Only the first one is promised something: what came after it may take what it leaves
 * of the bound, and no more. So it gets in at the latest when all that was there before it is gone, however much comes after it. An
 * object that needs nearly all of a bound would leave nothing: one part in {@link OVERTAKING_PART} is free for others even then, until it is
 * only they whom it waits for.
 */
export class BlockedSends {
  /** The group whose room is lacking; `undefined`: that of the relay. */
  readonly group: Group | undefined
  /** Changes whenever another one becomes the first. */
  epoch = 0
  /** Bytes of what came after the first began to wait, as far as they still take room. */
  bytesAfter = 0
  /** By turn. */
  private readonly sends: BlockedSend[] = []
  /** None of those behind the first needs less. */
  private bytesMin = Number.POSITIVE_INFINITY

  constructor(group: Group | undefined) {
    this.group = group
  }

  get length(): number {
    return this.sends.length
  }

  get first(): BlockedSend | undefined {
    return this.sends[0]
  }

  at(index: number): BlockedSend | undefined {
    return this.sends[index]
  }

  /** A send lacks room here. */
  add(send: BlockedSend): void {
    send.lacking = this
    this.bytesMin = Math.min(this.bytesMin, this.needOf(send).bytes)
    if (send.bounds.has(this)) return
    send.bounds.add(this)
    const index = this.placeOf(send.turn)
    this.sends.splice(index, 0, send)
    if (index === 0) this.firstChanged()
  }

  /** A send got in, or does not wait any more. */
  remove(send: BlockedSend): void {
    const index = this.placeOf(send.turn)
    if (this.sends[index] !== send) return
    this.sends.splice(index, 1)
    if (index === 0) this.firstChanged()
  }

  needOf({ route, payload }: BlockedSend): Need {
    if (this.group === undefined) return { bytes: payload.bytes, copies: 1 }
    const copies = route.copies[route.groups.indexOf(this.group)] ?? 0
    return { bytes: copies * payload.bytes, copies }
  }

  /** How many more bytes what has the turn `turn` may take here: all, or what is not promised to the first. */
  bytesLeft(turn: number, boundBytes: number, usedBytes: number): number {
    const { first } = this
    if (first === undefined || first.turn >= turn) return Number.POSITIVE_INFINITY
    const beside = boundBytes - this.needOf(first).bytes
    const hasOlder = usedBytes > this.bytesAfter
    return (hasOlder ? Math.max(beside, Math.floor(boundBytes / OVERTAKING_PART)) : beside) - this.bytesAfter
  }

  /** Whether any behind the first may need no more than so many bytes; it may be wrong in saying yes. */
  mayAnyNeed(bytes: number): boolean {
    return this.bytesMin <= bytes
  }

  /** All were looked at: this is what the smallest of them needs that lack room here. */
  noteSmallest(bytes: number): void {
    this.bytesMin = bytes
  }

  private firstChanged(): void {
    this.epoch++
    this.bytesAfter = 0
    const { group } = this
    group?.queue.countFrom(this.sends.length > 0 ? group.nextOrder : Number.POSITIVE_INFINITY)
    if (this.sends.length === 0) this.bytesMin = Number.POSITIVE_INFINITY
  }

  private placeOf(turn: number): number {
    let low = 0
    let high = this.sends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.sends[middle]?.turn ?? turn) < turn) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** What a session holds back for one group. */
export function createBlockedQueue(): TombstoneQueue<BlockedSend> {
  return new TombstoneQueue((send) => send.gone)
}
