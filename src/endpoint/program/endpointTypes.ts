/// <reference lib="esnext.disposable" preserve="true" />
import type { ObjectRelayError } from '../../errors.ts'
import type { RelayLimits } from '../../limits.ts'
import type { Signal } from '../../signal.ts'

/** The names of the groups that a program has given types to; any string where it has not. */
export type GroupName<Groups extends object> = Extract<keyof Groups, string>

/** The names of the groups that one may be a member of: those, and those of their dead letters. */
export type MemberName<Groups extends object> = NoInfer<GroupName<Groups> | `${GroupName<Groups>}.dead`>

/** What may arrive in a group. What has died in one is of its type, unless something else is said of it. */
export type ObjectIn<Groups extends object, Name extends string> = Name extends `${infer Living}.dead`
  ? unknown extends Declared<Groups, Name>
    ? Declared<Groups, Living>
    : Declared<Groups, Name>
  : Declared<Groups, Name>

type Declared<Groups extends object, Name extends string> = Name extends GroupName<Groups> ? Groups[Name] : unknown

/** Any object that may arrive in the groups `Own`; by default in any group. */
export type ObjectOf<Groups extends object, Own extends MemberName<Groups> = MemberName<Groups>> = Own extends unknown
  ? ObjectIn<Groups, Own>
  : never

/** What an object must be to go to all of the groups `Name`: of the type of each of them. */
export type ObjectForAll<Groups extends object, Name extends GroupName<Groups>> = (
  Name extends unknown
    ? (object: Groups[Name]) => void
    : never
) extends (object: infer All) => void
  ? All
  : never

/** A number for each of some groups. */
export type Counts<Name extends string> = { readonly [Group in Name]?: number | undefined }

/** The relay has accepted an object. */
export interface Receipt<Name extends string = string> {
  /** How many members each group had at that moment. 0 is legal, the object waits; it also shows a typing error. */
  readonly members: Readonly<Record<Name, number>>
  readonly superseded?: undefined
}

/** A newer broadcast took the place of this one, which was not sent. */
export interface SupersededReceipt {
  readonly superseded: true
  readonly members?: undefined
}

/** How an object is sent. */
export interface SendOptions {
  /**
   * Gives the memory of large arrays (from 4 KiB on, in an object beyond 128 KiB) away instead of copying it: they are
   * empty afterwards, as after `postMessage` with a transfer list. Default `false`.
   */
  transfer?: boolean | undefined
}

/** How an object is broadcast. */
export interface BroadcastOptions extends SendOptions {
  /**
   * For what only the newest is wanted of, such as weights: this broadcast takes the place of an older one of this endpoint to the same groups
   * that was sent with `replace` too and has not begun to leave; the receipt of that one is `{ superseded: true }`. Default `false`.
   */
  replace?: boolean | undefined
  /**
   * Whether the relay keeps it as the retained broadcast of its groups, for members that join later. With `false` it goes to those
   * who are members now, and what is retained stays as it is. Default `true`.
   */
  retain?: boolean | undefined
}

/** How objects are taken out of the inbox at once. */
export interface TakeSyncOptions {
  /** Waits until there is at least one object. Default `false`. */
  blocking?: boolean | undefined
  /** After so many milliseconds the result is an empty array. Only together with `blocking`. Default: waits forever. */
  timeoutMs?: number | undefined
}

/** How objects are taken out of the inbox. */
export interface TakeOptions extends TakeSyncOptions {
  /** Ends the waiting: the promise is rejected with the signal's reason. Nothing is taken then. */
  signal?: Signal | undefined
}

/** How many objects are taken out of the inbox. */
export interface MaxItems {
  /** At most so many objects; a whole number from 1 on. Default 1. */
  maxItems?: number | undefined
}

/** An object with what surrounds it. */
export interface Delivery<ObjectType = unknown, Group extends string = string> {
  readonly object: ObjectType
  /** The group that it came through. */
  readonly group: Group
  /** Whether it went to every member, or was produced for one of them. */
  readonly kind: 'broadcast' | 'produce'
  /** How often it has been delivered, this time included; 1 for a broadcast. */
  readonly attempt: number
  /** How many broadcasts of the group this endpoint missed before this one; 0 for a produced object. */
  readonly skipped: number
  /** When the sender sent it, by the clock of its machine. */
  readonly sentAt: Date
  /** In the group of the dead letters of another one: how the object died. */
  readonly deadLetter: DeadLetter | undefined
  /**
   * Aborted when there is no sense in going on: the object is another member's by now, or the endpoint stops. Who ends early because of
   * that gives the object back, without an attempt counted.
   */
  readonly signal: Signal
  /** The work is done: the object is gone for good. Does nothing for a broadcast, or after `ack` or `release`. */
  ack(): void
  /**
   * Gives the object back to the front of its queue, for any member, without counting the attempt; or, with options, as one that
   * failed. Does nothing for a broadcast, or after `ack` or `release`.
   */
  release(options?: ReleaseOptions): void
}

/** How an object is given back. */
export interface ReleaseOptions {
  /** Why, for whoever reads the dead letters. Anything that may be thrown. */
  error?: unknown
  /** Whether the attempt counts, so that the object waits before it is tried again. Default: if there is an `error` or a `retryDelayMs`. */
  attemptCounted?: boolean | undefined
  /** How long it waits after the first attempt, doubled with each further one. Default: as the group is configured. */
  retryDelayMs?: number | undefined
}

/** How `endpoint.work` runs its handler. */
export interface WorkOptions {
  /** How many objects are worked on at once; 1 to 10 000. Default 1. */
  concurrency?: number | undefined
  /** How long an object waits after its first attempt failed, doubled with each further one. Default: as the group is configured. */
  retryDelayMs?: number | undefined
}

