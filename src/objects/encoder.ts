import { createError, isObjectRelayError, toObjectRelayError } from '../errors.ts'
import { endpointLimitDefaults } from '../limits.ts'
import { copyBytes } from '../memoryCopy.ts'
import { ignoreRejection, isInstance } from '../thrown.ts'
import { bodyForm, headerBytes, plainHeaderBytes, writeSegmentedHeader } from './bodyFormat.ts'
import { allocate, tooLarge } from './cborWriter.ts'
import { changedMeanwhile, toUnsendable, Unsendable } from './encodeFailure.ts'
import { ObjectWriter } from './objectWriter.ts'
import type { Serializer } from './serializer.ts'
import { insertShareMarks, markBytes } from './shareMarks.ts'

/** An encoded body in parts: the head first, then the segments one after the other. */
export interface EncodedParts {
  /** Header and CBOR, in memory of its own. */
  readonly head: Uint8Array
  /** Views on the program's own memory, not copied. */
  readonly segments: readonly Uint8Array[]
  /** Bytes of the whole body. */
  readonly byteLength: number
}

/** Memory of its own that an encoding begins with where the room it was given ends; it is kept for the next one. */
const scratchBytes = 64 * 1024
const growthBytesMin = 256
const nothing = Buffer.alloc(0)

/**
 * An ObjectWriter that writes whole bodies. It begins in the room that it is given; what turns out to need more goes on in
 * memory of its own. So each value is asked for once: getters and `encode` of registered classes are code of the program.
 */
class BodyWriter extends ObjectWriter {
  private scratch: Buffer | undefined
  /** Whether it writes into memory of its own. */
  private own = false

  write(object: unknown, target: Buffer, start: number, limit: number, bytesMax: number): number | EncodedParts {
    this.useBuffer(target)
    this.own = false
    this.start = start
    this.position = start
    this.limit = Math.min(limit, start + bytesMax)
    this.bytesMax = bytesMax
    try {
      this.writeBody(object)
      return this.own ? this.parts() : this.copySegments()
    } catch (thrown) {
      throw isObjectRelayError(thrown) ? thrown : toUnsendable(thrown).toError()
    } finally {
      this.end()
      // Large memory is not kept alive.
      if (this.own && this.bytes !== this.scratch) this.useBuffer(nothing)
    }
  }

  protected override makeRoom(count: number): void {
    this.checkBound(count)
    const used = this.position - this.start
    const needed = used + count
    if (this.own || needed > scratchBytes) {
      const doubled = 2 * (this.limit - this.start)
      this.moveTo(allocate(Math.min(Math.max(needed + growthBytesMin, doubled, scratchBytes), this.bytesMax)))
    } else {
      this.scratch ??= allocate(scratchBytes)
      this.moveTo(this.scratch)
    }
  }

  private moveTo(buffer: Buffer): void {
    const { bytes, start, position } = this
    copyBytes(buffer, 0, bytes, start, position)
    this.useBuffer(buffer)
    this.own = true
    this.start = 0
    this.position = position - start
    this.limit = buffer.length
  }

  /** Writes header and CBOR; the header is moved in when it is known that there are segments. */
  private writeBody(object: unknown): void {
    this.begin()
    this.writeByte(bodyForm.plain)
    this.writeValue(object)
    if (this.repeats.hasReferences) this.markRepeats()
    if (this.segments.length > 0) this.moveForHeader()
    this.checkBound(0)
    // Segments are not copied into memory of its own, but stay where they are.
    if (!this.own && this.position + this.segmentBytes > this.limit) this.makeRoom(0)
  }

  private markRepeats(): void {
    const marks = this.repeats.marks()
    this.reserve(marks.positions.length * markBytes)
    this.position = insertShareMarks(this.bytes, this.start, this.position, marks)
  }

