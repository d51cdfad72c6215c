import { createError } from '../errors.ts'
import { copyBytes } from '../memoryCopy.ts'
import { tags } from './tags.ts'
import { hasLoneSurrogate, toWtf8 } from './wtf8.ts'

/** The major types of CBOR, where they stand in the first byte of an item. */
export const major = {
  unsigned: 0x00,
  negative: 0x20,
  bytes: 0x40,
  text: 0x60,
  array: 0x80,
  map: 0xa0,
  tag: 0xc0,
} as const

/** Up to this length a loop over the characters is faster than a call into Node; measured. */
const loopCharactersMax = 40

const twoTo32 = 0x1_0000_0000
const int64 = { min: -(2n ** 64n), max: 2n ** 64n - 1n } as const

/** Writes CBOR items into a buffer: those that are not made of other items. */
export abstract class CborWriter {
  protected bytes: Buffer = Buffer.alloc(0)
  protected view: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0))
  /** Where the body begins in the buffer. Offsets that are kept are relative to it, since the buffer may be exchanged. */
  protected start = 0
  protected position = 0
  /** Where the room ends. */
  protected limit = 0
  /** What the body may need at most. */
  protected bytesMax = 0
  /** Bytes of the segments so far, which stand beside the CBOR. */
  protected segmentBytes = 0

  /** Writes any value. */
  abstract writeValue(value: unknown): void

  /** Writes an array, holes included. */
  abstract writeArray(array: readonly unknown[]): void

  /** Writes the own enumerable properties of any object as a map with text keys. */
  abstract writeProperties(object: object): void

  /** Writes the bytes of a buffer or view, in the CBOR or as a segment. */
  abstract writeBinary(memory: ArrayBufferLike, offset: number, byteLength: number): void

  /** Notes that containers of CBOR are opened (or closed, when negative) around what is written next. */
  abstract enter(levels: number): void

  protected useBuffer(buffer: Buffer): void {
    if (this.bytes === buffer) return
    this.bytes = buffer
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
  }

  /** Makes sure that `count` bytes can be written. */
  protected reserve(count: number): void {
    if (this.position + count > this.limit) this.makeRoom(count)
  }

  /** Goes on in a larger buffer, in which there is room for `count` bytes; throws when they would exceed the bound. */
  protected abstract makeRoom(count: number): void

  /** Throws when so many more bytes would exceed the bound: before work is done, or memory taken, for them. */
  protected checkBound(count: number): void {
    const needed = this.position - this.start + this.segmentBytes + count
    if (needed > this.bytesMax) throw tooLarge(needed, this.bytesMax)
  }

  protected writeByte(byte: number): void {
    if (this.position >= this.limit) this.makeRoom(1)
    this.bytes[this.position++] = byte
  }

  /** Writes the first bytes of an item: its major type and its argument, a safe integer. */
  writeHead(type: number, argument: number): void {
    if (argument < 24) {
      this.writeByte(type | argument)
    } else if (argument < 0x100) {
      this.reserve(2)
      this.bytes[this.position++] = type | 24
      this.bytes[this.position++] = argument
    } else if (argument < 0x10000) {
      this.reserve(3)
      this.bytes[this.position++] = type | 25
      this.bytes[this.position++] = argument >> 8
      this.bytes[this.position++] = argument
    } else {
      this.writeLongHead(type, argument)
    }
  }

  private writeLongHead(type: number, argument: number): void {
    if (argument < twoTo32) {
      this.reserve(5)
      this.bytes[this.position] = type | 26
      this.view.setUint32(this.position + 1, argument)
      this.position += 5
    } else {
      this.reserve(9)
      this.bytes[this.position] = type | 27
      this.view.setUint32(this.position + 1, Math.floor(argument / twoTo32))
      this.view.setUint32(this.position + 5, argument % twoTo32)
      this.position += 9
    }
  }

  /**
   * Begins a container. Its elements take a byte each, at least: what cannot be within the bound is refused before the
   * first is written.
   */
  writeContainerHead(type: number, count: number, elements: number = count): void {
    this.checkBound(elements)
    this.writeHead(type, count)
  }

  /** Changes the argument in a head that lies `offset` into the body, to one that is not larger: the head stays as long as it is. */
  protected setCount(offset: number, headBytes: number, count: number): void {
    const at = this.start + offset
    const { bytes } = this
    if (headBytes === 1) bytes[at] = ((bytes[at] ?? 0) & 0xe0) | count
    else if (headBytes === 2) bytes[at + 1] = count
    else if (headBytes === 3) bytes.writeUInt16BE(count, at + 1)
    else bytes.writeUInt32BE(count, at + 1)
  }

  writeTag(tag: number): void {
    this.writeHead(major.tag, tag)
  }

  /** Writes a number: whole ones as integers, the others as the shorter of float32 and float64 that is exact. */
  writeNumber(value: number): void {
    if ((value | 0) === value) {
      if (value > 0) this.writeHead(major.unsigned, value)
      else if (value < 0) this.writeHead(major.negative, ~value)
      else if (Object.is(value, -0)) this.writeHalf(0x8000)
      else this.writeByte(0)
    } else if (Number.isSafeInteger(value)) {
      if (value > 0) this.writeHead(major.unsigned, value)
      else this.writeHead(major.negative, -1 - value)
    } else {
      this.writeFloat(value)
    }
  }

  private writeFloat(value: number): void {
    if (Math.fround(value) !== value) {
      // NaN, too, differs from what float32 makes of it.
      if (Number.isNaN(value)) {
        this.writeHalf(0x7e00)
        return
      }
      this.reserve(9)
      this.bytes[this.position] = 0xfb
      this.view.setFloat64(this.position + 1, value)
      this.position += 9
    } else if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
      this.writeHalf(value > 0 ? 0x7c00 : 0xfc00)
    } else {
      this.reserve(5)
      this.bytes[this.position] = 0xfa
      this.view.setFloat32(this.position + 1, value)
      this.position += 5
    }
  }

  private writeHalf(bits: number): void {
    this.reserve(3)
    this.bytes[this.position] = 0xf9
    this.view.setUint16(this.position + 1, bits)
    this.position += 3
  }

  /**
   * Writes a bigint so that it is read as one: those that a number could hold exactly as a big number, those beyond, up to
   * 64 bits, as the integer that only a bigint can hold.
   */
  protected writeBigint(value: bigint): void {
    const negative = value < 0n
    const magnitude = negative ? -1n - value : value
    if (value >= int64.min && value <= int64.max && magnitude > BigInt(Number.MAX_SAFE_INTEGER)) {
      this.reserve(9)
      this.bytes[this.position] = (negative ? major.negative : major.unsigned) | 27
      this.view.setBigUint64(this.position + 1, magnitude)
      this.position += 9
      return
    }
    this.writeTag(negative ? tags.bigintNegative : tags.bigintPositive)
    const hex = magnitude === 0n ? '' : magnitude.toString(16)
    this.writeByteString(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
  }

  writeText(text: string): void {
    const { length } = text
    if (length > loopCharactersMax) {
      this.writeLongText(text)
      return
    }
    this.reserve(length < 24 ? length + 1 : length + 2)
    const { bytes } = this
    let { position } = this
    if (length < 24) {
      bytes[position++] = major.text | length
    } else {
      bytes[position++] = major.text | 24
      bytes[position++] = length
    }
    for (let index = 0; index < length; index++) {
      const character = text.charCodeAt(index)
      if (character >= 0x80) {
        this.writeLongText(text)
        return
      }
      bytes[position++] = character
    }
    this.position = position
  }

  private writeLongText(text: string): void {
    this.checkBound(text.length)
    const byteLength = Buffer.byteLength(text, 'utf8')
    const ascii = byteLength === text.length
    if (!ascii && hasLoneSurrogate(text)) {
      this.writeTag(tags.wtf8)
      this.writeByteString(toWtf8(text))
      return
    }
    this.writeHead(major.text, byteLength)
    this.reserve(byteLength)
    this.bytes.write(text, this.position, byteLength, ascii ? 'latin1' : 'utf8')
    this.position += byteLength
  }

  writeByteString(content: Uint8Array): void {
    this.writeHead(major.bytes, content.length)
    this.reserve(content.length)
    copyBytes(this.bytes, this.position, content)
    this.position += content.length
  }
}

/** The error about an object beyond its bound. */
export function tooLarge(byteLength: number, objectBytesMax: number): Error {
  return createError(
    'OBJECT_TOO_LARGE',
    `The object needs ${byteLength} bytes or more; objectBytesMax is ${objectBytesMax}. Raise it on every side, or send parts.`,
    { details: { byteLength, objectBytesMax } },
  )
}

/** Memory that is not cleared first, and belongs to nobody else. */
export function allocate(byteLength: number): Buffer<ArrayBuffer> {
  try {
    return Buffer.allocUnsafeSlow(byteLength)
  } catch (cause) {
    throw createError('OBJECT_TOO_LARGE', `This machine has no ${byteLength} bytes in one piece for an object.`, {
      details: { byteLength },
      cause,
    })
  }
}
