// Groups, the sessions that are their members, and what these send and wait for. They refer to each other, so they are in one file: the
// rest of the core is acyclic, types included. Each changes its own counters; what else has to happen is decided in the files above.

import { Counts } from '../counts.ts'
import { isDeadLetterName } from '../groupName.ts'
import { Heap } from '../heap.ts'
import { LeaseTable } from '../leaseTable.ts'
import type {
  AcceptedGroup,
  BrokerLimits,
  BrokerSession,
  DeadLetter,
  JoinOptions,
  Overflow,
  Packing,
  Payload,
  Route,
  RouteKind,
  SessionState,
} from '../ports.ts'
import { TombstoneQueue } from '../tombstoneQueue.ts'
import { GroupQueue } from './groupQueue.ts'
import type { QueueEntry, SharedPayload } from './queueEntry.ts'

// ── what is sent ────────────────────────────────────────────────────────────────────────────────

/** The groups and copies a destination stands for, and what follows from the bounds of these groups. */
export interface ResolvedRoute extends RouteBounds {
  readonly groups: readonly Group[]
  /** Copies for each group. */
  readonly copies: readonly number[]
  readonly copiesTotal: number
  /** An object beyond this can never be accepted. */
  readonly bytesMax: number
  /** The answer of `accepted`, used again each time. */
  readonly memberCounts: number[]
}

/** What follows for a route from the policies of its groups, until one of them is replaced. */
export interface RouteBounds {
  /** How many of the groups accept an object only when a member takes it at once. */
  directGroups: number
  /** Whether any of them drops its oldest when it is full. */
  drops: boolean
  /** The group that can never take so many copies. */
  tooManyFor: Group | undefined
}

/** A broadcast in one of its groups. */
export interface GroupBroadcast {
  readonly shared: SharedPayload
  readonly order: number
  readonly groupIndex: number
}

/**
 * A produced object that found no room. Its session keeps it in a queue for each of its groups, so that nothing overtakes it there; once
 * it is the first in all of them, it has a turn among the others that wait for room.
 */
