import { fixedLimits } from '../../limits.ts'
import type { SlabPool } from '../../wire/slabPool.ts'
import type { BodyFileUse } from './bodyFileUse.ts'
import type { ReadPiece, SpoolBudget } from './spoolBudget.ts'

const { bodyPieceBytes } = fixedLimits

/** A piece of a body that was read back. */
class LoadedPiece implements ReadPiece {
  readonly index: number
  readonly buffer: Buffer
  readonly #owner: Map<number, LoadedPiece>
  readonly #slabs: SlabPool

  /** It has a reference to the slab that it lies in. */
  constructor(index: number, buffer: Buffer, owner: Map<number, LoadedPiece>, slabs: SlabPool) {
    this.index = index
    this.buffer = buffer
    this.#owner = owner
    this.#slabs = slabs
  }

  get bytes(): number {
    return this.buffer.length
  }

  get start(): number {
    return this.index * bodyPieceBytes
  }

  get end(): number {
    return this.start + this.buffer.length
  }

  drop(): void {
    if (this.#owner.get(this.index) === this) this.#owner.delete(this.index)
    this.release()
  }

  /** It is not read any more. */
  release(): void {
    this.#slabs.release(this.buffer)
  }
}

/** Reads one body back from its file for receivers that are late, in pieces that they share. */
export class BodyReadBack {
  readonly #budget: SpoolBudget
  readonly #file: BodyFileUse
  readonly #loaded: () => void
  readonly #pieces = new Map<number, LoadedPiece>()
  readonly #loading = new Set<number>()
  #isClosed = false

  /** `loaded` is called when more can be read, or should be asked for again. */
  constructor(options: { budget: SpoolBudget; file: BodyFileUse; loaded: () => void }) {
    this.#budget = options.budget
    this.#file = options.file
    this.#loaded = options.loaded
  }

  /** Up to where it can be read from `offset` on; `offset` itself if it has to be fetched, which begins then. */
  availableFrom(offset: number, writtenEnd: number): number {
    const index = Math.floor(offset / bodyPieceBytes)
    const piece = this.#pieces.get(index)
    if (piece === undefined || piece.end <= offset) {
      this.#fetch(index, writtenEnd)
      return offset
    }
    this.#budget.usePiece(piece)
    // The next one comes while this one is read.
    if (piece.end < writtenEnd && !this.#pieces.has(index + 1)) this.#fetch(index + 1, writtenEnd)
    return piece.end
  }

  /** Bytes that are available. */
  pieceAt(offset: number, length: number): Buffer {
    const piece = this.#pieces.get(Math.floor(offset / bodyPieceBytes))
    if (piece === undefined || offset + length > piece.end)
      throw new RangeError('A part of a large object was asked for before it was read.')
    return piece.buffer.subarray(offset - piece.start, offset - piece.start + length)
  }

  close(): void {
    this.#isClosed = true
    for (const piece of this.#pieces.values()) this.#forget(piece)
    this.#pieces.clear()
  }

  #fetch(index: number, writtenEnd: number): void {
    const start = index * bodyPieceBytes
    const bytes = Math.min(bodyPieceBytes, writtenEnd - start)
    if (this.#isClosed || this.#loading.has(index) || bytes <= 0) return
    this.#loading.add(index)
    this.#budget.read(async () => {
      if (this.#isClosed) return
      try {
        const { slabs } = this.#budget.options
        const slab = slabs.take(bytes)
        const buffer = slab.subarray(0, bytes)
        // If that fails, nobody knows whether something is still being read into it: it is not given back.
        await this.#file.use((file) => file.read(start, buffer))
        this.#loading.delete(index)
        this.#add(new LoadedPiece(index, buffer, this.#pieces, slabs))
      } catch (cause) {
        this.#budget.readingFailed(cause, () => {
          this.#loading.delete(index)
          if (!this.#isClosed) this.#loaded()
        })
      }
    })
  }

  #add(piece: LoadedPiece): void {
    if (this.#isClosed) {
      piece.release()
      return
    }
    const before = this.#pieces.get(piece.index)
    if (before !== undefined) this.#forget(before)
    this.#pieces.set(piece.index, piece)
    this.#budget.usePiece(piece)
    this.#loaded()
  }

  #forget(piece: LoadedPiece): void {
    this.#budget.forgetPiece(piece)
    piece.release()
  }
}
