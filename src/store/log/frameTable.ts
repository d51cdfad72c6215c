import { readUint32 } from '../../wire/integers.ts'
import type { LogFrame } from './logFrame.ts'
import type { ObjectIndex, Subject } from './objectIndex.ts'
import type { FrameLocation } from './recordWriter.ts'
import type { SegmentTable } from './segmentTable.ts'

/** The frames of a log that are needed: what the index and the segments know of each, changed together. */
export class FrameTable {
  readonly #table: SegmentTable
  readonly #index: ObjectIndex

  constructor(table: SegmentTable, index: ObjectIndex) {
    this.#table = table
    this.#index = index
  }

  /** Counts what the index has of an earlier run. */
  restore(): void {
    for (const [segment, page] of this.#index.allPages()) {
      const holder = this.#table.get(segment)
      if (holder === undefined) continue
      for (let index = 0; index < page.count; index++)
        if (page.isLive(index)) this.#table.keep(holder, page.lengthOf(index), 1)
    }
  }

  /** The beginning of a large object was written at the end of the segment that is being written. */
  addLarge({ segment, offset }: FrameLocation, bytes: number): void {
    const holder = this.#table.get(segment)
    if (holder !== undefined) this.#table.keep(holder, bytes, 1)
    this.#index.page(segment)?.push(offset, bytes, true)
  }

  /** `frames` frames of `bytes` bytes in all were written there, copied from `start` of `source`. */
  add({ segment, offset }: FrameLocation, bytes: number, frames: number, source: Buffer, start: number): void {
    const holder = this.#table.get(segment)
    if (holder !== undefined) this.#table.keep(holder, bytes, frames)
    const page = this.#index.page(segment)
    for (let at = 0; at < bytes; ) {
      const length = readUint32(source, start + at)
      page?.push(offset + at, length, false)
      at += length
    }
  }

  /** The frames that were first written there, one behind the other. Throws if there are none. */
  subjectOf({ segment, offset }: FrameLocation, frames = 1): Subject {
    const page = this.#index.page(segment)
    const index = page?.indexAt(offset) ?? -1
    if (page === undefined || index < 0) throw new Error('The store was told of an object that it was told to release.')
    return { page, index, frames }
  }

  /** Whether all frames of a run lie where they were written, one behind the other. */
  isTogether(run: LogFrame): boolean {
    const { page, index } = this.subjectOf(run)
    return !page.hasMoved(index, run.objects)
  }

  /** Makes something of each frame of a run, by where it was written first. */
  each<T>(run: LogFrame, make: (at: FrameLocation, bytes: number) => T): T[] {
    const { segment, objects } = run
    const { page, index } = this.subjectOf(run)
    const made: T[] = []
    for (let at = index; at < index + objects; at++)
      made.push(make({ segment, offset: page.offsetOf(at) }, page.lengthOf(at)))
    return made
  }

  /** How many bytes the first frames of a run have. */
  bytesOf(run: LogFrame, objects: number): number {
    const { page, index } = this.subjectOf(run)
    return page.bytesOf(index, objects)
  }

  /** Where the frame lies that was written there first. */
  locate(told: FrameLocation): FrameLocation {
    const { page, index } = this.subjectOf(told)
    return page.movedTo(index) ?? told
  }

  /** It lies somewhere else from now on. */
  move(told: FrameLocation, bytes: number, to: FrameLocation): void {
    const from = this.locate(told)
    const holder = this.#table.get(to.segment)
    if (holder !== undefined) this.#table.keep(holder, bytes, 1)
    this.#table.unref(from.segment, bytes, 1)
    this.#index.move(told, to)
  }

  /** `frames` frames, written one behind the other, are no longer needed. */
  release(told: FrameLocation, frames: number): void {
    const subject = this.subjectOf(told, frames)
    const { page, index } = subject
    if (page.hasMoved(index, frames)) {
      for (let at = index; at < index + frames; at++)
        this.#table.unref((page.movedTo(at) ?? told).segment, page.lengthOf(at), 1)
    } else {
      this.#table.unref(told.segment, page.bytesOf(index, frames), frames)
    }
    this.#index.release(told.segment, subject)
  }

  /** What the index is told of an object. */
  get index(): ObjectIndex {
    return this.#index
  }
}
