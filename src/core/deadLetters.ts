import type { DeadLetter } from '../deadLetter.ts'
import type { Core } from './core.ts'
import type { Group } from './entities/model.ts'
import type { QueueEntry } from './entities/queueEntry.ts'
import { dropOldest } from './queueing.ts'

/** An object was tried too often: it goes to the dead-letter group, with what is known of its last attempt. */
export function deadLetter(core: Core, group: Group, entry: QueueEntry, isSeen: boolean, record: DeadLetter): void {
  const dead = core.registry.deadLettersOf(group)
  const { payload, order, attempt } = entry
  core.died(group, entry)
  group.counts.addDead()
  core.output.event({ type: 'objectDead', group: group.name, deadLetter: record })
  entry.order = dead.takeOrder(1)
  entry.attempt = 1
  core.failedAt.delete(entry)
  const large = core.largeOf(entry.shared)
  if (large === undefined) {
    core.journal.deadLettered(payload, group.name, attempt, record.endpoint, isSeen, dead.name, entry.order, order)
    core.journal.died(payload, dead.name, entry.order, record)
  } else {
    large.waits(entry, dead)
  }
  core.addDeadLetter(dead, entry, record)
  dead.queue.push(entry)
  core.markDirty(dead)
}

/**
 * Keeps the bounds of dead letters: each group has its own, and all have one together, for which the group that has most gives way.
 * The newest of a group is kept even if it alone is larger than the bound of its group.
 */
export function trimDeadLetters(core: Core, dead: Group): void {
  const bound = dead.deadMax()
  while (dead.deadBytes > bound && dead.queue.count > 1) dropOldest(core, dead, 'dead-overflow', 1, 0)
  const boundOfAll = core.deadBytesMax()
  while (core.deadBytes > boundOfAll) {
    const largest = core.deadGroups.first()
    // All of it is on lease.
    if (largest === undefined || largest.queue.count === 0) return
    dropOldest(core, largest, 'dead-overflow', 1, 0)
    core.markDirty(largest)
  }
}
