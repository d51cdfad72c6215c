import type { Core, Retry } from './core.ts'
import type { Group } from './entities/model.ts'
import type { QueueEntry } from './entities/queueEntry.ts'

/** An object may be delivered again when `delayMs` have passed. */
export function retryLater(core: Core, group: Group, entry: QueueEntry, delayMs: number): void {
  const dueTimes = core.retries
  const delayed: Retry = { entry, group, dueMs: core.nowMs + delayMs, dueTimes, dueIndex: -1, index: -1 }
  group.queue.delay(delayed)
  dueTimes.push(delayed)
}

/** A dead letter is delivered to nobody until another reader comes. */
export function park(group: Group, entry: QueueEntry): void {
  const dueMs = Number.POSITIVE_INFINITY
  group.queue.delay({ entry, dueMs, dueTimes: undefined, dueIndex: -1, index: -1 })
}

/** Another reader came. */
export function unpark(core: Core, group: Group): void {
  const parked = group.queue.delayedEntries().filter(({ dueTimes }) => dueTimes === undefined)
  for (const delayed of parked) group.queue.endDelay(delayed)
  if (parked.length > 0) core.markDirty(group)
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
