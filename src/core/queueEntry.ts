import type { Group } from './group.ts'
import type { LargeObject } from './largeObject.ts'
import type { Membership } from './membership.ts'
import type { BrokerOutput, Payload } from './ports.ts'

/** A payload that several places refer to: copies, groups, backlogs, or the sender that has not sent all of it yet. */
export interface SharedPayload {
  readonly payload: Payload
  /** How many; the payload is released with the last. */
  references: number
  /** The epoch of those who wait for room in the relay in which it was accepted. */
  epoch: number
  /** How many of those are dead letters. */
  deadReferences: number
  /** The large object that it is part of, while not all of it has arrived. */
  large: LargeObject | undefined
}

/**
 * An object in the queue of a group, or on lease from it; or a run of objects, whose orders follow each other. A million of them may
 * wait, so that it has no field that can be done without: the one and only copy of an object, or of a run, needs no shared.
 */
export interface QueueEntry {
  readonly payload: Payload
  readonly shared: SharedPayload | undefined
  /** Who has it on lease; `undefined` while it waits. */
  holder: Membership | undefined
  /** Its place in the queue of its group, which it keeps when it is given back; of a run, that of the first. */
  order: number
  /** The number of its next delivery, or of the present one. */
  attempt: number
  /** So many equal copies wait in this place; 0 when it was taken out of the middle of the queue. A lease is of one copy. */
  copies: number
  readonly groupIndex: number
}

/** A waiting object. A literal: no larger than its seven fields. */
export function waitingEntry(
  payload: Payload,
  shared: SharedPayload | undefined,
  order: number,
  attempt: number,
  copies: number,
  groupIndex: number,
): QueueEntry {
  return { payload, shared, holder: undefined, order, attempt, copies, groupIndex }
}

/** Cuts the first `objects` objects off a run, fewer than it has. They wait, or are on lease, as it does. */
export function cutRun(output: BrokerOutput, run: QueueEntry, objects: number): QueueEntry {
  const part = waitingEntry(output.cut(run.payload, objects), undefined, run.order, run.attempt, 1, run.groupIndex)
  part.holder = run.holder
  run.order += objects
  return part
}

/** Where an object goes, looked up: the groups of its route, and what follows from their bounds. */
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
