import type { ObjectRelayError } from '../../errors.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'

/**
 * Where a log lives: blocks, one behind the other, that are added by commits and dropped at the front. It belongs to one owner at a
 * time: whoever opens it last. What an earlier owner writes from then on does not count, and it is told so.
 */
export interface LogDisk {
  /** What the check of each block begins with; see blockFormat.ts. */
  readonly key: number
  /**
   * Tells all blocks that count, in their order, each checked; once, before anything else. A block is valid until the next one is
   * told. Resolves to where the log ends; `undefined`: there is none yet. Rejects with `STORE_CORRUPT` or `STORE_VERSION`.
   */
  recover(take: (block: BlockBytes) => void): Promise<RecoveredEnd | undefined>
  /** Fills `into` with a segment from its beginning on. Rejects with `STORE_CORRUPT` if it is not there. */
  read(segment: number, into: Buffer): Promise<void>
  /**
   * Resolves when it is safe. {@link COMMITS_MAX} may be under way at once; they become safe in their order. A full disk is reported and
   * tried again; other failures reject, and then nothing more can be committed. What it was given is not changed until then.
   */
  commit(change: LogChange): Promise<void>
  /** Why an object should not be taken now, if so. */
  refusal(needed: RoomNeeded): ObjectRelayError | undefined
  /** Whether there is so little room that what is needed no more is worth any work. */
  readonly isCramped: boolean
  /** Where bodies of large objects are written. */
  readonly bodies: BodyFiles
  /** Whether there is hardly room for what has to be told of what is there: nothing should be told that can wait. */
  readonly isFull: boolean
  /** A full disk is not tried again from now on: the commit rejects. */
  stopRetrying(): void
  /** Ends it, with all files that are open, those of bodies included. The log is safe up to `end`. */
  close(end: LogEnd): Promise<void>
}

/** So many commits may be under way at once: while one becomes safe, the next is written. */
export const COMMITS_MAX = 2

/** What is to be made true on the disk: all of it, or, if the machine stops, none. */
export interface LogChange {
  readonly blocks: readonly BlockBytes[]
  /** Segments with lower numbers are deleted. */
  readonly first: number
}

/** One block as it is written. */
export interface BlockBytes {
  /** Where it stands. */
  readonly segment: number
  readonly offset: number
  readonly bytes: Buffer
}

/** Where a log ends. */
export interface LogEnd {
  /** The number of the last commit, and the check of its last block. */
  readonly commit: number
  readonly check: number
}

/** Where a recovered log ends, and the first segment that is needed. */
export interface RecoveredEnd extends LogEnd {
  readonly first: number
}

/** How much room there must be to take one more object. */
export interface RoomNeeded {
  /** Of what is needed already. */
  readonly liveBytes: number
  /** Of what is not on the disk yet. */
  readonly pendingBytes: number
  /** Of the object. */
  readonly bytes: number
}
