import { Deque } from '../deque.ts'
import type { Packing } from '../ports.ts'
import { PackedPage } from './packedPage.ts'
import type { QueueEntry } from './queueEntry.ts'

/** So many length that are gone are never worth sweeping. */
const goneIgnored = 32

/** The far end of a long queue, in packed pages: what comes first in it is taken out a page at a time. */
export class PackedTail {
  private readonly packing: Packing
  private pages: Deque<PackedPage> = new Deque()
  private newest: PackedPage | undefined = undefined
  /** Entries, those that are gone included. */
  private length = 0
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

  push(entry: QueueEntry): void {
    let page = this.newest
    if (page === undefined || !page.hasRoomFor(entry)) {
      page = new PackedPage(this.packing, entry.order)
      this.newest = page
      this.pages.push(page)
    }
    page.push(entry)
    this.length++
  }

  /** Takes the oldest page out. */
  shift(take: (entry: QueueEntry) => void): void {
    const page = this.pages.shift()
    if (page === undefined) return
    if (page === this.newest) this.newest = undefined
    this.length -= page.length
    page.unpackAll((entry) => {
      if (entry.copies > 0) take(entry)
      else this.gone--
    })
  }

  /** One of the entries was just marked as gone. */
  left(): void {
    this.gone++
    if (this.gone > this.length - this.gone + goneIgnored) this.sweep()
  }

  *[Symbol.iterator](): Generator<QueueEntry, void, undefined> {
    for (let index = 0; index < this.pages.length; index++) {
      const page = this.pages.at(index)
      if (page !== undefined) yield* page
    }
  }

  private sweep(): void {
    const { pages } = this
    this.pages = new Deque()
    this.newest = undefined
    this.length = 0
    this.gone = 0
    for (let page = pages.shift(); page !== undefined; page = pages.shift()) {
      page.unpackAll((entry) => {
        if (entry.copies > 0) this.push(entry)
      })
    }
  }
}
