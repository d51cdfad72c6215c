import { readUint32 } from '../../wire/integers.ts'
import { Slab } from '../../wire/slab.ts'
import type { LogDisk } from './logDisk.ts'
import type { FrameSource, LogFrame } from './logFrame.ts'
import { readSegmentHead } from './segmentFormat.ts'
import type { Segment, SegmentTable } from './segmentTable.ts'
import { segmentCorrupt } from './storeCorrupt.ts'

const nothing = Buffer.alloc(0)

/**
 * Reads frames back: from memory while their segment is there, else from the disk. From there they are copied, because what
 * the disk shows is valid for a moment only, and a small object must not keep a segment in memory while it is on its way;
 * neighbours lie in a row again.
 */
export class FrameReader implements FrameSource {
  readonly #disk: LogDisk
  readonly #table: SegmentTable
  readonly #key: number
  readonly #slab = new Slab()
  /** The segment that the disk shows. */
  #shown = -1
  #view: Buffer = nothing
  /** The frame that was read last from the disk, and where it is. */
  #frame: LogFrame | undefined
  #buffer: Buffer = nothing
  #start = 0

  /** What the disk showed is valid no longer than what runs now. */
  readonly #forget = (): void => {
    this.#shown = -1
    this.#view = nothing
  }

  constructor(disk: LogDisk, table: SegmentTable, key: number) {
    this.#disk = disk
    this.#table = table
    this.#key = key
  }

  /** Memory that frames were read into last. */
  get memoryBytes(): number {
    return this.#slab.buffer.length
  }

  read(frame: LogFrame): Buffer {
    const segment = this.#segmentOf(frame)
    if (segment.buffer !== undefined) return segment.buffer
    if (frame !== this.#frame) {
      const { offset, bytes } = frame
      const view = this.frameOnDisk(frame.segment, offset, bytes, segment)
      this.#start = this.#slab.copy(view, offset, offset + bytes)
      this.#buffer = this.#slab.buffer
      this.#frame = frame
    }
    return this.#buffer
  }

  startOf(frame: LogFrame): number {
    const segment = this.#segmentOf(frame)
    if (segment.buffer !== undefined) return segment.start + frame.offset
    if (frame !== this.#frame) this.read(frame)
    return this.#start
  }

  #segmentOf(frame: LogFrame): Segment {
    const segment = this.#table.get(frame.segment)
    if (segment === undefined) throw new Error('A frame was read that the store was told to release.')
    return segment
  }

  /** The segment with the frame, from the disk, checked. Valid until the next call. Throws `STORE_CORRUPT`. */
  frameOnDisk(number: number, offset: number, bytes: number, segment: Segment): Buffer {
    if (this.#shown !== number) {
      this.#shown = -1
      this.#view = this.#disk.readSegment(number)
      this.#verify(this.#view, number, segment)
      this.#shown = number
      queueMicrotask(this.#forget)
    }
    // It was verified once; this notices cheaply if the disk shows something else now.
    if (offset + bytes > this.#view.length || readUint32(this.#view, offset) !== bytes)
      throw segmentCorrupt(number, 'is not what it was when it was written')
    return this.#view
  }

  /** Checks all bytes of a segment when it is read for the first time in this run. */
  #verify(view: Buffer, number: number, segment: Segment): void {
    if (segment.isVerified) return
    const { check } = readSegmentHead(view, number, this.#key)
    if (check !== segment.check) throw segmentCorrupt(number, 'is not the one that was written')
    segment.isVerified = true
  }
}
