import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { DropReason, Payload } from './ports.ts'
import { cutRun, type Item, type Parcel, waitingItem } from './queueEntry.ts'

/** Puts `copies` of an object, or a run, at the end of a group's queue. `parcel` is there if anything else refers to the payload. */
export function enqueue(
  core: Core,
  group: Group,
  payload: Payload,
  parcel: Parcel | undefined,
  copies: number,
  groupIndex: number,
): void {
  const item = waitingItem(payload, parcel, group.nextOrder, 1, copies, groupIndex)
  group.nextOrder += payload.objects
  const large = parcel?.large
  if (large === undefined) core.journal.queued(payload, group.name, groupIndex, item.order, copies)
  else large.waiting.set(item, group)
  group.ready.push(item)
  if (group.blocked.length > 0) group.blocked.bytesAfter += copies * payload.bytes
  const { blocked } = core
  if (blocked.length === 0 || group.relayEpoch === blocked.epoch) return
  group.relayEpoch = blocked.epoch
  group.relayOrder = item.order
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
  copiesOf: (item: Item) => number,
): void {
  let count = 0
  while (!isEnough()) {
    const item = group.ready.oldest()
    if (item === undefined) break
    if (item.payload.objects > 1) {
      group.ready.putFirst(cutRun(core.output, item, 1))
      continue
    }
    const copies = copiesOf(item)
    const large = item.parcel?.large
    if (large === undefined) core.journal.dropped(item.payload, group.name, item.attempt, copies, item.order)
    else if (copies === item.copies) large.waiting.delete(item)
    group.ready.drop(item, copies)
    core.letItemGo(item, group, copies)
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
  group.countBound = Math.min(group.countBound, group.ready.count)
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
