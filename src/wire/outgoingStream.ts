import { fixedLimits } from '../limits.ts'

/** Where the bytes of a large object come from. They may still be arriving while the first ones leave. */
export interface ChunkSource {
  /** Bytes of the whole object. */
  readonly totalBytes: number
  /** Bytes from the beginning that are there already. */
  readonly availableBytes: number
  /** The bytes from `offset` on, `length` of them, which are available; without a copy. Asked for in order, each once. */
  pieces(offset: number, length: number): readonly Buffer[]
  /** All of it has been asked for. */
  finished?(): void
  /** Nothing more of it will be asked for. */
  close?(): void
}

/** A large object on its way to the peer in chunks, under the window that the peer grants. */
export class OutgoingStream {
  readonly id: number
  readonly source: ChunkSource
  /** What it is in order with, see StreamTurns; the one that began first has the lowest `order`. */
  readonly lane: string
  readonly order: number
  #offset = 0
  /** How far the peer allows it to go. */
  windowLimit: number

  constructor(id: number, source: ChunkSource, options: { windowLimit: number; lane: string; order: number }) {
    this.id = id
    this.source = source
    this.windowLimit = options.windowLimit
    this.lane = options.lane
    this.order = options.order
  }

  /** Where the next chunk begins. */
  get offset(): number {
    return this.#offset
  }

  get finished(): boolean {
    return this.offset === this.source.totalBytes
  }

  /**
   * How many bytes may leave now. Less than a whole chunk leaves only at the object's end, or when the window or the
   * source has no more for the moment.
   */
  get sendableBytes(): number {
    return Math.max(
      0,
      Math.min(fixedLimits.chunkBytes, this.source.availableBytes - this.offset, this.windowLimit - this.offset),
    )
  }

  /** Takes the next chunk of `length` bytes. */
  take(length: number): readonly Buffer[] {
    const pieces = this.source.pieces(this.offset, length)
    this.#offset += length
    return pieces
  }
}

/** A large object in memory, in parts that lie one behind the other: what an endpoint sends. */
export class PartsSource implements ChunkSource {
  readonly totalBytes: number
  readonly #parts: readonly Buffer[]
  readonly #offsets: number[] = []

  constructor(parts: readonly Uint8Array[]) {
    let offset = 0
    this.#parts = parts.filter((part) => part.byteLength > 0).map(asBuffer)
    for (const part of this.#parts) {
      this.#offsets.push(offset)
      offset += part.length
    }
    this.totalBytes = offset
  }

  get availableBytes(): number {
    return this.totalBytes
  }

  pieces(offset: number, length: number): Buffer[] {
    return cutPieces(this.#parts, this.#offsets, offset, length)
  }
}

function asBuffer(part: Uint8Array): Buffer {
  return Buffer.from(part.buffer, part.byteOffset, part.byteLength)
}

/** Cuts `length` bytes from `offset` on out of parts whose offsets are known, as views. */
export function cutPieces(
  parts: readonly Buffer[],
  offsets: readonly number[],
  offset: number,
  length: number,
): Buffer[] {
  const pieces: Buffer[] = []
  let index = partAt(offsets, offset)
  let at = offset
  const end = offset + length
  while (at < end) {
    const part = parts[index]
    if (part === undefined) throw new RangeError('The pieces of a large object were asked for beyond what is there.')
    const partOffset = offsets[index] ?? 0
    const piece = part.subarray(at - partOffset, Math.min(part.length, end - partOffset))
    pieces.push(piece)
    at += piece.length
    index++
  }
  return pieces
}

/** The index of the part that holds `offset`, by bisection. */
function partAt(offsets: readonly number[], offset: number): number {
  let low = 0
  let high = offsets.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((offsets[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return low
}
