const pageSize = 64
/** As many bits as an integer has. */
const halfPage = 32

interface Page<T, H> {
  readonly entries: (T | undefined)[]
  /** Who has all of them; or, if not all have the same holder, each of them. */
  holder: H
  holders: H[] | undefined
  occupied: number
  /** A bit for each of the first half of the entries that was seen, and for each of the second half. */
  seenFirst: number
  seenSecond: number
}

/**
 * What a session has on lease, by lease number: 0, 1, 2, ... in the order of delivery. An entry may be the lease of several numbers in
 * a row. They are kept in pages, and an empty page is dropped, so that one lease held for days beside millions that come and go costs
 * one page and not a growing table.
 */
export class LeaseTable<T, H> {
  /** The number of the next lease. */
  next = 0
  /** How many leases there are. */
  size = 0
  private readonly pages = new Map<number, Page<T, H>>()
  private newest: Page<T, H> | undefined
  /** An empty page, to be used again. */
  private spare: Page<T, H> | undefined
  private recentIndex = -1
  private recent: Page<T, H> | undefined

  /** Keeps `entry`, which `holder` has, under the next `count` numbers, of which the first is returned. */
  add(entry: T, holder: H, count = 1): number {
    const first = this.next
    this.next += count
    this.size += count
    for (let number = first; number < this.next; number++) {
      const slot = number % pageSize
      const page = this.newest === undefined || slot === 0 ? this.openPage(number, holder) : this.newest
      page.entries[slot] = entry
      if (page.holder !== holder && page.holders === undefined) page.holders = Array(slot).fill(page.holder)
      if (page.holders !== undefined) page.holders[slot] = holder
      page.occupied++
    }
    return first
  }

  get(number: number): T | undefined {
    return this.pageOf(number)?.entries[number % pageSize]
  }

  /** Who has the lease `number`. */
  holderOf(number: number): H | undefined {
    const page = this.pageOf(number)
    return page?.holders === undefined ? page?.holder : page.holders[number % pageSize]
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

  /** Takes the lease `number` out. */
  take(number: number): T | undefined {
    const page = this.pageOf(number)
    const slot = number % pageSize
    const entry = page?.entries[slot]
    if (page === undefined || entry === undefined) return undefined
    page.entries[slot] = undefined
    this.size--
    if (--page.occupied === 0 && page !== this.newest) this.drop(page, Math.floor(number / pageSize))
    return entry
  }

  /** Takes the leases from `first` on out, `count` of them, which there are and which one entry has. */
  takeRun(first: number, count: number): void {
    for (let number = first; number < first + count; number++) this.take(number)
  }

  /** Calls `visit` for each lease from `from` to `to` that there is; takes no more steps than there are leases, however many numbers that are. */
  visit(from: number, to: number, visit: (entry: T, number: number) => void): void {
    const first = Math.floor(from / pageSize)
    const last = Math.floor(to / pageSize)
    if (last - first > this.pages.size) {
      for (const [index, page] of this.pages)
        if (index >= first && index <= last) visitPage(page, index, from, to, visit)
      return
    }
    for (let index = first; index <= last; index++) {
      const page = this.pages.get(index)
      if (page !== undefined) visitPage(page, index, from, to, visit)
    }
  }

  /** Notes that the program has seen what is on lease as `number`. Returns whether that is new. */
  markSeen(number: number): boolean {
    if (this.isSeen(number)) return false
    const page = this.pageOf(number)
    if (page === undefined) return false
    const slot = number % pageSize
    if (slot < halfPage) page.seenFirst |= 1 << slot
    else page.seenSecond |= 1 << (slot - halfPage)
    return true
  }

  isSeen(number: number): boolean {
    const page = this.pageOf(number)
    if (page === undefined) return false
    const slot = number % pageSize
    const bits = slot < halfPage ? page.seenFirst >>> slot : page.seenSecond >>> (slot - halfPage)
    return (bits & 1) === 1
  }

  /** All entries with their first numbers, in the order of these. */
  *[Symbol.iterator](): Generator<[number: number, entry: T, holder: H], void, undefined> {
    let last: T | undefined
    for (const [index, page] of this.pages) {
      for (const [slot, entry] of page.entries.entries()) {
        if (entry !== undefined && entry !== last)
          yield [index * pageSize + slot, entry, page.holders?.[slot] ?? page.holder]
        last = entry
      }
    }
  }

  /** How many pages are kept; for tests. */
  get pageCount(): number {
    return this.pages.size
  }

  /** The page that begins with `number`. */
  private openPage(number: number, holder: H): Page<T, H> {
    if (this.newest?.occupied === 0) this.drop(this.newest, number / pageSize - 1)
    const page = this.spare ?? { entries: [], holder, holders: undefined, occupied: 0, seenFirst: 0, seenSecond: 0 }
    this.spare = undefined
    page.holder = holder
    this.newest = page
    this.recentIndex = number / pageSize
    this.recent = page
    this.pages.set(this.recentIndex, page)
    return page
  }

  private pageOf(number: number): Page<T, H> | undefined {
    const index = Math.floor(number / pageSize)
    if (index !== this.recentIndex) {
      this.recentIndex = index
      this.recent = this.pages.get(index)
    }
    return this.recent
  }

  private drop(page: Page<T, H>, index: number): void {
    page.seenFirst = 0
    page.seenSecond = 0
    page.holders = undefined
    this.spare = page
    this.pages.delete(index)
    this.recentIndex = -1
    this.recent = undefined
  }
}

function visitPage<T, H>(
  { entries }: Page<T, H>,
  index: number,
  from: number,
  to: number,
  visit: (entry: T, number: number) => void,
): void {
  const first = index * pageSize
  const end = Math.min(entries.length, to - first + 1)
  for (let slot = Math.max(0, from - first); slot < end; slot++) {
    const entry = entries[slot]
    if (entry !== undefined) visit(entry, first + slot)
  }
}
