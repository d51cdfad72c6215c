import { types } from 'node:util'
import { type CborReader, indefinite } from './cborReader.ts'
import { fillError, makeError } from './errorsAsData.ts'
import { regexpCharactersMax, tags } from './tags.ts'
import { shapeFits } from './tensor.ts'
import { halfTags, halfToNumber, kindOf, kindOfTag, swapElements } from './typedArrays.ts'
import { registeredByName } from './typeRegistry.ts'

/** Reads the content of a tag whose number was read, and makes of it what the tag says. */
export function readTagged(reader: CborReader, tag: number, shareNumber: number): unknown {
  if (tag >= tags.typedArrayFirst && tag <= tags.typedArrayLast) return readTypedArray(reader, tag)
  switch (tag) {
    case tags.named:
      return readNamed(reader, shareNumber)
    case tags.map:
      return reader.readEntries(readCount(reader, 5, 'tag 259 is not around a map'), shareNumber)
    case tags.set:
      return readSet(reader, shareNumber)
    case tags.dateSeconds:
      return readDate(reader, 1000)
    case tags.bigintPositive:
      return readBigint(reader)
    case tags.bigintNegative:
      return -1n - readBigint(reader)
    case tags.tensor:
      return readTensor(reader)
    case tags.arrayBuffer:
      return reader.readBinary()
    case tags.dataView:
      return new DataView(reader.readBinary())
    case tags.regexp:
      return makeRegexp(reader, readString(reader), '')
    case tags.regexpFlags:
      return readRegexp(reader)
    default:
      return readForeign(reader, tag)
  }
}

/** Tags that we never write. */
function readForeign(reader: CborReader, tag: number): unknown {
  switch (tag) {
    case tags.dateText:
      return readDateText(reader, /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/)
    case tags.dateOnly:
      return readDateText(reader, /^\d{4}-\d\d-\d\d$/)
    case tags.dateDays:
      return readDate(reader, 86_400_000)
    case tags.uuid:
      return readUuid(reader)
    default:
      throw reader.malformed(
        `it uses tag ${tag}, which has no meaning here (its sender may turn the value into numbers, texts or a registered type)`,
      )
  }
}

/** The count of a container that must come next. */
function readCount(reader: CborReader, type: 4 | 5, otherwise: string): number {
  const initial = reader.readInitial()
  if (initial >> 5 !== type) throw reader.malformed(otherwise)
  return reader.readArgument(initial)
}

function readString(reader: CborReader): string {
  const value = reader.readItem()
  if (typeof value !== 'string') throw reader.malformed('something else stands where a text belongs')
  return value
}

function readSet(reader: CborReader, shareNumber: number): Set<unknown> {
  const count = readCount(reader, 4, 'tag 258 is not around an array')
  const set = new Set<unknown>()
  reader.setShared(shareNumber, set)
  reader.enterContainer(count === indefinite ? 0 : count)
  let index = 0
  for (; index !== count; index++) {
    if (count === indefinite) {
      if (reader.takeBreak()) break
      reader.announce(1)
    }
    set.add(reader.readItem())
  }
  if (set.size !== index) throw reader.malformed('a set has an element twice')
  reader.leaveContainer()
  return set
}

function readDate(reader: CborReader, unitMs: number): Date {
  const value = reader.readItem()
  if (typeof value !== 'number' && typeof value !== 'bigint') throw reader.malformed('a date is not a number')
  return new Date(Math.round(Number(value) * unitMs))
}

function readDateText(reader: CborReader, format: RegExp): Date {
  const text = readString(reader)
  const date = new Date(format.test(text) ? text : Number.NaN)
  if (Number.isNaN(date.getTime())) throw reader.malformed('a date is not written as RFC 3339 says')
  return date
}

function readBigint(reader: CborReader): bigint {
  const hex = Buffer.from(reader.readBinary()).toString('hex')
  try {
    return hex === '' ? 0n : BigInt(`0x${hex}`)
  } catch (cause) {
    throw reader.malformed('a big number is larger than this program can hold', cause)
  }
}

