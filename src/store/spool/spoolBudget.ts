import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import type { SlabPool } from '../../wire/slabPool.ts'
import type { StoreHost } from '../store.ts'
import type { BodyFiles } from './bodyFiles.ts'
import { BodyMemory } from './bodyParts.ts'

/** How a store wants its large objects kept. */
export interface SpoolOptions {
  /** Where they are written; `undefined`: nowhere, all of them stay in memory. */
  readonly files: BodyFiles | undefined
  /**
   * Whether they are only put aside: small ones then stay in memory, as far as there is room for them, and so does what
   * cannot be written. Else all of each is written, made safe when it is whole, and what cannot be written fails.
   */
  readonly isTemporary: boolean
  readonly clock: Clock
  readonly host: StoreHost
  /** What bodies lie in while they are in memory. */
  readonly slabs: SlabPool
}

/** So many pieces are read at the same time: what is under way takes memory too. */
const READS_MAX = 8
/** After a failure nothing is written for so long. */
const WRITE_AGAIN_MS = 30_000
/** After a failure it is read again after so long. */
const READ_AGAIN_MS = 1_000

/** The bytes of a body that lie in memory because they were read back. */
export interface ReadPiece {
  /** Forgets the bytes. */
  drop(): void
  readonly bytes: number
}

/**
 * What the large objects of one store share: the memory that they may take together, reads of the disk at the same time, and what becomes
 * of a disk that fails.
 */
export class SpoolBudget {
  readonly options: SpoolOptions
  /** What was read back, longest unused first. */
  readonly #pieces = new Set<ReadPiece>()
  #pieceBytes = 0
  #readsUnderWay = 0
  #waitingReads: (() => Promise<void>)[] = []
  /** Of bodies that stay in memory as long as they live. */
  #wholeBytes = 0
  #partBytes = 0
  #writesAgainMs = Number.NEGATIVE_INFINITY
  #reportedWriting = false
  #reportedReading = false

  /** For bodies that stay in memory: they would keep slabs alive that others only pass through. */
  readonly wholeMemory: BodyMemory
  /** For all others. */
  readonly passingMemory: BodyMemory

  constructor(options: SpoolOptions) {
    this.options = options
    this.wholeMemory = new BodyMemory(options.slabs)
    this.passingMemory = new BodyMemory(options.slabs)
  }

  /** Bytes of bodies that lie in memory. */
  get memoryBytes(): number {
    return this.#partBytes + this.#pieceBytes
  }

  /** Whether bodies that are being written take so much memory together that each must do with little. */
  get isCrowded(): boolean {
    return this.#partBytes - this.#wholeBytes > fixedLimits.bodyMemoryBytesMax
  }

  /** Files that can be written now. */
  get writableFiles(): BodyFiles | undefined {
    const { files, isTemporary, clock } = this.options
    return isTemporary && clock.nowMs() < this.#writesAgainMs ? undefined : files
  }

  /** Whether a body of this size stays in memory; if so, room was taken for it. */
  takesWhole(bytes: number): boolean {
    if (!this.options.isTemporary) return false
    if (bytes > fixedLimits.bodyWholeBytesMax) return false
    if (this.#wholeBytes + bytes > fixedLimits.bodyMemoryBytesMax) return false
    this.#wholeBytes += bytes
    return true
  }

  leavesWhole(bytes: number): void {
    this.#wholeBytes -= bytes
  }

  /** Parts of bodies came, or left if negative. */
  countParts(bytes: number): void {
    this.#partBytes += bytes
  }

  /** A piece was read, or is used again. The longest unused ones go when they are too many. */
  usePiece(piece: ReadPiece): void {
    if (this.#pieces.delete(piece)) this.#pieceBytes -= piece.bytes
    this.#pieces.add(piece)
    this.#pieceBytes += piece.bytes
    if (this.#pieceBytes <= fixedLimits.bodyReadBytesMax) return
    for (const oldest of this.#pieces) {
      if (oldest === piece) return
      this.forgetPiece(oldest)
      oldest.drop()
      if (this.#pieceBytes <= fixedLimits.bodyReadBytesMax) return
    }
  }

  /** Reads something, not too much at the same time. `load` does not reject. */
  read(load: () => Promise<void>): void {
    if (this.#readsUnderWay >= READS_MAX) {
      this.#waitingReads.push(load)
      return
    }
    this.#readsUnderWay++
    void load().then(() => {
      this.#readsUnderWay--
      const next = this.#waitingReads.shift()
      if (next !== undefined) this.read(next)
    })
  }

  forgetPiece(piece: ReadPiece): void {
    if (this.#pieces.delete(piece)) this.#pieceBytes -= piece.bytes
  }

  /** A body could not be written: why, for whoever sent it. */
  writingFailed(cause: unknown): ObjectRelayError {
    const { isTemporary, clock, host } = this.options
    this.#writesAgainMs = clock.nowMs() + WRITE_AGAIN_MS
    const error = writeError(cause, isTemporary)
    if (isTemporary && !this.#reportedWriting) {
      this.#reportedWriting = true
      host.report(error)
    }
    return error
  }

  /** A body could not be read: it is tried again. */
  readingFailed(cause: unknown, again: () => void): void {
    const { clock, host } = this.options
    if (!this.#reportedReading) {
      this.#reportedReading = true
      const message = `A large object cannot be read back from the disk (${textOf(cause)}). It is tried again; look at the disk.`
      host.report(createError('STORE_FAILED', message, { cause }))
    }
    clock.after(READ_AGAIN_MS, again)
  }
}

function writeError(cause: unknown, isTemporary: boolean): ObjectRelayError {
  const isFull = isErrorCode(cause, 'ENOSPC') || isErrorCode(cause, 'EDQUOT')
  const then = isTemporary
    ? 'It stays in memory, as others do that come soon. Give the relay a folder with room: memoryStore({ spillDir }).'
    : isFull
      ? 'Make room on the disk, or let members consume; the object can be sent again.'
      : 'Look at the disk and the folder of the store.'
  const message = `A large object cannot be written to the disk (${textOf(cause)}). ${then}`
  return createError(isFull ? 'STORE_FULL' : 'STORE_FAILED', message, { cause })
}

function isErrorCode(cause: unknown, code: string): boolean {
  return typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === code
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
