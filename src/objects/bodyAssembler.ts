import { createError } from '../errors.ts'
import { endpointLimitDefaults } from '../limits.ts'
import { bodyForm, malformed, readSegmentedLayout, segmentedFixedBytes, segmentedHeaderBytes } from './bodyFormat.ts'

/** A body that was received; all memory is its own and can be transferred to another thread. */
export interface ReceivedParts {
  readonly head: Uint8Array<ArrayBuffer>
  readonly segments: readonly ArrayBuffer[]
}

/** What is being filled: bytes of the body from `start` to `end` go there. */
interface Part {
  readonly start: number
  readonly end: number
  memory: Buffer<ArrayBuffer> | undefined
}

/**
 * Puts a body together from the chunks in which it arrives. Each segment gets memory of exactly its size, once, when its
 * first byte arrives; before that its length was compared with the size of the whole body.
 */
export class BodyAssembler {
  readonly #totalBytes: number
  #received = 0
  /** Collects the header until it is known how long the head is. */
  #header: Buffer<ArrayBuffer>
  #parts: Part[] | undefined
  #current = 0

  constructor(totalBytes: number, bounds: { objectBytesMax?: number } = {}) {
    const objectBytesMax = bounds.objectBytesMax ?? endpointLimitDefaults.objectBytesMax
    if (!Number.isSafeInteger(totalBytes) || totalBytes < 1) throw malformed('it is empty', 0)
    if (totalBytes > objectBytesMax) {
      throw createError(
        'NOT_DESERIALIZABLE',
        `An object of ${totalBytes} bytes arrives, but objectBytesMax is ${objectBytesMax}. Raise it, or let the sender send parts.`,
        { details: { byteLength: totalBytes, objectBytesMax } },
      )
    }
    this.#totalBytes = totalBytes
    this.#header = Buffer.alloc(Math.min(totalBytes, segmentedFixedBytes))
  }

  /** Bytes that are there, without a gap from the first. */
  get received(): number {
    return this.#received
  }

  /** Whether all bytes are there. */
  get complete(): boolean {
    return this.#received === this.#totalBytes
  }

  /** Takes the bytes that belong at `offset`. What was there before is skipped (a link that was renewed repeats some). */
  writeAt(offset: number, chunk: Uint8Array): void {
    if (offset < 0 || offset > this.#received) {
      throw createError(
        'PROTOCOL_VIOLATION',
        `A chunk begins at byte ${offset} of an object of which ${this.#received} are there.`,
      )
    }
    if (offset + chunk.length > this.#totalBytes) {
      throw createError(
        'PROTOCOL_VIOLATION',
        `A chunk goes beyond the ${this.#totalBytes} bytes that were announced for its object.`,
      )
    }
    let taken = this.#received - offset
    while (taken < chunk.length) taken += this.#take(chunk.subarray(taken))
  }

  /** The parts of the complete body. */
  finish(): ReceivedParts {
    if (!this.complete) {
      throw createError(
        'PROTOCOL_VIOLATION',
        `Only ${this.#received} of ${this.#totalBytes} bytes of an object have arrived.`,
      )
    }
    const memories = (this.#parts ?? []).map(({ memory, start, end }) => memory ?? Buffer.allocUnsafeSlow(end - start))
    const [head, ...segments] = memories
    if (head === undefined) throw malformed('the header is cut off', this.#received)
    return { head: new Uint8Array(head.buffer), segments: segments.map((segment) => segment.buffer) }
  }

  /** Puts the beginning of some bytes where they belong; tells how many. */
  #take(bytes: Uint8Array): number {
    const parts = this.#parts
    if (parts === undefined) return this.#takeHeader(bytes)
    while (this.#received >= (parts[this.#current]?.end ?? Number.POSITIVE_INFINITY)) this.#current++
    const part = parts[this.#current]
    if (part === undefined) throw malformed('its parts do not fill it', this.#received)
    part.memory ??= allocate(part.end - part.start)
    const count = Math.min(bytes.length, part.end - this.#received)
    part.memory.set(bytes.subarray(0, count), this.#received - part.start)
    this.#received += count
    return count
  }

  #takeHeader(bytes: Uint8Array): number {
    const form = this.#received === 0 ? bytes[0] : this.#header[0]
    if (form === bodyForm.plain || form === bodyForm.own) {
      // All of it is head.
      this.#parts = [{ start: 0, end: this.#totalBytes, memory: undefined }]
      return 0
    }
    if (form !== bodyForm.segmented) throw malformed(`it begins with form ${form}, which this version does not know`, 0)
    const count = Math.min(bytes.length, this.#header.length - this.#received)
    this.#header.set(bytes.subarray(0, count), this.#received)
    this.#received += count
    if (this.#received === this.#header.length) this.#readHeader()
    return count
  }

  #readHeader(): void {
    const headerBytes = segmentedHeaderBytes(this.#header, 0, this.#totalBytes)
    if (this.#header.length < headerBytes) {
      // Now the length of its table is known.
      const longer = Buffer.alloc(headerBytes)
      longer.set(this.#header)
      this.#header = longer
      return
    }
    const { cborEnd, lengths } = readSegmentedLayout(this.#header, 0, this.#totalBytes)
    const head = allocate(cborEnd)
    head.set(this.#header)
    const parts: Part[] = [{ start: 0, end: cborEnd, memory: head }]
    let start = cborEnd
    for (const length of lengths) {
      parts.push({ start, end: start + length, memory: undefined })
      start += length
    }
    this.#parts = parts
  }
}

function allocate(byteLength: number): Buffer<ArrayBuffer> {
  try {
    // It is complete before anyone sees it: no need to clear it first.
    return Buffer.allocUnsafeSlow(byteLength)
  } catch (cause) {
    throw createError(
      'NOT_DESERIALIZABLE',
      `This machine has no ${byteLength} bytes in one piece for an object that arrives.`,
      {
        details: { byteLength },
        cause,
      },
    )
  }
}
