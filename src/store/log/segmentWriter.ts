import { copyBytes } from '../../memoryCopy.ts'
import type { SlabPool } from '../../wire/slabPool.ts'
import type { SegmentBytes } from './logDisk.ts'
import { RecentSlabs } from './recentSlabs.ts'
import { RECORD_ROOM_BYTES } from './recordFormat.ts'
import { RecordWriter } from './recordWriter.ts'
import { SEGMENT_BYTES_MAX, SEGMENT_HEAD_BYTES, writeSegmentHead } from './segmentFormat.ts'
import type { Segment, SegmentTable } from './segmentTable.ts'

/** A segment is not begun in what is left of a slab if that is less. */
const SEGMENT_ROOM_MIN = 16 * 1024

const nothing = Buffer.alloc(0)

/**
 * Writes segments. Frames are copied to where they stay, so that frames that were kept one behind the other can be sent as
 * one piece of memory; records gather beside them, and are put behind the frames when the segment is sealed. Each commit seals a
 * segment; small ones share a slab of memory.
 */
export class SegmentWriter {
  readonly records: RecordWriter = new RecordWriter()
  readonly recent: RecentSlabs
  /** The number of the segment that is being written. */
  number = 0
  /** Where its frame data ends so far, in the slab. */
  #framesEnd = 0
  /** Where it must end, in the slab. */
  #limit = 0
  #slab: Buffer = nothing
  #start = 0
  #segment: Segment
  /** The check of the last segment that was sealed. */
  check: number
  readonly #table: SegmentTable
  readonly #key: number
  #sealed: SegmentBytes[] = []

  /** `check`: that of the last segment of an earlier run. */
  constructor(table: SegmentTable, slabs: SlabPool, key: number, check: number) {
    this.#table = table
    this.recent = new RecentSlabs(slabs)
    this.#key = key
    this.check = check
    this.#segment = this.#begin(0)
  }

  /** The segment that is being written. */
  get segment(): Segment {
    return this.#segment
  }

  /** Copies a frame in; returns its offset in the segment, which may be another one than before. */
  addFrame(source: Buffer, start: number, end: number): number {
    const bytes = end - start
    if (this.#framesEnd + this.records.end + bytes > this.#limit) this.#makeRoom(bytes)
    const at = this.#framesEnd
    copyBytes(this.#slab, at, source, start, end)
    this.#framesEnd = at + bytes
    return at - this.#start
  }

  /** Makes sure that there is room for any record, with a text of so many bytes. */
  reserveRecord(textBytes = 0): void {
    const bytes = RECORD_ROOM_BYTES + textBytes
    if (this.#framesEnd + this.records.end + bytes > this.#limit) this.#makeRoom(bytes)
  }

  /** Seals what is being written, if there is anything; what comes next is in a segment of its own. */
  seal(): void {
    const framesEnd = this.#framesEnd
    if (framesEnd === this.#start + SEGMENT_HEAD_BYTES && this.records.end === 0) return
    const end = framesEnd + this.records.end
    this.records.bytes.copy(this.#slab, framesEnd, 0, this.records.end)
    const bytes = this.#slab.subarray(this.#start, end)
    const head = { number: this.number, previous: this.check, framesEnd: framesEnd - this.#start }
    this.check = writeSegmentHead(bytes, head, this.#key)
    this.#table.sealed(this.#segment, bytes.length, this.check)
    this.#sealed.push({ number: this.number, bytes })
    this.#segment = this.#begin(end)
  }

  /** All segments that were sealed and not taken yet. */
  takeSealed(): readonly SegmentBytes[] {
    const sealed = this.#sealed
    this.#sealed = []
    return sealed
  }

  #begin(start: number): Segment {
    const segment: Segment = { bytes: 0, check: 0, liveBytes: 0, buffer: undefined, start, isVerified: false }
    this.number = this.#table.next
    this.#table.add(segment)
    this.records.reset(this.number)
    if (this.#slab.length - start < SEGMENT_ROOM_MIN) this.#slab = nothing
    this.#place(segment, start)
    return segment
  }

  /** The segment begins at `start` of the slab; if there is none, it gets one when it needs it. */
  #place(segment: Segment, start: number): void {
    this.#start = start
    this.#framesEnd = start + SEGMENT_HEAD_BYTES
    this.#limit = this.#slab.length
    segment.start = start
    if (this.#slab === nothing) return
    segment.buffer = this.#slab
    this.recent.add(segment, this.number)
  }

  #makeRoom(bytes: number): void {
    if (bytes > SEGMENT_BYTES_MAX - SEGMENT_HEAD_BYTES - RECORD_ROOM_BYTES)
      throw new Error(`A frame of ${bytes} bytes was to be stored in one piece.`)
    this.seal()
    this.#slab = this.recent.begin(SEGMENT_BYTES_MAX)
    this.#place(this.#segment, 0)
  }
}
