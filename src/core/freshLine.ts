import type { Packing, Payload } from './contract.ts'
import { Line } from './line.ts'
import { PackedTail } from './packedTail.ts'
import type { Item } from './parcel.ts'

/**
 * Waiting objects in the order in which they came. When they are many, only those that are next are at hand as they are;
 * the others are packed, as far as they can be.
 */
export class FreshLine<P extends Payload> {
  private readonly packing: Packing<P> | undefined
  private readonly head: Line<Item<P>> = new Line(wasTakenOut)
  /** What comes after all of the head, if anything. */
  private tail: PackedTail<P> | undefined = undefined

  constructor(packing: Packing<P> | undefined) {
    this.packing = packing
  }

  /** Adds one whose order is not lower than that of all before. */
  push(item: Item<P>): void {
    const { packing } = this
    if (packing === undefined || (this.tail === undefined && this.head.length < packing.unpackedObjects)) {
      this.head.push(item)
      return
    }
    this.tail ??= new PackedTail(packing)
    this.tail.push(item)
  }

  first(): Item<P> | undefined {
    const item = this.head.first()
    return item === undefined && this.tail !== undefined ? this.unpackUntilFirst(this.tail) : item
  }

  shift(): Item<P> | undefined {
    return this.first() === undefined ? undefined : this.head.shift()
  }

  /** Takes all copies of `item` out, wherever it stands. */
  remove(item: Item<P>): void {
    // Those that share an order stand on both sides only if they were restored, and then only the first is ever taken out.
    const isInTail = this.tail !== undefined && item.order >= this.tail.oldestOrder && item !== this.head.first()
    item.copies = 0
    if (isInTail) this.tail?.left()
    else this.head.left()
  }

  /** All from the oldest on; each may be packed anew before the next is read. */
  *[Symbol.iterator](): Generator<Item<P>, void, undefined> {
    yield* this.head
    if (this.tail !== undefined) yield* this.tail
  }

  private unpackUntilFirst(tail: PackedTail<P>): Item<P> | undefined {
    while (this.head.length === 0 && !tail.isEmpty) tail.shift((item) => this.head.push(item))
    if (tail.isEmpty) this.tail = undefined
    return this.head.first()
  }
}

function wasTakenOut<P extends Payload>(item: Item<P>): boolean {
  return item.copies === 0
}
