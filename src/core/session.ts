import type { AbsentSession } from './absentSession.ts'
import { Backlog } from './backlog.ts'
import type { BlockedSend } from './blockedSends.ts'
import type { Group } from './group.ts'
import type { LargeObject } from './largeObject.ts'
import { LeaseTable } from './leaseTable.ts'
import type { Membership } from './membership.ts'
import type { JoinOptions, Route } from './ports.ts'
import type { QueueEntry, ResolvedRoute } from './queueEntry.ts'
import type { TombstoneQueue } from './tombstoneQueue.ts'

/** Attached to a link, detached from it in its grace time, or over. */
export type SessionState = 'attached' | 'detached' | 'ended'

/**
 * One endpoint's membership as the relay knows it. The shell may read `id`, `name`, `state`, `attached`, `blockedBytes` and `earlier`; everything else
 * belongs to the broker.
 */
export class Session {
  readonly id: string
  /** What people call its endpoint. It stands in the dead letters that it leaves. */
  readonly name: string
  readonly broadcasts: 'every' | 'latest'
  readonly inboxBytes: number
  state: SessionState = 'attached'
  /** Bytes of its objects that are here and found no room. The shell stops moving the sender's window when they are many. */
  blockedBytes = 0

  readonly memberships: Map<string, Membership> = new Map()
  /** Bytes of all objects delivered to it. */
  sentBytes = 0
  /** So many bytes in all is its endpoint ready to take. */
  limitBytes: number
  /** Of the bytes that were delivered to it, so many have come there. */
  arrivedBytes = 0
  /** With so many still on their way, a broadcast waits here, where a newer one can take its place. */
  readonly unarrivedBytesMax: number
  /** How many of its memberships are stalled. */
  stalledCount = 0
  readonly backlog: Backlog = new Backlog()

  readonly leases: LeaseTable<QueueEntry> = new LeaseTable()
  /** What it had on lease in an earlier run of the relay and has claimed, by the numbers that it chose. Its program has seen all of it. */
  readonly reclaimed: Map<number, QueueEntry> = new Map()
  /** What it had on lease then and may still claim. */
  earlier: AbsentSession | undefined = undefined
  /** Lease numbers below this were all taken from it: what it still says about them is of no consequence. */
  revokedBefore = 0
  /** Lease numbers of large objects that were aborted on their way, the newest: it may not know yet. */
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
    this.limitBytes = inboxBytes
    this.unarrivedBytesMax = unarrivedBytesMax ?? Number.POSITIVE_INFINITY
  }

  /** Whether it has a link. */
  get attached(): boolean {
    return this.state === 'attached'
  }

  /** How many leases it has, those of an earlier run included. */
  get leaseCount(): number {
    return this.leases.size + this.reclaimed.size + (this.earlier?.size ?? 0)
  }

  /** Whether produced objects may be given to it, as far as its program is concerned. */
  get takesWork(): boolean {
    return this.state === 'attached' && !this.hung
  }

  /** Whether an object of so many bytes may be sent to it; one of any size if its inbox is empty. */
  hasRoom(bytes: number): boolean {
    const room = this.limitBytes - this.sentBytes
    return bytes <= room || room >= this.inboxBytes
  }

  /** Whether a broadcast of so many bytes may be sent to it now, and need not wait for what is on its way. */
  takesBroadcast(bytes: number): boolean {
    return this.sentBytes - this.arrivedBytes < this.unarrivedBytesMax && this.hasRoom(bytes)
  }

  /** The room for produced objects: none while broadcasts wait, or those might wait for ever behind small work. */
  get workRoom(): number {
    return this.backlog.count > 0 ? Number.NEGATIVE_INFINITY : this.limitBytes - this.sentBytes
  }
}
