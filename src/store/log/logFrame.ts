import type { ColdFrame, KeptFrame, LoadedFrame } from '../store.ts'

/** Who can read the frames of a log. */
export interface FrameSource {
  /** Where the frame lies in memory; `undefined`: it is only on the disk now. */
  find(frame: LogFrame): LoadedFrame | undefined
  /** Begins to read it from the disk. */
  load(frame: LogFrame): ColdFrame
}

/** The segment of a frame that was released. */
export const RELEASED = -1

/**
 * The handle of one kept frame. Many may wait: it has no field that can be done without. It is told by where it was first written in
 * this run, and stays so when it is moved.
 */
export class LogFrame implements KeptFrame {
  readonly bytes: number
  segment: number
  readonly offset: number
  readonly source: FrameSource

  constructor(source: FrameSource, segment: number, offset: number, bytes: number) {
    this.source = source
    this.segment = segment
    this.offset = offset
    this.bytes = bytes
  }

  get objects(): number {
    return 1
  }

  find(): LoadedFrame | undefined {
    return this.source.find(this)
  }

  load(): ColdFrame {
    return this.source.load(this)
  }
}
