import { createError, isObjectRelayError } from '../errors.ts'
import { endpointLimitDefaults } from '../limits.ts'
import { copyOfBytes } from '../memoryCopy.ts'
import { ignoreRejection, isPromise } from '../thrown.ts'
import { bodyForm, malformed, plainHeaderBytes, readSegmentedLayout } from './bodyFormat.ts'
import { ObjectReader } from './objectReader.ts'
import type { Serializer } from './serializer.ts'

const noSegments: ArrayBuffer[] = []
const scratchBytes = 128

/** Turns bytes into objects. What it gives is data: no code of the sender is run, and no prototype is changed. */
export class ObjectDecoder {
  readonly #objectBytesMax: number
  readonly #serializer: Serializer | undefined
  readonly #reader: ObjectReader = new ObjectReader()
  readonly #scratch: Buffer = Buffer.alloc(scratchBytes)
  #busy = false

  constructor(options: { objectBytesMax?: number; serializer?: Serializer } = {}) {
    this.#objectBytesMax = options.objectBytesMax ?? endpointLimitDefaults.objectBytesMax
    this.#serializer = options.serializer
  }

  /**
   * Decodes a whole body that lies in one piece. What it gives never refers to `bytes`, which may be shared memory that
   * is used again: large arrays are copied into memory of their own.
   */
  decode(bytes: Buffer, start: number, end: number): unknown {
    this.#checkSize(end - start)
    switch (bytes[start]) {
      case bodyForm.plain:
        return this.#read(bytes, start + plainHeaderBytes, end, noSegments)
      case bodyForm.segmented: {
        const { cborStart, cborEnd, lengths } = readSegmentedLayout(bytes, start, end - start)
        const segments: ArrayBuffer[] = []
        let position = start + cborEnd
        for (const length of lengths) {
          segments.push(copyOfBytes(bytes, position, position + length))
          position += length
        }
        return this.#read(bytes, start + cborStart, start + cborEnd, segments)
      }
      case bodyForm.own:
        return this.#readOwn(new Uint8Array(copyOfBytes(bytes, start + 1, end)))
      default:
        throw malformed(`it begins with form ${bytes[start]}, which this version does not know`, 0)
    }
  }

  /** Decodes a body that was received in parts; large arrays use the memory of the segments. */
  decodeParts({ head, segments }: { readonly head: Uint8Array; readonly segments: readonly ArrayBuffer[] }): unknown {
    let bodyBytes = head.byteLength
    for (const segment of segments) bodyBytes += segment.byteLength
    this.#checkSize(bodyBytes)
    if (head[0] === bodyForm.own) return this.#readOwn(head.subarray(1))
    const bytes = this.#inBuffer(head)
    const end = head.byteLength
    if (head[0] === bodyForm.plain && segments.length === 0) {
      return this.#read(bytes, plainHeaderBytes, end, noSegments)
    }
    if (head[0] !== bodyForm.segmented)
      throw malformed(`it begins with form ${head[0]}, which does not fit its parts`, 0)
    const { cborStart, cborEnd, lengths } = readSegmentedLayout(bytes, 0, bodyBytes)
    let fits = cborEnd === end && lengths.length === segments.length
    for (let index = 0; index < lengths.length; index++) {
      if (lengths[index] !== segments[index]?.byteLength) fits = false
    }
    if (!fits) throw malformed('its parts are not those that its header declares', 0)
    return this.#read(bytes, cborStart, cborEnd, segments.slice())
  }

  /** The head as a Buffer; the few bytes beside large arrays are copied, which is quicker than making views of them. */
  #inBuffer(head: Uint8Array): Buffer {
    const { length } = head
    if (length > scratchBytes || this.#busy) return Buffer.from(head.buffer, head.byteOffset, length)
    const scratch = this.#scratch
    for (let index = 0; index < length; index++) scratch[index] = head[index] as number // in bounds
    return scratch
  }

  #checkSize(byteLength: number): void {
    if (byteLength < 1) throw malformed('it is empty', 0)
    if (byteLength <= this.#objectBytesMax) return
    throw createError(
      'NOT_DESERIALIZABLE',
      `Cannot decode an object of ${byteLength} bytes: objectBytesMax is ${this.#objectBytesMax}. Raise it, or let the sender send parts.`,
      { details: { byteLength, objectBytesMax: this.#objectBytesMax } },
    )
  }

  #read(bytes: Buffer, start: number, end: number, segments: (ArrayBuffer | undefined)[]): unknown {
    // A decode() of a registered type may decode something else meanwhile.
    const reader = this.#busy ? new ObjectReader() : this.#reader
    const outermost = !this.#busy
    this.#busy = true
    try {
      return reader.read(bytes, start, end, segments)
    } catch (thrown) {
      if (isObjectRelayError(thrown)) throw thrown
      // Too deep for the stack that the program left, or memory that the machine does not have.
      throw malformed('decoding it failed', 0, thrown)
    } finally {
      if (outermost) this.#busy = false
    }
  }

  #readOwn(bytes: Uint8Array): unknown {
    if (this.#serializer === undefined) {
      throw createError(
        'NOT_DESERIALIZABLE',
        'Cannot decode an object: its sender used a serializer of its own. Give the same one as the option "serializer".',
      )
    }
    try {
      const object = this.#serializer.deserialize(bytes)
      if (!isPromise(object)) return object
      ignoreRejection(object)
    } catch (cause) {
      if (isObjectRelayError(cause)) throw cause
      throw createError('NOT_DESERIALIZABLE', 'The deserialize() that was given as an option failed; see the cause.', {
        cause,
      })
    }
    throw createError(
      'NOT_DESERIALIZABLE',
      'The deserialize() that was given as an option returned a promise; it must return the object itself.',
    )
  }
}
