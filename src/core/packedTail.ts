import { Deque } from './deque.ts'
import { PackedPage } from './packedPage.ts'
import type { Packing } from './ports.ts'
import type { Item } from './queueEntry.ts'

/** So many entries that are gone are never worth sweeping. */
const goneIgnored = 32

/** The far end of a long queue, in packed pages: what comes first in it is taken out a page at a time. */
export class PackedTail {
  private readonly packing: Packing
  private pages: Deque<PackedPage> = new Deque()
  private newest: PackedPage | undefined = undefined
  /** Entries, those that are gone included. */
  private entries = 0
  private gone = 0

  constructor(packing: Packing) {
    this.packing = packing
  }

  get isEmpty(): boolean {
    return this.pages.length === 0
  }

  /** The order of its first entry. */
  get oldestOrder(): number {
    return this.pages.first()?.oldestOrder ?? Number.POSITIVE_INFINITY
  }

  push(item: Item): void {
    let page = this.newest
    if (page === undefined || !page.hasRoomFor(item)) {
      page = new PackedPage(this.packing, item.order)
      this.newest = page
      this.pages.push(page)
    }
    page.push(item)
    this.entries++
  }

  /** Takes the oldest page out. */
  shift(take: (item: Item) => void): void {
    const page = this.pages.shift()
    if (page === undefined) return
    if (page === this.newest) this.newest = undefined
    this.entries -= page.length
    page.unpackAll((item) => {
      if (item.copies > 0) take(item)
      else this.gone--
    })
  }

  /** One of the items was just marked as gone. */
  left(): void {
    this.gone++
    if (this.gone > this.entries - this.gone + goneIgnored) this.sweep()
  }

  *[Symbol.iterator](): Generator<Item, void, undefined> {
    for (let index = 0; index < this.pages.length; index++) {
      const page = this.pages.at(index)
      if (page !== undefined) yield* page
    }
  }

  private sweep(): void {
    const { pages } = this
    this.pages = new Deque()
    this.newest = undefined
    this.entries = 0
    this.gone = 0
    for (let page = pages.shift(); page !== undefined; page = pages.shift()) {
      page.unpackAll((item) => {
        if (item.copies > 0) this.push(item)
      })
    }
  }
}
