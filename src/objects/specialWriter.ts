import { types } from 'node:util'
import { typedArrayWriter, writeArrayBuffer, writeBuffer, writeDataView } from './binaryWriter.ts'
import { type CborWriter, major } from './cborWriter.ts'
import { writeMap, writeSet } from './collectionWriter.ts'
import { Unsendable } from './encodeFailure.ts'
import { writeError } from './errorsAsData.ts'
import { isNative } from './realms.ts'
import { regexpCharactersMax, tags } from './tags.ts'
import { typedArrayKinds } from './typedArrays.ts'

/** Writes an object of one built-in class; false when the object only looks like one. */
type SpecialWriter = (writer: CborWriter, object: object) => boolean

function writeNamed(writer: CborWriter, name: string, value: unknown): void {
  writer.writeTag(tags.named)
  writer.writeHead(major.array, 2)
  writer.enter(1)
  writer.writeText(name)
  writer.writeValue(value)
  writer.enter(-1)
}

/** The years 1 to 9999, which the dates of most languages can hold. */
const portableMs = { min: -62_135_596_800_000, max: 253_402_300_800_000 } as const

function writeDate(writer: CborWriter, object: object): boolean {
  if (!types.isDate(object)) return false
  const ms = object.getTime()
  if (ms >= portableMs.min && ms < portableMs.max) {
    writer.writeTag(tags.dateSeconds)
    // Exact: over the whole range of dates, the nearest float64 of the seconds is nearer than half a millisecond.
    writer.writeNumber(ms / 1000)
  } else {
    // An invalid date, or one that would make the decoders of other languages fail.
    writeNamed(writer, 'Date', ms)
  }
  return true
}

/** Expressions that are valid in all common dialects, so that tag 35 cannot make the decoder of another language fail. */
const portableExpression = /^\^?(?:(?:[\w :;,@#%&=<>!"'~-]|\\[dws.]|\.)[*+?]?)+\$?$/

function writeRegexp(writer: CborWriter, object: object): boolean {
  if (!types.isRegExp(object)) return false
  const { source, flags } = object
  if (source.length > regexpCharactersMax) {
    throw new Unsendable(`is a regular expression of ${source.length} characters; ${regexpCharactersMax} are possible`)
  }
  if (flags === '' && portableExpression.test(source)) {
    writer.writeTag(tags.regexp)
    writer.writeText(source)
  } else {
    writer.writeTag(tags.regexpFlags)
    writer.writeHead(major.array, flags === '' ? 1 : 2)
    writer.enter(1)
    writer.writeText(source)
    if (flags !== '') writer.writeText(flags)
    writer.enter(-1)
  }
  return true
}

function writeBoxed(writer: CborWriter, object: object): boolean {
  if (types.isNumberObject(object)) writeNamed(writer, 'Number', Number.prototype.valueOf.call(object))
  else if (types.isStringObject(object)) writeNamed(writer, 'String', String.prototype.valueOf.call(object))
  else if (types.isBooleanObject(object)) writeNamed(writer, 'Boolean', Boolean.prototype.valueOf.call(object))
  else if (types.isBigIntObject(object)) writeNamed(writer, 'BigInt', BigInt.prototype.valueOf.call(object))
  else return false
  return true
}

function writeNativeError(writer: CborWriter, object: object): boolean {
  if (!types.isNativeError(object) && !(object instanceof Error)) return false
  writeError(writer, object)
  return true
}

const writers: ReadonlyMap<object, SpecialWriter> = new Map<object, SpecialWriter>([
  ...typedArrayKinds.map((kind): [object, SpecialWriter] => [kind.prototype, typedArrayWriter(kind)]),
  [Map.prototype, writeMap],
  [Set.prototype, writeSet],
  [Date.prototype, writeDate],
  [RegExp.prototype, writeRegexp],
  [Buffer.prototype, writeBuffer],
  [ArrayBuffer.prototype, writeArrayBuffer],
  [DataView.prototype, writeDataView],
  ...[Number, String, Boolean, BigInt].map(({ prototype }): [object, SpecialWriter] => [prototype, writeBoxed]),
  [Error.prototype, writeNativeError],
])

/** Writes an object of a built-in class other than Object and Array; false when it is of no class that can be sent. */
export function writeSpecial(writer: CborWriter, object: object, prototype: object): boolean {
  const write = writers.get(prototype)
  if (write !== undefined) return write(writer, object)
  // Errors travel as the nearest built-in class, with their name: a report must not fail.
  return writeNativeError(writer, object) || writeOfAnotherRealm(writer, object, prototype)
}

const writersByName: ReadonlyMap<string, SpecialWriter> = new Map(
  [...writers].map(([prototype, write]) => [prototype.constructor.name, write]),
)

/** Objects made in another realm (`node:vm`, as test runners use it) have other prototypes than ours. */
function writeOfAnotherRealm(writer: CborWriter, object: object, prototype: object): boolean {
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  if (typeof type !== 'function' || !isNative(type)) return false
  if (type.name === 'Object') writer.writeProperties(object)
  else if (type.name === 'Array' && Array.isArray(object)) writer.writeArray(object)
  else return writersByName.get(type.name)?.(writer, object) ?? false
  return true
}
