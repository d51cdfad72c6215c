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
        if (page.isLive(index)) this.#table.keep(holder, page.lengthOf(index))
    }
  }

  /** A frame was written at the end of the segment that is being written. */
  add({ segment, offset }: FrameLocation, bytes: number, isLarge: boolean): void {
    const holder = this.#table.get(segment)
    if (holder !== undefined) this.#table.keep(holder, bytes)
    this.#index.page(segment)?.push(offset, bytes, isLarge)
  }

  /** The frame that was written there first; throws if there is none. */
  subjectOf({ segment, offset }: FrameLocation): Subject {
    const page = this.#index.page(segment)
    const index = page?.indexAt(offset) ?? -1
    if (page === undefined || index < 0) throw new Error('The store was told of an object that it was told to release.')
    return { page, index }
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
    if (holder !== undefined) this.#table.keep(holder, bytes)
    this.#table.unref(from.segment, bytes)
    this.#index.move(told, to)
  }

  /** It is needed no more. */
  release(told: FrameLocation): void {
    const { page, index } = this.subjectOf(told)
    const { segment } = page.movedTo(index) ?? told
    this.#table.unref(segment, page.lengthOf(index))
    this.#index.release(told.segment, page, index)
  }

  /** What the index is told of an object. */
  get index(): ObjectIndex {
    return this.#index
  }
}
