import { types } from 'node:util'
import { fixedLimits } from '../limits.ts'
import { CborWriter, major } from './cborWriter.ts'
import { changedMeanwhile, propertyStep, Unsendable, under } from './encodeFailure.ts'
import { arrayLengthMax, HoleRuns } from './holes.ts'
import { RepeatTracker } from './repeatTracker.ts'
import { writeSpecial } from './specialWriter.ts'
import { tags } from './tags.ts'
import { asTensor, type Tensor } from './tensor.ts'
import { type RegisteredType, registeredByPrototype } from './typeRegistry.ts'
import { unsendableObject } from './unsendable.ts'

/**
 * Writes any value that can be sent. Objects that are met again become references (tags 28 and 29): the reference is
 * written at once, the mark is put in front of what it refers to at the end, by shareMarks.ts.
 */
export abstract class ObjectWriter extends CborWriter {
  protected readonly repeats: RepeatTracker = new RepeatTracker()
  protected segments: Uint8Array[] = []
  private depth = 0
  /** Whether some program gave Object.prototype properties that for-in meets in every object. */
  private inheriting = false
  /** Objects of registered classes whose encode() was called and what it returned is being written. */
  private readonly encoding: object[] = []

  override writeValue(value: unknown): void {
    if (typeof value === 'string') this.writeText(value)
    else if (typeof value === 'number') this.writeNumber(value)
    else if (value === null) this.writeByte(0xf6)
    else if (typeof value === 'object') this.writeObject(value)
    else if (typeof value === 'boolean') this.writeByte(value ? 0xf5 : 0xf4)
    else if (value === undefined) this.writeByte(0xf7)
    else if (typeof value === 'bigint') this.writeBigint(value)
    else throw new Unsendable(`is a ${typeof value}, which cannot be sent`)
  }

  private writeObject(object: object): void {
    const number = this.repeats.note(object, this.position - this.start)
    if (number >= 0) {
      this.writeReference(object, number)
      return
    }
    const prototype: object | null = Object.getPrototypeOf(object)
    if (prototype === Object.prototype || prototype === null) this.writeProperties(object)
    else if (prototype === Array.prototype && Array.isArray(object)) this.writeArray(object)
    else this.writeInstance(object, prototype)
  }

  private writeInstance(object: object, prototype: object): void {
    const registered = registeredByPrototype(prototype)
    if (registered !== undefined) this.writeRegistered(object, registered)
    else if (!writeSpecial(this, object, prototype)) throw unsendableObject(object)
  }

  private writeReference(object: object, number: number): void {
    if (this.encoding.includes(object)) {
      throw new Unsendable(
        'is part of what its own encode() returned; an object of a registered class cannot contain itself',
      )
    }
    this.repeats.refer(number, this.position - this.start)
    // Which mark that is will be known at the end; 32 bits hold any.
    this.writeTag(tags.sharedReference)
    this.reserve(5)
    this.bytes[this.position] = major.unsigned | 26
    this.position += 5
  }

  override enter(levels: number): void {
    this.depth += levels
    if (this.depth > fixedLimits.depthMax) throw new Unsendable(`is nested deeper than ${fixedLimits.depthMax} levels`)
  }

  override writeArray(array: readonly unknown[]): void {
    const { length } = array
    if (!Number.isInteger(length) || length < 0 || length > arrayLengthMax)
      throw new Unsendable('has an impossible length')
    const head = this.position - this.start
    this.writeHead(major.array, length)
    const headBytes = this.position - this.start - head
    this.enter(1)
    let items = length
    let holes: HoleRuns | undefined
    let index = 0
    try {
      for (; index < length; index++) {
        const element = array[index]
        if (typeof element === 'number') {
          this.writeNumber(element)
        } else if (element === undefined && !(index in array)) {
          holes ??= new HoleRuns(array, length)
          const run = holes.endOf(index) - index
          this.writeHoles(run)
          items -= run - 1
          index += run - 1
        } else {
          this.writeValue(element)
        }
      }
    } catch (thrown) {
      throw under(thrown, `[${index}]`)
    }
    if (items !== length) this.setCount(head, headBytes, items)
    this.depth--
  }

  private writeHoles(count: number): void {
    if (count === 1) {
      this.writeTag(tags.hole)
      this.writeByte(0xf7)
    } else {
      this.writeTag(tags.holes)
      this.writeHead(major.unsigned, count)
    }
  }

  override writeProperties(object: object): void {
    const properties = object as Readonly<Record<string, unknown>> // any object can be asked for properties
    let left = 0
    // V8 keeps the keys of objects that are alike; for-in walks over them and, unlike Object.keys, copies no list.
    for (const key in properties) if (!this.inheriting || Object.hasOwn(properties, key)) left++
    if (left === 3) {
      const tensor = asTensor(properties)
      if (tensor !== undefined) {
        this.writeTensor(tensor)
        return
      }
    }
    this.writeContainerHead(major.map, left, 2 * left)
    this.enter(1)
    let step = ''
    try {
      for (const key in properties) {
        if (this.inheriting && !Object.hasOwn(properties, key)) continue
        step = key
        this.writeText(key)
        this.writeValue(properties[key])
        left--
      }
    } catch (thrown) {
      throw under(thrown, propertyStep(step))
    }
    if (left !== 0) throw new Unsendable(changedMeanwhile)
    this.depth--
  }

  private writeTensor(tensor: Tensor): void {
    this.writeTag(tags.tensor)
    this.writeHead(major.array, 2)
    this.enter(1)
    this.writeArray(tensor.shape)
    this.writeValue(tensor.data)
    this.enter(-1)
  }

  private writeRegistered(object: object, registered: RegisteredType): void {
    this.writeTag(tags.named)
    this.writeHead(major.array, 2)
    this.enter(1)
    this.writeText(registered.name)
    this.encoding.push(object)
    try {
      this.writeValue(registered.encode(object))
    } catch (thrown) {
      throw under(thrown, '.encode()')
    }
    this.encoding.pop()
    this.enter(-1)
  }

  override writeBinary(memory: ArrayBufferLike, offset: number, byteLength: number): void {
    // The comparison is quick; the call is for arrays of another realm.
    if (Object.getPrototypeOf(memory) !== ArrayBuffer.prototype && types.isSharedArrayBuffer(memory)) {
      throw new Unsendable('lies in shared memory, which others may change meanwhile; send a copy (slice())')
    }
    // This throws when the memory was given away (transferred), which a length of 0 would hide.
    const content = new Uint8Array(memory, offset, byteLength)
    if (byteLength < fixedLimits.segmentBytesMin || this.segments.length >= fixedLimits.segmentsMax) {
      this.writeByteString(content)
      return
    }
    this.writeSegment(content)
  }

  private writeSegment(content: Uint8Array): void {
    this.checkBound(content.length)
    this.writeTag(tags.segment)
    this.writeHead(major.unsigned, this.segments.length)
    this.segments.push(content)
    this.segmentBytes += content.length
  }

  /** Starts an encoding. */
  protected begin(): void {
    this.depth = 0
    this.segmentBytes = 0
    this.inheriting = false
    for (const _ in Object.prototype) this.inheriting = true
  }

  /** Forgets what was encoded, so that nothing of it is kept alive. */
  protected end(): void {
    this.repeats.clear()
    if (this.segments.length > 0) this.segments = []
    if (this.encoding.length > 0) this.encoding.length = 0
  }
}
