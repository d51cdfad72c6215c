import { copyBytes } from '../memoryCopy.ts'
import { breakByte, indefinite, unmarked } from './cborReader.ts'
import { arrayLengthMax } from './holes.ts'
import { ScalarReader } from './scalarReader.ts'
import { CachedString, isOrdinaryKey } from './stringCache.ts'
import { readTagged } from './taggedReader.ts'
import { hintTags, tags } from './tags.ts'

/** Stands for a shared object that is not there yet. */
const notYet: unique symbol = Symbol('not yet')

/** Elements and names that are numbers further apart than that would make V8 allocate an array for all that lie between. */
const denseFactor = 8

const mixedKeys = 'a shared map has keys that are no texts behind such that are, and contains itself'

/** Reads any value that {@link ObjectWriter} writes, and what other programs write besides. */
export class ObjectReader extends ScalarReader {
  private segments: (ArrayBuffer | undefined)[] = []
  private segmentsUsed = 0
  private shared: unknown[] = []
  private sharedReferences = 0
  /** Objects that were begun, ever. */
  private serial = 0
  private shareNumber: number = unmarked
  /** Leads to the key that came first last time. */
  private readonly firstKey: CachedString = new CachedString('')

  /** Reads the one item that lies between `start` and `end`; `segments` is emptied as they are used. */
  read(bytes: Buffer, start: number, end: number, segments: (ArrayBuffer | undefined)[]): unknown {
    this.begin(bytes, start, end)
    this.segments = segments
    this.segmentsUsed = 0
    this.shareNumber = unmarked
    try {
      const value = this.readItem()
      if (this.position !== end) throw this.malformed('something follows the object')
      if (this.segmentsUsed !== segments.length) throw this.malformed('a segment belongs to nothing')
      return value
    } finally {
      if (this.shared.length > 0) this.shared = []
      this.segments = []
    }
  }

  override readItem(): unknown {
    const initial = this.readInitial()
    if (initial < 24) return initial
    switch (initial >> 5) {
      case 0:
        return this.readInteger(initial)
      case 1: {
        const value = this.readInteger(initial)
        return typeof value === 'number' && value < Number.MAX_SAFE_INTEGER ? -1 - value : -1n - BigInt(value)
      }
      case 2:
        return Buffer.from(this.readByteString(initial))
      case 3:
        return this.readText(initial)
      case 4:
        return this.readArray(initial)
      case 5:
        return this.readMapItem(initial)
      case 6:
        return this.readTag(initial)
      default:
        return this.readSimple(initial)
    }
  }

  private readArray(initial: number): unknown[] {
    const length = this.readArgument(initial)
    const array: unknown[] = []
    this.setShared(this.takeShareNumber(), array)
    this.enterContainer(length === indefinite ? 0 : length)
    if (length === indefinite) {
      let sparse = false
      for (let item = 0; !this.takeBreak(); item++) {
        this.announce(1)
        sparse = this.readElement(array, item, sparse)
      }
    } else {
      this.readElements(array, length)
    }
    this.leaveContainer()
    return array
  }

  private readElements(array: unknown[], length: number): void {
    const { bytes, view, end } = this
    let sparse = false
    for (let index = 0; index < length; index++) {
      const { position } = this
      // Read here, a float goes into the array without an object being made of it.
      if (bytes[position] === 0xfb && position + 9 <= end) {
        array.push(view.getFloat64(position + 1))
        this.position = position + 9
      } else {
        sparse = this.readElement(array, length, sparse)
      }
    }
  }

  /** Reads an item of an array that has so many, or more. Tells whether the array is sparse now. */
  private readElement(array: unknown[], items: number, sparse: boolean): boolean {
    const holes = this.takeHoles()
    if (holes === 0) {
      array.push(this.readItem())
      return sparse
    }
    if (array.length + holes > arrayLengthMax) throw this.malformed('an array has more holes than it can')
    const becomesSparse = !sparse && array.length + holes > denseMax(items)
    if (becomesSparse) makeSparse(array)
    array.length += holes
    return sparse || becomesSparse
  }

  /** How many holes the next item stands for; 0 if it is none that does. */
  private takeHoles(): number {
    const initial = this.peek()
    if (initial === 0xd8) {
      // d8 1f f7: tag 31 around undefined.
      if (this.end - this.position < 3 || this.view.getUint16(this.position + 1) !== 0x1ff7) return 0
      this.position += 3
      return 1
    }
    if (initial !== 0xda || this.end - this.position < 5 || this.view.getUint32(this.position + 1) !== tags.holes)
      return 0
    this.position += 5
    const holes = this.readIndex()
    if (holes < 1) throw this.malformed('a run of holes has no length')
    return holes
  }

  private readMapItem(initial: number): unknown {
    const shareNumber = this.takeShareNumber()
    const count = this.readArgument(initial)
    const isObject = count === 0 || (count === indefinite && this.peek() === breakByte) || this.startsWithText()
    return isObject ? this.readObject(count, shareNumber) : this.readEntries(count, shareNumber)
  }

  /** Whether the next item is a string: a text, or tag 273. */
  private startsWithText(): boolean {
    const initial = this.peek()
    if (initial >> 5 === 3) return true
    return initial === 0xd9 && this.end - this.position >= 3 && this.view.getUint16(this.position + 1) === tags.wtf8
  }

