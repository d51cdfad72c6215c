import { copyBytes } from '../../memoryCopy.ts'
import { BLOCK_HEAD_BYTES, SEGMENT_BYTES_MAX, writeBlockHead } from './blockFormat.ts'
import type { BlockBytes, LogEnd } from './logDisk.ts'
import { RECORD_ROOM_BYTES } from './recordFormat.ts'
import { RecordWriter } from './recordWriter.ts'
import type { SegmentMemory } from './segmentMemory.ts'
import type { Segment, SegmentTable } from './segmentTable.ts'

/** A block is not begun in what is left of a segment if that is less. */
const BLOCK_ROOM_MIN = 16 * 1024

const nothing = Buffer.alloc(0)

/**
 * Writes blocks. Frames are copied to where they stay, so that frames that were kept one behind the other can be sent as one
 * piece of memory; records gather beside them, and are put behind the frames when the block is sealed. Each commit ends a block.
 */
export class BlockWriter {
  readonly records: RecordWriter = new RecordWriter()
  /** The number of the segment that is being written. */
  number = 0
  readonly #table: SegmentTable
  readonly #memory: SegmentMemory
  readonly #key: number
  /** A new segment begins. */
  readonly #begun: (number: number) => void
  #segment: Segment | undefined
  #slab: Buffer = nothing
  /** Where the present block begins in the segment, and where its frames end so far. */
  #start = 0
  #framesEnd = 0
  #end: LogEnd
  #sealed: BlockBytes[] = []

  constructor(parts: {
    table: SegmentTable
    memory: SegmentMemory
    key: number
    end: LogEnd
    begun: (number: number) => void
  }) {
    this.#table = parts.table
    this.#memory = parts.memory
    this.#key = parts.key
    this.#end = parts.end
    this.#begun = parts.begun
    this.#beginSegment()
  }

  /** The segment that is being written. */
  get segment(): Segment {
    if (this.#segment === undefined) throw new Error('No segment is being written.')
    return this.#segment
  }

  /** Where the log ends with what was sealed. */
  get end(): LogEnd {
    return this.#end
  }

  /** Bytes that were written and not taken yet. */
  get pendingBytes(): number {
    let bytes = this.#framesEnd - this.#start + this.records.end
    for (const block of this.#sealed) bytes += block.bytes.length
    return bytes
  }

  /** Whether `bytes` more bytes fit into the present segment. */
  hasRoom(bytes: number): boolean {
    return this.#framesEnd + this.records.end + bytes <= SEGMENT_BYTES_MAX
  }

  /** Copies a frame in, or several that lie one behind the other; returns its offset in the segment, which may be another one than before. */
  addFrame(source: Buffer, start: number, end: number): number {
    const bytes = end - start
    this.#makeRoom(bytes)
    const at = this.#framesEnd
    copyBytes(this.#slab, at, source, start, end)
    this.#framesEnd = at + bytes
    return at
  }

  /** Makes sure that there is room for a record of so many bytes, names included. */
  reserveRecord(bytes: number = RECORD_ROOM_BYTES): void {
    this.#makeRoom(bytes)
  }

  /** Ends a commit: the blocks of it. `first`: the segments before are needed no more. */
  seal(first: number): readonly BlockBytes[] {
    this.#sealBlock(true, first)
    const sealed = this.#sealed
    this.#sealed = []
    this.#end = { ...this.#end, commit: this.#end.commit + 1 }
    if (SEGMENT_BYTES_MAX - this.#start < BLOCK_ROOM_MIN) this.#beginSegment()
    return sealed
  }

  /** What comes next is in a segment of its own. */
  beginSegment(): void {
    if (this.#framesEnd > this.#start + BLOCK_HEAD_BYTES || this.records.end > 0) this.#sealBlock(false, 0)
    if (this.#start > 0) this.#beginSegment()
  }

  #sealBlock(isLast: boolean, first: number): void {
    const { segment, records } = this
    if (this.#slab === nothing) this.#slab = this.#memory.begin(segment, this.number)
    const end = this.#framesEnd + records.end
    records.bytes.copy(this.#slab, this.#framesEnd, 0, records.end)
    const bytes = this.#slab.subarray(this.#start, end)
    const head = {
      isLast,
      segment: this.number,
      offset: this.#start,
      framesEnd: this.#framesEnd - this.#start,
      previous: this.#end.check,
      first,
      commit: this.#end.commit + 1,
    }
    const check = writeBlockHead(bytes, head, this.#key)
    this.#end = { ...this.#end, check }
    this.#table.grow(segment, bytes.length, check)
    this.#sealed.push({ segment: this.number, offset: this.#start, bytes })
    this.#beginBlock(end)
  }

  #beginBlock(start: number): void {
    this.#start = start
    this.#framesEnd = start + BLOCK_HEAD_BYTES
    this.records.clear()
  }

  #beginSegment(): void {
    this.number = this.#table.next
    this.#segment = { bytes: 0, check: 0, liveBytes: 0, buffer: undefined }
    this.#table.add(this.#segment)
    this.#slab = nothing
    this.records.begin(this.number)
    this.#beginBlock(0)
    this.#begun(this.number)
  }

  #makeRoom(bytes: number): void {
    if (!this.hasRoom(bytes)) {
      if (bytes > SEGMENT_BYTES_MAX - BLOCK_HEAD_BYTES - RECORD_ROOM_BYTES)
        throw new Error(`${bytes} bytes were to be stored in one piece.`)
      this.beginSegment()
    }
    if (this.#slab === nothing) this.#slab = this.#memory.begin(this.segment, this.number)
  }
}
