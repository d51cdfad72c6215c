import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { isRecord } from '../options.ts'
import { errorClasses, pointerSteps, setOwn, TYPE_PROPERTY, typedArrayClasses } from './jsonValue.ts'

/** Digits beyond make BigInt slow; it is more than any number that a program computes with. */
const bigIntCharactersMax = 10_000

/** The inverse of `toJsonValue`: makes the object that JSON shows. An unknown `$type` is an error. */
export function fromJsonValue(json: unknown): unknown {
  return new Reading(json).read(json, 0)
}

type Fields = Readonly<Record<string, unknown>>

class Reading {
  readonly #root: unknown
  /** What was made of each object and array of the JSON, for references. */
  readonly #made = new Map<unknown, unknown>()

  constructor(root: unknown) {
    this.#root = root
  }

  read(json: unknown, depth: number): unknown {
    if (typeof json !== 'object' || json === null) return json
    if (depth > fixedLimits.depthMax) throw invalid(`the JSON is nested deeper than ${fixedLimits.depthMax} levels`)
    if (Array.isArray(json)) {
      const list: unknown[] = []
      this.#made.set(json, list)
      for (const item of json) list.push(this.read(item, depth + 1))
      return list
    }
    if (!isRecord(json)) return json
    return Object.hasOwn(json, TYPE_PROPERTY) ? this.#readTyped(json, depth + 1) : this.#readPlain(json, depth + 1)
  }

  #readPlain(json: Fields, depth: number): object {
    const object = {}
    this.#made.set(json, object)
    for (const [name, value] of Object.entries(json)) setOwn(object, name, this.read(value, depth))
    return object
  }

  #readTyped(json: Fields, depth: number): unknown {
    const type = json[TYPE_PROPERTY]
    if (typeof type !== 'string') throw invalid('a $type is not a string')
    if (type === 'Reference') return this.#resolve(json.path)
    if (type === 'Map' || type === 'Set' || type === 'Object') return this.#readCollection(type, json, depth)
    if (Object.hasOwn(errorClasses, type)) return this.#readError(type, json, depth)
    const value = readValue(type, json)
    if (typeof value === 'object') this.#made.set(json, value)
    return value
  }

  #readCollection(type: 'Map' | 'Set' | 'Object', json: Fields, depth: number): object {
    if (type === 'Set') {
      const set = new Set<unknown>()
      this.#made.set(json, set)
      for (const value of list(json.values, type)) set.add(this.read(value, depth))
      return set
    }
    const map = type === 'Map' ? new Map<unknown, unknown>() : undefined
    const object = {}
    this.#made.set(json, map ?? object)
    for (const pair of list(json.entries, type)) {
      if (!Array.isArray(pair) || pair.length !== 2) throw invalid(`an entry of a ${type} is not a pair`)
      if (map !== undefined) map.set(this.read(pair[0], depth), this.read(pair[1], depth))
      else if (typeof pair[0] === 'string') setOwn(object, pair[0], this.read(pair[1], depth))
      else throw invalid('a name of an Object is not a string')
    }
    return map ?? object
  }

  #readError(type: string, json: Fields, depth: number): Error {
    const ErrorClass = errorClasses[type] ?? Error
    const error = new ErrorClass(text(json.message, type))
    this.#made.set(json, error)
    // The stack would be that of this place, and says nothing about the error.
    Reflect.deleteProperty(error, 'stack')
    const define = (name: string, value: unknown): void => {
      Object.defineProperty(error, name, { value, configurable: true, writable: true })
    }
    if (json.name !== undefined && json.name !== error.name) define('name', text(json.name, type))
    if ('code' in json) Reflect.set(error, 'code', this.read(json.code, depth))
    if ('cause' in json) define('cause', this.read(json.cause, depth))
    return error
  }

  #resolve(path: unknown): unknown {
    const steps = typeof path === 'string' ? pointerSteps(path) : undefined
    let at: unknown = this.#root
    for (const step of steps ?? []) {
      const next: unknown =
        typeof at === 'object' && at !== null && Object.hasOwn(at, step) ? Reflect.get(at, step) : undefined
      at = next
    }
    const target = steps === undefined ? undefined : this.#made.get(at)
    if (target === undefined)
      throw invalid(`a Reference leads to nothing before it: ${JSON.stringify(path)?.slice(0, 100)}`)
    return target
  }
}

function readValue(type: string, json: Fields): unknown {
  switch (type) {
    case 'undefined':
      return undefined
    case 'number': {
      const value = text(json.value, type)
      if (!['NaN', 'Infinity', '-Infinity', '-0'].includes(value)) throw invalid('a number is not NaN, Infinity or -0')
      return Number(value)
    }
    case 'BigInt': {
      const digits = text(json.value, type)
      if (digits.length > bigIntCharactersMax || !/^-?\d+$/.test(digits)) throw invalid('a BigInt is no whole number')
      return BigInt(digits)
    }
    case 'Date':
      return readDate(json.value)
    case 'RegExp':
      return readRegExp(text(json.source, type), text(json.flags, type))
    default:
      return readBinary(type, json)
  }
}

function readDate(value: unknown): Date {
  if (value === null) return new Date(Number.NaN)
  const date = new Date(text(value, 'Date'))
  if (Number.isNaN(date.getTime())) throw invalid('a Date is none')
  return date
}

function readRegExp(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags)
  } catch {
    throw invalid('a RegExp is not valid')
  }
}

function readBinary(type: string, json: Fields): unknown {
  const ArrayClass = Object.hasOwn(typedArrayClasses, type) ? typedArrayClasses[type] : undefined
  if (ArrayClass === undefined && !['Buffer', 'ArrayBuffer', 'DataView'].includes(type)) {
    throw invalid(
      `the $type ${JSON.stringify(type.slice(0, 100))} is unknown; --plain-json takes $type as any other name`,
    )
  }
  const encoded = text(json.base64, type)
  const buffer = Buffer.from(encoded, 'base64')
  // The decoder skips what is not base64, and then there is less than there should be.
  const characters = encoded.length - (encoded.endsWith('==') ? 2 : encoded.endsWith('=') ? 1 : 0)
  if (characters % 4 === 1 || buffer.length !== Math.floor((characters * 3) / 4))
    throw invalid(`the base64 of a ${type} is not valid`)
  if (type === 'Buffer') return buffer
  // A copy of its own: Node keeps small buffers in a common pool.
  const own = buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength)
  if (!(own instanceof ArrayBuffer) || type === 'ArrayBuffer') return own
  if (ArrayClass === undefined) return new DataView(own)
  if (own.byteLength % ArrayClass.BYTES_PER_ELEMENT !== 0) throw invalid(`a ${type} ends within an element`)
  return new ArrayClass(own)
}

function list(value: unknown, type: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(`the values of a ${type} are no list`)
}

function text(value: unknown, type: string): string {
  if (typeof value === 'string') return value
  throw invalid(`a part of a ${type} is not a string`)
}

function invalid(fault: string): Error {
  return createError('INVALID_ARGUMENT', `Not the JSON form of an object: ${fault}.`, {
    details: { argument: 'object' },
  })
}
