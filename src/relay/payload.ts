import { createError } from '../errors.ts'
import type { KeptFrame } from '../store/store.ts'
import { type ChunkSource, cutPieces } from '../wire/outgoingStream.ts'
import type { RelaySession } from './relaySession.ts'

/** The relay's handle to the bytes of one object: a whole frame that is kept, or a large object in parts. */
export type RelayPayload = KeptFrame | LargePayload

/** Parts smaller than this are copied together: a view takes more memory than they do. */
const SMALL_PART_BYTES = 4 * 1024
const GATHERED_BYTES = 16 * 1024

/** A large object in the relay: its parts as they came, most of them uncopied; more may be on their way. */
export class LargePayload implements ChunkSource {
  readonly bytes: number
  /** The STREAM_BEGIN as it came from the sender. */
  readonly begin: Buffer
  /** Sessions that it goes to while it is still arriving. */
  readonly receivers: Set<RelaySession> = new Set()
  readonly #parts: Buffer[] = []
  readonly #offsets: number[] = []
  #received = 0
  /** Where small parts are copied, the last of `#parts` ending at `#gatheredEnd`. */
  #gathered: Buffer | undefined
  #gatheredEnd = 0

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
    if (fresh.length < SMALL_PART_BYTES) this.#gather(fresh)
    else {
      this.#gathered = undefined
      this.#keep(fresh)
    }
    this.#received += fresh.length
  }

  #keep(part: Buffer): void {
    this.#parts.push(part)
    this.#offsets.push(this.#received)
  }

  #gather(part: Buffer): void {
    const gathered = this.#gathered
    if (gathered === undefined || this.#gatheredEnd + part.length > gathered.length) {
      const buffer = Buffer.allocUnsafeSlow(GATHERED_BYTES)
      part.copy(buffer)
      this.#gathered = buffer
      this.#gatheredEnd = part.length
      this.#keep(buffer.subarray(0, part.length))
      return
    }
    part.copy(gathered, this.#gatheredEnd)
    this.#gatheredEnd += part.length
    const offset = this.#offsets.at(-1) ?? 0
    this.#parts[this.#parts.length - 1] = gathered.subarray(0, this.#received - offset + part.length)
  }

  pieces(offset: number, length: number): Buffer[] {
    return cutPieces(this.#parts, this.#offsets, offset, length)
  }
}
