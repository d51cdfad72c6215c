import { cutPieces } from '../../wire/outgoingStream.ts'

/** Parts smaller than this are copied together: a view takes more memory than they do. */
const SMALL_PART_BYTES = 4 * 1024
const GATHERED_BYTES = 16 * 1024

/** The parts of a large object that are in memory: a contiguous piece of it, as it came, most of it uncopied. */
export class BodyParts {
  /** Where the first part begins. */
  start: number
  /** Where the last part ends. */
  end: number
  #parts: Buffer[] = []
  #offsets: number[] = []
  /** Where small parts are copied, up to `#gatheredEnd` until now. */
  #gathered: Buffer | undefined
  #gatheredEnd = 0
  /** Where the last of `#parts` begins in `#gathered`, if it lies there. */
  #gatheredPart: number | undefined

  /** Without parts at first; the first one will begin at `offset`. */
  constructor(offset = 0) {
    this.start = offset
    this.end = offset
  }

  /** Adds what follows. `bytesLeft`: how much of the object may still come, this part included. */
  add(part: Buffer, bytesLeft: number): void {
    if (part.length < SMALL_PART_BYTES) this.#gather(part, bytesLeft)
    else {
      this.#gatheredPart = undefined
      this.#keep(part)
    }
    this.end += part.length
  }

  #keep(part: Buffer): void {
    this.#parts.push(part)
    this.#offsets.push(this.end)
  }

  /** Parts that alternate with large ones share the memory too, or each byte of theirs could cost a whole buffer. */
  #gather(part: Buffer, bytesLeft: number): void {
    let gathered = this.#gathered
    if (gathered === undefined || this.#gatheredEnd + part.length > gathered.length) {
      gathered = Buffer.allocUnsafeSlow(Math.min(GATHERED_BYTES, bytesLeft))
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

  /** Drops the parts that lie wholly before `offset`; tells how many bytes that were. */
  dropBefore(offset: number): number {
    let dropped = 0
    while (dropped < this.#parts.length && (this.#offsets[dropped + 1] ?? this.end) <= offset) dropped++
    if (dropped === 0) return 0
    const { start } = this
    this.start = this.#offsets[dropped] ?? this.end
    // Small parts that still come must not be joined to one that is gone.
    if (dropped === this.#parts.length) this.#gatheredPart = undefined
    this.#parts.splice(0, dropped)
    this.#offsets.splice(0, dropped)
    return this.start - start
  }

  /** The bytes from `offset` on, `length` of them, which lie between `start` and `end`; as views. */
  pieces(offset: number, length: number): Buffer[] {
    return cutPieces(this.#parts, this.#offsets, offset, length)
  }
}
