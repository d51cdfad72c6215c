import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { CHUNK_HEADER_BYTES, FRAME_HEADER_BYTES, FrameType } from './frameTypes.ts'
import { readUint32, readUint64 } from './integers.ts'

/** What a reader gives its frames to. */
export interface FrameHandler {
  /**
   * A whole frame lies in `buffer` from `start` to `end`. The bytes may be reused after the call; those of a frame that does
   * not begin at 0 only when what was pushed is read.
   */
  frame(type: number, buffer: Buffer, start: number, end: number): void
  /**
   * A part of a STREAM_CHUNK, as it came, in the memory that was given to `push`; `last` when the chunk is whole.
   */
  chunk(stream: number, offset: number, buffer: Buffer, start: number, end: number, last: boolean): void
}

const CHUNK_BYTES_MAX = CHUNK_HEADER_BYTES + fixedLimits.chunkBytes

/**
 * Turns bytes into frames, however they were split. It hands out offsets into what arrived, copies only a frame that
 * is split between two arrivals, and checks a length before it waits for, or allocates, anything.
 */
export class FrameReader {
  /** The largest frame that is accepted now; small until the peer has proven the password. */
  frameBytesMax: number
  readonly #handler: FrameHandler
  #carry: Buffer | undefined
  #carriedBytes = 0
  #stream = 0
  #chunkOffset = 0
  #chunkBytesLeft = 0
  #stopped = false

  constructor(handler: FrameHandler, frameBytesMax: number = fixedLimits.frameBytesMax) {
    this.#handler = handler
    this.frameBytesMax = frameBytesMax
  }

  /** Ignores all that comes from now on; may be called by the handler. */
  stop(): void {
    this.#stopped = true
  }

  /** Reads what arrived. Throws `PROTOCOL_VIOLATION` for a length or type that cannot be. */
  push(data: Buffer): void {
    let at = this.#carriedBytes > 0 ? this.#continueCarried(data) : 0
    const end = data.length
    while (at < end && !this.#stopped) {
      if (this.#chunkBytesLeft > 0) {
        at = this.#readChunkPart(data, at)
        continue
      }
      const available = end - at
      if (available < FRAME_HEADER_BYTES) break
      const length = readUint32(data, at)
      const type = data[at + 4] ?? 0
      this.#checkLength(length, type)
      if (type === FrameType.STREAM_CHUNK) {
        if (available < CHUNK_HEADER_BYTES) break
        this.#beginChunk(data, at, length)
        at += CHUNK_HEADER_BYTES
      } else {
        if (available < length) break
        this.#handler.frame(type, data, at, at + length)
        at += length
      }
    }
    if (at < end && !this.#stopped) this.#carryRest(data, at)
  }

  #checkLength(length: number, type: number): void {
    const isChunk = type === FrameType.STREAM_CHUNK
    const min = isChunk ? CHUNK_HEADER_BYTES + 1 : FRAME_HEADER_BYTES
    const max = isChunk ? Math.min(CHUNK_BYTES_MAX, this.frameBytesMax) : this.#frameBytesMaxOf(type)
    if (length >= min && length <= max) return
    throw createError(
      'PROTOCOL_VIOLATION',
      `A frame of type 0x${type.toString(16)} declares ${length} bytes; ${min} to ${max} are allowed here.`,
      { details: { type, length } },
    )
  }

  #frameBytesMaxOf(type: number): number {
    const isObject = type === FrameType.OBJECT
    return isObject ? this.frameBytesMax : Math.min(this.frameBytesMax, fixedLimits.controlFrameBytesMax)
  }

  #beginChunk(data: Buffer, at: number, length: number): void {
    this.#stream = readUint32(data, at + 8)
    this.#chunkOffset = readUint64(data, at + 12)
    this.#chunkBytesLeft = length - CHUNK_HEADER_BYTES
  }

  #readChunkPart(data: Buffer, at: number): number {
    const end = Math.min(data.length, at + this.#chunkBytesLeft)
    const offset = this.#chunkOffset
    this.#chunkBytesLeft -= end - at
    this.#chunkOffset += end - at
    this.#handler.chunk(this.#stream, offset, data, at, end, this.#chunkBytesLeft === 0)
    return end
  }

  #carryRest(data: Buffer, at: number): void {
    const length = data.length - at
    // The length is not known before 4 bytes; with it, the whole frame's room is taken at once.
    const needed = length >= 4 ? Math.min(readUint32(data, at), this.frameBytesMax) : CHUNK_HEADER_BYTES
    this.#ensureCarry(Math.max(needed, CHUNK_HEADER_BYTES))
    this.#carriedBytes = this.#carry?.length ? data.copy(this.#carry, 0, at) : 0
  }

  /** Completes the split frame with the beginning of `data`; returns how much of `data` that took. */
  #continueCarried(data: Buffer): number {
    let at = 0
    at = this.#fill(data, at, FRAME_HEADER_BYTES)
    let carry = this.#carry
    if (carry === undefined || this.#carriedBytes < FRAME_HEADER_BYTES) return at
    const length = readUint32(carry, 0)
    const type = carry[4] ?? 0
    this.#checkLength(length, type)
    const isChunk = type === FrameType.STREAM_CHUNK
    const needed = isChunk ? CHUNK_HEADER_BYTES : length
    this.#ensureCarry(needed)
    at = this.#fill(data, at, needed)
    if (this.#carriedBytes < needed) return at
    this.#carriedBytes = 0
    carry = this.#carry ?? carry
    if (isChunk) this.#beginChunk(carry, 0, length)
    else this.#handler.frame(type, carry, 0, length)
    return at
  }

  #fill(data: Buffer, at: number, needed: number): number {
    const missing = needed - this.#carriedBytes
    if (missing <= 0 || this.#carry === undefined) return at
    const end = Math.min(data.length, at + missing)
    this.#carriedBytes += data.copy(this.#carry, this.#carriedBytes, at, end)
    return end
  }

  #ensureCarry(bytes: number): void {
    if (this.#carry !== undefined && this.#carry.length >= bytes) return
    const larger = Buffer.allocUnsafeSlow(Math.max(256, 2 ** Math.ceil(Math.log2(bytes))))
    this.#carry?.copy(larger, 0, 0, this.#carriedBytes)
    this.#carry = larger
  }
}
