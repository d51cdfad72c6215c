import type { ObjectRelayError } from '../../errors.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'

/** Where a log lives: numbered segments and a few named values, changed together or not at all. */
export interface LogDisk {
  /** The numbers of all segments, ascending. */
  segmentNumbers(): readonly number[]
  /**
   * Throws `STORE_CORRUPT` if it is not there or cannot be read. It is called while the relay runs too, since what waits lies
   * on the disk; so it is fast. The result may be a view that is valid until the next call of the disk, and no longer than what
   * runs now: not beyond the next `await`.
   */
  readSegment(number: number): Buffer
  /** All that was set by {@link LogChange.values}. */
  values(): Iterable<readonly [name: string, value: Buffer]>
  /**
   * Resolves when it is safe, in the order of the calls; several may be under way. A full disk is reported and tried again;
   * other failures reject, and then nothing more can be committed. What it was given is not changed afterwards.
   */
  commit(change: LogChange): Promise<void>
  /** Why an object of so many bytes should not be taken now, if so. */
  refusal(bytes: number): ObjectRelayError | undefined
  /** Where bodies of large objects are written. */
  readonly bodies: BodyFiles
  /** Ends it, with all files that are open, those of bodies included. */
  close(): Promise<void>
}

/** What is to be made true on the disk: all of it, or, if the machine stops, none. */
export interface LogChange {
  readonly segments: readonly SegmentBytes[]
  /** Segments with lower numbers are deleted. */
  readonly dropBefore: number
  /** Set, or deleted if undefined. */
  readonly values: ReadonlyMap<string, Buffer | undefined>
}

/** One segment as it is written. */
export interface SegmentBytes {
  readonly number: number
  readonly bytes: Buffer
}