  private moveForHeader(): void {
    const { segments } = this
    let segmentBytes = 0
    for (const segment of segments) segmentBytes += segment.length
    // A getter may have given the memory away, or made it smaller.
    if (segmentBytes !== this.segmentBytes) throw new Unsendable(changedMeanwhile)
    const shift = headerBytes(segments.length) - plainHeaderBytes
    this.reserve(shift)
    const cborStart = this.start + plainHeaderBytes
    const cborBytes = this.position - cborStart
    this.bytes.copyWithin(cborStart + shift, cborStart, this.position)
    writeSegmentedHeader(this.bytes, this.start, cborBytes, segments)
    this.position += shift
  }

  private copySegments(): number {
    for (const segment of this.segments) {
      copyBytes(this.bytes, this.position, segment)
      this.position += segment.length
    }
    return this.position
  }

  private parts(): EncodedParts {
    const { segments, segmentBytes, position } = this
    return { head: this.takeHead(), segments, byteLength: position + segmentBytes }
  }

  /** What was written, in memory of its own: a small encoding is copied, a large one takes the buffer with it. */
  private takeHead(): Uint8Array {
    const { bytes, position } = this
    if (bytes !== this.scratch) return bytes.subarray(0, position)
    const head = new Uint8Array(position)
    // For the few bytes that stand beside a large array a loop is faster than a call into Node.
    if (position <= 64)
      for (let index = 0; index < position; index++) head[index] = bytes[index] as number // in bounds
    else head.set(bytes.subarray(0, position))
    return head
  }
}

/** Turns objects into bytes. */
export class ObjectEncoder {
  readonly #objectBytesMax: number
  readonly #serializer: Serializer | undefined
  readonly #writer: BodyWriter = new BodyWriter()
  /** Whether an encoding is under way: a getter of the object may encode another one meanwhile. */
  #busy = false

  constructor(options: { objectBytesMax?: number; serializer?: Serializer } = {}) {
    this.#objectBytesMax = options.objectBytesMax ?? endpointLimitDefaults.objectBytesMax
    this.#serializer = options.serializer
  }

  /**
   * Encodes a whole body into `target` from `start` on, segments included, and gives the offset behind it. A body that does
   * not fit before `limit` is given in parts instead; its large arrays stay where they are and must not change until
   * they are sent. The target may be shared memory. What would need more than `objectBytesMax` bytes is refused as soon as
   * that is clear; the other side may allow less than our own bound.
   */
  encodeInto(
    object: unknown,
    target: Buffer,
    start: number,
    limit: number = target.length,
    objectBytesMax: number = this.#objectBytesMax,
  ): number | EncodedParts {
    const bytesMax = Math.min(objectBytesMax, this.#objectBytesMax)
    if (this.#serializer !== undefined) return serialize(this.#serializer, object, target, start, limit, bytesMax)
    if (this.#busy) return new BodyWriter().write(object, target, start, limit, bytesMax)
    this.#busy = true
    try {
      return this.#writer.write(object, target, start, limit, bytesMax)
    } finally {
      this.#busy = false
    }
  }

  /** Encodes an object into parts, whatever its size. */
  encodeParts(object: unknown): EncodedParts {
    const parts = this.encodeInto(object, nothing, 0, 0)
    if (typeof parts === 'number') throw new TypeError('An object takes at least one byte.')
    return parts
  }
}

function serialize(
  serializer: Serializer,
  object: unknown,
  target: Buffer,
  start: number,
  limit: number,
  bytesMax: number,
): number | EncodedParts {
  let bytes: unknown
  try {
    bytes = serializer.serialize(object)
  } catch (cause) {
    throw toObjectRelayError(cause, 'NOT_SERIALIZABLE')
  }
  if (!isInstance(bytes, Uint8Array)) {
    ignoreRejection(bytes)
    throw createError(
      'NOT_SERIALIZABLE',
      'The serialize() that was given as an option did not return a Uint8Array. It cannot be asynchronous.',
    )
  }
  const byteLength = 1 + bytes.length
  if (byteLength > bytesMax) throw tooLarge(byteLength, bytesMax)
  if (start + byteLength > limit) return { head: Uint8Array.of(bodyForm.own), segments: [bytes], byteLength }
  target[start] = bodyForm.own
  copyBytes(target, start + 1, bytes)
  return start + byteLength
}
