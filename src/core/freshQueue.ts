import { PackedTail } from './packedTail.ts'
import type { Packing } from './ports.ts'
import type { Item } from './queueEntry.ts'
import { Line } from './tombstoneQueue.ts'

/**
 * Waiting objects in the order in which they came. When they are many, only those that are next are at hand as they are;
 * the others are packed, as far as they can be.
 */
export class FreshLine {
  private readonly packing: Packing | undefined
  private readonly head: Line<Item> = new Line(wasTakenOut)
  /** What comes after all of the head, if anything. */
  private tail: PackedTail | undefined = undefined

  constructor(packing: Packing | undefined) {
    this.packing = packing
  }

  /** Adds one whose order is not lower than that of all before. */
  push(item: Item): void {
    const { packing } = this
    if (packing === undefined || (this.tail === undefined && this.head.length < packing.unpackedObjects)) {
      this.head.push(item)
      return
    }
    this.tail ??= new PackedTail(packing)
    this.tail.push(item)
  }

  first(): Item | undefined {
    const item = this.head.first()
    return item === undefined && this.tail !== undefined ? this.unpackUntilFirst(this.tail) : item
  }

  shift(): Item | undefined {
    return this.first() === undefined ? undefined : this.head.shift()
  }

  /** Takes all copies of `item` out, wherever it stands. */
  remove(item: Item): void {
    // Those that share an order stand on both sides only if they were restored, and then only the first is ever taken out.
    const isInTail = this.tail !== undefined && item.order >= this.tail.oldestOrder && item !== this.head.first()
    item.copies = 0
    if (isInTail) this.tail?.left()
    else this.head.left()
  }

  /** All from the oldest on; each may be packed anew before the next is read. */
  *[Symbol.iterator](): Generator<Item, void, undefined> {
    yield* this.head
    if (this.tail !== undefined) yield* this.tail
  }

  private unpackUntilFirst(tail: PackedTail): Item | undefined {
    while (this.head.length === 0 && !tail.isEmpty) tail.shift((item) => this.head.push(item))
    if (tail.isEmpty) this.tail = undefined
    return this.head.first()
  }
}

function wasTakenOut(item: Item): boolean {
  return item.copies === 0
}
