import type { SegmentTable } from './segmentTable.ts'

/** So much of the log may lie unused, beside as much as is used, before it is worth the work. */
const WASTE_BYTES_MAX = 16 * 1024 * 1024
/** What is moved at once: at least, at most, and which part of all. */
const MOVED_BYTES_MIN = 4 * 1024 * 1024
const MOVED_BYTES_MAX = 32 * 1024 * 1024
const MOVED_PART = 16

/**
 * Decides when what is alive in the oldest segments is worth moving to the end of the log, since only whole segments at its
 * beginning can be deleted: one object that waits for months would keep all that came after it.
 */
export class Tidying {
  readonly #table: SegmentTable
  /** What was moved is not committed yet: only then its old segments are gone. */
  #isPending = false
  /** The first segment at the last move. */
  #firstBefore = 0
  /** A round is complete when all segments before this are gone. */
  #roundEnd = 0
  /** What the log takes for each byte that is needed, when all lies together: objects in many places need much to be told. */
  #bytesPerLiveByte = 1
  /** Below this it is not tried again, because it did not help. */
  #hopelessBytes = 0

  constructor(table: SegmentTable) {
    this.#table = table
  }

  get isDue(): boolean {
    const { diskBytes, liveBytes } = this.#table
    if (diskBytes <= WASTE_BYTES_MAX || this.#isPending) return false
    return diskBytes > Math.max(2 * liveBytes * this.#bytesPerLiveByte, this.#hopelessBytes) + WASTE_BYTES_MAX
  }

  /** What lives in segments before `end` is about to be moved. Returns up to where: a bounded amount. */
  begin(end: number): number {
    const table = this.#table
    if (table.first >= this.#roundEnd) this.#roundEnd = end
    this.#isPending = true
    this.#firstBefore = table.first
    const bytesMax = Math.min(Math.max(table.liveBytes / MOVED_PART, MOVED_BYTES_MIN), MOVED_BYTES_MAX)
    let bytes = 0
    let number = table.first
    while (number < end) {
      const liveBytes = table.get(number)?.liveBytes ?? 0
      if (bytes > 0 && bytes + liveBytes > bytesMax) break
      bytes += liveBytes
      number++
    }
    return number
  }

  /** Segments of which nothing is needed were dropped. */
  dropped(): void {
    if (!this.#isPending) return
    this.#isPending = false
    const { first, diskBytes, liveBytes } = this.#table
    this.#hopelessBytes = first === this.#firstBefore ? diskBytes : 0
    if (first >= this.#roundEnd && liveBytes > 0) this.#bytesPerLiveByte = Math.max(1, diskBytes / liveBytes)
  }
}
