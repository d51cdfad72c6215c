import { endianness } from 'node:os'
import { tags } from './tags.ts'

/** `Float16Array`, in programs whose version of TypeScript and `lib` have it. */
type HalfArray = typeof globalThis extends { readonly Float16Array: { readonly prototype: infer Half } }
  ? Half extends ArrayBufferView
    ? Half
    : never
  : never

/** Any typed array. */
export type TypedArray =
  | HalfArray
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array

/** How a kind of typed array is written and made. */
export interface TypedArrayKind {
  /** The tag in the byte order of this machine, in which its memory can be sent as it is. */
  readonly tag: number
  /** What a tensor of such elements calls them. */
  readonly dtype: string
  readonly elementBytes: number
  readonly create: (memory: ArrayBuffer) => TypedArray
  readonly prototype: object
}

/** A typed array tag as it was received. */
export interface ReceivedKind {
  readonly kind: TypedArrayKind
  /** Whether the bytes of each element must be turned round on this machine. */
  readonly swapped: boolean
}

const bigEndianHost = endianness() === 'BE'

const kinds: TypedArrayKind[] = []
const received: (ReceivedKind | undefined)[] = []

/** Arrays of float16, which have a class from Node.js 24 on. */
export const halfTags: Readonly<Record<'big' | 'little', number>> = { big: 80, little: 84 }

interface TypedArrayClass {
  new (memory: ArrayBuffer): TypedArray
  readonly BYTES_PER_ELEMENT: number
  readonly prototype: object
}

/** The class that only newer versions of JavaScript have. */
const halfClass: TypedArrayClass | undefined = Reflect.get(globalThis, 'Float16Array')

function add(type: TypedArrayClass, dtype: string, littleTag: number, bigTag: number = littleTag): void {
  const kind: TypedArrayKind = {
    tag: bigEndianHost ? bigTag : littleTag,
    dtype,
    elementBytes: type.BYTES_PER_ELEMENT,
    create: (memory) => new type(memory),
    prototype: type.prototype,
  }
  kinds.push(kind)
  received[bigTag - tags.typedArrayFirst] = { kind, swapped: bigTag !== kind.tag }
  received[littleTag - tags.typedArrayFirst] = { kind, swapped: littleTag !== kind.tag }
}

// Tag numbers: RFC 8746, table 1.
add(Uint8Array, 'uint8', 64)
add(Uint8ClampedArray, 'uint8_clamped', 68)
add(Uint16Array, 'uint16', 69, 65)
add(Uint32Array, 'uint32', 70, 66)
add(BigUint64Array, 'uint64', 71, 67)
add(Int8Array, 'int8', 72)
add(Int16Array, 'int16', 77, 73)
add(Int32Array, 'int32', 78, 74)
add(BigInt64Array, 'int64', 79, 75)
add(Float32Array, 'float32', 85, 81)
add(Float64Array, 'float64', 86, 82)
if (halfClass !== undefined) add(halfClass, 'float16', halfTags.little, halfTags.big)

const kindOfPrototype: ReadonlyMap<object, TypedArrayKind> = new Map(kinds.map((kind) => [kind.prototype, kind]))

/** All kinds of typed arrays, for tests and tables. */
export const typedArrayKinds: readonly TypedArrayKind[] = kinds

/** The kind of an array that is exactly of that class; undefined for a subclass. */
export function kindOf(array: object): TypedArrayKind | undefined {
  return kindOfPrototype.get(Object.getPrototypeOf(array))
}

/** The kind that a tag stands for; undefined for the tags that have no class here. */
export function kindOfTag(tag: number): ReceivedKind | undefined {
  return received[tag - tags.typedArrayFirst]
}

/** Turns the bytes of each element round, in place. */
export function swapElements(memory: ArrayBuffer, elementBytes: number): void {
  const bytes = Buffer.from(memory)
  if (elementBytes === 2) bytes.swap16()
  else if (elementBytes === 4) bytes.swap32()
  else if (elementBytes === 8) bytes.swap64()
}

/** The number that 16 bits of IEEE 754 stand for. */
export function halfToNumber(bits: number): number {
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}
