import fc from 'fast-check'

/** What makes an array of numbers that only some versions of JavaScript have. */
const halfArrays: readonly (typeof Uint16Array)[] =
  'Float16Array' in globalThis ? [Reflect.get(globalThis, 'Float16Array')] : []

const typedArrays = [
  ...halfArrays,
  Uint8Array,
  Uint8ClampedArray,
  Uint16Array,
  Uint32Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
]

/** Memory of some bytes; now and then enough to travel as a segment. */
const memory: fc.Arbitrary<ArrayBuffer> = fc
  .oneof(
    { weight: 6, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    { weight: 1, arbitrary: fc.integer({ min: 4090, max: 4110 }).map((length) => new Uint8Array(length).fill(length)) },
  )
  .map((bytes) => Uint8Array.from(bytes).buffer)

const typedArray: fc.Arbitrary<unknown> = fc
  .tuple(memory, fc.constantFrom(...typedArrays), fc.nat(1))
  .map(([bytes, ArrayClass, skipped]) => {
    const width = ArrayClass.BYTES_PER_ELEMENT
    const count = Math.floor(bytes.byteLength / width)
    const first = Math.min(skipped, count)
    return new ArrayClass(bytes, first * width, count - first)
  })

const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  // Any UTF-16, surrogates without a partner included.
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 }).map((codes) => String.fromCharCode(...codes)),
)

const key: fc.Arbitrary<string> = fc.oneof(
  text,
  fc.constantFrom('__proto__', 'constructor', 'toString', 'a', 'b', '0', '7', '100000', '4294967294', '-0', ''),
)

const scalar: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.float(),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
  fc.constantFrom(-0, Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 2 ** 32, null, undefined, true, false),
)

const leaf: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 1, arbitrary: fc.date({ noInvalidDate: true }) },
  { weight: 1, arbitrary: fc.constantFrom(/a+/, /(?<x>b)\/c/giu, /^\d+$/, /[\s\S]/y) },
  { weight: 1, arbitrary: typedArray },
  { weight: 1, arbitrary: memory.map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: memory },
  { weight: 1, arbitrary: memory.map((bytes) => new DataView(bytes, Math.min(1, bytes.byteLength))) },
  { weight: 1, arbitrary: fc.oneof(fc.double(), fc.string(), fc.boolean(), fc.bigInt()).map((value) => Object(value)) },
  { weight: 1, arbitrary: fc.array(fc.float(), { maxLength: 9 }).map((list) => tensor(Float32Array.from(list))) },
)

function tensor(data: Float32Array): unknown {
  return { dtype: 'float32', shape: [1, data.length], data }
}

function makeObject(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true })
  }
  return object
}

function makeSparse(elements: readonly unknown[], holes: readonly number[]): unknown[] {
  const array = [...elements]
  for (const hole of holes) if (hole < array.length) Reflect.deleteProperty(array, hole)
  return array
}

/** Indices that are near each other, and such that are far apart. */
const arrayIndex: fc.Arbitrary<number> = fc.oneof(
  fc.nat(20),
  fc.nat(3000),
  fc.integer({ min: 0, max: 2 ** 32 - 2 }),
  fc.constantFrom(0, 2 ** 31, 2 ** 32 - 2),
)

/** An array used as a table, with as many holes behind its last element as `longer` says, if so many are possible. */
function makeTable(entries: readonly (readonly [number, unknown])[], longer: number): unknown[] {
  const array: unknown[] = []
  for (const [index, value] of entries) array[index] = value
  array.length = Math.min(array.length + longer, 2 ** 32 - 1)
  return array
}

/** An error whose class has getters that are for instances only. */
class ClassError extends Error {
  readonly #text: string
  constructor(message: string, options: ErrorOptions) {
    super('', options)
    this.#text = message
  }
  override get name(): string {
    return `Class${this.#text.length}`
  }
  override get message(): string {
    return this.#text
  }
}

const errorClasses = [Error, TypeError, RangeError, SyntaxError] as const

