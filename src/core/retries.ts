import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { Heap } from './heap.ts'
import type { Item } from './queueEntry.ts'

/**
 * An object that waits and is not to be delivered yet: until it is due, after an attempt that failed; or, as a dead letter whose readers
 * failed too often, until another reader comes.
 */
export interface SetAside {
  readonly item: Item
  readonly group: Group
  /** When it may be delivered again; infinite if it rests. */
  readonly dueMs: number
  /** Where it stands in the due times; `undefined` if it rests. */
  readonly dueTimes: Heap<SetAside> | undefined
  /** Its place there; -1 if it is not there. */
  dueIndex: number
  /** Its place among what is set aside in its group. */
  index: number
}

export function isDueBefore(one: SetAside, other: SetAside): boolean {
  return one.dueMs < other.dueMs
}

export function keepDueIndex(entry: SetAside, index: number): void {
  entry.dueIndex = index
}

/** An object may be delivered again when `delayMs` have passed. */
export function retryLater(core: Core, group: Group, item: Item, delayMs: number): void {
  const dueTimes = core.retries
  const entry: SetAside = { item, group, dueMs: core.nowMs + delayMs, dueTimes, dueIndex: -1, index: -1 }
  group.ready.setAside(entry)
  dueTimes.push(entry)
}

/** A dead letter is delivered to nobody until another reader comes. */
export function rest(group: Group, item: Item): void {
  const dueMs = Number.POSITIVE_INFINITY
  group.ready.setAside({ item, group, dueMs, dueTimes: undefined, dueIndex: -1, index: -1 })
}

/** Another reader came. */
export function endRest(core: Core, group: Group): void {
  const resting = group.ready.asideEntries().filter(({ dueTimes }) => dueTimes === undefined)
  for (const entry of resting) group.ready.bringBack(entry)
  if (resting.length > 0) core.touch(group)
}

/** Time has come to `core.nowMs`: what is due may be delivered again. */
export function retryWhatIsDue(core: Core): void {
  const { retries, nowMs } = core
  for (let entry = retries.first(); entry !== undefined && entry.dueMs <= nowMs; entry = retries.first()) {
    retries.removeAt(0)
    entry.group.ready.bringBack(entry)
    core.touch(entry.group)
  }
}

/** How long an object waits that failed in its delivery number `attempt`. */
export function retryDelay(retryDelayMs: number, attempt: number, retryDelayMaxMs: number): number {
  return Math.min(retryDelayMs * 2 ** (attempt - 1), retryDelayMaxMs)
}
