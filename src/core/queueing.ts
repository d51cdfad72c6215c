import type { Core } from './core.ts'
import type { Group } from './entities/model.ts'
import { cutRun, type QueueEntry, queueEntry, type SharedPayload } from './entities/queueEntry.ts'
import type { DropReason, Payload } from './ports.ts'

/** Puts `copies` of an object, or a run, at the end of a group's queue. `shared` is there if anything else refers to the payload. */
export function enqueue(
  core: Core,
  group: Group,
  payload: Payload,
  shared: SharedPayload | undefined,
  copies: number,
  groupIndex: number,
): void {
  const entry = queueEntry(payload, shared, group.takeOrder(payload.objects), 1, copies, groupIndex)
  const large = core.largeOf(shared)
  if (large === undefined) core.journal.queued(payload, group.name, groupIndex, entry.order, copies)
  else large.waits(entry, group)
  group.queue.push(entry)
  group.blocked.tookRoom(copies * payload.bytes)
  if (core.blocked.length > 0) group.queuedInEpoch(core.blocked.epoch, entry.order)
}

/** Drops the oldest waiting objects of a group until so many objects and so many bytes are gone, or nothing waits. */
export function dropOldest(
  core: Core,
  group: Group,
  reason: DropReason,
  countExcess: number,
  bytesExcess: number,
): void {
  let count = countExcess
  let bytes = bytesExcess
  const isEnough = (): boolean => count <= 0 && bytes <= 0
  dropUntil(core, group, reason, isEnough, ({ payload, copies }) => {
    // What has no bytes helps no bound of bytes, and goes because it is the oldest.
    const forBytes = bytes <= 0 ? 0 : payload.bytes === 0 ? copies : Math.ceil(bytes / payload.bytes)
    const dropped = Math.min(copies, Math.max(count, forBytes))
    count -= dropped
    bytes -= dropped * payload.bytes
    return dropped
  })
}

/** Drops the oldest waiting objects of a group, of each as many copies as `copiesOf` says, until that is enough or nothing waits. */
export function dropUntil(
  core: Core,
  group: Group,
  reason: DropReason,
  isEnough: () => boolean,
  copiesOf: (entry: QueueEntry) => number,
): void {
  let count = 0
  while (!isEnough()) {
    const entry = group.queue.oldest()
    if (entry === undefined) break
    if (entry.payload.objects > 1) {
      group.queue.putFirst(cutRun(core.output, entry, 1))
      continue
    }
    const copies = copiesOf(entry)
    const large = core.largeOf(entry.shared)
    if (large === undefined) core.journal.dropped(entry.payload, group.name, entry.attempt, copies, entry.order)
    else if (copies === entry.copies) large.dropped(entry)
    group.queue.drop(entry, copies)
    core.unrefEntry(entry, group, copies)
    count += copies
  }
  if (count === 0) return
  group.counts.addDropped(count)
  core.output.event({ type: 'objectDropped', group: group.name, kind: 'produce', reason, count })
}
