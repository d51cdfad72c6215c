/**
 * Errors as data: tag 27 around ["Error", class, hidden, own]. `class` is the nearest built-in class; `hidden` holds what
 * errors have as properties that are not enumerable (message, stack, cause, errors, a name that is not the class's);
 * `own` the enumerable ones, such as code.
 */
import { type CborWriter, major } from './cborWriter.ts'
import { tags } from './tags.ts'

/** The built-in classes of errors, by name. */
export const errorClasses: Readonly<Record<string, ErrorConstructor>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}

const aggregateName = 'AggregateError'
const hiddenNames = ['name', 'message', 'stack', 'cause', 'errors'] as const

/** Writes an error, of whatever class. */
export function writeError(writer: CborWriter, error: Error): void {
  const className = nearestClass(error)
  writer.writeTag(tags.named)
  writer.writeHead(major.array, 4)
  writer.enter(1)
  writer.writeText('Error')
  writer.writeText(className)
  writer.writeProperties(hiddenProperties(error, className))
  writer.writeProperties(error)
  writer.enter(-1)
}

function nearestClass(error: Error): string {
  for (let prototype: unknown = Object.getPrototypeOf(error); prototype instanceof Object; ) {
    const name: unknown = Reflect.get(prototype, 'name')
    if (typeof name === 'string' && isErrorClass(name) && constructorName(prototype) === name) return name
    prototype = Object.getPrototypeOf(prototype)
  }
  return 'Error'
}

function constructorName(prototype: object): unknown {
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  return typeof type === 'function' ? type.name : undefined
}

function isErrorClass(name: string): boolean {
  return name === aggregateName || Object.hasOwn(errorClasses, name)
}

function hiddenProperties(error: Error, className: string): Record<string, unknown> {
  const hidden: Record<string, unknown> = {}
  for (const name of hiddenNames) {
    const descriptor = Object.getOwnPropertyDescriptor(error, name)
    if (descriptor?.enumerable === true) continue
    const value: unknown = Reflect.get(error, name)
    // The class brings its own name.
    if (name === 'name' && value === className && descriptor === undefined) continue
    if (descriptor !== undefined || (value !== undefined && value !== '')) hidden[name] = value
  }
  return hidden
}

/** An error of that class without message; what belongs to it is added by {@link fillError}. */
export function makeError(className: string): Error {
  const limit: unknown = Reflect.get(Error, 'stackTraceLimit')
  // To collect a stack that is replaced at once would be most of the work.
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    if (className !== aggregateName) return new (classOf(className))()
    const error = new AggregateError([])
    Reflect.deleteProperty(error, 'errors')
    return error
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit)
  }
}

function classOf(className: string): ErrorConstructor {
  return (Object.hasOwn(errorClasses, className) ? errorClasses[className] : undefined) ?? Error
}

/** Gives an error its properties, by definition and not by assignment: no setter is ever called. */
export function fillError(error: Error, hidden: object, own: object): void {
  // The stack of the place where it is decoded would only mislead.
  define(error, 'stack', undefined, false)
  for (const [name, value] of Object.entries(hidden)) define(error, name, value, false)
  for (const [name, value] of Object.entries(own)) define(error, name, value, true)
  if (error.stack === undefined) define(error, 'stack', `${error.name}: ${error.message}`, false)
}

function define(error: Error, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, name, { value, enumerable, writable: true, configurable: true })
}
