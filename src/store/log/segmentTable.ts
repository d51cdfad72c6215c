import type { RecoveredSegment } from './recoveredSegment.ts'

/** One segment of the log, as the running store knows it. */
export interface Segment {
  /** The whole of it, on disk or to be there. */
  bytes: number
  /** What is written in its head. */
  check: number
  /** Of what is needed in it; see {@link LIVE_OVERHEAD_BYTES}. */
  liveBytes: number
  /** It, while it is in memory; it begins at `start` there. */
  buffer: Buffer | undefined
  start: number
  /** Whether what the disk has was found to be what was written. */
  isVerified: boolean
}

/** What an object takes beside its frame: the least that has to be told of it when it is moved. */
export const LIVE_OVERHEAD_BYTES = 32

/** What any segment takes on a disk, however small. */
const PAGE_BYTES = 4096

/** All segments of the log, in a row. */
export class SegmentTable {
  /** Of all segments together, as they lie on the disk. */
  diskBytes = 0
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

  /** Adds the next one, which may still be without bytes. */
  add(segment: Segment): void {
    this.#segments.push(segment)
    this.liveBytes += segment.liveBytes
    if (segment.bytes > 0) this.diskBytes += diskBytesOf(segment)
  }

  /** Adds the next one, which an earlier run has written. */
  addRecovered(recovered: RecoveredSegment): void {
    const { bytes, check } = recovered
    let liveBytes = 0
    for (let index = 0; index < recovered.count; index++)
      if (recovered.isKept(index)) liveBytes += recovered.frameBytes(index) + LIVE_OVERHEAD_BYTES
    this.add({ bytes, check, liveBytes, buffer: undefined, start: 0, isVerified: true })
  }

  /** The last one is whole now. */
  sealed(segment: Segment, bytes: number, check: number): void {
    segment.bytes = bytes
    segment.check = check
    this.diskBytes += diskBytesOf(segment)
  }

  /** A frame of so many bytes is kept in it. */
  keep(segment: Segment, bytes: number): void {
    segment.liveBytes += bytes + LIVE_OVERHEAD_BYTES
    this.liveBytes += bytes + LIVE_OVERHEAD_BYTES
  }

  /** A frame of so many bytes in it is needed no more. */
  letGo(number: number, bytes: number): void {
    const segment = this.get(number)
    if (segment === undefined) return
    segment.liveBytes -= bytes + LIVE_OVERHEAD_BYTES
    this.liveBytes -= bytes + LIVE_OVERHEAD_BYTES
  }

  /** Drops the segments before `end` at the beginning of the log of which nothing is needed; returns the first that is left. */
  dropDead(end: number): number {
    while (this.first < end) {
      const segment = this.#segments[this.#head]
      if (segment === undefined || segment.liveBytes > 0) break
      segment.buffer = undefined
      this.diskBytes -= diskBytesOf(segment)
      this.#head++
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#segments.length) {
      this.#segments = this.#segments.slice(this.#head)
      this.#base += this.#head
      this.#head = 0
    }
    return this.first
  }
}

function diskBytesOf({ bytes }: Segment): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}
