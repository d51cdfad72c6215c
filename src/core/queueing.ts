import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { DropReason, Payload } from './ports.ts'
import { cutRun, type QueueEntry, type SharedPayload, waitingEntry } from './queueEntry.ts'

/** Puts `copies` of an object, or a run, at the end of a group's queue. `shared` is there if anything else refers to the payload. */
export function enqueue(
  core: Core,
  group: Group,
  payload: Payload,
  shared: SharedPayload | undefined,
  copies: number,
  groupIndex: number,
): void {
  const entry = waitingEntry(payload, shared, group.nextOrder, 1, copies, groupIndex)
  group.nextOrder += payload.objects
  const large = shared?.large
  if (large === undefined) core.journal.queued(payload, group.name, groupIndex, entry.order, copies)
  else large.waiting.set(entry, group)
  group.queue.push(entry)
  if (group.blocked.length > 0) group.blocked.bytesAfter += copies * payload.bytes
  const { blocked } = core
  if (blocked.length === 0 || group.relayEpoch === blocked.epoch) return
  group.relayEpoch = blocked.epoch
  group.relayOrder = entry.order
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
    const large = entry.shared?.large
    if (large === undefined) core.journal.dropped(entry.payload, group.name, entry.attempt, copies, entry.order)
    else if (copies === entry.copies) large.waiting.delete(entry)
    group.queue.drop(entry, copies)
    core.unrefEntry(entry, group, copies)
    count += copies
  }
  if (count === 0) return
  group.counts.dropped += count
  core.counts.dropped += count
  core.output.event({ type: 'objectDropped', group: group.name, kind: 'produce', reason, count })
}

/**
 * So many may wait in a queue that drops its oldest. One that had more when its bounds were set is not cut: it grows no further, and
 * is bounded like any other once it is short enough.
 */
export function countBound(group: Group): number {
  group.countBound = Math.min(group.countBound, group.queue.count)
  return Math.max(group.maxConsumables, group.countBound)
}

/** The same for the bytes of a group. */
export function bytesBound(core: Core, group: Group): number {
  group.bytesBound = Math.min(group.bytesBound, group.bytes)
  return Math.max(core.limits.groupBytesMax, group.bytesBound)
}

/** The same for the bytes of all. */
export function keptBytesBound(core: Core): number {
  core.keptBytesBound = Math.min(core.keptBytesBound, core.keptBytes)
  return Math.max(core.limits.relayBytesMax, core.keptBytesBound)
}
