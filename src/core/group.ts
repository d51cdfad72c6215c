import type { DeadLetter } from '../deadLetter.ts'
import { BlockedSends } from './blockedSends.ts'
import { isDeadLetterName } from './groupName.ts'
import { GroupQueue } from './groupQueue.ts'
import { Heap } from './heap.ts'
import type { LargeObject } from './largeObject.ts'
import { hadMoreRoom, isServedBefore, keepHeapIndex, type Membership } from './membership.ts'
import type { AcceptedGroup, BrokerLimits, Overflow, Packing } from './ports.ts'
import type { SharedPayload } from './queueEntry.ts'

/** The newest whole broadcast of a group, for members to come. */
export interface RetainedBroadcast {
  readonly shared: SharedPayload
  readonly order: number
  readonly groupIndex: number
}

/** What holds for a group of which nothing else was said. */
export type GroupLimits = Pick<BrokerLimits, 'retryDelayMs' | 'deadBytesMax'>

/** One group: its members, its queue, its last broadcast. */
export class Group {
  readonly name: string
  readonly isDeadLetter: boolean
  maxConsumables: number = Number.POSITIVE_INFINITY
  overflow: Overflow = 'block'
  retryDelayMs = 0
  /** Nothing of its queue is lent: none of its members is among the takers. */
  isPaused = false
  /** What was set in place of what the options say. */
  policy: AcceptedGroup | undefined = undefined
  /** It was looked up and then forgotten, because nothing was left in it: look it up again. */
  forgotten = false
  /** It waits for the broker to see what can move in it. */
  isDirty = false

  readonly members: Set<Membership> = new Set()
  /** The members that asked and may be served. */
  readonly takers: Heap<Membership> = new Heap<Membership>(isServedBefore, keepHeapIndex)
  /** Those among them that had no room for what was the first object. */
  readonly stalled: Heap<Membership> = new Heap<Membership>(hadMoreRoom, keepHeapIndex)

  readonly queue: GroupQueue
  leased = 0
  leasedBytes = 0
  nextOrder = 0
  /** What was there beyond its bounds when they were set: nothing is dropped for that alone. See `countBound` of queueing.ts. */
  countBound = 0
  bytesBound = 0
  /** What waits for room here, and how many sessions hold something back for this group. */
  readonly blocked: BlockedSends = new BlockedSends(this)
  blockedSenders = 0
  /** What came into this queue in that epoch of those who wait for room in the relay, has this order or a higher one. */
  relayEpoch = -1
  relayOrder = 0

  retained: RetainedBroadcast | undefined = undefined
  broadcastOrder = 0
  /** The order of the newest broadcast that was whole, retained or not. */
  wholeOrder = 0
  /** What was broadcast before is not retained. */
  clearedOrder = 0
  /** Of the retained broadcast, while there are no members, else -1; see `unattended.ts`. */
  unattendedBytes = -1
  /** Broadcasts that are not whole yet. */
  readonly begunBroadcasts: Set<LargeObject> = new Set()

  /** Of a dead-letter group: how each object died, by its order. */
  readonly deadLetters: Map<number, DeadLetter> = new Map()
  deadBytesMax = 0
  /** Bytes of its dead letters and of how they died, those on lease included. */
  deadBytes = 0
  /** Its place among the groups with dead letters; -1 if it has none. */
  deadIndex = -1

  readonly counts: GroupCounts = { accepted: 0, delivered: 0, acknowledged: 0, dropped: 0, dead: 0 }

  /** `accepted`: what was said of it, or of the group whose dead letters it has. */
  constructor(name: string, limits: GroupLimits, accepted?: AcceptedGroup, packing?: Packing) {
    this.name = name
    this.isDeadLetter = isDeadLetterName(name)
    this.queue = new GroupQueue(packing)
    this.setBounds(limits, accepted)
  }

  /** These bounds hold for what is new; what is there may stay. */
  setBounds(limits: GroupLimits, accepted: AcceptedGroup = {}): void {
    const { maxConsumables, overflow, retryDelayMs, deadBytesMax } = accepted
    this.maxConsumables = this.isDeadLetter ? Number.POSITIVE_INFINITY : (maxConsumables ?? Number.POSITIVE_INFINITY)
    this.overflow = this.isDeadLetter ? 'drop-oldest' : (overflow ?? 'block')
    this.retryDelayMs = retryDelayMs ?? limits.retryDelayMs
    this.deadBytesMax = deadBytesMax ?? limits.deadBytesMax
    this.keepWhatIsThere()
  }

  keepWhatIsThere(): void {
    this.countBound = this.queue.count
    this.bytesBound = this.isDeadLetter ? this.deadBytes : this.bytes
  }

  /** Bytes waiting or on lease. */
  get bytes(): number {
    return this.queue.bytes + this.leasedBytes
  }

  /** Whether there is nothing in it that would have to be remembered. */
  get isEmpty(): boolean {
    return this.retained === undefined && this.hasNothingElse
  }

  /** Whether all that has to be remembered of it is its retained broadcast. */
  get hasOnlyRetained(): boolean {
    return this.retained !== undefined && this.hasNothingElse
  }

  private get hasNothingElse(): boolean {
    return (
      this.members.size === 0 &&
      !this.isPaused &&
      this.policy === undefined &&
      this.queue.count === 0 &&
      this.leased === 0 &&
      this.blockedSenders === 0 &&
      this.begunBroadcasts.size === 0
    )
  }
}

/** What happened in a group since it is known; copies counted. */
export interface GroupCounts {
  accepted: number
  delivered: number
  acknowledged: number
  dropped: number
  dead: number
}
