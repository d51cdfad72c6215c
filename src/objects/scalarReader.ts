import { isUtf8 } from 'node:buffer'
import { breakByte, CborReader, indefinite } from './cborReader.ts'
import { CachedString, cachedBytesMax, StringCache } from './stringCache.ts'
import { halfToNumber } from './typedArrays.ts'
import { fromWtf8 } from './wtf8.ts'

/** Reads the items that are not made of other items: numbers, texts, byte strings, simple values. */
export abstract class ScalarReader extends CborReader {
  private readonly keys: StringCache = new StringCache()
  private readonly values: StringCache = new StringCache()

  /** The argument of an integer: a bigint when a number could not hold it exactly. */
  protected readInteger(initial: number): number | bigint {
    const value = this.readArgument(initial)
    if (value === indefinite) throw this.malformed('an integer has no value')
    return value <= Number.MAX_SAFE_INTEGER ? value : this.view.getBigUint64(this.position - 8)
  }

  /** Reads a text whose initial byte was read. */
  protected readText(initial: number): string {
    const length = this.readArgument(initial)
    if (length === indefinite) return this.readTextChunks()
    this.need(length)
    if (initial - 0x60 <= cachedBytesMax) {
      const text = this.values.get(this.bytes, this.position, length)
      if (text !== undefined) {
        this.position += length
        return typeof text === 'string' ? text : text.text
      }
    }
    return this.decodeText(length)
  }

  private readTextChunks(): string {
    const chunks: string[] = []
    while (!this.takeBreak()) {
      const initial = this.readInitial()
      if (initial >> 5 !== 3 || initial === 0x7f) throw this.malformed('a piece of a text is not a text')
      const length = this.readArgument(initial)
      this.need(length)
      chunks.push(this.decodeText(length))
    }
    return chunks.join('')
  }

  private decodeText(length: number): string {
    const { bytes, position } = this
    this.position += length
    const text = this.strictUtf8(bytes, position, position + length)
    if (text === undefined) throw this.malformed('a text is not valid UTF-8')
    return text
  }

  /** The text, or undefined if the bytes are not UTF-8. */
  protected strictUtf8(bytes: Buffer, start: number, end: number): string | undefined {
    const text = bytes.toString('utf8', start, end)
    // Where bytes are not UTF-8, the replacement character stands; but it may also have been sent.
    if (!text.includes('\ufffd')) return text
    return isUtf8(Buffer.from(bytes.subarray(start, end))) ? text : undefined
  }

  /** Reads a key of a plain object; undefined if the next item is not a text of definite length. */
  protected readKey(previous: CachedString | undefined): CachedString | string | undefined {
    const { bytes, position } = this
    const expected = previous?.next
    if (expected?.current && expected.isAt(bytes, position) && position + expected.encoded.length <= this.end) {
      this.position = position + expected.encoded.length
      return expected
    }
    const initial = this.peek()
    if (initial >> 5 !== 3 || initial === 0x7f) return undefined
    this.position++
    const length = this.readArgument(initial)
    this.need(length)
    const key = initial - 0x60 <= cachedBytesMax ? this.keys.get(bytes, position + 1, length) : undefined
    if (key === undefined) return this.decodeText(length)
    this.position += length
    if (previous !== undefined && key instanceof CachedString) previous.next = key
    return key
  }

  protected readSimple(initial: number): unknown {
    switch (initial) {
      case 0xfb:
        this.need(8)
        this.position += 8
        return this.view.getFloat64(this.position - 8)
      case 0xf4:
        return false
      case 0xf5:
        return true
      case 0xf6:
        return null
      case 0xf7:
        return undefined
      case 0xfa:
        this.need(4)
        this.position += 4
        return this.view.getFloat32(this.position - 4)
      case 0xf9:
        this.need(2)
        this.position += 2
        return halfToNumber(this.view.getUint16(this.position - 2))
      case breakByte:
        throw this.malformed('a break stands where an item belongs')
      default:
        throw this.malformed('a simple value without a meaning is used')
    }
  }

  protected readWtf8(): string {
    const initial = this.readInitial()
    if (initial >> 5 !== 2) throw this.malformed('tag 273 is not around bytes')
    const bytes = Buffer.from(this.readByteString(initial))
    const text = fromWtf8(bytes, (part) => this.strictUtf8(part, 0, part.length))
    if (text === undefined) throw this.malformed('a string is not valid WTF-8')
    return text
  }

  /** The bytes of a byte string whose initial byte was read: a view, to be copied. */
  protected readByteString(initial: number): Buffer {
    const length = this.readArgument(initial)
    if (length !== indefinite) {
      this.need(length)
      this.position += length
      return this.bytes.subarray(this.position - length, this.position)
    }
    const pieces: Buffer[] = []
    while (!this.takeBreak()) {
      const piece = this.readInitial()
      if (piece >> 5 !== 2 || piece === 0x5f) throw this.malformed('a piece of a byte string is not a byte string')
      pieces.push(this.readByteString(piece))
    }
    return Buffer.concat(pieces)
  }
}
