import type { KeptFrame } from '../store.ts'

/** Who can read the frames of a log. */
export interface FrameSource {
  /** The memory that the frame lies in now. */
  read(frame: LogFrame): Buffer
  /** Where it lies in that memory. */
  startOf(frame: LogFrame): number
}

/** The segment of a frame that was released. */
export const RELEASED = -1

/** The handle of one kept frame. A million of them may wait: it has no field that can be done without. */
export class LogFrame implements KeptFrame {
  readonly bytes: number
  /** Where it lies in the log; it may be moved. */
  segment: number
  offset: number
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

  get buffer(): Buffer {
    return this.source.read(this)
  }

  get start(): number {
    return this.source.startOf(this)
  }

  get end(): number {
    return this.source.startOf(this) + this.bytes
  }
}