function readUuid(reader: CborReader): string {
  const hex = Buffer.from(reader.readBinary()).toString('hex')
  if (hex.length !== 32) throw reader.malformed('a UUID does not have 16 bytes')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function readRegexp(reader: CborReader): RegExp {
  const count = readCount(reader, 4, 'tag 21066 is not around an array')
  if (count !== 1 && count !== 2) throw reader.malformed('a regular expression does not have one or two parts')
  reader.enterContainer(count)
  const source = readString(reader)
  const flags = count === 2 ? readString(reader) : ''
  reader.leaveContainer()
  return makeRegexp(reader, source, flags)
}

/** Only makes it: to run it on a text is the program's decision, and some expressions never end. */
function makeRegexp(reader: CborReader, source: string, flags: string): RegExp {
  if (source.length > regexpCharactersMax) {
    throw reader.malformed(`a regular expression has more than ${regexpCharactersMax} characters`)
  }
  try {
    return new RegExp(source, flags)
  } catch (cause) {
    throw reader.malformed('a regular expression is not valid', cause)
  }
}

function readTypedArray(reader: CborReader, tag: number): unknown {
  const received = kindOfTag(tag)
  if (received === undefined) {
    if (tag === halfTags.big || tag === halfTags.little) return readHalves(reader, tag)
    throw reader.malformed(`it uses tag ${tag}, a typed array that JavaScript does not have`)
  }
  const { kind, swapped } = received
  const memory = reader.readBinary()
  if (memory.byteLength % kind.elementBytes !== 0) throw reader.malformed('a typed array ends within an element')
  if (swapped) swapElements(memory, kind.elementBytes)
  return kind.create(memory)
}

/** Arrays of float16 where JavaScript has no class for them: as float32, which holds each of their numbers. */
function readHalves(reader: CborReader, tag: number): Float32Array {
  const view = new DataView(reader.readBinary())
  if (view.byteLength % 2 !== 0) throw reader.malformed('a typed array ends within an element')
  const littleEndian = tag === halfTags.little
  return Float32Array.from({ length: view.byteLength / 2 }, (_, index) =>
    halfToNumber(view.getUint16(2 * index, littleEndian)),
  )
}

function readTensor(reader: CborReader): unknown {
  if (readCount(reader, 4, 'tag 40 is not around an array') !== 2)
    throw reader.malformed('a tensor does not have two parts')
  reader.enterContainer(2)
  const shape = reader.readItem()
  const data = reader.readItem()
  reader.leaveContainer()
  if (!types.isTypedArray(data)) throw reader.malformed('the data of a tensor is no typed array')
  if (!Array.isArray(shape) || !shapeFits(shape, data.length)) {
    throw reader.malformed('the shape of a tensor does not fit its data')
  }
  return { dtype: kindOf(data)?.dtype ?? 'uint8', shape, data }
}

function readNamed(reader: CborReader, shareNumber: number): unknown {
  const count = readCount(reader, 4, 'tag 27 is not around an array')
  if (count < 2) throw reader.malformed('tag 27 is not around a name and a value')
  reader.enterContainer(count)
  const name = readString(reader)
  const value = name === 'Error' ? readError(reader, count, shareNumber) : readNamedValue(reader, name, count)
  reader.leaveContainer()
  return value
}

function readError(reader: CborReader, count: number, shareNumber: number): Error {
  if (count !== 4) throw reader.malformed('an error does not have four parts')
  const className = readString(reader)
  const error = makeError(className)
  // Its cause may refer to it.
  reader.setShared(shareNumber, error)
  const hidden = reader.readItem()
  const own = reader.readItem()
  if (typeof hidden !== 'object' || hidden === null || typeof own !== 'object' || own === null) {
    throw reader.malformed('an error has no properties')
  }
  fillError(error, className, hidden, own)
  return error
}

function readNamedValue(reader: CborReader, name: string, count: number): unknown {
  const value = reader.readItem()
  if (count !== 2) throw reader.malformed('tag 27 is not around a name and a value')
  switch (name) {
    case 'Date':
      return new Date(typeof value === 'number' ? value : Number.NaN)
    case 'Number':
    case 'String':
    case 'Boolean':
    case 'BigInt':
      if (typeof value === name.toLowerCase()) return Object(value)
      throw reader.malformed(`a ${name} object holds something else`)
    default:
      return makeRegistered(reader, name, value)
  }
}

function makeRegistered(reader: CborReader, name: string, value: unknown): unknown {
  const registered = registeredByName(name)
  if (registered === undefined) throw reader.unknownType(name)
  try {
    return registered.decode(value)
  } catch (cause) {
    throw reader.malformed(`decode() of the registered type "${name}" failed`, cause)
  }
}
