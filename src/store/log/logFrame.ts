import type { ColdFrame, KeptFrame, LoadedFrame } from '../store.ts'
import type { FrameLocation } from './recordWriter.ts'

/** Who can read the frames of a log. */
export interface FrameSource {
  /** Where the frames lie in memory; `undefined`: they are only on the disk now. */
  find(frames: LogFrame): LoadedFrame | undefined
  /** Begins to read them from the disk. */
  load(frames: LogFrame): ColdFrame
  /** Each frame of a run alone, if some of them were moved; else `undefined`. */
  apart(frames: LogFrame): readonly LogFrame[] | undefined
}

/** The segment of frames that were released. */
export const RELEASED = -1

/**
 * The handle of one kept frame, or of a run of them. Many may wait: it has no field that can be done without. They are told by where they
 * were first written in this run of the relay, one behind the other, and stay so when they are moved.
 */
export class LogFrame implements KeptFrame {
  bytes: number
  objects: number
  segment: number
  offset: number
  readonly source: FrameSource

  constructor(source: FrameSource, { segment, offset }: FrameLocation, bytes: number, objects: number) {
    this.source = source
    this.segment = segment
    this.offset = offset
    this.bytes = bytes
    this.objects = objects
  }

  find(): LoadedFrame | undefined {
    return this.source.find(this)
  }

  load(): ColdFrame {
    return this.source.load(this)
  }

  apart(): readonly LogFrame[] | undefined {
    return this.objects === 1 ? undefined : this.source.apart(this)
  }
}