function makeError(index: number, message: string, cause: unknown, own: object): Error {
  const ErrorClass = errorClasses[index % errorClasses.length] ?? Error
  const { stack, message: _, ...rest } = own as Record<string, unknown> // an object made above
  return Object.assign(new ErrorClass(message, { cause }), stack === undefined ? rest : {})
}

/** Errors that do not come back as exactly what they are, or have their name and message from their class. */
export const classError: fc.Arbitrary<Error> = fc.oneof(
  fc
    .tuple(fc.string(), fc.constantFrom('AbortError', 'TimeoutError', 'DataCloneError', 'Odd', ''))
    .map(([message, name]) => new DOMException(message, name)),
  fc.tuple(fc.string(), fc.integer()).map(([message, cause]) => new ClassError(message, { cause })),
)

/** Any tree of values that can be sent. */
export const tree: fc.Arbitrary<unknown> = fc.letrec<{ node: unknown }>((tie) => {
  const nodes = fc.array(tie('node'), { maxLength: 5 })
  const entries = fc.array(fc.tuple(key, tie('node')), { maxLength: 5 })
  return {
    node: fc.oneof(
      { maxDepth: 5, depthSize: 'small' },
      leaf,
      entries.map(makeObject),
      fc.tuple(nodes, fc.array(fc.nat(5), { maxLength: 3 })).map(([list, holes]) => makeSparse(list, holes)),
      fc
        .tuple(fc.array(fc.tuple(arrayIndex, tie('node')), { maxLength: 4 }), fc.oneof(fc.constant(0), arrayIndex))
        .map(([table, longer]) => makeTable(table, longer)),
      nodes.map((list) => new Set(list)),
      fc.array(fc.tuple(fc.oneof(scalar, tie('node')), tie('node')), { maxLength: 5 }).map((list) => new Map(list)),
      fc
        .tuple(fc.nat(9), fc.string(), tie('node'), fc.dictionary(fc.constantFrom('code', 'errno', 'syscall'), scalar))
        .map(([index, message, cause, own]) => makeError(index, message, cause, own)),
    ),
  }
}).node

type Container = Record<string, unknown> | unknown[] | Map<unknown, unknown> | Set<unknown> | Error

const makers: readonly (() => Container)[] = [
  () => ({}),
  () => [],
  () => new Map(),
  () => new Set(),
  () => new Error('in a graph'),
]

function link(from: Container, to: unknown, name: string): void {
  if (Array.isArray(from)) from.push(to)
  else if (from instanceof Set) from.add(to)
  else if (from instanceof Map) from.set(name.length % 2 === 0 ? to : name, to)
  else if (from instanceof Error)
    Object.defineProperty(from, 'cause', { value: to, writable: true, configurable: true })
  else from[name] = to
}

/** Any graph of containers that refer to each other, in circles too, given by its first. */
export const graph: fc.Arbitrary<unknown> = fc
  .tuple(
    fc.array(fc.nat(makers.length - 1), { minLength: 1, maxLength: 24 }),
    fc.array(fc.tuple(fc.nat(23), fc.nat(23), fc.stringMatching(/^[a-z]{1,3}$/)), { maxLength: 60 }),
  )
  .map(([kinds, links]) => {
    const containers = kinds.map((kind) => (makers[kind] ?? (() => ({})))())
    for (const [from, to, name] of links) {
      const source = containers[from % containers.length]
      if (source !== undefined) link(source, containers[to % containers.length], name)
    }
    return containers[0]
  })

/** A value that cannot be sent, of any kind. */
export const unsendable: fc.Arbitrary<unknown> = fc
  .constantFrom<() => unknown>(
    () => () => 1,
    () => Symbol('s'),
    () => (function* () {})(),
    () => (async function* () {})(),
    () => [1][Symbol.iterator](),
    () => Promise.resolve(1),
    () => new WeakMap(),
    () => new WeakSet(),
    () => new WeakRef({}),
    () => new SharedArrayBuffer(1),
    () => new (class Unregistered {})(),
    () => Object.create({ inherited: 1 }),
    () => AbortSignal.abort(),
  )
  .map((make) => make())
