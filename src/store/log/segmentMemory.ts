import type { SlabPool } from '../../wire/slabPool.ts'
import { checkSegment, SEGMENT_BYTES_MAX } from './blockFormat.ts'
import type { LogDisk } from './logDisk.ts'
import type { Segment, SegmentTable } from './segmentTable.ts'
import { segmentCorrupt } from './storeCorrupt.ts'

/** What was written last stays in memory, so that consumers that keep up never wait for a disk: 4 MiB. */
const WRITTEN_MAX = 16
/** What was read last stays as well: 4 MiB. */
const READ_MAX = 16

/** The segments that are in memory: those that are written or were written last, and those that were read last. */
export class SegmentMemory {
  readonly #disk: Pick<LogDisk, 'read'>
  readonly #table: SegmentTable
  readonly #pool: SlabPool
  readonly #key: number
  /** Numbers of segments in the order in which they were written. */
  #written: number[] = []
  /** Numbers of segments that were read back; the one that was used last comes last. */
  readonly #read = new Set<number>()
  readonly #reading = new Map<number, Promise<Buffer>>()

  constructor(disk: Pick<LogDisk, 'read'>, table: SegmentTable, pool: SlabPool, key: number) {
    this.#disk = disk
    this.#table = table
    this.#pool = pool
    this.#key = key
  }

  get bytes(): number {
    return (this.#written.length + this.#read.size + this.#reading.size) * SEGMENT_BYTES_MAX
  }

  /** Memory for a segment that is written from now on. */
  begin(segment: Segment, number: number): Buffer {
    const buffer = this.#pool.take(SEGMENT_BYTES_MAX)
    segment.buffer = buffer
    this.#written.push(number)
    return buffer
  }

  /** All segments before `number` are on the disk as a whole: the oldest of them are forgotten here. */
  writtenBefore(number: number): void {
    while (this.#written.length > WRITTEN_MAX && (this.#written[0] ?? number) < number) {
      const oldest = this.#written.shift()
      if (oldest !== undefined) this.#forget(this.#table.get(oldest))
    }
  }

  /** A segment is needed no more. */
  dropped(number: number, segment: Segment): void {
    this.#read.delete(number)
    const index = this.#written.indexOf(number)
    if (index >= 0) this.#written.splice(index, 1)
    this.#forget(segment)
  }

  /**
   * The whole segment, which is on the disk: it stays in memory for a while, at least until what waits for this promise has run.
   * Rejects with `STORE_CORRUPT`, or with what the disk says.
   */
  read(number: number): Promise<Buffer> {
    const segment = this.#segmentOf(number)
    if (segment.buffer !== undefined) return Promise.resolve(segment.buffer)
    let reading = this.#reading.get(number)
    if (reading === undefined) {
      reading = this.#load(number, segment).finally(() => this.#reading.delete(number))
      this.#reading.set(number, reading)
    }
    return reading
  }

  /** The memory of the segment, if it is there. */
  find(number: number): Buffer | undefined {
    const { buffer } = this.#segmentOf(number)
    if (this.#read.delete(number)) this.#read.add(number)
    return buffer
  }

  async #load(number: number, segment: Segment): Promise<Buffer> {
    const slab = this.#pool.take(SEGMENT_BYTES_MAX)
    try {
      const bytes = slab.subarray(0, segment.bytes)
      await this.#disk.read(number, bytes)
      checkSegment(bytes, number, segment.check, this.#key)
    } catch (thrown) {
      this.#pool.release(slab)
      throw thrown
    }
    segment.buffer = slab
    this.#read.add(number)
    for (const oldest of this.#read) {
      if (this.#read.size <= READ_MAX) break
      this.#read.delete(oldest)
      this.#forget(this.#table.get(oldest))
    }
    return slab
  }

  /** Whoever still sends from it has a reference of its own. */
  #forget(segment: Segment | undefined): void {
    if (segment?.buffer === undefined) return
    this.#pool.release(segment.buffer)
    segment.buffer = undefined
  }

  #segmentOf(number: number): Segment {
    const segment = this.#table.get(number)
    if (segment === undefined) throw segmentCorrupt(number, 'is gone, though something in it is needed')
    return segment
  }
}
