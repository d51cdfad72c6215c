/**
 * Which extents of a file are free. The first one that is free is taken, so that what is in use stays near the beginning,
 * and the rest can be cut off.
 */
export class FreeExtents {
  /** Extents that the file has. */
  count = 0
  readonly #spareMax: number
  readonly #isFree: boolean[] = []
  /** No extent before it is free. */
  #firstFree = 0
  /** The extent behind the last one that is in use. */
  #usedEnd = 0

  /** `spareMax`: so many free extents may stay at the end. */
  constructor(spareMax: number) {
    this.#spareMax = spareMax
  }

  take(): number {
    let extent = this.#firstFree
    while (extent < this.count && this.#isFree[extent] !== true) extent++
    this.#isFree[extent] = false
    this.count = Math.max(this.count, extent + 1)
    this.#usedEnd = Math.max(this.#usedEnd, extent + 1)
    this.#firstFree = extent + 1
    return extent
  }

  give(extent: number): void {
    this.#isFree[extent] = true
    this.#firstFree = Math.min(this.#firstFree, extent)
    while (this.#usedEnd > 0 && this.#isFree[this.#usedEnd - 1] === true) this.#usedEnd--
  }

  /** How many extents the file should have from now on, if it should be cut. */
  takeShrunkCount(): number | undefined {
    const count = this.#usedEnd + this.#spareMax
    if (this.count <= count) return undefined
    this.count = count
    this.#isFree.length = count
    return count
  }
}
