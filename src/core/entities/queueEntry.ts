import type { BrokerOutput, Payload } from '../ports.ts'

/**
 * A payload that several entries refer to: copies, groups, backlogs, retained broadcasts, or the sender that has not sent all of it yet.
 * It counts their references; the payload is released with the last one.
 */
export class SharedPayload {
  readonly payload: Payload
  references: number
  /** How many of those are dead letters, which take no room from anybody. */
  deadReferences: number
  /** The epoch of the relay's blocked sends in which it was accepted. */
  epoch: number
  /** Not all of its bytes have arrived: it belongs to a large object that was begun. */
  isPartial = false

  constructor(payload: Payload, references: number, epoch: number, deadReferences = 0) {
    this.payload = payload
    this.references = references
    this.deadReferences = deadReferences
    this.epoch = epoch
  }

  /** It is accepted in `epoch`, with so many more references. */
  accept(references: number, epoch: number): void {
    this.references += references
    this.epoch = epoch
  }

  ref(): void {
    this.references++
  }

  /** So many references are gone, none of a dead letter. Returns whether only dead letters refer to it now, if anything does. */
  unref(references: number): boolean {
    this.references -= references
    return this.references <= this.deadReferences
  }

  /** So many references of dead letters are gone. Returns whether there is none any more. */
  unrefDead(references: number): boolean {
    this.deadReferences -= references
    this.references -= references
    return this.references === 0
  }

  /** One reference is that of a dead letter from now on. Returns whether all are. */
  die(): boolean {
    return ++this.deadReferences === this.references
  }

  /** All of its bytes have arrived, or will never do. */
  endArrival(): void {
    this.isPartial = false
  }
}

/**
 * An object in the queue of a group, or on lease from it; or a run of objects, whose orders follow each other. Millions of them may
 * wait, so it has no field that can be done without: the only copy of an object, or of a run, has no {@link SharedPayload}, and who has
 * it on lease is known to the lease.
 */
export interface QueueEntry {
  readonly payload: Payload
  readonly shared: SharedPayload | undefined
  /** Its position in the queue of its group, which it keeps when it is requeued; of a run, that of the first object. */
  order: number
  /** The number of its next delivery, or of the present one. */
  attempt: number
  /** So many equal copies wait at this order; 0 when it was taken out of the middle of the queue. A lease is of one copy. */
  copies: number
  readonly groupIndex: number
}

/** A literal: no larger than its six fields. */
export function queueEntry(
  payload: Payload,
  shared: SharedPayload | undefined,
  order: number,
  attempt: number,
  copies: number,
  groupIndex: number,
): QueueEntry {
  return { payload, shared, order, attempt, copies, groupIndex }
}

/** Cuts the first `objects` objects off a run, fewer than it has. They wait, or are on lease, as it does. */
export function cutRun(output: BrokerOutput, run: QueueEntry, objects: number): QueueEntry {
  const part = queueEntry(output.cut(run.payload, objects), undefined, run.order, run.attempt, 1, run.groupIndex)
  run.order += objects
  return part
}

/** Whether all bytes of an entry have arrived. */
export function isWhole({ shared }: QueueEntry): boolean {
  return shared === undefined || !shared.isPartial
}

/** Of copies of one object, that which was tried more often comes first. */
export function isEarlier(one: QueueEntry, other: QueueEntry): boolean {
  return one.order === other.order ? one.attempt > other.attempt : one.order < other.order
}
