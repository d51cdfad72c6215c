/**
 * Errors as data: tag 27 around ["Error", class, hidden, own]. `class` is the nearest built-in class; `hidden` holds what
 * errors have as properties that are not enumerable (message, stack, cause, errors, a name that is not the class's);
 * `own` the enumerable ones, such as code.
 */
import { type CborWriter, major } from './cborWriter.ts'
import { isNative } from './realms.ts'
import { tags } from './tags.ts'

/** What makes an empty error of a class that this program's JavaScript has. */
type ErrorMaker = () => Error

function makersOf(classes: readonly (new () => Error)[]): [string, ErrorMaker][] {
  return classes.map((type) => [type.name, () => new type()])
}

/** A class that only some versions of JavaScript have. */
function optionalMakers(name: string): [string, ErrorMaker][] {
  const type: unknown = Reflect.get(globalThis, name)
  return typeof type === 'function' ? [[name, () => Reflect.construct(type, [])]] : []
}

const makers: ReadonlyMap<string, ErrorMaker> = new Map<string, ErrorMaker>([
  ...makersOf([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]),
  ['AggregateError', () => new AggregateError([])],
  ...optionalMakers('DOMException'),
  ...optionalMakers('SuppressedError'),
])

/** The names that built-in classes of errors have, also those that other versions of JavaScript have. */
const classNames: ReadonlySet<string> = new Set([...makers.keys(), 'DOMException', 'SuppressedError'])

const namesOfClasses: ReadonlyMap<unknown, string> = new Map(
  [...makers.keys()].map((name) => [Reflect.get(globalThis, name), name]),
)

const hiddenNames = ['name', 'message', 'stack', 'cause', 'errors', 'error', 'suppressed'] as const

/** Writes an error, of whatever class. */
export function writeError(writer: CborWriter, error: Error): void {
  const className = nearestClass(error)
  writer.writeTag(tags.named)
  writer.writeHead(major.array, 4)
  writer.enter(1)
  writer.writeText('Error')
  writer.writeText(className)
  writer.writeProperties(hiddenProperties(error, className))
  writer.writeProperties(ownProperties(error))
  writer.enter(-1)
}

/** The built-in class that an error descends from. Its prototypes are not asked for properties: those may be getters that are for instances only. */
function nearestClass(error: Error): string {
  for (let prototype: object | null = Object.getPrototypeOf(error); prototype !== null; ) {
    const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
    const name = typeof type === 'function' ? builtInName(type) : undefined
    if (name !== undefined) return name
    prototype = Object.getPrototypeOf(prototype)
  }
  return 'Error'
}

/** The name of a built-in class: of this realm, or of another, where it is code of JavaScript and not of a program. */
function builtInName(type: { readonly name: string }): string | undefined {
  return namesOfClasses.get(type) ?? (isNative(type) && classNames.has(type.name) ? type.name : undefined)
}

function hiddenProperties(error: Error, className: string): Record<string, unknown> {
  const hidden: Record<string, unknown> = {}
  for (const name of hiddenNames) {
    const property = readable(error, name)
    if (property === undefined || property.isEnumerable) continue
    const { value, isOwn } = property
    if (isOwn || value !== inherited(className, name)) hidden[name] = value
  }
  return hidden
}

/** What an empty error of a built-in class has as that property. */
function inherited(className: string, name: string): string | undefined {
  if (name === 'name') return className === 'DOMException' ? 'Error' : className
  return name === 'message' ? '' : undefined
}

/** Its own enumerable properties: its class may have others, which all its errors share. */
function ownProperties(error: Error): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(error).flatMap((name) => {
      const property = readable(error, name)
      return property === undefined ? [] : [[name, property.value]]
    }),
  )
}

interface ReadProperty {
  readonly value: unknown
  readonly isOwn: boolean
  readonly isEnumerable: boolean
}

/**
 * A property of an error; one whose getter throws is left out, since a report must not fail. Even to ask whether there is a
 * stack may run code of the program, which makes it.
 */
function readable(error: Error, name: string): ReadProperty | undefined {
  try {
    const descriptor = Object.getOwnPropertyDescriptor(error, name)
    const value: unknown = Reflect.get(error, name)
    return { value, isOwn: descriptor !== undefined, isEnumerable: descriptor?.enumerable === true }
  } catch {
    return undefined
  }
}

/** An error of that class without message; what belongs to it is added by {@link fillError}. */
export function makeError(className: string): Error {
  const limit: unknown = Reflect.get(Error, 'stackTraceLimit')
  // To collect a stack that is replaced at once would be most of the work.
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    const error = (makers.get(className) ?? (() => new Error()))()
    // Of what the class itself adds, all comes from the sender.
    for (const name of ['message', 'errors', 'error', 'suppressed']) Reflect.deleteProperty(error, name)
    return error
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit)
  }
}

/** Gives an error its properties, by definition and not by assignment: no setter is ever called. */
export function fillError(error: Error, className: string, hidden: object, own: object): void {
  // The stack of the place where it is decoded would only mislead.
  define(error, 'stack', undefined, false)
  // A class that is not here travels as an error of its name.
  if (classNames.has(className) && !makers.has(className)) define(error, 'name', className, false)
  for (const [name, value] of Object.entries(hidden)) define(error, name, value, false)
  if (className === 'DOMException') define(error, 'code', legacyCode(error.name), false)
  for (const [name, value] of Object.entries(own)) define(error, name, value, true)
  if (error.stack === undefined) define(error, 'stack', `${error.name}: ${error.message}`, false)
}

/** The number that a DOMException of that name has as its `code`. */
function legacyCode(name: unknown): number {
  return typeof DOMException === 'function' && typeof name === 'string' ? new DOMException('', name).code : 0
}

function define(error: Error, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, name, { value, enumerable, writable: true, configurable: true })
}
