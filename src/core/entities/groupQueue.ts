import { Heap } from '../heap.ts'
import type { Packing } from '../ports.ts'
import { FreshQueue } from './freshQueue.ts'
import { isEarlier, type QueueEntry } from './queueEntry.ts'

/**
 * An entry that waits and is not to be delivered yet: until it is due, after an attempt that failed; or, if it is parked, until another
 * reader comes: a dead letter whose readers failed too often.
 */
export interface DelayedEntry {
  readonly entry: QueueEntry
  /** When it may be delivered again; infinite if it is parked. */
  readonly dueMs: number
  /** Who has to know when it leaves the queue before it is due. */
  readonly dueTimes: { removeAt(index: number): void } | undefined
  /** Its index there; -1 if it is not there. */
  dueIndex: number
  /** Its index among the delayed entries of its queue. */
  index: number
}

/**
 * What waits in a group, in its order. Redeliveries come before what was never delivered, because they came before it when they were
 * delivered; so they are apart, and only they have to be put in order. What was cut off the front of a run is among them.
 */
export class GroupQueue {
  /** How many objects wait, copies counted, and those that are delayed. */
  count = 0
  /** Their bytes, copies counted. */
  bytes = 0
  /** From this order on, objects are counted apart. */
  from: number = Number.POSITIVE_INFINITY
  fromCount = 0

  /** What was never requeued, or was restored. */
  private fresh: FreshQueue
  private readonly redeliveries: Heap<QueueEntry> = new Heap<QueueEntry>(isEarlier, ignore)
  private readonly delayed: Heap<DelayedEntry> = new Heap<DelayedEntry>(isDelayedEarlier, setIndex)

  constructor(packing: Packing | undefined) {
    this.fresh = new FreshQueue(packing)
  }

  /** How many of those that wait may be delivered. */
  get availableCount(): number {
    return this.count - this.delayed.size
  }

  /** How many entries come before those that were never delivered. */
  get redeliveryCount(): number {
    return this.redeliveries.size
  }

  get delayedCount(): number {
    return this.delayed.size
  }

  /** Counts those that come from now on, whose order is `from` or higher. */
  countFrom(from: number): void {
    this.from = from
    this.fromCount = 0
  }

  /** Adds one that was never delivered from here; its order is higher than that of all before. */
  push(entry: QueueEntry): void {
    this.fresh.push(entry)
    this.add(entry.order, entry.copies * entry.payload.objects, entry.copies * entry.payload.bytes)
  }

  /** Puts one that was delivered back into its order. */
  requeue(entry: QueueEntry): void {
    this.redeliveries.push(entry)
    this.add(entry.order, 1, entry.payload.bytes)
  }

  /** Keeps one that was delivered, and is not to be delivered yet. */
  delay(delayed: DelayedEntry): void {
    this.delayed.push(delayed)
    this.add(delayed.entry.order, 1, delayed.entry.payload.bytes)
  }

  /** A delayed entry may be delivered from now on. */
  endDelay(delayed: DelayedEntry): void {
    this.delayed.removeAt(delayed.index)
    this.redeliveries.push(delayed.entry)
  }

  /** What is delayed, in no order. */
  delayedEntries(): readonly DelayedEntry[] {
    return this.delayed.values()
  }

  /** Puts what was cut off the oldest before it. */
  putFirst(part: QueueEntry): void {
    this.redeliveries.push(part)
  }

  /** The oldest of those that may be delivered. */
  first(): QueueEntry | undefined {
    return this.redeliveries.first() ?? this.fresh.first()
  }

  /** The oldest of all. */
  oldest(): QueueEntry | undefined {
    const first = this.first()
    const delayed = this.delayed.first()?.entry
    if (first === undefined || delayed === undefined) return first ?? delayed
    return isEarlier(delayed, first) ? delayed : first
  }

  /** Takes one copy of the oldest that may be delivered, all of it if it is a run. It is the same entry if it was the last copy. */
  take(): QueueEntry | undefined {
    const entry = this.first()
    if (entry === undefined) return undefined
    this.add(entry.order, -entry.payload.objects, -entry.payload.bytes)
    if (entry.copies > 1) {
      entry.copies--
      return { ...entry, copies: 1 }
    }
    if (this.redeliveries.size > 0) this.redeliveries.removeAt(0)
    else this.fresh.shift()
    return entry
  }

