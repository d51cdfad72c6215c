import { Counts } from './counts.ts'
import type { DelayedEntry } from './entities/groupQueue.ts'
import {
  type AbsentSession,
  type BlockedSend,
  BlockedSends,
  type Group,
  type LargeObject,
  type Session,
} from './entities/model.ts'
import type { QueueEntry, SharedPayload } from './entities/queueEntry.ts'
import { GroupRegistry } from './groupRegistry.ts'
import { Heap } from './heap.ts'
import type { BrokerJournal } from './journal.ts'
import type { BrokerLimits, BrokerOptions, BrokerOutput, DeadLetter, Packing } from './ports.ts'
import { UnattendedBroadcasts } from './unattended.ts'

/** An entry that waits for its next attempt. */
export interface Retry extends DelayedEntry {
  readonly group: Group
}

/** What a record of a dead letter takes besides its texts. */
const recordBytes = 100

/** What all parts of the broker share: the groups, the sessions, the count of kept bytes. Each part is a file of functions over it. */
export class Core {
  readonly limits: BrokerLimits
  readonly output: BrokerOutput
  readonly journal: BrokerJournal
  readonly registry: GroupRegistry
  readonly packing: Packing | undefined
  readonly sessions: Map<string, Session> = new Map()
  /** Sessions of before a restart that have not come back, in the order in which their grace time ends. */
  readonly absent: Map<string, AbsentSession> = new Map()
  /** The large objects that were begun and are not whole. */
  readonly largeObjects: WeakMap<SharedPayload, LargeObject> = new WeakMap()
  /** Bytes of all that was accepted or admitted and is still referred to, each payload once; but for what only dead letters refer to. */
  keptBytes = 0
  /** What was restored beyond `relayBytesMax` and is not gone: so much room do new objects find only by taking that of old ones. */
  keptBytesBound = 0
  /** Bytes of all dead letters, those on lease included; what several refer to, several times. */
  deadBytes = 0
  /** What of that was restored beyond `relayBytesMax` and is not gone. */
  deadBytesBound = 0
  /** The groups with dead letters. */
  readonly deadGroups: Heap<Group> = new Heap<Group>(hasMoreDead, setDeadIndex)
  /** What waits for its next attempt. */
  readonly retries: Heap<Retry> = new Heap<Retry>(isDueBefore, setDueIndex)
  /** Of objects that were tried in vain and are not gone: the id of the session that tried last. */
  readonly failedAt: WeakMap<QueueEntry, string> = new WeakMap()
  /** What waits until fewer bytes are kept. */
  readonly blocked: BlockedSends = new BlockedSends(undefined)
  /** Who was behind another of its session and has its turn now: whether they get in is to be seen. */
  readonly nextSends: BlockedSend[] = []
  /** Retained broadcasts that go when room is needed. */
  readonly unattended: UnattendedBroadcasts = new UnattendedBroadcasts()
  /** Groups in which something may be able to move. */
  readonly dirtyGroups: Group[] = []
  /** Sessions whose backlog lost what was aborted, so that they may have window for the rest. */
  readonly sessionsToDrain: Set<Session> = new Set()
  /** The latest time that the shell told. */
  nowMs = 0
  /** In the order in which their grace time ends. */
  readonly detached: Set<Session> = new Set()
  /** Those with leases, in the order in which their next check is due; empty without `progressMs`. */
  readonly watched: Set<Session> = new Set()
  stopped = false
  readonly counts: Counts = new Counts()
  /** The turns that were given to blocked sends. */
  private turns = 0
  /** Counts what is ordered by time, so that no clock is needed. */
  private ticks = 0

  constructor(options: BrokerOptions, output: BrokerOutput, journal: BrokerJournal) {
    this.limits = options.limits
    this.output = output
    this.journal = journal
    this.packing = options.packing
    this.registry = new GroupRegistry(options, this.unattended, this.counts)
  }

  tick(): number {
    return ++this.ticks
  }

  takeTurn(): number {
    return ++this.turns
  }

  /** Something in `group` changed: the broker looks at it before its call returns. */
  markDirty(group: Group): void {
    if (group.isDirty) return
    group.isDirty = true
    this.dirtyGroups.push(group)
  }

  /** The large object that an entry or a broadcast is part of, while not all of it has arrived. */
  largeOf(shared: SharedPayload | undefined): LargeObject | undefined {
    return shared?.isPartial === true ? this.largeObjects.get(shared) : undefined
  }

  /** A payload of so many bytes is kept from now on. */
  keep(bytes: number): void {
    this.keptBytes += bytes
    this.blocked.tookRoom(bytes)
  }