export interface BlockedSend {
  readonly session: Session
  readonly sequence: number
  readonly route: ResolvedRoute
  readonly payload: Payload
  /** Set if not the object but only its beginning is here. */
  readonly large: LargeObject | undefined
  /** Who has the lower one goes first. 0: it is behind others of its session. */
  turn: number
  /** Where it was found to lack room. It keeps its turn at all of them until it gets in. */
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
 * The sends that wait for room in the queue of a group, or in the relay as a whole.
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
    const index = this.indexOf(send.turn)
    this.sends.splice(index, 0, send)
    if (index === 0) this.firstChanged()
  }

  /** A send got in, or does not wait any more. */
  remove(send: BlockedSend): void {
    const index = this.indexOf(send.turn)
    if (this.sends[index] !== send) return
    this.sends.splice(index, 1)
    if (index === 0) this.firstChanged()
  }

  /** Something took `bytes` bytes of room: if anything waits, it came after that. */
  tookRoom(bytes: number): void {
    if (this.sends.length > 0) this.bytesAfter += bytes
  }

  /** Something that came after the first gave up `bytes` bytes of room. */
  leftRoom(bytes: number): void {
    this.bytesAfter -= bytes
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

  /** Whether any behind the first may need no more than `bytes` bytes. True may be wrong; false never is. */
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

  private indexOf(turn: number): number {
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

/** An object that was begun and has not arrived as a whole: all places that must forget it if it never will. */
export class LargeObject {
  readonly sequence: number
  readonly kind: RouteKind
  readonly route: ResolvedRoute
  readonly shared: SharedPayload
  /** Set while it waits for room and is not admitted. */
  blocked: BlockedSend | undefined = undefined
  /** Produced: where it waits. */
  readonly waiting: Map<QueueEntry, Group> = new Map()
  /** Produced: who has it on lease, and as what number. */
  readonly leases: Map<QueueEntry, LargeLease> = new Map()
  /** Broadcast: its order in each group of the route. */
  readonly orders: number[] = []
  /** Broadcast: who is getting it, once for each delivery. */
  readonly recipients: Session[] = []
  /** Broadcast: the backlogs that it waits in. */
  readonly backlogged: Set<BacklogEntry> = new Set()
  /** Broadcast: members that joined meanwhile, and whom it is not for. */
  readonly strangers: Set<Membership> = new Set()
  /** Broadcast: the members that it was dropped for, with its order in their group. */
  missed: { readonly member: Membership; readonly order: number }[] = []

  constructor(sequence: number, kind: RouteKind, route: ResolvedRoute, shared: SharedPayload) {
    this.sequence = sequence
    this.kind = kind
    this.route = route
    this.shared = shared
  }

  /** An entry waits in the queue of `group`, for the first time or again. */
  waits(entry: QueueEntry, group: Group): void {
    this.leases.delete(entry)
    this.waiting.set(entry, group)
  }

  lent(entry: QueueEntry, lease: LargeLease): void {
    this.waiting.delete(entry)
    this.leases.set(entry, lease)
  }

  dropped(entry: QueueEntry): void {
    this.waiting.delete(entry)
  }

  /** A broadcast begins in the next group of its route. */
  beginIn(group: Group): GroupBroadcast {
    this.orders.push(group.takeBroadcastOrder())
    group.begunBroadcasts.add(this)
    return this.broadcastIn(group)
  }

  broadcastIn(group: Group): GroupBroadcast {
    const groupIndex = this.route.groups.indexOf(group)
    return { shared: this.shared, order: this.orders[groupIndex] ?? 0, groupIndex }
  }

  /** A broadcast was dropped for a member. */
  missedBy(member: Membership, order: number): void {
    this.missed.push({ member, order })
  }

  /** A member that missed it is to get another broadcast, which had been replaced by one that is aborted. */
  recoveredBy(member: Membership): void {
    this.missed = this.missed.filter((missed) => missed.member !== member)
  }
}

// ── who takes it ────────────────────────────────────────────────────────────────────────────────

/** A lease of a copy of a large object. */
export interface LargeLease {
  readonly holder: Membership
  readonly number: number
}

/** A broadcast that waits until its member has room. */
export interface BacklogEntry {
  readonly member: Membership
  shared: SharedPayload
  order: number
  groupIndex: number
  gone: boolean
}

/** The broadcasts that wait for one session, of all its groups, the oldest first. */
export class Backlog {
  bytes = 0
  private readonly entries: TombstoneQueue<BacklogEntry> = new TombstoneQueue((entry) => entry.gone)

  get count(): number {
    return this.entries.length
  }

  first(): BacklogEntry | undefined {
    return this.entries.first()
  }

  push(entry: BacklogEntry): void {
    this.entries.push(entry)
    this.bytes += entry.shared.payload.bytes
  }

  remove(entry: BacklogEntry): void {
    entry.gone = true
    this.bytes -= entry.shared.payload.bytes
    this.entries.left()
  }

  /** Another broadcast replaces one, in its position. */
  replace(entry: BacklogEntry, { shared, order, groupIndex }: GroupBroadcast): void {
    this.bytes += shared.payload.bytes - entry.shared.payload.bytes
    entry.shared = shared
    entry.order = order
    entry.groupIndex = groupIndex
  }

  /** The oldest but `entry`. */
  oldestExcept(entry: BacklogEntry): BacklogEntry | undefined {
    const first = this.entries.first()
    if (first !== entry) return first
    for (const other of this.entries) if (other !== entry) return other
    return undefined
  }

  [Symbol.iterator](): Generator<BacklogEntry, void, undefined> {
    return this.entries[Symbol.iterator]()
  }
}

/** A session as a member of one group. */
export class Membership {
  readonly session: Session
  readonly group: Group
  /** How many more produced objects it asked for. */
  credit = 0
  /** How many objects of this group it has on lease. */
  leases = 0
  /** When it began to wait: a count, not a time. */
  since = 0
  /** Its index among the takers of the group, or among the stalled if {@link Membership.stalled}; -1 if in neither. */
  heapIndex = -1
  /** It asked, and its endpoint had no window for what was the first object of the queue. */
  stalled = false
  /** The window that its endpoint had then. It cannot have more before its window moves. */
  stalledWindow = 0
  /** Broadcasts that it did not get since the last one that it got. */
  skipped = 0
  /** The order of the newest broadcast that it got. */
  seenOrder = 0
  /** With `broadcasts: 'latest'`: the one that waits for it. */
  newest: BacklogEntry | undefined = undefined

  constructor(session: Session, group: Group) {
    this.session = session
    this.group = group
  }

  addCredit(count: number, tick: number): void {
    if (this.credit === 0) this.since = tick
    this.credit = Math.min(this.credit + count, Number.MAX_SAFE_INTEGER)
  }

  /** It may be served from now on, if it has asked, its session takes work and its group is not paused. Returns whether that is new. */
  offer(): boolean {
    const { group, session } = this
    if (this.credit === 0 || this.heapIndex >= 0 || group.isPaused || !session.takesWork) return false
    group.takers.push(this)
    return true
  }

  /** Nothing may be given to it for now. */
  withdraw(): void {
    if (this.heapIndex < 0) return
    if (this.stalled) {
      this.group.stalled.removeAt(this.heapIndex)
      this.stalled = false
      this.session.stalledChanged(-1)
    } else {
      this.group.takers.removeAt(this.heapIndex)
    }
  }

  /** Its window is too small for the first object of the queue. */
  stall(): void {
    this.withdraw()
    this.stalled = true
    this.stalledWindow = this.session.workWindow
    this.session.stalledChanged(1)
    this.group.stalled.push(this)
  }

  /** It may have window enough again. */
  unstall(): void {
    this.withdraw()
    this.group.takers.push(this)
  }

  /** It is given an object, or a run. */
  lend(payload: Payload, tick: number): void {
    const { objects } = payload
    this.leases += objects
    this.credit -= objects
    this.since = tick
    if (this.credit === 0) this.withdraw()
    else this.group.takers.update(this.heapIndex)
    this.group.lend(payload)
  }

  /** It had this on lease before a restart. */
  restoreLease(payload: Payload): void {
    this.leases += payload.objects
    this.group.lend(payload)
  }

  /** A lease is over, or those of a run. */
  endLease(payload: Payload): void {
    this.leases -= payload.objects
    this.reposition()
    this.group.endLease(payload)
  }

  /** It has an object on lease now that `holder` had, of the same group. */
  takeOver({ objects }: Payload, holder: Membership): void {
    holder.leases -= objects
    this.leases += objects
    this.reposition()
  }

  /** Its session is over. */
  end(): void {
    this.withdraw()
    this.group.members.delete(this)
  }

  /** Its session is over and what it had was taken back: it asks for nothing any more. */
  forgetCredit(): void {
    this.credit = 0
  }

  /** It gets a broadcast, and with it is told how many it did not get since the last one. */
  receive(order: number): number {
    const { skipped } = this
    this.skipped = 0
    this.seenOrder = order
    return skipped
  }

  miss(): void {
    this.skipped++
  }

  /** A broadcast of this order that it missed never was; or is for it after all. */
  unmiss(order: number): void {
    if (this.seenOrder < order) this.skipped--
  }

  /** Who has fewer leases is served first. */
  private reposition(): void {
    if (this.heapIndex >= 0 && !this.stalled) this.group.takers.update(this.heapIndex)
  }
}

/** Fairness: the fewest outstanding first, then the longest waiting. */
export function isServedBefore(one: Membership, other: Membership): boolean {
  return one.leases === other.leases ? one.since < other.since : one.leases < other.leases
}

/** Who had the most window is the first to have enough. */
function hadMoreWindow(one: Membership, other: Membership): boolean {
  return one.stalledWindow > other.stalledWindow
}

function setHeapIndex(member: Membership, index: number): void {
  member.heapIndex = index
}

// ── groups ──────────────────────────────────────────────────────────────────────────────────────

/** What holds for a group of which nothing else was said. */
export type GroupLimits = Pick<BrokerLimits, 'retryDelayMs' | 'deadBytesMax'>

/** What a group is made of besides its name. */
export interface GroupParts {
  readonly limits: GroupLimits
  /** What was said of it, or of the group whose dead letters it has. */
  readonly accepted?: AcceptedGroup | undefined
  readonly packing?: Packing | undefined
  /** Those of the relay. */
  readonly counts?: Counts
}

/** One group: its members, its queue, its retained broadcast. */
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
  readonly takers: Heap<Membership> = new Heap<Membership>(isServedBefore, setHeapIndex)
  /** Those among them that had no window for what was the first object. */
  readonly stalled: Heap<Membership> = new Heap<Membership>(hadMoreWindow, setHeapIndex)

  readonly queue: GroupQueue
  leased = 0
  leasedBytes = 0
  nextOrder = 0
  /** What was there beyond its bounds when they were set: nothing is dropped for that alone. See {@link Group.countMax}. */
  countBound = 0
  bytesBound = 0
  /** What waits for room here, and how many sessions have something that does, or is behind such. */
  readonly blocked: BlockedSends = new BlockedSends(this)
  blockedSenders = 0
  /** What was queued here in that epoch of the relay's blocked sends has this order or a higher one. */
  relayEpoch = -1
  relayOrder = 0

  /** Kept for members who join later. */
  retained: GroupBroadcast | undefined = undefined
  broadcastOrder = 0
  /** The order of the newest broadcast that was whole, retained or not. */
  wholeOrder = 0
  /** What was broadcast before is not retained. */
  clearedOrder = 0
  /** Broadcasts that are not whole yet. */
  readonly begunBroadcasts: Set<LargeObject> = new Set()

  /** Of a dead-letter group: how each object died, by its order. */
  readonly deadLetters: Map<number, DeadLetter> = new Map()
  deadBytesMax = 0
  /** Bytes of its dead letters and of how they died, those on lease included. */
  deadBytes = 0
  /** Its index among the groups with dead letters; -1 if it has none. */
  deadIndex = -1

  readonly counts: Counts

  constructor(name: string, { limits, accepted, packing, counts }: GroupParts) {
    this.name = name
    this.isDeadLetter = isDeadLetterName(name)
    this.queue = new GroupQueue(packing)
    this.counts = new Counts(counts)
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

  /**
   * How many may wait in a queue that drops its oldest. One that had more when its bounds were set is not cut: it grows no further, and
   * is bounded like any other once it is short enough.
   */
  countMax(): number {
    this.countBound = Math.min(this.countBound, this.queue.count)
    return Math.max(this.maxConsumables, this.countBound)
  }

  /** The same for its bytes, of which `bytesMax` may be there. */
  bytesMax(bytesMax: number): number {
    this.bytesBound = Math.min(this.bytesBound, this.bytes)
    return Math.max(bytesMax, this.bytesBound)
  }

  /** The same for the bytes of its dead letters. */
  deadMax(): number {
    this.bytesBound = Math.min(this.bytesBound, this.deadBytes)
    return Math.max(this.deadBytesMax, this.bytesBound)
  }

  /** The order of what is queued next; of a run, that of the first object. */
  takeOrder(objects: number): number {
    const order = this.nextOrder
    this.nextOrder += objects
    return order
  }

  /** What is queued from now on comes after `order`. */
  passOrder(order: number): void {
    this.nextOrder = Math.max(this.nextOrder, order + 1)
  }

  /** Something is queued at `order` in this epoch of those that wait for room in the relay. */
  queuedInEpoch(epoch: number, order: number): void {
    if (this.relayEpoch === epoch) return
    this.relayEpoch = epoch
    this.relayOrder = order
  }

  /** What has this order gave up `bytes` bytes of room. */
  leftRoom(order: number, bytes: number): void {
    if (this.blocked.length > 0 && order >= this.queue.from) this.blocked.leftRoom(bytes)
  }

  lend({ objects, bytes }: Payload): void {
    this.leased += objects
    this.leasedBytes += bytes
  }

  endLease({ objects, bytes }: Payload): void {
    this.leased -= objects
    this.leasedBytes -= bytes
  }

  blockedSendersChanged(by: number): void {
    this.blockedSenders += by
  }

  takeBroadcastOrder(): number {
    return ++this.broadcastOrder
  }

  /** A broadcast of this order is whole. */
  broadcastWhole(order: number): void {
    this.wholeOrder = Math.max(this.wholeOrder, order)
  }

  /** Whether a broadcast of this order is to be retained once it is whole: no newer one is, and nothing cleared it. */
  mayRetain(order: number): boolean {
    return order > this.clearedOrder && order > (this.retained?.order ?? 0)
  }

  /** `retained` is its retained broadcast from now on; returns what was. */
  retain(retained: GroupBroadcast): GroupBroadcast | undefined {
    const before = this.retained
    this.retained = retained
    return before
  }

  /** It has no retained broadcast any more; returns what was. One that was begun before that does not replace it. */
  clearRetained(): GroupBroadcast | undefined {
    const { retained } = this
    this.retained = undefined
    this.clearedOrder = Math.max(this.clearedOrder, retained?.order ?? 0)
    return retained
  }

  /** What is on its way is not to be retained either. */
  clearBegun(): void {
    this.clearedOrder = this.takeBroadcastOrder()
  }

  restoreRetained(retained: GroupBroadcast): void {
    this.retained = retained
    this.broadcastOrder = retained.order
    this.wholeOrder = retained.order
  }

  /** Notes how the dead letter at `order` died. */
  addDeadLetter(order: number, record: DeadLetter | undefined, bytes: number): void {
    if (record !== undefined) this.deadLetters.set(order, record)
    this.deadBytes += bytes
  }

  removeDeadLetter(order: number, bytes: number): void {
    this.deadLetters.delete(order)
    this.deadBytes -= bytes
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

// ── sessions ────────────────────────────────────────────────────────────────────────────────────

/** One endpoint as the broker knows it. */
export class Session implements BrokerSession {
  readonly id: string
  readonly name: string
  readonly broadcasts: 'every' | 'latest'
  readonly inboxBytes: number
  state: SessionState = 'attached'
  blockedBytes = 0

  readonly memberships: Map<string, Membership> = new Map()
  sentBytes = 0
  /** Where its window ends: how many bytes its endpoint is ready to take in all. */
  windowEnd: number
  /** Of the bytes that were delivered to it, so many have come there. */
  arrivedBytes = 0
  /** With so many still on their way, a broadcast waits here, where a newer one can replace it. */
  readonly unarrivedBytesMax: number
  /** How many of its memberships are stalled. */
  stalledCount = 0
  readonly backlog: Backlog = new Backlog()

  readonly leases: LeaseTable<QueueEntry, Membership> = new LeaseTable()
  /** What it had on lease before a restart and has claimed, by the numbers that it chose. Its program has seen all of it. */
  readonly reclaimed: Map<number, Lease> = new Map()
  /** What it had on lease then and may still claim. */
  earlier: AbsentSession | undefined = undefined
  /** LargeLease numbers below this were all taken from it: what it still says about them is of no consequence. */
  revokedBefore = 0
  /** LargeLease numbers of large objects that were aborted on their way, the newest: it may not know yet. */
  readonly abortedLeases: Set<number> = new Set()

  /** What it sent and found no room, by group. */
  readonly blockedSends: Map<Group, TombstoneQueue<BlockedSend>> = new Map()
  /** What it began and did not complete, by sequence. */
  readonly begun: Map<number, LargeObject> = new Map()
  /** The last route it sent along, for which no look-up is needed. */
  recentRoute: Route | undefined = undefined
  recentResolved: ResolvedRoute | undefined = undefined

  /** When its grace time is over. */
  graceEndsMs = 0
  /** It acknowledged, released or asked since the last check. */
  progressed = false
  /** When the next check is due, while it is watched. */
  progressDueMs = 0
  watched = false
  /** It lost its leases because it made no progress, and gets no new ones before it does. */
  hung = false

  constructor(id: string, { name = '', broadcasts, inboxBytes, unarrivedBytesMax }: JoinOptions) {
    this.id = id
    this.name = name
    this.broadcasts = broadcasts
    this.inboxBytes = inboxBytes
    this.windowEnd = inboxBytes
    this.unarrivedBytesMax = unarrivedBytesMax ?? Number.POSITIVE_INFINITY
  }

  get attached(): boolean {
    return this.state === 'attached'
  }

  get isClaiming(): boolean {
    return this.earlier !== undefined
  }

  /** How many leases it has, those of before a restart included. */
  get leaseCount(): number {
    return this.leases.size + this.reclaimed.size + (this.earlier?.size ?? 0)
  }

  /** Whether produced objects may be given to it, as far as its program is concerned. */
  get takesWork(): boolean {
    return this.state === 'attached' && !this.hung
  }

  /** Whether an object of `bytes` bytes fits into its window. One of any size does if the inbox is empty. */
  hasWindowFor(bytes: number): boolean {
    const left = this.windowEnd - this.sentBytes
    return bytes <= left || left >= this.inboxBytes
  }

  /** Whether a broadcast of `bytes` bytes may be sent to it now, without waiting for what is on its way. */
  takesBroadcast(bytes: number): boolean {
    return this.sentBytes - this.arrivedBytes < this.unarrivedBytesMax && this.hasWindowFor(bytes)
  }

  /** What is left of its window for produced objects: nothing while broadcasts wait, or those might wait forever behind small work. */
  get workWindow(): number {
    return this.backlog.count > 0 ? Number.NEGATIVE_INFINITY : this.windowEnd - this.sentBytes
  }

  setWindow(end: number): void {
    this.windowEnd = end
  }

  setArrived(bytes: number): void {
    this.arrivedBytes = bytes
  }

  /** So many bytes are delivered to it. */
  sent(bytes: number): void {
    this.sentBytes += bytes
  }

  stalledChanged(by: number): void {
    this.stalledCount += by
  }

  /** It did something that only a living program does. Returns whether it was taken for hung. */
  noteProgress(): boolean {
    this.progressed = true
    const wasHung = this.hung
    this.hung = false
    return wasHung
  }

  /** Its progress is looked at from now on. */
  watchUntil(dueMs: number): void {
    this.watched = true
    this.progressDueMs = dueMs
  }

  /** Its next check is due then, whatever it did until now. */
  checkedUntil(dueMs: number): void {
    this.progressed = false
    this.progressDueMs = dueMs
  }

  /** Keeps what it sent behind what waits for the same groups. Returns the groups for which it is the first. */
  block(send: BlockedSend): Group[] {
    const first: Group[] = []
    for (const group of send.route.groups) {
      let sends = this.blockedSends.get(group)
      if (sends === undefined) {
        sends = new TombstoneQueue<BlockedSend>((other) => other.gone)
        this.blockedSends.set(group, sends)
        group.blockedSendersChanged(1)
        first.push(group)
      }
      sends.push(send)
    }
    if (send.large === undefined) this.blockedBytes += send.payload.bytes
    else send.large.blocked = send
    return first
  }

  /** What is the first in all its queues goes in, or is rejected. */
  unblock(send: BlockedSend): void {
    for (const group of send.route.groups) this.blockedSends.get(group)?.shift()
    if (send.large === undefined) this.blockedBytes -= send.payload.bytes
  }

  /** What it sent and waits for room is given up. */
  abandon(send: BlockedSend): void {
    send.gone = true
    for (const group of send.route.groups) this.blockedSends.get(group)?.left()
    if (send.large === undefined) this.blockedBytes -= send.payload.bytes
  }

  /** Nothing of it waits for `group` any more. */
  endBlocking(group: Group): void {
    this.blockedSends.delete(group)
    group.blockedSendersChanged(-1)
  }

  /** Whether a send is the first in all its queues. */
  isFirstEverywhere(send: BlockedSend): boolean {
    return send.route.groups.every((group) => this.blockedSends.get(group)?.first() === send)
  }
}

/** What somebody has on lease. */
export interface Lease {
  readonly entry: QueueEntry
  readonly holder: Membership
  /** Whether its program had seen it. */
  readonly isSeen: boolean
}

/** Leases of one object that whoever claims them cannot tell apart. */
interface EqualLeases {
  readonly holder: Membership
  readonly attempt: number
  readonly entries: QueueEntry[]
  readonly seenEntries: QueueEntry[]
}

/**
 * What a session had on lease before a restart. It is no member and gets nothing; it only keeps what it has, until it comes back and
 * claims it, or its grace time is over.
 */
export class AbsentSession {
  /** How many leases it has. */
  size = 0
  /** While it has not come back. */
  graceEndsMs: number = Number.POSITIVE_INFINITY
  /** Stands for it as a holder; nobody else knows it. */
  private readonly session: Session
  private readonly leases = new Map<Payload, EqualLeases[]>()

  constructor(id: string) {
    this.session = new Session(id, { broadcasts: 'every', inboxBytes: 1 })
    this.session.state = 'detached'
  }

  get id(): string {
    return this.session.id
  }

  /** `entry` of `group` is on lease to it. */
  add(entry: QueueEntry, group: Group, isSeen: boolean): void {
    const holder = this.membershipOf(group)
    const { payload, attempt } = entry
    holder.restoreLease(payload)
    this.size++
    const known = this.leases.get(payload)
    const equal = known?.find((leases) => leases.holder === holder && leases.attempt === attempt)
    if (equal !== undefined) (isSeen ? equal.seenEntries : equal.entries).push(entry)
    else {
      const added = { holder, attempt, entries: isSeen ? [] : [entry], seenEntries: isSeen ? [entry] : [] }
      if (known === undefined) this.leases.set(payload, [added])
      else known.push(added)
    }
  }

  /** Takes one lease out, of equal ones one that was seen; its holder is as before. */
  take(payload: Payload, group: string, attempt: number): Lease | undefined {
    const known = this.leases.get(payload) ?? []
    const index = known.findIndex((leases) => leases.attempt === attempt && leases.holder.group.name === group)
    const equal = known[index]
    if (equal === undefined) return undefined
    const { holder, entries, seenEntries } = equal
    const isSeen = seenEntries.length > 0
    const entry = seenEntries.pop() ?? entries.pop()
    if (entry === undefined) return undefined
    this.size--
    if (entries.length + seenEntries.length === 0) known.splice(index, 1)
    if (known.length === 0) this.leases.delete(payload)
    return { entry, holder, isSeen }
  }

  *[Symbol.iterator](): Generator<Lease, void, undefined> {
    for (const known of this.leases.values()) {
      for (const { holder, entries, seenEntries } of known) {
        for (const entry of entries) yield { entry, holder, isSeen: false }
        for (const entry of seenEntries) yield { entry, holder, isSeen: true }
      }
    }
  }

  private membershipOf(group: Group): Membership {
    const { memberships } = this.session
    let membership = memberships.get(group.name)
    if (membership === undefined) {
      membership = new Membership(this.session, group)
      memberships.set(group.name, membership)
    }
    return membership
  }
}
