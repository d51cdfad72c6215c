const pageSize = 64

interface Page<T> {
  readonly entries: (T | undefined)[]
  occupied: number
}

/**
 * What a session has on lease, by lease number: 0, 1, 2, ... in the order of delivery. An entry may be the lease of several numbers in
 * a row. They are kept in pages, and an empty page is dropped, so that one lease held for days beside millions that come and go costs
 * one page and not a growing table.
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

  /** Keeps `entry` under the next `count` numbers, of which the first is returned. */
  add(entry: T, count = 1): number {
    const first = this.next
    this.next += count
    this.size += count
    for (let number = first; number < this.next; number++) {
      let page = this.newest
      if (page === undefined || page.entries.length === pageSize) page = this.openPage(number)
      page.entries.push(entry)
      page.occupied++
    }
    return first
  }

  get(number: number): T | undefined {
    return this.pageOf(number)?.entries[number % pageSize]
  }

  /** The first number of the entry that has the lease `number`. */
  firstOf(number: number): number {
    const entry = this.get(number)
    let first = number
    while (first > 0 && entry !== undefined && this.get(first - 1) === entry) first--
    return first
  }

  /** From now on, `entry` has `count` of the leases from `first` on, which there are. */
  replace(entry: T, first: number, count: number): void {
    for (let number = first; number < first + count; number++) {
      const page = this.pageOf(number)
      if (page !== undefined) page.entries[number % pageSize] = entry
    }
  }

  /** Takes the lease `number` out, and those that follow it, `count` in all, which there are. */
  take(first: number, count = 1): T | undefined {
    const entry = this.get(first)
    if (entry === undefined) return undefined
    for (let number = first; number < first + count; number++) {
      const page = this.pageOf(number)
      if (page === undefined) continue
      page.entries[number % pageSize] = undefined
      if (--page.occupied === 0 && page !== this.newest) this.drop(Math.floor(number / pageSize))
    }
    this.size -= count
    return entry
  }

  /** All entries with their first numbers, in the order of these. */
  *[Symbol.iterator](): Generator<[number: number, entry: T], void, undefined> {
    let last: T | undefined
    for (const [index, page] of this.pages) {
      for (let place = 0; place < page.entries.length; place++) {
        const entry = page.entries[place]
        if (entry !== undefined && entry !== last) yield [index * pageSize + place, entry]
        last = entry
      }
    }
  }

  /** How many pages are kept; for tests. */
  get pageCount(): number {
    return this.pages.size
  }

  /** The page that begins with `number`. */
  private openPage(number: number): Page<T> {
    if (this.newest?.occupied === 0) this.drop(number / pageSize - 1)
    const page: Page<T> = { entries: [], occupied: 0 }
    this.newest = page
    this.recentIndex = number / pageSize
    this.recent = page
    this.pages.set(this.recentIndex, page)
    return page
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