  /** Takes `copies` of an entry out, no more than there are. */
  drop(entry: QueueEntry, copies: number): void {
    if (copies === entry.copies) {
      this.remove(entry)
      return
    }
    entry.copies -= copies
    this.add(entry.order, -copies, -copies * entry.payload.bytes)
  }

  /** Takes all copies of `entry` out, wherever it is. */
  remove(entry: QueueEntry): void {
    this.add(entry.order, -entry.copies * entry.payload.objects, -entry.copies * entry.payload.bytes)
    if (entry !== this.first() && this.removeDelayed(entry)) return
    // Among these, only a large object that was requeued before it was whole is not the first, which is rare: a search will do.
    const index = this.redeliveries.values().indexOf(entry)
    if (index >= 0) this.redeliveries.removeAt(index)
    else this.fresh.remove(entry)
  }

  /**
   * Puts back what was restored, of which `parts` are in their order and are all there is. What comes before something that is on lease,
   * of order `leasedOrder` at most, was delivered once: what is on lease may have to be requeued behind it.
   */
  restore(parts: readonly FreshQueue[], packing: Packing | undefined, leasedOrder: number): void {
    const [only = this.fresh] = parts
    this.fresh = parts.length > 1 ? merge(parts, new FreshQueue(packing)) : only
    for (
      let entry = this.fresh.first();
      entry !== undefined && entry.order <= leasedOrder;
      entry = this.fresh.first()
    ) {
      this.fresh.shift()
      this.redeliveries.push(entry)
    }
  }

  /** Counts an entry of a part that is about to be restored. */
  countRestored({ order, copies, payload }: QueueEntry): void {
    this.add(order, copies * payload.objects, copies * payload.bytes)
  }

  /** All entries from the oldest on, those that are delayed included. */
  *oldestFirst(): Generator<QueueEntry, void, undefined> {
    const before = [...this.redeliveries.values()]
    for (const { entry } of this.delayed.values()) before.push(entry)
    before.sort(byAge)
    let next = 0
    for (const entry of this.fresh) {
      for (let earlier = before[next]; earlier !== undefined && isEarlier(earlier, entry); earlier = before[++next])
        yield earlier
      yield entry
    }
    yield* before.slice(next)
  }

  /** All entries in no order. */
  *everything(): Generator<QueueEntry> {
    yield* this.redeliveries.values()
    for (const { entry } of this.delayed.values()) yield entry
    yield* this.fresh
  }

  /** All entries that may be delivered, from the oldest on; for tests. */
  entries(): QueueEntry[] {
    return [...[...this.redeliveries.values()].sort(byAge), ...this.fresh]
  }

  private removeDelayed(entry: QueueEntry): boolean {
    const first = this.delayed.first()
    // What is dropped is the first, what is aborted may be any.
    const delayed = first?.entry === entry ? first : this.delayed.values().find((other) => other.entry === entry)
    if (delayed === undefined) return false
    this.delayed.removeAt(delayed.index)
    delayed.dueTimes?.removeAt(delayed.dueIndex)
    return true
  }

  private add(order: number, objects: number, bytes: number): void {
    this.count += objects
    this.bytes += bytes
    if (order >= this.from) this.fromCount += objects
  }
}

/** Each part gives its memory back as it is read. */
function merge(parts: readonly FreshQueue[], merged: FreshQueue): FreshQueue {
  const sources = new Heap<FreshQueue>(startsBefore, ignore)
  for (const part of parts) sources.push(part)
  for (let source = sources.first(); source !== undefined; source = sources.first()) {
    const entry = source.shift()
    if (entry !== undefined) merged.push(entry)
    if (source.first() === undefined) sources.removeAt(0)
    else sources.update(0)
  }
  return merged
}

function startsBefore(one: FreshQueue, other: FreshQueue): boolean {
  const entry = one.first()
  const otherEntry = other.first()
  return entry !== undefined && (otherEntry === undefined || isEarlier(entry, otherEntry))
}

function byAge(one: QueueEntry, other: QueueEntry): number {
  return one.order - other.order || other.attempt - one.attempt
}

function isDelayedEarlier({ entry }: DelayedEntry, { entry: other }: DelayedEntry): boolean {
  return isEarlier(entry, other)
}

function setIndex(delayed: DelayedEntry, index: number): void {
  delayed.index = index
}

function ignore(): void {}
