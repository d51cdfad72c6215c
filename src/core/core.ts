import type { AbsentSession } from './absentSession.ts'
import { type BlockedSend, BlockedSends } from './blockedSends.ts'
import { forgetDeadLetter, hasMoreDead, keepDeadIndex } from './deadLetters.ts'
import type { Group } from './group.ts'
import { GroupRegistry } from './groupRegistry.ts'
import { Heap } from './heap.ts'
import type { BrokerJournal } from './journal.ts'
import type { BrokerLimits, BrokerOptions, BrokerOutput, Packing } from './ports.ts'
import type { QueueEntry, SharedPayload } from './queueEntry.ts'
import { type DelayedEntry, isDueBefore, keepDueIndex } from './retries.ts'
import type { Session } from './session.ts'
import { UnattendedBroadcasts } from './unattended.ts'

/** What happened in the whole relay; copies counted. */
export interface BrokerCounts {
  accepted: number
  rejected: number
  delivered: number
  acknowledged: number
  released: number
  dropped: number
  dead: number
  expired: number
}

/** What all parts of the broker share: the groups, the sessions, the count of kept bytes. Each part is a file of functions over it. */
export class Core {
  readonly limits: BrokerLimits
  readonly output: BrokerOutput
  readonly journal: BrokerJournal
  readonly registry: GroupRegistry
  readonly packing: Packing | undefined
  readonly sessions: Map<string, Session> = new Map()
  /** Sessions of an earlier run that have not come back, in the order in which their grace time ends. */
  readonly absent: Map<string, AbsentSession> = new Map()
  /** Bytes of all that was accepted or admitted and is still referred to, each payload once; but for what only dead letters refer to. */
  keptBytes = 0
  /** What was restored beyond `relayBytesMax` and is not gone: so much room do new objects find only by taking that of old ones. */
  keptBytesBound = 0
  /** Bytes of all dead letters, those on lease included; what several refer to, several times. */
  deadBytes = 0
  /** What of that was restored beyond `relayBytesMax` and is not gone. */
  deadBytesBound = 0
  /** The groups with dead letters. */
  readonly deadGroups: Heap<Group> = new Heap<Group>(hasMoreDead, keepDeadIndex)
  /** What waits for its next attempt. */
  readonly retries: Heap<DelayedEntry> = new Heap<DelayedEntry>(isDueBefore, keepDueIndex)
  /** Of objects that were tried in vain and are not gone: the id of the session that tried last. */
  readonly failedAt: WeakMap<QueueEntry, string> = new WeakMap()
  /** What waits until fewer bytes are kept. */
  readonly blocked: BlockedSends = new BlockedSends(undefined)
  /** Who was behind another of its session and has its turn now: whether they get in is to be seen. */
  readonly nextSends: BlockedSend[] = []
  /** The turns that were given to blocked sends. */
  turns = 0
  /** Retained broadcasts that go when room is needed. */
  readonly unattended: UnattendedBroadcasts = new UnattendedBroadcasts()
  /** Groups in which something may be able to move. */
  readonly dirtyGroups: Group[] = []
  /** Sessions whose backlog lost what was aborted, so that they may have room for the park. */
  readonly sessionsToDrain: Set<Session> = new Set()
  /** Counts what is ordered by time, so that no clock is needed. */
  ticks = 0
  /** The latest time that the shell told. */
  nowMs = 0
  /** In the order in which their grace time ends. */
  readonly detached: Set<Session> = new Set()
  /** Those with leases, in the order in which their next check is due; empty without `progressMs`. */
  readonly watched: Set<Session> = new Set()
  stopped = false
  readonly counts: BrokerCounts = {
    accepted: 0,
    rejected: 0,
    delivered: 0,
    acknowledged: 0,
    released: 0,
    dropped: 0,
    dead: 0,
    expired: 0,
  }

  constructor(options: BrokerOptions, output: BrokerOutput, journal: BrokerJournal) {
    this.limits = options.limits
    this.output = output
    this.journal = journal
    this.packing = options.packing
    this.registry = new GroupRegistry(options, this.unattended)
  }

  /** Something in `group` changed: the broker looks at it before its call returns. */
  markDirty(group: Group): void {
    if (group.isDirty) return
    group.isDirty = true
    this.dirtyGroups.push(group)
  }

  /** A payload of so many bytes is kept from now on. */
  keep(bytes: number): void {
    this.keptBytes += bytes
    if (this.blocked.length > 0) this.blocked.bytesAfter += bytes
  }

  /** So many copies of an object of `group` are not needed any more. */
  unrefEntry(entry: QueueEntry, group: Group, copies = 1): void {
    const { payload, shared, order } = entry
    const { isDeadLetter } = group
    if (isDeadLetter) forgetDeadLetter(this, group, entry)
    if (group.blocked.length > 0) leaveGroup(group, order, copies * payload.bytes)
    if (shared === undefined) {
      if (!isDeadLetter) this.freeBytes(payload.bytes, this.isAfterFirst(group, order))
      this.output.released(payload)
    } else if (isDeadLetter) {
      shared.deadReferences -= copies
      shared.references -= copies
      // Its bytes were taken off when the last of the others went.
      if (shared.references === 0) this.output.released(payload)
    } else {
      this.unref(shared, copies)
    }
  }

  /** `count` places refer to the shared no more, none of which is a dead letter. */
  unref(shared: SharedPayload, count = 1): void {
    shared.references -= count
    if (shared.references > shared.deadReferences) return
    this.freeBytes(shared.payload.bytes, this.isSharedAfterFirst(shared))
    if (shared.references === 0) this.output.released(shared.payload)
  }

  /** A copy in the queue of `group` is about to become a dead letter, whose bytes take no room from anybody. */
  died(group: Group, { payload, shared, order }: QueueEntry): void {
    if (group.blocked.length > 0) leaveGroup(group, order, payload.bytes)
    if (shared === undefined) this.freeBytes(payload.bytes, this.isAfterFirst(group, order))
    else if (++shared.deadReferences === shared.references)
      this.freeBytes(payload.bytes, this.isSharedAfterFirst(shared))
  }

  /** Whether the object at that order of a group, which is there only, came after the first that waits for room in the relay. */
  isAfterFirst({ relayEpoch, relayOrder }: Group, order: number): boolean {
    return this.blocked.length > 0 && relayEpoch === this.blocked.epoch && order >= relayOrder
  }

  /** The same of an object that several places refer to. */
  isSharedAfterFirst({ epoch }: SharedPayload): boolean {
    return this.blocked.length > 0 && epoch === this.blocked.epoch
  }

  private freeBytes(bytes: number, isAfterFirst: boolean): void {
    this.keptBytes -= bytes
    if (isAfterFirst) this.blocked.bytesAfter -= bytes
  }
}

function leaveGroup({ blocked, queue }: Group, order: number, bytes: number): void {
  if (order >= queue.from) blocked.bytesAfter -= bytes
}
