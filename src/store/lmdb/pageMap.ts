import { pageCorrupt } from './pageFile.ts'

/** Which pages of a data file are spoken for: one bit for each. */
export class PageMap {
  readonly #lastPage: number
  readonly #bits: Uint8Array

  constructor(lastPage: number) {
    this.#lastPage = lastPage
    this.#bits = new Uint8Array((lastPage >> 3) + 1)
    this.#mark(0)
    this.#mark(1)
  }

  /** Speaks for `count` pages. Throws if they are not there or spoken for already: nothing may be two things at once. */
  take(first: number, count: number, by: string): void {
    if (!(Number.isSafeInteger(first) && count >= 1 && first >= 2 && first + count - 1 <= this.#lastPage))
      throw pageCorrupt(first, `is named by ${by}, and cannot be`)
    for (let page = first; page < first + count; page++) {
      if (!this.#mark(page)) throw pageCorrupt(page, `is named by ${by}, and is something else already`)
    }
  }

  #mark(page: number): boolean {
    const index = page >> 3
    const bit = 1 << (page & 7)
    const bits = this.#bits[index] ?? 0
    this.#bits[index] = bits | bit
    return (bits & bit) === 0
  }
}
