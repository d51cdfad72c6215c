import type { SlabPool } from '../../wire/slabPool.ts'
import type { Segment } from './segmentTable.ts'

/** What was written last stays in memory, so that consumers who keep up never wait for a disk: 4 MiB. */
const SLABS_MAX = 16

/** Memory that one or more segments in a row were written into. */
interface RecentSlab {
  readonly buffer: Buffer
  readonly segments: Segment[]
  /** The number of its last segment. */
  last: number
}

/** The memory of the segments that were written last, and of those that are not on the disk yet. */
export class RecentSlabs {
  bytes = 0
  readonly #pool: SlabPool
  readonly #slabs: RecentSlab[] = []

  constructor(pool: SlabPool) {
    this.#pool = pool
  }

  /** Segments are written into another slab of at least so many bytes from now on, which it returns. */
  begin(bytes: number): Buffer {
    const buffer = this.#pool.take(bytes)
    this.#slabs.push({ buffer, segments: [], last: 0 })
    this.bytes += buffer.length
    return buffer
  }

  /** The segment of that number is written into the present slab. */
  add(segment: Segment, number: number): void {
    const slab = this.#slabs[this.#slabs.length - 1]
    if (slab === undefined) return
    slab.segments.push(segment)
    slab.last = number
  }

  /** All segments up to `number` are on the disk: of them, the oldest are forgotten here. */
  forget(number: number): void {
    for (;;) {
      const [oldest] = this.#slabs
      if (oldest === undefined || this.#slabs.length <= SLABS_MAX || oldest.last > number) return
      // A segment that was begun in one slab and had nothing yet may have moved on to the next.
      for (const segment of oldest.segments) if (segment.buffer === oldest.buffer) segment.buffer = undefined
      this.bytes -= oldest.buffer.length
      this.#slabs.shift()
      this.#pool.release(oldest.buffer)
    }
  }
}
