import type { DeadLetter, FailureError } from '../deadLetter.ts'
import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { QueueEntry } from './queueEntry.ts'
import { dropOldest } from './queueing.ts'

/** What a record takes besides its texts. */
const recordBytes = 100

/** An object was tried too often: it goes to the dead-letter group, with what is known of its last attempt. */
export function deadLetter(
  core: Core,
  group: Group,
  entry: QueueEntry,
  lease: { readonly attempt: number; readonly isSeen: boolean },
  deadLetter: DeadLetter,
): void {
  const dead = core.registry.deadLettersOf(group)
  const { payload, order } = entry
  core.died(group, entry)
  group.counts.dead++
  core.counts.dead++
  core.output.event({ type: 'objectDead', group: group.name, deadLetter })
  entry.order = dead.nextOrder++
  entry.attempt = 1
  core.failedAt.delete(entry)
  const large = entry.shared?.large
  if (large === undefined) {
    const { attempt, isSeen } = lease
    core.journal.buried(payload, group.name, attempt, deadLetter.endpoint, isSeen, dead.name, entry.order, order)
    core.journal.died(payload, dead.name, entry.order, deadLetter)
  } else {
    large.waiting.set(entry, dead)
  }
  keepDeadLetter(core, dead, entry, deadLetter)
  dead.queue.push(entry)
  core.markDirty(dead)
}

/** Notes how an object in a dead-letter group died. */
export function keepDeadLetter(
  core: Core,
  dead: Group,
  { payload, order }: Pick<QueueEntry, 'payload' | 'order'>,
  deadLetter: DeadLetter | undefined,
): void {
  if (deadLetter !== undefined) dead.deadLetters.set(order, deadLetter)
  changeDeadBytes(core, dead, payload.bytes + bytesOf(deadLetter))
}

/** A dead letter is gone. */
export function forgetDeadLetter(core: Core, dead: Group, { payload, order }: QueueEntry): void {
  const deadLetter = dead.deadLetters.get(order)
  dead.deadLetters.delete(order)
  changeDeadBytes(core, dead, -payload.bytes - bytesOf(deadLetter))
}

/**
 * Keeps the bounds of dead letters: each group has its own, and all have one together, for which the group that has most gives way.
 * The newest of a group is kept even if it alone is larger than the bound of its group.
 */
export function trimDeadLetters(core: Core, dead: Group): void {
  dead.bytesBound = Math.min(dead.bytesBound, dead.deadBytes)
  const bound = Math.max(dead.deadBytesMax, dead.bytesBound)
  while (dead.deadBytes > bound && dead.queue.count > 1) dropOldest(core, dead, 'dead-overflow', 1, 0)
  core.deadBytesBound = Math.min(core.deadBytesBound, core.deadBytes)
  const boundOfAll = Math.max(core.limits.relayBytesMax, core.deadBytesBound)
  while (core.deadBytes > boundOfAll) {
    const largest = core.deadGroups.first()
    // All of it is on lease.
    if (largest === undefined || largest.queue.count === 0) return
    dropOldest(core, largest, 'dead-overflow', 1, 0)
    core.markDirty(largest)
  }
}

/** Which of two groups gives way first when there are too many dead letters in all. */
export function hasMoreDead(one: Group, other: Group): boolean {
  return one.deadBytes === other.deadBytes ? one.name < other.name : one.deadBytes > other.deadBytes
}

export function keepDeadIndex(group: Group, index: number): void {
  group.deadIndex = index
}

function changeDeadBytes(core: Core, dead: Group, by: number): void {
  const { deadGroups } = core
  dead.deadBytes += by
  core.deadBytes += by
  if (dead.deadIndex < 0) deadGroups.push(dead)
  else if (dead.deadBytes > 0) deadGroups.update(dead.deadIndex)
  else deadGroups.removeAt(dead.deadIndex)
}

/** What it counts for in the bounds. */
function bytesOf(deadLetter: DeadLetter | undefined): number {
  if (deadLetter === undefined) return 0
  const { endpoint, name, error = {} } = deadLetter
  return recordBytes + endpoint.length + (name?.length ?? 0) + textBytes(error)
}

function textBytes({ name, message, code, stack }: FailureError): number {
  return (name?.length ?? 0) + (message?.length ?? 0) + (code?.length ?? 0) + (stack?.length ?? 0)
}