  /** So many copies of an object of `group` are not needed any more. */
  unrefEntry(entry: QueueEntry, group: Group, copies = 1): void {
    const { payload, shared, order } = entry
    const { isDeadLetter } = group
    if (isDeadLetter) this.removeDeadLetter(group, entry)
    group.leftRoom(order, copies * payload.bytes)
    if (shared === undefined) {
      if (!isDeadLetter) this.freeBytes(payload.bytes, this.isAfterFirst(group, order))
      this.output.released(payload)
    } else if (!isDeadLetter) {
      this.unref(shared, copies)
    } else if (shared.unrefDead(copies)) {
      // Its bytes were taken off when the last of the others went.
      this.output.released(payload)
    }
  }

  /** `count` entries refer to the payload no more, none of which is a dead letter. */
  unref(shared: SharedPayload, count = 1): void {
    if (!shared.unref(count)) return
    this.freeBytes(shared.payload.bytes, this.isSharedAfterFirst(shared))
    if (shared.references === 0) this.output.released(shared.payload)
  }

  /** A copy in the queue of `group` is about to become a dead letter, whose bytes take no room from anybody. */
  died(group: Group, { payload, shared, order }: QueueEntry): void {
    group.leftRoom(order, payload.bytes)
    if (shared === undefined) this.freeBytes(payload.bytes, this.isAfterFirst(group, order))
    else if (shared.die()) this.freeBytes(payload.bytes, this.isSharedAfterFirst(shared))
  }

  /** Notes how an object in a dead-letter group died. */
  addDeadLetter(dead: Group, { payload, order }: Pick<QueueEntry, 'payload' | 'order'>, record?: DeadLetter): void {
    const bytes = payload.bytes + recordBytesOf(record)
    dead.addDeadLetter(order, record, bytes)
    this.deadBytesChanged(dead, bytes)
  }

  /** Whether the object at that order of a group, which is there only, came after the first that waits for room in the relay. */
  isAfterFirst({ relayEpoch, relayOrder }: Group, order: number): boolean {
    return this.blocked.length > 0 && relayEpoch === this.blocked.epoch && order >= relayOrder
  }

  /** The same of an object that several entries refer to. */
  isSharedAfterFirst({ epoch }: SharedPayload): boolean {
    return this.blocked.length > 0 && epoch === this.blocked.epoch
  }

  /** How many bytes may be kept: as {@link Group.countMax}. */
  keptBytesMax(): number {
    this.keptBytesBound = Math.min(this.keptBytesBound, this.keptBytes)
    return Math.max(this.limits.relayBytesMax, this.keptBytesBound)
  }

  /** How many bytes all dead letters may have: as {@link Group.countMax}. */
  deadBytesMax(): number {
    this.deadBytesBound = Math.min(this.deadBytesBound, this.deadBytes)
    return Math.max(this.limits.relayBytesMax, this.deadBytesBound)
  }

  /** What was restored may stay even if it is too much. */
  keepWhatIsThere(): void {
    for (const group of this.registry.groups.values()) group.keepWhatIsThere()
    this.keptBytesBound = this.keptBytes
    this.deadBytesBound = this.deadBytes
  }

  private removeDeadLetter(dead: Group, { payload, order }: QueueEntry): void {
    const bytes = payload.bytes + recordBytesOf(dead.deadLetters.get(order))
    dead.removeDeadLetter(order, bytes)
    this.deadBytesChanged(dead, -bytes)
  }

  private deadBytesChanged(dead: Group, by: number): void {
    const { deadGroups } = this
    this.deadBytes += by
    if (dead.deadIndex < 0) deadGroups.push(dead)
    else if (dead.deadBytes > 0) deadGroups.update(dead.deadIndex)
    else deadGroups.removeAt(dead.deadIndex)
  }

  private freeBytes(bytes: number, isAfterFirst: boolean): void {
    this.keptBytes -= bytes
    if (isAfterFirst) this.blocked.leftRoom(bytes)
  }
}

/** Which of two groups gives way first when there are too many dead letters in all. */
function hasMoreDead(one: Group, other: Group): boolean {
  return one.deadBytes === other.deadBytes ? one.name < other.name : one.deadBytes > other.deadBytes
}

function setDeadIndex(group: Group, index: number): void {
  group.deadIndex = index
}

function isDueBefore(one: Retry, other: Retry): boolean {
  return one.dueMs < other.dueMs
}

function setDueIndex(retry: Retry, index: number): void {
  retry.dueIndex = index
}

/** What the record of a dead letter counts for in the bounds. */
function recordBytesOf(record: DeadLetter | undefined): number {
  if (record === undefined) return 0
  const { endpoint, name, error = {} } = record
  const texts = [endpoint, name, error.name, error.message, error.code, error.stack]
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), recordBytes)
}
