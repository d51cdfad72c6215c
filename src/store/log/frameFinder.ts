import type { ColdFrame, LoadedFrame } from '../store.ts'
import type { FrameTable } from './frameTable.ts'
import { type FrameSource, LogFrame } from './logFrame.ts'
import type { SegmentMemory } from './segmentMemory.ts'

/** Finds the bytes of frames, wherever they were moved to. A run is looked for where its first frame lies: see {@link FrameFinder.apart}. */
export class FrameFinder implements FrameSource {
  readonly #frames: FrameTable
  readonly #memory: SegmentMemory

  constructor(frames: FrameTable, memory: SegmentMemory) {
    this.#frames = frames
    this.#memory = memory
  }

  find(frame: LogFrame): LoadedFrame | undefined {
    const { segment, offset } = this.#frames.locate(frame)
    const buffer = this.#memory.find(segment)
    return buffer === undefined ? undefined : { buffer, start: offset, end: offset + frame.bytes }
  }

  load(frame: LogFrame): ColdFrame {
    // If it is moved meanwhile, the old place is as good.
    const { segment, offset } = this.#frames.locate(frame)
    return { reading: this.#memory.read(segment), start: offset, end: offset + frame.bytes }
  }

  apart(run: LogFrame): readonly LogFrame[] | undefined {
    return this.#frames.isTogether(run)
      ? undefined
      : this.#frames.each(run, (at, bytes) => new LogFrame(this, at, bytes, 1))
  }
}
