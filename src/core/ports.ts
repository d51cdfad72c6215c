import type { DeadLetter } from '../deadLetter.ts'
import type { ObjectRelayError } from '../errors.ts'
import type { RelayLimits } from '../limits.ts'

export type { DeadLetter }

/**
 * The shell's handle to the kept bytes of one object, or of a run of objects that came one behind the other. The core compares it by
 * identity and reads its sizes, which change only when the core has a part of it cut off.
 */
export interface Payload {
  /** Of all its objects. */
  readonly bytes: number
  readonly objects: number
}

/** To every member of a group, or into its queue. */
export type Kind = 'broadcast' | 'produce'

/** What is sent: an object for a queue, a broadcast that is retained for members to come or not, or the wish that none is retained. */
export type RouteKind = Kind | 'unretained' | 'clear'

/** Where an object goes: `copies[i]` copies (1 for a broadcast) to `groups[i]`. Using the same route again saves looking it up. */
export interface Route {
  readonly kind: RouteKind
  readonly groups: readonly string[]
  readonly copies: readonly number[]
}

/** One object on its way to one session, or a run of them. */
export interface Delivery<P extends Payload = Payload> {
  readonly payload: P
  readonly kind: Kind
  /** The group whose member gets it; the dead-letter group for what comes from there. */
  readonly group: string
  /** The place of the group (or of the group whose dead letter it is) in the route of the object. */
  readonly groupIndex: number
  /** 1 at first, one more each time that an attempt failed. */
  readonly attempt: number
  /** How it died, if it comes from a dead-letter group. */
  readonly deadLetter: DeadLetter | undefined
  /** Broadcasts of this group that this session did not get since the last one that it got. */
  readonly skipped: number
  /** The number under which it is acknowledged or released, the first one of a run; -1 for a broadcast. */
  readonly leaseNumber: number
}

/**
 * Why objects were dropped: the queue's policy, the member's backlog, a newer broadcast, the dead-letter queue's bound; or the room that
 * a retained broadcast took in a group without members.
 */
export type DropReason = 'overflow' | 'backlog' | 'latest' | 'dead-overflow' | 'evicted'

/** What the operator of a relay may want to know. */
export type BrokerEvent =
  | {
      readonly type: 'objectDropped'
      readonly group: string
      readonly kind: Kind
      readonly reason: DropReason
      readonly count: number
      /** The id of the session that missed it, if it is one member's loss. */
      readonly session?: string
    }
  | {
      readonly type: 'objectDead'
      readonly group: string
      readonly deadLetter: DeadLetter
    }
  /** A session was not resumed within its grace time. */
  | { readonly type: 'sessionExpired'; readonly session: string }
  /** A member took nothing for `progressMs` and lost its leases. */
  | { readonly type: 'leasesRevoked'; readonly session: string; readonly count: number }

/** Attached to a link, detached from it in its grace time, or over. */
export type SessionState = 'attached' | 'detached' | 'ended'

/** A session as the shell sees it; the broker's methods take it, and know more of it. */
export interface BrokerSession {
  readonly id: string
  /** What people call its endpoint. It is in the dead letters that it leaves. */
  readonly name: string
  readonly state: SessionState
  /** Whether it has a link. */
  readonly attached: boolean
  /** Bytes of all objects delivered to it. */
  readonly sentBytes: number
  /** Bytes of its objects that are here and found no room. The shell stops moving the sender's window when they are many. */
  readonly blockedBytes: number
  /** It may still claim what it had on lease before a restart. */
  readonly isClaiming: boolean
}

/**
 * What the broker asks of the shell. All is called synchronously, from within calls of the broker; none of it may throw or call
 * the broker in turn. The payloads are those that the shell gave, so an implementation may name their type.
 */
