const CAPACITY_MIN = 1_024

/** What the entry of each segment takes: four bytes of memory for each, since there may be millions. Their numbers have no gaps. */
export class SegmentSizes {
  #sizes = new Uint32Array(CAPACITY_MIN)
  /** Where the first one is in the array. */
  #begin = 0
  #count = 0
  #first = 1
  bytes = 0

  /** The next segment; the very first one may have any number. */
  add(number: number, bytes: number): void {
    if (this.#count === 0) this.#first = number
    if (number !== this.#first + this.#count) throw new RangeError(`Segment ${number} leaves a gap.`)
    if (this.#begin + this.#count === this.#sizes.length) this.#makeRoom()
    this.#sizes[this.#begin + this.#count] = bytes
    this.#count++
    this.bytes += bytes
  }

  /** Forgets the segments before `number`, and returns their numbers. */
  dropBefore(number: number): readonly number[] {
    const dropped: number[] = []
    while (this.#count > 0 && this.#first < number) {
      dropped.push(this.#first++)
      this.bytes -= this.#sizes[this.#begin++] ?? 0
      this.#count--
    }
    return dropped
  }

  #makeRoom(): void {
    const kept = this.#sizes.subarray(this.#begin, this.#begin + this.#count)
    const sizes = new Uint32Array(Math.max(CAPACITY_MIN, this.#count * 2))
    sizes.set(kept)
    this.#sizes = sizes
    this.#begin = 0
  }
}
