import type { Packing } from './ports.ts'
import { type Item, waitingItem } from './queueEntry.ts'

const orderSpan = 2 ** 32

/**
 * A run of waiting objects as plain numbers: 16 bytes each. What cannot be told by numbers keeps its place in the run, and stands
 * beside it as it is.
 */
export class PackedPage {
  /** How many entries there are, those of items that were taken out included. */
  length = 0
  /** The order of its first entry. */
  readonly oldestOrder: number
  private readonly packing: Packing
  /** NaN for an entry that is the next of the items. */
  private readonly handles: Float64Array
  private readonly sizes: Uint32Array
  /** Beyond the first. */
  private readonly orders: Uint32Array
  private items: Item[] | undefined = undefined

  constructor(packing: Packing, oldestOrder: number) {
    const capacity = packing.pageObjects
    const memory = new ArrayBuffer(capacity * 16)
    this.packing = packing
    this.oldestOrder = oldestOrder
    this.handles = new Float64Array(memory, 0, capacity)
    this.sizes = new Uint32Array(memory, capacity * 8, capacity)
    this.orders = new Uint32Array(memory, capacity * 12, capacity)
  }

  hasRoomFor({ order }: Item): boolean {
    return this.length < this.handles.length && order - this.oldestOrder < orderSpan
  }

  push(item: Item): void {
    const index = this.length++
    const handle = packed(this.packing, item)
    this.handles[index] = handle
    this.sizes[index] = item.payload.bytes
    this.orders[index] = item.order - this.oldestOrder
    if (!Number.isNaN(handle)) return
    if (this.items === undefined) this.items = [item]
    else this.items.push(item)
  }

  /** Gives all to `take`, unpacked, those that were taken out too; the page is of no use afterwards. */
  unpackAll(take: (item: Item) => void): void {
    let next = 0
    for (let index = 0; index < this.length; index++) {
      const item = this.isPacked(index) ? this.unpack(index) : this.items?.[next++]
      if (item !== undefined) take(item)
    }
  }

  /** All that were not taken out. The shell may move the bytes of each while it has it: it is packed again afterwards. */
  *[Symbol.iterator](): Generator<Item, void, undefined> {
    let next = 0
    for (let index = 0; index < this.length; index++) {
      if (!this.isPacked(index)) {
        const item = this.items?.[next++]
        if (item !== undefined && item.copies > 0) yield item
        continue
      }
      const item = this.unpack(index)
      try {
        yield item
      } finally {
        // Also when whoever reads them has seen enough.
        if (!this.packAgain(index, item, next)) next++
      }
    }
  }

  private isPacked(index: number): boolean {
    return !Number.isNaN(this.handles[index])
  }

  private unpack(index: number): Item {
    const payload = this.packing.unpack(this.handles[index] ?? 0, this.sizes[index] ?? 0)
    return waitingItem(payload, undefined, this.oldestOrder + (this.orders[index] ?? 0), 1, 1, 0)
  }

  /** Returns whether it is still told by numbers; otherwise it is the item number `next` now. */
  private packAgain(index: number, item: Item, next: number): boolean {
    const handle = packed(this.packing, item)
    this.handles[index] = handle
    if (!Number.isNaN(handle)) return true
    if (this.items === undefined) this.items = [item]
    else this.items.splice(next, 0, item)
    return false
  }
}

/** What only a single object in a single place, which was never delivered, can be told by; else NaN. Copies share a parcel. */
function packed(packing: Packing, { payload, parcel, attempt, groupIndex }: Item): number {
  const isPlain = parcel === undefined && attempt === 1 && groupIndex === 0 && payload.bytes < 2 ** 32
  return isPlain ? packing.pack(payload) : Number.NaN
}