  /** Reads a map whose first key is a string as a plain object; as a `Map` if another key turns out to be none. */
  private readObject(count: number, shareNumber: number): unknown {
    const object: Record<string, unknown> = {}
    this.setShared(shareNumber, object)
    const references = this.sharedReferences
    this.enterContainer(count === indefinite ? 0 : 2 * count)
    const serial = ++this.serial
    let previous: CachedString | undefined = this.firstKey
    for (let index = 0; index !== count; index++) {
      if (count === indefinite && this.endsHere()) break
      const key: CachedString | string | undefined = this.readKey(previous)
      if (key instanceof CachedString) {
        previous = key
        // A key that was last used before this object began is new to it.
        if (key.usedIn >= serial && Object.hasOwn(object, key.text)) throw this.repeatedKey()
        key.usedIn = serial
        if (key.ordinary) object[key.text] = this.readItem()
        else setProperty(object, key.text, this.readItem(), Math.max(count, index))
      } else if (key !== undefined || this.startsWithText()) {
        previous = undefined
        const text = key ?? String(this.readItem())
        if (Object.hasOwn(object, text)) throw this.repeatedKey()
        setProperty(object, text, this.readItem(), Math.max(count, index))
      } else {
        if (shareNumber !== unmarked && this.sharedReferences !== references) throw this.malformed(mixedKeys)
        return this.readMoreEntries(new Map(Object.entries(object)), count, index, shareNumber)
      }
    }
    this.leaveContainer()
    return object
  }

  private repeatedKey(): Error {
    return this.malformed('an object has a key twice')
  }

  /** Whether a container of indefinite length ends; else one more entry of it is counted. */
  private endsHere(): boolean {
    if (this.takeBreak()) return true
    this.announce(2)
    return false
  }

  override readEntries(count: number, shareNumber: number): Map<unknown, unknown> {
    this.enterContainer(count === indefinite ? 0 : 2 * count)
    return this.readMoreEntries(new Map(), count, 0, shareNumber)
  }

  private readMoreEntries(
    map: Map<unknown, unknown>,
    count: number,
    start: number,
    shareNumber: number,
  ): Map<unknown, unknown> {
    this.setShared(shareNumber, map)
    let index = start
    for (; index !== count; index++) {
      if (count === indefinite && this.endsHere()) break
      const key = this.readItem()
      map.set(key, this.readItem())
    }
    if (map.size !== index) throw this.malformed('a map has a key twice')
    this.leaveContainer()
    return map
  }

  private takeShareNumber(): number {
    const number = this.shareNumber
    this.shareNumber = unmarked
    return number
  }

  override setShared(number: number, object: object): void {
    if (number !== unmarked) this.shared[number] = object
  }

  private readTag(initial: number): unknown {
    const tag = this.readArgument(initial)
    if (tag === indefinite) throw this.malformed('a tag has no number')
    const shareNumber = this.takeShareNumber()
    this.enterTag()
    const value = this.readTagContent(tag, shareNumber)
    this.leaveTag()
    return value
  }

  private readTagContent(tag: number, shareNumber: number): unknown {
    switch (tag) {
      case tags.shared:
        return this.readShared()
      case tags.sharedReference:
        return this.readReference()
      case tags.segment:
        return Buffer.from(this.takeSegment())
      case tags.wtf8:
        return this.readWtf8()
      default:
        if (!hintTags.has(tag)) return readTagged(this, tag, shareNumber)
        this.shareNumber = shareNumber
        return this.readItem()
    }
  }

  private readShared(): unknown {
    const number = this.shared.length
    this.shared.push(notYet)
    this.shareNumber = number
    const value = this.readItem()
    this.shareNumber = unmarked
    this.shared[number] = value
    return value
  }

  private readReference(): unknown {
    const number = this.readIndex()
    const value = number < this.shared.length ? this.shared[number] : notYet
    if (value === notYet) throw this.malformed(`it refers to the shared object ${number}, which is not there`)
    this.sharedReferences++
    return value
  }

  private readIndex(): number {
    const initial = this.readInitial()
    if (initial >> 5 !== 0) throw this.malformed('a reference is not a whole number')
    return this.readArgument(initial)
  }

  private takeSegment(): ArrayBuffer {
    const index = this.readIndex()
    const segment = this.segments[index]
    if (segment === undefined) throw this.malformed(`segment ${index} does not exist, or was used before`)
    this.segments[index] = undefined
    this.segmentsUsed++
    return segment
  }

  override readBinary(): ArrayBuffer {
    const initial = this.readInitial()
    if (initial >> 5 === 2) {
      const content = this.readByteString(initial)
      const memory = new ArrayBuffer(content.length)
      copyBytes(Buffer.from(memory), 0, content)
      return memory
    }
    if (initial >> 5 !== 6 || this.readArgument(initial) !== tags.segment) {
      throw this.malformed('neither bytes nor a segment stand where an array needs them')
    }
    return this.takeSegment()
  }
}

/** What the array costs follows its elements from now on, and not its length. */
function makeSparse(array: unknown[]): void {
  const { length } = array
  // V8 keeps elements in a table, and no longer in an array that reaches up to the last, once one is not ordinary.
  Object.defineProperty(array, length, { value: undefined, enumerable: false, writable: true, configurable: true })
  array.length = length
}

/** So long may an array be that holds its elements one behind the other. */
function denseMax(items: number): number {
  return denseFactor * (items + 1)
}

/** Makes a property whatever its name is; `count` is how many the object has at least. */
function setProperty(object: Record<string, unknown>, key: string, value: unknown, count: number): void {
  const sparse = Number(key) >= denseMax(count)
  // V8 keeps elements in a table, and no longer in an array that reaches up to the highest, once one is not ordinary.
  if (sparse) Object.defineProperty(object, key, { value, enumerable: false, writable: true, configurable: true })
  if (!sparse && isOrdinaryKey(key)) object[key] = value
  else Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
}
