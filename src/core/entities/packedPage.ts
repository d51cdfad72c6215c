import type { Packing } from '../ports.ts'
import { type QueueEntry, queueEntry } from './queueEntry.ts'

const orderSpan = 2 ** 32

/**
 * Waiting objects in a row as plain numbers: 16 bytes each. An entry that numbers cannot tell keeps its position, and is
 * kept beside them as it is.
 */
export class PackedPage {
  /** How many entries there are, those that were taken out included. */
  length = 0
  /** The order of its first entry. */
  readonly oldestOrder: number
  private readonly packing: Packing
  /** NaN for the next one of those that are not packed. */
  private readonly handles: Float64Array
  private readonly sizes: Uint32Array
  /** Beyond the first. */
  private readonly orders: Uint32Array
  private unpacked: QueueEntry[] | undefined = undefined

  constructor(packing: Packing, oldestOrder: number) {
    const capacity = packing.pageObjects
    const memory = new ArrayBuffer(capacity * 16)
    this.packing = packing
    this.oldestOrder = oldestOrder
    this.handles = new Float64Array(memory, 0, capacity)
    this.sizes = new Uint32Array(memory, capacity * 8, capacity)
    this.orders = new Uint32Array(memory, capacity * 12, capacity)
  }

  hasRoomFor({ order }: QueueEntry): boolean {
    return this.length < this.handles.length && order - this.oldestOrder < orderSpan
  }

  push(entry: QueueEntry): void {
    const index = this.length++
    const handle = packed(this.packing, entry)
    this.handles[index] = handle
    this.sizes[index] = entry.payload.bytes
    this.orders[index] = entry.order - this.oldestOrder
    if (!Number.isNaN(handle)) return
    if (this.unpacked === undefined) this.unpacked = [entry]
    else this.unpacked.push(entry)
  }

  /** Gives all to `take`, unpacked, those that were taken out too; the page is of no use afterwards. */
  unpackAll(take: (entry: QueueEntry) => void): void {
    let next = 0
    for (let index = 0; index < this.length; index++) {
      const entry = this.isPacked(index) ? this.unpack(index) : this.unpacked?.[next++]
      if (entry !== undefined) take(entry)
    }
  }

  /** All that were not taken out. The shell may move the bytes of each while it has it: it is packed again afterwards. */
  *[Symbol.iterator](): Generator<QueueEntry, void, undefined> {
    let next = 0
    for (let index = 0; index < this.length; index++) {
      if (!this.isPacked(index)) {
        const entry = this.unpacked?.[next++]
        if (entry !== undefined && entry.copies > 0) yield entry
        continue
      }
      const entry = this.unpack(index)
      try {
        yield entry
      } finally {
        // Also when whoever reads them has seen enough.
        if (!this.packAgain(index, entry, next)) next++
      }
    }
  }

  private isPacked(index: number): boolean {
    return !Number.isNaN(this.handles[index])
  }

  private unpack(index: number): QueueEntry {
    const payload = this.packing.unpack(this.handles[index] ?? 0, this.sizes[index] ?? 0)
    return queueEntry(payload, undefined, this.oldestOrder + (this.orders[index] ?? 0), 1, 1, 0)
  }

  /** Returns whether it is still told by numbers; otherwise it is the unpacked entry number `next` now. */
  private packAgain(index: number, entry: QueueEntry, next: number): boolean {
    const handle = packed(this.packing, entry)
    this.handles[index] = handle
    if (!Number.isNaN(handle)) return true
    if (this.unpacked === undefined) this.unpacked = [entry]
    else this.unpacked.splice(next, 0, entry)
    return false
  }
}

/** What only a single object in a single place, which was never delivered, can be told by; else NaN. Copies share a payload. */
function packed(packing: Packing, { payload, shared, attempt, groupIndex }: QueueEntry): number {
  const isPlain = shared === undefined && attempt === 1 && groupIndex === 0 && payload.bytes < 2 ** 32
  return isPlain ? packing.pack(payload) : Number.NaN
}
