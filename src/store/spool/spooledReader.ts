import { createError } from '../../errors.ts'
import type { LargeReader } from '../store.ts'

/** What a reader reads. */
export interface ReadableBody {
  readonly bytes: number
  /** Up to where it can be read from `offset` on. What cannot is fetched. */
  availableFrom(offset: number): number
  /** Bytes that are available. */
  pieces(offset: number, length: number): readonly Buffer[]
  /** A reader has read. */
  readerMoved(): void
  closeReader(reader: SpooledReader): void
}

/** One receiver's place in a body. */
export class SpooledReader implements LargeReader {
  /** What it reads next begins here. */
  position = 0
  readonly #body: ReadableBody
  readonly #onReadable: () => void
  /** It was asked and had nothing, or was not asked yet. */
  #waits = true

  constructor(body: ReadableBody, onReadable: () => void) {
    this.#body = body
    this.#onReadable = onReadable
  }

  get totalBytes(): number {
    return this.#body.bytes
  }

  get availableBytes(): number {
    const available = this.#body.availableFrom(this.position)
    this.#waits = available <= this.position
    return available
  }

  pieces(offset: number, length: number): readonly Buffer[] {
    if (offset !== this.position) {
      throw createError('PROTOCOL_VIOLATION', 'A large object is not read in order.')
    }
    const pieces = this.#body.pieces(offset, length)
    this.position += length
    this.#body.readerMoved()
    return pieces
  }

  /** More may be available. */
  wake(): void {
    if (!this.#waits) return
    this.#waits = false
    this.#onReadable()
  }

  close(): void {
    this.#body.closeReader(this)
  }
}
