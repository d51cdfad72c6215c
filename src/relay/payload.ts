import { createError } from '../errors.ts'
import type { KeptFrame } from '../store/store.ts'
import { type ChunkSource, cutPieces } from '../wire/outgoingStream.ts'
import type { RelaySession } from './relaySession.ts'

/** The relay's handle to the bytes of one object: a whole frame that is kept, or a large object in parts. */
export type RelayPayload = KeptFrame | LargePayload

/** A large object in the relay: its parts as they came, uncopied; more may be on their way. */
export class LargePayload implements ChunkSource {
  readonly bytes: number
  /** The STREAM_BEGIN as it came from the sender. */
  readonly begin: Buffer
  /** Sessions that it goes to while it is still arriving. */
  readonly receivers: Set<RelaySession> = new Set()
  readonly #parts: Buffer[] = []
  readonly #offsets: number[] = []
  #received = 0

  constructor(begin: Buffer, bodyBytes: number) {
    this.begin = begin
    this.bytes = bodyBytes
  }

  get totalBytes(): number {
    return this.bytes
  }

  get availableBytes(): number {
    return this.#received
  }

  get complete(): boolean {
    return this.#received === this.bytes
  }

  /** Takes a part. What came already before a reconnect may come again; a gap, or more than announced, may not. */
  writeAt(offset: number, part: Buffer): void {
    if (!(offset <= this.#received && offset + part.length <= this.bytes)) {
      throw createError(
        'PROTOCOL_VIOLATION',
        'The peer sent a part of a large object that does not follow the one before.',
      )
    }
    const fresh = part.subarray(this.#received - offset)
    if (fresh.length === 0) return
    this.#parts.push(fresh)
    this.#offsets.push(this.#received)
    this.#received += fresh.length
  }

  pieces(offset: number, length: number): Buffer[] {
    return cutPieces(this.#parts, this.#offsets, offset, length)
  }
}
