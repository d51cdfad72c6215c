import type { Packing } from '../ports.ts'
import { TombstoneQueue } from '../tombstoneQueue.ts'
import { PackedTail } from './packedTail.ts'
import type { QueueEntry } from './queueEntry.ts'

/**
 * Waiting objects in the order in which they came. When they are many, only those that are next are at hand as they are;
 * the others are packed, as far as they can be.
 */
export class FreshQueue {
  private readonly packing: Packing | undefined
  private readonly head: TombstoneQueue<QueueEntry> = new TombstoneQueue(wasTakenOut)
  /** What comes after all of the head, if anything. */
  private tail: PackedTail | undefined = undefined

  constructor(packing: Packing | undefined) {
    this.packing = packing
  }

  /** Adds one whose order is not lower than that of all before. */
  push(entry: QueueEntry): void {
    const { packing } = this
    if (packing === undefined || (this.tail === undefined && this.head.length < packing.unpackedObjects)) {
      this.head.push(entry)
      return
    }
    this.tail ??= new PackedTail(packing)
    this.tail.push(entry)
  }

  first(): QueueEntry | undefined {
    const entry = this.head.first()
    return entry === undefined && this.tail !== undefined ? this.unpackUntilFirst(this.tail) : entry
  }

  shift(): QueueEntry | undefined {
    return this.first() === undefined ? undefined : this.head.shift()
  }

  /** Takes all copies of `entry` out, wherever it is. */
  remove(entry: QueueEntry): void {
    // Those that share an order stand on both sides only if they were restored, and then only the first is ever taken out.
    const isInTail = this.tail !== undefined && entry.order >= this.tail.oldestOrder && entry !== this.head.first()
    entry.copies = 0
    if (isInTail) this.tail?.left()
    else this.head.left()
  }

  /** All from the oldest on; each may be packed again before the next is read. */
  *[Symbol.iterator](): Generator<QueueEntry, void, undefined> {
    yield* this.head
    if (this.tail !== undefined) yield* this.tail
  }

  private unpackUntilFirst(tail: PackedTail): QueueEntry | undefined {
    while (this.head.length === 0 && !tail.isEmpty) tail.shift((entry) => this.head.push(entry))
    if (tail.isEmpty) this.tail = undefined
    return this.head.first()
  }
}

function wasTakenOut(entry: QueueEntry): boolean {
  return entry.copies === 0
}
