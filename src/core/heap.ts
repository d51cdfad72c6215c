/** A binary heap: the entry that comes before all others is at hand, and adding, moving and removing take logarithmic time. */
export class Heap<T> {
  private readonly entries: T[] = []
  private readonly before: (one: T, other: T) => boolean
  private readonly moved: (entry: T, index: number) => void

  /** `moved` is told each new index of an entry, -1 when it was removed, for {@link Heap.update} and {@link Heap.removeAt}. */
  constructor(before: (one: T, other: T) => boolean, moved: (entry: T, index: number) => void) {
    this.before = before
    this.moved = moved
  }

  get size(): number {
    return this.entries.length
  }

  first(): T | undefined {
    return this.entries[0]
  }

  /** All entries, in no order. */
  values(): readonly T[] {
    return this.entries
  }

  push(entry: T): void {
    this.entries.push(entry)
    this.moved(entry, this.entries.length - 1)
    this.rise(this.entries.length - 1)
  }

  /** The entry at `index` may come earlier or later than it did. */
  update(index: number): void {
    if (this.rise(index) === index) this.sink(index)
  }

  removeAt(index: number): void {
    const entry = this.entries[index]
    const last = this.entries.pop()
    if (entry === undefined || last === undefined) return
    if (last !== entry) {
      this.entries[index] = last
      this.moved(last, index)
      this.update(index)
    }
    this.moved(entry, -1)
  }

  private rise(start: number): number {
    let index = start
    while (index > 0) {
      const above = (index - 1) >> 1
      if (!this.swapIfBefore(index, above)) break
      index = above
    }
    return index
  }

  private sink(start: number): void {
    let index = start
    for (;;) {
      const left = 2 * index + 1
      const one = this.entries[left]
      if (one === undefined) return
      const other = this.entries[left + 1]
      const child = other !== undefined && this.before(other, one) ? left + 1 : left
      if (!this.swapIfBefore(child, index)) return
      index = child
    }
  }

  /** Exchanges the two if the lower one comes before the upper one. */
  private swapIfBefore(lower: number, upper: number): boolean {
    const below = this.entries[lower]
    const above = this.entries[upper]
    if (below === undefined || above === undefined || !this.before(below, above)) return false
    this.entries[upper] = below
    this.entries[lower] = above
    this.moved(below, upper)
    this.moved(above, lower)
    return true
  }
}
