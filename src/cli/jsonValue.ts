/** What JSON can say. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [name: string]: JsonValue }

/** The property that marks what JSON has no form for: `{ "$type": "BigInt", "value": "1" }`. */
export const TYPE_PROPERTY = '$type'

type TypedArrayClass = new (buffer: ArrayBuffer) => NodeJS.TypedArray

/** The typed arrays by their names. */
export const typedArrayClasses: Readonly<Record<string, TypedArrayClass & { readonly BYTES_PER_ELEMENT: number }>> = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
}

/** The errors that keep their class. */
export const errorClasses: Readonly<Record<string, new (message: string) => Error>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}

/** Defines an own property, also of a name like `__proto__`. */
export function setOwn(target: object, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
  } else {
    Reflect.set(target, name, value)
  }
}

/** The name of one step in a JSON pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The inverse of {@link escapePointer}. */
export function unescapePointer(name: string): string {
  return name.replaceAll('~1', '/').replaceAll('~0', '~')
}

/** The names of the steps of a JSON pointer; `undefined` if the text is none. */
export function pointerSteps(pointer: string): readonly string[] | undefined {
  if (pointer === '') return []
  return pointer.startsWith('/') ? pointer.slice(1).split('/').map(unescapePointer) : undefined
}
