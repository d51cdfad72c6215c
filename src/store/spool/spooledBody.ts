import { createError, type ObjectRelayError } from '../../errors.ts'
import type { LargeBody, LargeReader } from '../store.ts'
import { BodyParts } from './bodyParts.ts'

/** A large object in a store. */
export class SpooledBody implements LargeBody {
  readonly bytes: number
  readonly begin: Buffer
  onRoom: ((error?: ObjectRelayError) => void) | undefined
  readonly #parts = new BodyParts()
  readonly #readers = new Set<SpooledReader>()
  #endReleased = false

  constructor(begin: Buffer, bodyBytes: number) {
    this.begin = begin
    this.bytes = bodyBytes
  }

  get receivedBytes(): number {
    return this.#parts.end
  }

  get roomEnd(): number {
    return this.bytes
  }

  get readableBytes(): number {
    return this.#endReleased ? this.#parts.end : Math.min(this.#parts.end, this.bytes - 1)
  }

  writeAt(offset: number, part: Buffer): void {
    const received = this.#parts.end
    if (!(offset <= received && offset + part.length <= this.bytes)) {
      throw createError(
        'PROTOCOL_VIOLATION',
        'The peer sent a part of a large object that does not follow the one before.',
      )
    }
    const fresh = part.subarray(received - offset)
    if (fresh.length === 0) return
    this.#parts.add(fresh, this.bytes - received)
    for (const reader of this.#readers) reader.onReadable()
  }

  finish(): Promise<void> | undefined {
    return undefined
  }

  releaseEnd(): void {
    this.#endReleased = true
    for (const reader of this.#readers) reader.onReadable()
  }

  pieces(offset: number, length: number): Buffer[] {
    return this.#parts.pieces(offset, length)
  }

  openReader(onReadable: () => void): LargeReader {
    const reader = new SpooledReader(this, onReadable)
    this.#readers.add(reader)
    return reader
  }

  closeReader(reader: SpooledReader): void {
    this.#readers.delete(reader)
  }
}

class SpooledReader implements LargeReader {
  readonly onReadable: () => void
  readonly #body: SpooledBody

  constructor(body: SpooledBody, onReadable: () => void) {
    this.#body = body
    this.onReadable = onReadable
  }

  get totalBytes(): number {
    return this.#body.bytes
  }

  get availableBytes(): number {
    return this.#body.readableBytes
  }

  pieces(offset: number, length: number): readonly Buffer[] {
    return this.#body.pieces(offset, length)
  }

  close(): void {
    this.#body.closeReader(this)
  }
}
