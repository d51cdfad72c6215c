import { FreshQueue } from './freshQueue.ts'
import { Heap } from './heap.ts'
import type { Packing } from './ports.ts'
import type { QueueEntry } from './queueEntry.ts'
import type { DelayedEntry } from './retries.ts'

/**
 * The waiting objects of a group in their order. What was given back comes before what was never delivered, because it
 * was before it when it was delivered; so it stands apart, and only there does the order need work. What was cut off the front of a
 * run stands there too.
 */
export class GroupQueue {
  /** How many objects wait, copies counted, and those that are set aside. */
  count = 0
  /** Their bytes, copies counted. */
  bytes = 0
  /** How many places there are before those that were never delivered: of what was given back, and of what was cut off a run. */
  get redeliveryCount(): number {
    return this.redeliveries.size
  }

  /** How many of those that wait have this order or a higher one. */
  from: number = Number.POSITIVE_INFINITY
  fromCount = 0

  /** Those that were never given back, or were restored. */
  fresh: FreshQueue
  private readonly redeliveries: Heap<QueueEntry> = new Heap<QueueEntry>(isEarlier, ignore)
  /** What waits and is not to be delivered yet. */
  private readonly delayed: Heap<DelayedEntry> = new Heap<DelayedEntry>(isDelayedEarlier, setDelayedIndex)

  constructor(packing: Packing | undefined) {
    this.fresh = new FreshQueue(packing)
  }

  /** How many of those that wait may be delivered. */
  get availableCount(): number {
    return this.count - this.delayed.size
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
    this.pushTo(this.fresh, entry)
  }

  /** Adds one to a line that will be part of this queue. */
  pushTo(line: FreshQueue, entry: QueueEntry): void {
    line.push(entry)
    this.add(entry.order, entry.copies * entry.payload.objects, entry.copies * entry.payload.bytes)
  }

  /** Puts one that was delivered back into its old place. */
  requeue(entry: QueueEntry): void {
    this.redeliveries.push(entry)
    this.add(entry.order, 1, entry.payload.bytes)
  }

  /** Keeps one that was delivered, and is not to be delivered yet. */
  delay(delayed: DelayedEntry): void {
    this.delayed.push(delayed)
    this.add(delayed.entry.order, 1, delayed.entry.payload.bytes)
  }

  /** One that was set aside may be delivered now, from its old place. */
  endDelay(delayed: DelayedEntry): void {
    this.delayed.removeAt(delayed.index)
    this.redeliveries.push(delayed.entry)
  }

  /** What is set aside, in no order. */
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
    const aside = this.delayed.first()?.entry
    if (first === undefined || aside === undefined) return first ?? aside
    return isEarlier(aside, first) ? aside : first
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

  /** Takes `copies` of the oldest out, no more than there are. */
  drop(entry: QueueEntry, copies: number): void {
    if (copies === entry.copies) {
      this.remove(entry)
      return
    }
    entry.copies -= copies
    this.add(entry.order, -copies, -copies * entry.payload.bytes)
  }

  /** Takes all copies of `entry` out, wherever it stands. */
  remove(entry: QueueEntry): void {
    this.add(entry.order, -entry.copies * entry.payload.objects, -entry.copies * entry.payload.bytes)
    if (entry !== this.first() && this.removeDelayed(entry)) return
    // Among those, only a large object that came back before it was whole is not the first, which is rare: a search will do.
    const index = this.redeliveries.values().indexOf(entry)
    if (index >= 0) {
      this.redeliveries.removeAt(index)
      return
    }
    this.fresh.remove(entry)
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

  /**
   * After it was restored: what stands before something that is on lease, of order `leasedOrder` at most, was given back once.
   * What is on lease may have to be put back behind it.
   */
  separate(leasedOrder: number): void {
    for (
      let entry = this.fresh.first();
      entry !== undefined && entry.order <= leasedOrder;
      entry = this.fresh.first()
    ) {
      this.fresh.shift()
      this.redeliveries.push(entry)
    }
  }

  /** All entries from the oldest on, those that are set aside included. */
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

  private add(order: number, objects: number, bytes: number): void {
    this.count += objects
    this.bytes += bytes
    if (order >= this.from) this.fromCount += objects
  }
}

function byAge(one: QueueEntry, other: QueueEntry): number {
  return one.order - other.order || other.attempt - one.attempt
}

/** Of copies of one object, that which was tried more often. */
function isEarlier(one: QueueEntry, other: QueueEntry): boolean {
  return one.order === other.order ? one.attempt > other.attempt : one.order < other.order
}

function isDelayedEarlier({ entry }: DelayedEntry, { entry: other }: DelayedEntry): boolean {
  return isEarlier(entry, other)
}

function setDelayedIndex(delayed: DelayedEntry, index: number): void {
  delayed.index = index
}

function ignore(): void {}
