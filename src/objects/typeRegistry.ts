import { createError } from '../errors.ts'
import { ignoreRejection, isPromise } from '../thrown.ts'
import { reservedNames } from './tags.ts'

/** How the objects of a class travel. */
export interface TypeCodec<Instance, Plain> {
  /** What the class is called on the wire; the same in every program. */
  name: string
  /** Turns an instance into something that can be sent: plain data, arrays, maps, or instances of other registered classes. */
  encode(instance: Instance): Plain
  /** Makes the instance again. `plain` is what the sender sent: check it as any input from outside. */
  decode(plain: Plain): Instance
}

/** A class as it can be registered. */
export type RegistrableClass<Instance> = abstract new (...args: never[]) => Instance

/** A registered class, its types forgotten. */
export interface RegisteredType {
  readonly name: string
  encode(instance: object): unknown
  decode(plain: unknown): unknown
}

const nameCharactersMax = 128

const byPrototype = new Map<object, RegisteredType>()
const byName = new Map<string, RegisteredType>()

// Their instances travel by themselves; to give them another form would change what other programs read.
const builtInClasses: ReadonlySet<unknown> = new Set([
  ...[Object, Array, Map, Set, Date, RegExp, Number, String, Boolean, BigInt, Symbol, Function, Promise],
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError],
  ...[ArrayBuffer, SharedArrayBuffer, DataView, Buffer, Uint8Array, Uint8ClampedArray, Uint16Array, Uint32Array],
  ...[BigUint64Array, Int8Array, Int16Array, Int32Array, BigInt64Array, Float32Array, Float64Array],
  // Those that only some versions have; what is not there is no class that could be registered.
  ...['Float16Array', 'DOMException', 'SuppressedError'].map((name): unknown => Reflect.get(globalThis, name)),
])

/**
 * Lets instances of a class be sent. The program that receives them registers its class by the same name.
 *
 * Only objects that are exactly of this class are meant: a subclass is registered by itself, or refused, since it would
 * otherwise come out as its parent. The registration holds for the whole process (for its thread, in a worker).
 */
export function registerType<Instance extends object, Plain>(
  type: RegistrableClass<Instance>,
  codec: TypeCodec<Instance, Plain>,
): void {
  checkType(type)
  checkCodec(codec)
  const { name } = codec
  if (byPrototype.has(type.prototype)) {
    throw invalid(
      'type',
      `The class ${type.name} is registered already, as "${byPrototype.get(type.prototype)?.name}".`,
    )
  }
  if (byName.has(name)) throw invalid('name', `A class is registered by the name "${name}" already; choose another.`)
  const registered: RegisteredType = {
    name,
    // The prototype was looked up before: the instance is of that class.
    encode: (instance) => notLater('encode', codec.encode(instance as Instance)),
    // What it really is, only the program can tell; its documentation says so.
    decode: (plain) => notLater('decode', codec.decode(plain as Plain)),
  }
  byPrototype.set(type.prototype, registered)
  byName.set(name, registered)
}

/** What a function of the program gave, which nobody will wait for if it is a promise. */
function notLater(what: string, value: unknown): unknown {
  if (!isPromise(value)) return value
  ignoreRejection(value)
  throw new TypeError(`${what}() returned a promise; it must return the value itself`)
}

function checkType(type: unknown): void {
  if (typeof type !== 'function' || typeof type.prototype !== 'object' || type.prototype === null) {
    throw invalid('type', 'registerType takes a class first; what it was given is not one.')
  }
  if (builtInClasses.has(type)) {
    throw invalid('type', `${type.name} is sent without being registered; registerType is for classes of the program.`)
  }
}

function checkCodec(codec: unknown): void {
  if (typeof codec !== 'object' || codec === null)
    throw invalid('codec', 'registerType takes { name, encode, decode } second.')
  const { name, encode, decode } = codec as Partial<Record<string, unknown>> // any object can be asked for properties
  if (typeof name !== 'string' || name.length === 0 || name.length > nameCharactersMax) {
    throw invalid('name', `The name of a registered class is a string of 1 to ${nameCharactersMax} characters.`)
  }
  if (reservedNames.has(name)) throw invalid('name', `"${name}" is a name of the built-in serializer; choose another.`)
  if (typeof encode !== 'function' || typeof decode !== 'function') {
    throw invalid('codec', `The class "${name}" needs two functions, encode and decode.`)
  }
}

function invalid(argument: string, message: string): Error {
  return createError('INVALID_ARGUMENT', message, { details: { argument } })
}

/** The registration of exactly the class that has this prototype. */
export function registeredByPrototype(prototype: object): RegisteredType | undefined {
  return byPrototype.get(prototype)
}

/** The registration by the name on the wire. */
export function registeredByName(name: string): RegisteredType | undefined {
  return byName.get(name)
}

/** The name of the nearest registered parent of an object whose own class is not registered. */
export function registeredParent(object: object): string | undefined {
  for (
    let prototype = Object.getPrototypeOf(object);
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    const registered = byPrototype.get(prototype)
    if (registered !== undefined) return registered.name
  }
  return undefined
}
