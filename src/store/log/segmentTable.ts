/** One segment of the log, as the running store knows it. */
export interface Segment {
  /** The whole of it, on the disk or to be there. */
  bytes: number
  /** The check of its last block that was sealed. */
  check: number
  /** Of what is needed in it; see {@link LIVE_OVERHEAD_BYTES}. */
  liveBytes: number
  /** It, while it is in memory. */
  buffer: Buffer | undefined
}

/** What an object takes beside its frame: the least that has to be told of it when it is moved. */
export const LIVE_OVERHEAD_BYTES = 32

/** All segments of the log, in a row. */
export class SegmentTable {
  /** Of all segments together. */
  bytes = 0
  /** Of what is needed in them. */
  liveBytes = 0
  #segments: Segment[] = []
  /** Those before were dropped. */
  #head = 0
  /** The number of `#segments[0]`. */
  #base: number

  /** The first segment to be added has the number `first`. */
  constructor(first: number) {
    this.#base = first
  }

  /** The number of the first segment; of the next one, if there is none. */
  get first(): number {
    return this.#base + this.#head
  }

  /** The number of the next segment. */
  get next(): number {
    return this.#base + this.#segments.length
  }

  get(number: number): Segment | undefined {
    return this.#segments[number - this.#base]
  }

  /** Adds the next one. */
  add(segment: Segment): void {
    this.#segments.push(segment)
    this.liveBytes += segment.liveBytes
    this.bytes += segment.bytes
  }

  /** A block was added to it. */
  grow(segment: Segment, bytes: number, check: number): void {
    segment.bytes += bytes
    segment.check = check
    this.bytes += bytes
  }

  /** Adds `frames` frames of `bytes` bytes in all to what is needed of it. */
  keep(segment: Segment, bytes: number, frames: number): void {
    const kept = bytes + frames * LIVE_OVERHEAD_BYTES
    segment.liveBytes += kept
    this.liveBytes += kept
  }

  /** The same frames are no longer needed. */
  unref(number: number, bytes: number, frames: number): void {
    const segment = this.get(number)
    if (segment === undefined) return
    const kept = bytes + frames * LIVE_OVERHEAD_BYTES
    segment.liveBytes -= kept
    this.liveBytes -= kept
  }

  /** Drops the segments before `end` at the beginning of the log of which nothing is needed. `dropped` is told of each. */
  dropDead(end: number, dropped: (number: number, segment: Segment) => void): void {
    while (this.first < end) {
      const segment = this.#segments[this.#head]
      if (segment === undefined || segment.liveBytes > 0) break
      dropped(this.first, segment)
      this.bytes -= segment.bytes
      this.#head++
    }
    if (this.#head <= 1_024 || this.#head * 2 <= this.#segments.length) return
    this.#segments = this.#segments.slice(this.#head)
    this.#base += this.#head
    this.#head = 0
  }
}
