const pageSize = 64

interface Page<T> {
  readonly entries: (T | undefined)[]
  occupied: number
}

/**
 * What a session has on lease, by lease number: 0, 1, 2, ... in the order of delivery. It is kept in pages, and an empty page is
 * dropped, so that one lease held for days beside millions that come and go costs one page and not a growing table.
 */
export class LeaseTable<T> {
  /** The number of the next lease. */
  next = 0
  /** How many leases there are. */
  size = 0
  private readonly pages = new Map<number, Page<T>>()
  private newest: Page<T> | undefined
  private recentIndex = -1
  private recent: Page<T> | undefined

  /** Keeps `entry` under the next number, which is returned. */
  add(entry: T): number {
    const number = this.next++
    let page = this.newest
    if (page === undefined || page.entries.length === pageSize) {
      if (page?.occupied === 0) this.drop(number / pageSize - 1)
      page = { entries: [], occupied: 0 }
      this.newest = page
      this.recentIndex = number / pageSize
      this.recent = page
      this.pages.set(this.recentIndex, page)
    }
    page.entries.push(entry)
    page.occupied++
    this.size++
    return number
  }

  get(number: number): T | undefined {
    return this.pageOf(number)?.entries[number % pageSize]
  }

  /** Takes the lease `number` out. */
  take(number: number): T | undefined {
    const page = this.pageOf(number)
    const entry = page?.entries[number % pageSize]
    if (page === undefined || entry === undefined) return undefined
    page.entries[number % pageSize] = undefined
    this.size--
    if (--page.occupied === 0 && page !== this.newest) this.drop(Math.floor(number / pageSize))
    return entry
  }

  /** All leases in the order of their numbers. */
  *[Symbol.iterator](): Generator<[number: number, entry: T], void, undefined> {
    for (const [index, page] of this.pages) {
      for (let place = 0; place < page.entries.length; place++) {
        const entry = page.entries[place]
        if (entry !== undefined) yield [index * pageSize + place, entry]
      }
    }
  }

  /** How many pages are kept; for tests. */
  get pageCount(): number {
    return this.pages.size
  }

  private pageOf(number: number): Page<T> | undefined {
    const index = Math.floor(number / pageSize)
    if (index !== this.recentIndex) {
      this.recentIndex = index
      this.recent = this.pages.get(index)
    }
    return this.recent
  }

  private drop(index: number): void {
    this.pages.delete(index)
    this.recentIndex = -1
    this.recent = undefined
  }
}
