import type { Clock } from '../../clock.ts'
import { encodeDeadLetter } from '../../wire/failures.ts'
import type { BlockWriter } from './blockWriter.ts'
import type { FrameTable } from './frameTable.ts'
import type { Copies, IndexPage } from './indexPage.ts'
import type { LogDisk } from './logDisk.ts'
import type { LogValues } from './logValues.ts'
import type { ObjectIndex } from './objectIndex.ts'
import { RECORD_ROOM_BYTES } from './recordFormat.ts'
import type { FrameLocation } from './recordWriter.ts'
import type { SegmentMemory } from './segmentMemory.ts'
import type { SegmentTable } from './segmentTable.ts'

/** Where there is little room, so much that is needed no more is worth the work. */
const CRAMPED_WASTE_BYTES = 256 * 1024
/** So much is moved between two commits. */
const MOVED_BYTES_MAX = 4 * 1024 * 1024
/** What is moved without a pause: a millisecond or two. */
const SLICE_FRAMES = 500

/** What a {@link Compactor} works on. */
export interface CompactorParts {
  readonly table: SegmentTable
  readonly index: ObjectIndex
  readonly frames: FrameTable
  readonly memory: SegmentMemory
  readonly writer: BlockWriter
  readonly values: LogValues
  readonly disk: Pick<LogDisk, 'isCramped'>
  readonly clock: Clock
  /** So much of the log may be needed no more, beside as much as is needed, before it is worth the work. */
  readonly wasteBytesMax: number
  /** Resolves when all that was written is safe. */
  commit(): Promise<void>
}

/**
 * Moves what is needed in the oldest segments to the end of the log, since only whole segments at its beginning can be deleted: one
 * object that waits for months would keep all that came after it. It costs what it moves: the index says what lies in a segment and what
 * is to be told of it. It works in slices, and lets the relay do something else in between.
 */
export class Compactor {
  readonly #parts: CompactorParts
  #running: Promise<void> | undefined
  #isStopped = false
  /** A round is complete when all segments before this are gone. */
  #roundEnd = 0
  /** What the log takes for each byte that is needed, when all lies together: objects in many places need much to be told. */
  #bytesPerLiveByte = 1

  constructor(parts: CompactorParts) {
    this.#parts = parts
  }

  /** Whether much of the log is needed no more. */
  get isDue(): boolean {
    const { table, disk, wasteBytesMax } = this.#parts
    const needed = table.liveBytes * this.#bytesPerLiveByte
    const waste = table.bytes - needed
    if (waste > Math.max(needed, wasteBytesMax)) return true
    return disk.isCramped && waste > Math.min(CRAMPED_WASTE_BYTES, wasteBytesMax) + needed / 16
  }

  /** Begins to move, if it is due. `failed` is called with why it cannot. */
  start(failed: (thrown: unknown) => void): void {
    if (this.#running !== undefined || this.#isStopped || !this.isDue) return
    this.#running = this.#run()
      .catch(failed)
      .finally(() => {
        this.#running = undefined
      })
  }

  /** Resolves when nothing is being moved. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    const { table, writer } = this.#parts
    while (this.isDue && !this.#isStopped && table.first < writer.number) {
      if (table.first >= this.#roundEnd) this.#roundEnd = writer.number
      const before = table.first
      for (
        let moved = 0, number = before;
        moved < MOVED_BYTES_MAX && number < this.#roundEnd && !this.#isStopped;
        number++
      ) {
        moved += table.get(number)?.liveBytes ?? 0
        await this.#moveSegment(number)
      }
      await this.#parts.commit()
      if (table.first === before) return
      if (table.first >= this.#roundEnd && table.liveBytes > 0)
        this.#bytesPerLiveByte = Math.max(1, Math.min(4, table.bytes / table.liveBytes))
    }
  }

  async #moveSegment(number: number): Promise<void> {
    const { table, index, memory, values, clock } = this.#parts
    values.moveFrom(number)
    if ((table.get(number)?.liveBytes ?? 0) === 0) return
    let count = 0
    for (const [segment, frame] of [...index.occupants(number)]) {
      if (count++ % SLICE_FRAMES === 0 && count > 1) await new Promise<void>((resolve) => clock.soon(resolve))
      const page = index.page(segment)
      // Meanwhile it may have been given up, and its page with it.
      if (page === undefined || !page.isLive(frame)) continue
      const bytes = memory.find(number) ?? (await memory.read(number))
      if (page.isLive(frame)) this.#moveFrame(page, segment, frame, number, bytes)
    }
  }

  #moveFrame(page: IndexPage, segment: number, frame: number, from: number, bytes: Buffer): void {
    const { writer, frames } = this.#parts
    const offset = page.movedTo(frame)?.offset ?? page.offsetOf(frame)
    const length = page.lengthOf(frame)
    const to = { offset: writer.addFrame(bytes, offset, offset + length), segment: writer.number }
    frames.move({ segment, offset: page.offsetOf(frame) }, length, to)
    writer.reserveRecord()
    writer.records.moved(from, offset)
    const body = page.bodyOf(frame)
    if (body !== undefined) {
      writer.reserveRecord()
      writer.records.body(to, body.number, body.bytes)
    }
    for (const copies of page.copiesOf(frame)) this.#tell(to, copies)
  }

  /** Tells again where copies of an object are. */
  #tell(at: FrameLocation, copies: Copies): void {
    const { writer, index } = this.#parts
    const { group, deadLetter, ...place } = index.placeOf(undefined, copies)
    writer.reserveRecord()
    if (place.kind === 'broadcast') {
      writer.records.retained(at, group, place.groupIndex, place.order)
      return
    }
    writer.records.place(at, { group, ...place })
    if (deadLetter === undefined) return
    const text = encodeDeadLetter(deadLetter)
    writer.reserveRecord(RECORD_ROOM_BYTES + text.length)
    writer.records.died(at, group, place.order, text)
  }
}
