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
  /** Where small parts are copied, up to `#gatheredEnd` until now. */
  #gathered: Buffer | undefined
  #gatheredEnd = 0
  /** Where the last of `#parts` begins in `#gathered`, if it lies there. */
  #gatheredPart: number | undefined

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
      this.#gatheredPart = undefined
      this.#keep(fresh)
    }
    this.#received += fresh.length
  }

  #keep(part: Buffer): void {
    this.#parts.push(part)
    this.#offsets.push(this.#received)
  }

  /** Parts that alternate with large ones share the memory too, or each byte of theirs could cost a whole buffer. */
  #gather(part: Buffer): void {
    let gathered = this.#gathered
    if (gathered === undefined || this.#gatheredEnd + part.length > gathered.length) {
      gathered = Buffer.allocUnsafeSlow(Math.min(GATHERED_BYTES, this.bytes - this.#received))
      this.#gathered = gathered
      this.#gatheredEnd = 0
      this.#gatheredPart = undefined
    }
    part.copy(gathered, this.#gatheredEnd)
    const start = this.#gatheredPart ?? this.#gatheredEnd
    this.#gatheredEnd += part.length
    const whole = gathered.subarray(start, this.#gatheredEnd)
    if (this.#gatheredPart === undefined) this.#keep(whole)
    else this.#parts[this.#parts.length - 1] = whole
    this.#gatheredPart = start
  }

  pieces(offset: number, length: number): Buffer[] {
    return cutPieces(this.#parts, this.#offsets, offset, length)
  }
}
