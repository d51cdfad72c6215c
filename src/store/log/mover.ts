import type { KeptPlace } from '../../core/journal.ts'
import { encodeDeadLetter } from '../../wire/failures.ts'
import type { StoredObject } from '../store.ts'
import type { FrameReader } from './frameReader.ts'
import type { LogBodies, LogBody } from './logBodies.ts'
import { LogFrame, RELEASED } from './logFrame.ts'
import type { FrameLocation } from './recordWriter.ts'
import type { SegmentTable } from './segmentTable.ts'
import type { SegmentWriter } from './segmentWriter.ts'

/** Moves what lives in the oldest segments to the end of the log. */
export class Mover {
  readonly #table: SegmentTable
  readonly #writer: SegmentWriter
  readonly #reader: FrameReader
  readonly #bodies: LogBodies

  constructor(table: SegmentTable, writer: SegmentWriter, reader: FrameReader, bodies: LogBodies) {
    this.#table = table
    this.#writer = writer
    this.#reader = reader
    this.#bodies = bodies
  }

  /**
   * Moves those of `kept` whose frames lie in segments before `end`; an object may come several times. Each is moved while
   * `kept` shows it: the broker may know no more of it than where it lies.
   */
  move(kept: Iterable<StoredObject>, end: number): void {
    for (const object of kept) {
      const frame = this.#frameOf(object)
      if (frame !== undefined && frame.segment < end) this.#move(frame)
    }
  }

  /** Tells anew of all places of what lies in segments from `from` on. */
  tell(places: Iterable<KeptPlace<StoredObject>>, from: number): void {
    const writer = this.#writer
    for (const place of places) {
      const frame = this.#frameOf(place.payload)
      if (frame === undefined || frame.segment < from) continue
      writer.reserveRecord()
      if (place.kind === 'produce') this.#tellProduced(frame, place)
      else writer.records.lastBroadcast(frame, place.group, place.groupIndex, place.order)
    }
  }

  #tellProduced(frame: FrameLocation, place: KeptPlace<StoredObject>): void {
    const { group, order, deadLetter } = place
    const writer = this.#writer
    writer.records.place(frame, place)
    if (deadLetter === undefined) return
    const text = encodeDeadLetter(deadLetter)
    writer.reserveRecord(text.length)
    writer.records.died(frame, group, order, text)
  }

  /** What the log knows of an object, if anything. */
  #frameOf(object: StoredObject): LogFrame | LogBody | undefined {
    if (object instanceof LogFrame) return object.segment === RELEASED ? undefined : object
    return 'begin' in object ? this.#bodies.find(object) : undefined
  }

  #move(frame: LogFrame | LogBody): void {
    const { segment: number, offset, bytes } = frame
    const segment = this.#table.get(number)
    if (segment === undefined) throw new Error('An object was to be moved from a segment that is gone.')
    const { buffer } = segment
    const source = buffer ?? this.#reader.frameOnDisk(number, offset, bytes, segment)
    const start = buffer === undefined ? offset : segment.start + offset
    const writer = this.#writer
    if (frame instanceof LogFrame) {
      frame.offset = writer.addFrame(source, start, start + bytes)
      frame.segment = writer.number
      this.#table.keep(writer.segment, bytes)
    } else this.#bodies.write(frame, source, start)
    this.#table.letGo(number, bytes)
    writer.reserveRecord()
    writer.records.moved(number, offset)
  }
}
