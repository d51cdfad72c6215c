import { createError, ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { endpointLimitDefaults } from '../limits.ts'
import { copyBytes } from '../memoryCopy.ts'
import { bodyForm, headerBytes, plainHeaderBytes, writeSegmentedHeader } from './bodyFormat.ts'
import { allocate, tooLarge } from './cborWriter.ts'
import { roomExceeded, Unsendable } from './encodeFailure.ts'
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

/** The scratch memory that a large encoding needed is given back, and not kept, from this size on. */
const scratchBytes = 64 * 1024
const nothing = Buffer.alloc(0)

/** An ObjectWriter that writes whole bodies. */
class BodyWriter extends ObjectWriter {
  /** Encodes into a buffer that cannot grow; -1 if it does not fit. */
  into(object: unknown, target: Buffer, start: number, limit: number): number {
    this.useBuffer(target)
    this.growable = false
    this.limit = limit
    try {
      this.writeBody(object, start)
      return this.copySegments()
    } catch (thrown) {
      if (thrown === roomExceeded) return -1
      throw thrown instanceof Unsendable ? thrown.toError() : thrown
    } finally {
      this.end()
    }
  }

  /** Encodes into memory of its own. */
  parts(object: unknown): EncodedParts {
    if (this.bytes.length !== scratchBytes) this.useBuffer(allocate(scratchBytes))
    this.growable = true
    this.limit = Math.min(scratchBytes, this.objectBytesMax)
    try {
      this.writeBody(object, 0)
      const { segments } = this
      const byteLength = this.position + this.segmentBytes
      return { head: this.takeHead(), segments, byteLength }
    } catch (thrown) {
      throw thrown instanceof Unsendable ? thrown.toError() : thrown
    } finally {
      this.end()
    }
  }

  /** What was written, in memory of its own: a small encoding is copied, a large one takes the buffer with it. */
  private takeHead(): Uint8Array {
    const { bytes, position } = this
    if (bytes.length !== scratchBytes) {
      this.useBuffer(nothing)
      return bytes.subarray(0, position)
    }
    const head = new Uint8Array(position)
    // For the few bytes that stand beside a large array a loop is faster than a call into Node.
    if (position <= 64)
      for (let index = 0; index < position; index++) head[index] = bytes[index] as number // in bounds
    else head.set(bytes.subarray(0, position))
    return head
  }

  /** Writes header and CBOR; the header is moved in when it is known that there are segments. */
  private writeBody(object: unknown, start: number): void {
    this.begin()
    this.position = start
    this.writeByte(bodyForm.plain)
    this.writeValue(object)
    if (this.repeats.hasReferences) this.markRepeats()
    const { segments } = this
    if (segments.length > 0) this.moveForHeader(start)
    const byteLength = this.position - start + this.segmentBytes
    if (byteLength > this.objectBytesMax) throw tooLarge(byteLength, this.objectBytesMax)
  }

  private markRepeats(): void {
    this.reserve(this.repeats.marks().positions.length * markBytes)
    this.position = insertShareMarks(this.bytes, this.position, this.repeats)
  }

  private moveForHeader(start: number): void {
    const { segments } = this
    const shift = headerBytes(segments.length) - plainHeaderBytes
    this.reserve(shift)
    const cborStart = start + plainHeaderBytes
    const cborBytes = this.position - cborStart
    this.bytes.copyWithin(cborStart + shift, cborStart, this.position)
    writeSegmentedHeader(this.bytes, start, cborBytes, segments)
    this.position += shift
  }

  private copySegments(): number {
    for (const segment of this.segments) {
      this.reserve(segment.length)
      copyBytes(this.bytes, this.position, segment)
      this.position += segment.length
    }
    return this.position
  }
}

/** Turns objects into bytes. */
export class ObjectEncoder {
  readonly #objectBytesMax: number
  readonly #serializer: Serializer | undefined
  // Two, since each keeps a view of the buffer that it wrote into last.
  readonly #into: BodyWriter
  readonly #parts: BodyWriter
  /** Whether an encoding is under way: a getter of the object may send another one meanwhile. */
  #busy = false

  constructor(options: { objectBytesMax?: number; serializer?: Serializer } = {}) {
    this.#objectBytesMax = options.objectBytesMax ?? endpointLimitDefaults.objectBytesMax
    this.#serializer = options.serializer
    this.#into = new BodyWriter(this.#objectBytesMax)
    this.#parts = new BodyWriter(this.#objectBytesMax)
  }

  /**
   * Encodes a whole body into `target` from `start` on, segments included. Gives the offset behind it, or -1 if it does
   * not fit before `limit`. The target may be shared memory.
   */
  encodeInto(object: unknown, target: Buffer, start: number, limit: number = target.length): number {
    if (this.#serializer !== undefined) return this.#ownInto(this.#serializer, object, target, start, limit)
    if (this.#busy) return new BodyWriter(this.#objectBytesMax).into(object, target, start, limit)
    this.#busy = true
    try {
      return this.#into.into(object, target, start, limit)
    } finally {
      this.#busy = false
    }
  }

  /** Encodes an object of any size; large arrays stay where they are and must not change until they are sent. */
  encodeParts(object: unknown): EncodedParts {
    if (this.#serializer !== undefined) return this.#ownParts(this.#serializer, object)
    if (this.#busy) return new BodyWriter(this.#objectBytesMax).parts(object)
    this.#busy = true
    try {
      return this.#parts.parts(object)
    } finally {
      this.#busy = false
    }
  }

  #ownInto(serializer: Serializer, object: unknown, target: Buffer, start: number, limit: number): number {
    const bytes = this.#serialize(serializer, object)
    const end = start + 1 + bytes.length
    if (end > limit) return -1
    target[start] = bodyForm.own
    copyBytes(target, start + 1, bytes)
    return end
  }

  #ownParts(serializer: Serializer, object: unknown): EncodedParts {
    const bytes = this.#serialize(serializer, object)
    return { head: Uint8Array.of(bodyForm.own), segments: [bytes], byteLength: 1 + bytes.length }
  }

  #serialize(serializer: Serializer, object: unknown): Uint8Array {
    let bytes: unknown
    try {
      bytes = serializer.serialize(object)
    } catch (cause) {
      throw cause instanceof ObjectRelayError ? cause : toObjectRelayError(cause, 'NOT_SERIALIZABLE')
    }
    if (!(bytes instanceof Uint8Array)) {
      throw createError('NOT_SERIALIZABLE', 'The serialize() that was given as an option did not return a Uint8Array.')
    }
    if (bytes.length >= this.#objectBytesMax) throw tooLarge(bytes.length + 1, this.#objectBytesMax)
    return bytes
  }
}