/** How an object came among the dead letters. */
export interface DeadLetter {
  /**
   * Of the last attempt. `failed`: a handler threw. `undecodable`, `schema`, `tooLarge`: its receiver could not read it. `released`: it
   * was given back. `lost`: its endpoint vanished. `progress`: its endpoint hung. `violation`: its endpoint broke the protocol.
   */
  readonly reason: 'failed' | 'undecodable' | 'schema' | 'tooLarge' | 'released' | 'lost' | 'progress' | 'violation'
  /** How often it was tried. */
  readonly attempts: number
  /** The public id of the endpoint that tried last. */
  readonly endpoint: string
  /** And its name. */
  readonly name?: string
  /** When, by the clock of the relay. */
  readonly diedAt: Date
  /** What its last endpoint said of it. */
  readonly error?: {
    readonly name?: string
    readonly message?: string
    readonly code?: string
    readonly stack?: string
  }
}

/** A delivery from any of the groups `Own`; comparing its `group` tells the type of its `object`. */
export type DeliveryOf<Groups extends object, Own extends MemberName<Groups> = MemberName<Groups>> = Own extends unknown
  ? Delivery<ObjectIn<Groups, Own>, Own>
  : never

/** Something that `endpoint.work` runs. */
export interface Work {
  /** Asks for no more, waits for the handlers that run, and gives back what came meanwhile. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** An object that the relay has not accepted. */
export interface UndeliveredObject {
  /** `undefined` for a call of `clearRetained`. */
  readonly object: unknown
  readonly groups: readonly string[]
  /** The method that sent it. */
  readonly kind: 'broadcast' | 'produce' | 'clearRetained'
  /** Set for a broadcast that was not to be retained. */
  readonly retain?: false
}

/** What `endpoint.stop` resolves to. */
export interface StopResult {
  /** What was sent and not accepted by the relay until the deadline, in the order of the calls. */
  readonly undelivered: readonly UndeliveredObject[]
  /** Whether the deadline ended the stop. */
  readonly deadlineReached: boolean
}

/** Where an endpoint stands. */
export type EndpointCondition = 'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'stopping' | 'stopped'

/** A snapshot of an endpoint. Bytes are those of the objects on the wire. */
export interface EndpointStats {
  readonly state: EndpointCondition
  /** What has arrived and was not taken yet. */
  readonly inbox: { readonly objects: number; readonly bytes: number }
  /** What was sent and not accepted yet; of it, `waiting...` waits for room within `limits.sendBytesMax`. */
  readonly sending: {
    readonly objects: number
    readonly bytes: number
    readonly waitingObjects: number
    readonly waitingBytes: number
  }
  /** Since the endpoint began. */
  readonly sent: {
    readonly objects: number
    readonly accepted: number
    readonly rejected: number
    readonly superseded: number
  }
  /** Since the endpoint began. `skipped`: broadcasts that were missed; `unreadable`: not decodable or not of their schema. */
  readonly received: {
    readonly objects: number
    readonly bytes: number
    readonly skipped: number
    readonly unreadable: number
  }
  /**
   * How far large objects are, as of a moment ago: bytes that have gone to the relay of those that it has not accepted, and
   * bytes that have come of those that are not here whole, which have `arrivingBytes` in all.
   */
  readonly underWay: { readonly sentBytes: number; readonly arrivedBytes: number; readonly arrivingBytes: number }
  /** How often the link was lost. */
  readonly linksLost: number
  /** What of all endpoints of the program waits for room in the ring to their I/O. */
  readonly ring: { readonly waitingBytes: number }
}

/** The events of an endpoint and what their listeners are given. */
export interface EndpointEvents {
  /** Not accepted yet: an attempt failed, and there will be another one. */
  connecting: { readonly attempt: number; readonly error?: ObjectRelayError; readonly delayMs?: number }
  /** The relay has accepted the endpoint; `resumed` when it still knew it. */
  connected: { readonly resumed: boolean; readonly relayLimits: Partial<RelayLimits> }
  /** The link is lost, or an attempt to renew it failed; `attempt` is 0 when it was just lost. */
  reconnecting: { readonly error: ObjectRelayError; readonly attempt: number; readonly delayMs: number }
  /** Refused with a permanent error: retrying will not help. Every call fails from now on. */
  disconnected: { readonly error: ObjectRelayError }
  /**
   * Something failed: a call to send or to ask, whether it was awaited or not; an object that could not be decoded or does not
   * fit its schema; a handler of `work`; or what the relay reports.
   */
  error: ObjectRelayError
  /**
   * The relay dropped objects that this endpoint would have got, by a stated policy: told with the next object of the group,
   * whose `skipped` says the same. Not with `broadcasts: 'latest'`, which is such a policy of the endpoint's own.
   */
  objectsDropped: { readonly error: ObjectRelayError; readonly group: string | undefined; readonly count: number }
  /** The group is full: what this endpoint produces for it waits. */
  blocked: { readonly group: string }
  /** The group has room again. */
  unblocked: { readonly group: string }
  /**
   * The relay did not know the endpoint any more: it was restarted, or the grace time was over. What was not accepted is
   * sent again. `unacknowledged` produced objects are here that the relay may give to another member as well.
   */
  sessionLost: { readonly error: ObjectRelayError; readonly unacknowledged: number }
}

/** All events there are. */
export const endpointEventNames: readonly (keyof EndpointEvents)[] = [
  'connecting',
  'connected',
  'reconnecting',
  'disconnected',
  'error',
  'objectsDropped',
  'blocked',
  'unblocked',
  'sessionLost',
]
