import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { Heap } from './heap.ts'
import type { QueueEntry } from './queueEntry.ts'

/**
 * An object that waits and is not to be delivered yet: until it is due, after an attempt that failed; or, as a dead letter whose readers
 * failed too often, until another reader comes.
 */
export interface DelayedEntry {
  readonly entry: QueueEntry
  readonly group: Group
  /** When it may be delivered again; infinite if it rests. */
  readonly dueMs: number
  /** Where it stands in the due times; `undefined` if it rests. */
  readonly dueTimes: Heap<DelayedEntry> | undefined
  /** Its place there; -1 if it is not there. */
  dueIndex: number
  /** Its place among what is set aside in its group. */
  index: number
}

export function isDueBefore(one: DelayedEntry, other: DelayedEntry): boolean {
  return one.dueMs < other.dueMs
}

export function keepDueIndex(delayed: DelayedEntry, index: number): void {
  delayed.dueIndex = index
}

/** An object may be delivered again when `delayMs` have passed. */
export function retryLater(core: Core, group: Group, entry: QueueEntry, delayMs: number): void {
  const dueTimes = core.retries
  const delayed: DelayedEntry = { entry, group, dueMs: core.nowMs + delayMs, dueTimes, dueIndex: -1, index: -1 }
  group.queue.delay(delayed)
  dueTimes.push(delayed)
}

/** A dead letter is delivered to nobody until another reader comes. */
export function park(group: Group, entry: QueueEntry): void {
  const dueMs = Number.POSITIVE_INFINITY
  group.queue.delay({ entry, group, dueMs, dueTimes: undefined, dueIndex: -1, index: -1 })
}

/** Another reader came. */
export function unpark(core: Core, group: Group): void {
  const resting = group.queue.delayedEntries().filter(({ dueTimes }) => dueTimes === undefined)
  for (const delayed of resting) group.queue.endDelay(delayed)
  if (resting.length > 0) core.markDirty(group)
}

/** Time has come to `core.nowMs`: what is due may be delivered again. */
export function retryDue(core: Core): void {
  const { retries, nowMs } = core
  for (let delayed = retries.first(); delayed !== undefined && delayed.dueMs <= nowMs; delayed = retries.first()) {
    retries.removeAt(0)
    delayed.group.queue.endDelay(delayed)
    core.markDirty(delayed.group)
  }
}

/** How long an object waits that failed in its delivery number `attempt`. */
export function retryDelay(retryDelayMs: number, attempt: number, retryDelayMaxMs: number): number {
  return Math.min(retryDelayMs * 2 ** (attempt - 1), retryDelayMaxMs)
}
