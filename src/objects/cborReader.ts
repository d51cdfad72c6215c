import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { malformed } from './bodyFormat.ts'

const twoTo32 = 0x1_0000_0000

/** The argument of an item of indefinite length. */
export const indefinite = -1
/** The number of an object that is not marked as shared. */
export const unmarked = -1
/** The byte that ends an item of indefinite length. */
export const breakByte = 0xff

/** Tags between containers: at most three are ever needed (a mark around a tag around an array). */
const nestingMax = 4 * fixedLimits.depthMax

/**
 * Reads CBOR items from bytes that nobody vouches for. Nothing is allocated before it is known that the bytes that
 * it stands for are there: each element of an array or map takes at least one byte, and no byte may be counted twice,
 * so that all arrays together have at most as many elements as the encoding has bytes.
 */
export abstract class CborReader {
  protected bytes: Buffer = Buffer.alloc(0)
  protected view: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0))
  protected position = 0
  protected end = 0
  private start = 0
  /** Elements that may still be announced. */
  private elementsLeft = 0
  private depth = 0
  private nesting = 0

  /** Reads any item. */
  abstract readItem(): unknown

  /** Reads the bytes of a byte string or a segment into memory of their own. */
  abstract readBinary(): ArrayBuffer

  /** Makes an object known under its number, before what it contains is read, for that may refer to it. */
  abstract setShared(number: number, object: object): void

  /** Reads so many entries ({@link indefinite}: up to a break) as a `Map`. */
  abstract readEntries(count: number, shareNumber: number): Map<unknown, unknown>

  protected begin(bytes: Buffer, start: number, end: number): void {
    if (this.bytes !== bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    this.start = start
    this.position = start
    this.end = end
    this.elementsLeft = end - start
    this.depth = 0
    this.nesting = 0
  }

  /** The error about what is being read. */
  malformed(what: string, cause?: unknown): Error {
    return malformed(what, this.position - this.start, cause)
  }

  /** The error about an object of a class that is not registered here. */
  unknownType(name: string): Error {
    return createError(
      'NOT_DESERIALIZABLE',
      `Cannot decode an object of the type "${name}": call registerType with that name before such objects arrive.`,
      { details: { type: name, offset: this.position - this.start } },
    )
  }

  /** Opens a container; its elements are counted against the bytes that are left. */
  enterContainer(elements: number): void {
    this.announce(elements)
    if (++this.depth > fixedLimits.depthMax)
      throw this.malformed(`it is nested deeper than ${fixedLimits.depthMax} levels`)
    this.enterTag()
  }

  leaveContainer(): void {
    this.depth--
    this.nesting--
  }

  protected enterTag(): void {
    if (++this.nesting > nestingMax) throw this.malformed('too many tags are nested')
  }

  protected leaveTag(): void {
    this.nesting--
  }

  /** Takes elements from those that may still come. */
  announce(elements: number): void {
    if (elements > this.end - this.position || elements > this.elementsLeft) {
      throw this.malformed(`it announces ${elements} elements, more than there are bytes left`)
    }
    this.elementsLeft -= elements
  }

  /** The next byte, which stays. */
  peek(): number {
    if (this.position >= this.end) throw this.malformed('it is cut off')
    return this.bytes[this.position] as number // in bounds: end is at most the length
  }

  /** Takes the byte that ends an item of indefinite length, if it is the next. */
  takeBreak(): boolean {
    if (this.peek() !== breakByte) return false
    this.position++
    return true
  }

  /** The type (upper three bits) of the next item; {@link readArgument} reads on. */
  readInitial(): number {
    const initial = this.peek()
    this.position++
    return initial
  }

  /** Makes sure that so many bytes are there. */
  protected need(count: number): void {
    if (count > this.end - this.position) throw this.malformed('it is cut off')
  }

  /** The argument of an item: a length, a count, a tag. {@link indefinite} if the item has no length. */
  readArgument(initial: number): number {
    const info = initial & 0x1f
    if (info < 24) return info
    switch (info) {
      case 24:
        this.need(1)
        return this.view.getUint8(this.position++)
      case 25:
        this.need(2)
        this.position += 2
        return this.view.getUint16(this.position - 2)
      case 26:
        this.need(4)
        this.position += 4
        return this.view.getUint32(this.position - 4)
      case 27:
        this.need(8)
        this.position += 8
        return this.view.getUint32(this.position - 8) * twoTo32 + this.view.getUint32(this.position - 4)
      case 31:
        return indefinite
      default:
        throw this.malformed(`a reserved length code (${info}) is used`)
    }
  }
}
