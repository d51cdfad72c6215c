import { FreshLine } from './freshQueue.ts'
import { Heap } from './heap.ts'
import type { Packing } from './ports.ts'
import type { Item } from './queueEntry.ts'
import type { SetAside } from './retries.ts'

/**
 * The waiting objects of a group in their order. What was given back comes before what was never delivered, because it
 * was before it when it was delivered; so it stands apart, and only there does the order need work. What was cut off the front of a
 * run stands there too.
 */
export class ReadyQueue {
  /** How many objects wait, copies counted, and those that are set aside. */
  count = 0
  /** Their bytes, copies counted. */
  bytes = 0
  /** How many places there are before those that were never delivered: of what was given back, and of what was cut off a run. */
  get returnedCount(): number {
    return this.returned.size
  }

  /** How many of those that wait have this order or a higher one. */
  from: number = Number.POSITIVE_INFINITY
  fromCount = 0

  /** Those that were never given back, or were restored. */
  fresh: FreshLine
  private readonly returned: Heap<Item> = new Heap<Item>(isEarlier, ignore)
  /** What waits and is not to be delivered yet. */
  private readonly aside: Heap<SetAside> = new Heap<SetAside>(isAsideEarlier, keepIndex)

  constructor(packing: Packing | undefined) {
    this.fresh = new FreshLine(packing)
  }

  /** How many of those that wait may be delivered. */
  get availableCount(): number {
    return this.count - this.aside.size
  }

  get asideCount(): number {
    return this.aside.size
  }

  /** Counts those that come from now on, whose order is `from` or higher. */
  countFrom(from: number): void {
    this.from = from
    this.fromCount = 0
  }

  /** Adds one that was never delivered from here; its order is higher than that of all before. */
  push(item: Item): void {
    this.pushTo(this.fresh, item)
  }

  /** Adds one to a line that will be part of this queue. */
  pushTo(line: FreshLine, item: Item): void {
    line.push(item)
    this.add(item.order, item.copies * item.payload.objects, item.copies * item.payload.bytes)
  }

  /** Puts one that was delivered back into its old place. */
  giveBack(item: Item): void {
    this.returned.push(item)
    this.add(item.order, 1, item.payload.bytes)
  }

  /** Keeps one that was delivered, and is not to be delivered yet. */
  setAside(entry: SetAside): void {
    this.aside.push(entry)
    this.add(entry.item.order, 1, entry.item.payload.bytes)
  }

  /** One that was set aside may be delivered now, from its old place. */
  bringBack(entry: SetAside): void {
    this.aside.removeAt(entry.index)
    this.returned.push(entry.item)
  }

  /** What is set aside, in no order. */
  asideEntries(): readonly SetAside[] {
    return this.aside.values()
  }

  /** Puts what was cut off the oldest before it. */
  putFirst(part: Item): void {
    this.returned.push(part)
  }

  /** The oldest of those that may be delivered. */
  first(): Item | undefined {
    return this.returned.first() ?? this.fresh.first()
  }

  /** The oldest of all. */
  oldest(): Item | undefined {
    const first = this.first()
    const aside = this.aside.first()?.item
    if (first === undefined || aside === undefined) return first ?? aside
    return isEarlier(aside, first) ? aside : first
  }

  /** Takes one copy of the oldest that may be delivered, all of it if it is a run. It is the same item if it was the last copy. */
  take(): Item | undefined {
    const item = this.first()
    if (item === undefined) return undefined
    this.add(item.order, -item.payload.objects, -item.payload.bytes)
    if (item.copies > 1) {
      item.copies--
      return { ...item, copies: 1 }
    }
    if (this.returned.size > 0) this.returned.removeAt(0)
    else this.fresh.shift()
    return item
  }

  /** Takes `copies` of the oldest out, no more than there are. */
  drop(item: Item, copies: number): void {
    if (copies === item.copies) {
      this.remove(item)
      return
    }
    item.copies -= copies
    this.add(item.order, -copies, -copies * item.payload.bytes)
  }

  /** Takes all copies of `item` out, wherever it stands. */
  remove(item: Item): void {
    this.add(item.order, -item.copies * item.payload.objects, -item.copies * item.payload.bytes)
    if (item !== this.first() && this.removeAside(item)) return
    // Among those, only a large object that came back before it was whole is not the first, which is rare: a search will do.
    const index = this.returned.values().indexOf(item)
    if (index >= 0) {
      this.returned.removeAt(index)
      return
    }
    this.fresh.remove(item)
  }

  private removeAside(item: Item): boolean {
    const first = this.aside.first()
    // What is dropped is the first, what is aborted may be any.
    const entry = first?.item === item ? first : this.aside.values().find((other) => other.item === item)
    if (entry === undefined) return false
    this.aside.removeAt(entry.index)
    entry.dueTimes?.removeAt(entry.dueIndex)
    return true
  }

  /**
   * After it was restored: what stands before something that is on lease, of order `leasedOrder` at most, was given back once.
   * What is on lease may have to be put back behind it.
   */
  separate(leasedOrder: number): void {
    for (let item = this.fresh.first(); item !== undefined && item.order <= leasedOrder; item = this.fresh.first()) {
      this.fresh.shift()
      this.returned.push(item)
    }
  }

  /** All items from the oldest on, those that are set aside included. */
  *oldestFirst(): Generator<Item, void, undefined> {
    const before = [...this.returned.values()]
    for (const { item } of this.aside.values()) before.push(item)
    before.sort(byAge)
    let next = 0
    for (const item of this.fresh) {
      for (let earlier = before[next]; earlier !== undefined && isEarlier(earlier, item); earlier = before[++next])
        yield earlier
      yield item
    }
    yield* before.slice(next)
  }

  /** All items in no order. */
  *everything(): Generator<Item> {
    yield* this.returned.values()
    for (const { item } of this.aside.values()) yield item
    yield* this.fresh
  }

  /** All items that may be delivered, from the oldest on; for tests. */
  items(): Item[] {
    return [...[...this.returned.values()].sort(byAge), ...this.fresh]
  }

  private add(order: number, objects: number, bytes: number): void {
    this.count += objects
    this.bytes += bytes
    if (order >= this.from) this.fromCount += objects
  }
}

function byAge(one: Item, other: Item): number {
  return one.order - other.order || other.attempt - one.attempt
}

/** Of copies of one object, that which was tried more often. */
function isEarlier(one: Item, other: Item): boolean {
  return one.order === other.order ? one.attempt > other.attempt : one.order < other.order
}

function isAsideEarlier({ item }: SetAside, { item: other }: SetAside): boolean {
  return isEarlier(item, other)
}

function keepIndex(entry: SetAside, index: number): void {
  entry.index = index
}

function ignore(): void {}