export interface BrokerOutput<P extends Payload = Payload> {
  deliver(session: BrokerSession, delivery: Delivery<P>): void
  /**
   * So many objects are kept, whose sequences follow each other. `memberCounts` is in the order of the route's groups and is used
   * again by the next call: read it now.
   */
  accepted(session: BrokerSession, sequence: number, objects: number, memberCounts: readonly number[]): void
  rejected(session: BrokerSession, sequence: number, error: ObjectRelayError): void
  /** The bytes of a large object that was begun may come: its place is reserved. */
  admitted(session: BrokerSession, sequence: number): void
  /**
   * A delivery of a large object will not be completed: its sender gave it up, or the session gave it back before it was whole.
   * Once for each such delivery; `leaseNumber` tells which, and is -1 for a broadcast.
   */
  abortDelivery(session: BrokerSession, payload: P, leaseNumber: number): void
  /** Something for this group is blocked: the sender should keep what else goes there. */
  blocked(session: BrokerSession, group: string): void
  unblocked(session: BrokerSession, group: string): void
  /** The core refers to this payload no more. Once for each payload that was given to `send` or `begin`, rejected ones too, or cut off. */
  released(payload: P): void
  /** The bytes of the first object of a run. */
  firstBytes(payload: P): number
  /** Cuts the first `objects` objects off a run, fewer than it has, and returns them as a payload of their own. */
  cut(payload: P, objects: number): P
  event(event: BrokerEvent): void
  /** Milliseconds since 1970, as people and other machines read them. */
  dateMs(): number
}

/** What happens to an object when the queue is full. */
export type Overflow = 'block' | 'reject' | 'drop-oldest'

/** The bounds of one accepted group. */
export interface AcceptedGroup {
  /** Members at once. */
  readonly maxCount?: number
  /** Objects waiting; 0: one is accepted only when a member takes it at once. */
  readonly maxConsumables?: number
  readonly overflow?: Overflow
  /** In place of those of {@link RelayLimits}. */
  readonly retryDelayMs?: number
  readonly deadBytesMax?: number
}

/** What was set of a group while a relay runs. */
export interface GroupSetting {
  readonly isPaused: boolean
  /** In place of what the options say of it; `undefined`: they hold. */
  readonly policy: AcceptedGroup | undefined
}

/** The bounds of a relay that the broker keeps. */
export type BrokerLimits = Pick<
  RelayLimits,
  | 'sessionGraceMs'
  | 'attemptsMax'
  | 'retryDelayMs'
  | 'retryDelayMaxMs'
  | 'deadBytesMax'
  | 'objectBytesMax'
  | 'groupBytesMax'
  | 'relayBytesMax'
  | 'memberBacklogBytesMax'
  | 'groupsMax'
  | 'groupsPerEndpointMax'
  | 'streamsMax'
  | 'progressMs'
>

export interface BrokerOptions<P extends Payload = Payload> {
  /** The groups that may be used, or `null` for any. */
  readonly acceptedGroups: null | Readonly<Record<string, AcceptedGroup>>
  readonly limits: BrokerLimits
  /** How the payloads of long queues become smaller, if they do. */
  readonly packing?: Packing<P>
}

/**
 * How a payload is told by a number while it waits far behind in a queue, so that millions can wait: 16 bytes each. Only an
 * object that is in one place, once, and was never delivered is packed; the payload is forgotten meanwhile, and what is
 * unpacked need not be identical to it.
 */
export interface Packing<P extends Payload = Payload> {
  /** What the payload is told by, or NaN if it cannot be packed now. The journal has been told of it before. */
  pack(payload: P): number
  /** The payload that was packed as `packed` and has so many bytes. */
  unpack(packed: number, bytes: number): P
  /** So many objects at the front of each queue are at hand as they are. See {@link packingDefaults}. */
  readonly unpackedObjects: number
  /** So many are packed and unpacked together. */
  readonly pageObjects: number
}

/** Short queues pay nothing, and a page of 16 KiB is little beside what such a queue costs anyway. */
export const packingDefaults: Readonly<Pick<Packing, 'unpackedObjects' | 'pageObjects'>> = {
  unpackedObjects: 4096,
  pageObjects: 1024,
}

export interface JoinOptions {
  /** What people call the endpoint; none if it is not given. */
  readonly name?: string
  /** Whether a slow member gets every broadcast, or of each group only the newest. */
  readonly broadcasts: 'every' | 'latest'
  /** What the endpoint's inbox holds; the first window. */
  readonly inboxBytes: number
  /**
   * While so many bytes have been delivered and not come there, broadcasts wait here; with `broadcasts: 'latest'` the newest takes the
   * place of the one before. Without a bound if it is not given.
   */
  readonly unarrivedBytesMax?: number
  /** Tells, if it is given, how long a group that is full will stay so at most. */
  readonly nowMs?: number
}
