import { createHash } from 'node:crypto'

/**
 * The group ristretto255 (RFC 9496), and what RFC 9497 makes of it for an OPRF: for tests only. It is slow, and its time says what it
 * computes with.
 */

const P = 2n ** 255n - 19n
/** The order of the group. */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

/** A point of the Edwards curve, in extended coordinates: x = X/Z, y = Y/Z, x * y = T/Z. */
export interface Point {
  readonly x: bigint
  readonly y: bigint
  readonly z: bigint
  readonly t: bigint
}

const mod = (value: bigint, modulus = P): bigint => ((value % modulus) + modulus) % modulus
const isNegative = (value: bigint): boolean => (mod(value) & 1n) === 1n
const absolute = (value: bigint): bigint => (isNegative(value) ? mod(-value) : mod(value))

function power(base: bigint, exponent: bigint, modulus = P): bigint {
  let result = 1n
  let square = mod(base, modulus)
  for (let left = exponent; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

const D = mod(-121665n * power(121666n, P - 2n))
const SQRT_M1 = power(2n, (P - 1n) / 4n)
const INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578n
const SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235n

/** The square root of u/v, or of u/v times the square root of -1 where there is none. */
function squareRootOfRatio(u: bigint, v: bigint): { isSquare: boolean; root: bigint } {
  const v3 = mod(v * v * v)
  let root = mod(u * v3 * power(u * v3 * v3 * v, (P - 5n) / 8n))
  const check = mod(v * root * root)
  const isCorrect = check === mod(u)
  const isFlipped = check === mod(-u)
  if (isFlipped || check === mod(-u * SQRT_M1)) root = mod(root * SQRT_M1)
  return { isSquare: isCorrect || isFlipped, root: absolute(root) }
}

export function readScalar(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n)
}

export function writeScalar(value: bigint): Buffer {
  return Buffer.from(Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn)))
}

/** Throws for bytes that are no encoding of an element. */
export function decodeElement(bytes: Uint8Array): Point {
  const s = readScalar(bytes)
  if (bytes.length !== 32 || s >= P || isNegative(s)) throw new Error('Not an element of ristretto255')
  const u1 = mod(1n - s * s)
  const u2 = mod(1n + s * s)
  const v = mod(-D * u1 * u1 - u2 * u2)
  const { isSquare, root } = squareRootOfRatio(1n, v * u2 * u2)
  const x = absolute(2n * s * root * u2)
  const y = mod(u1 * root * root * u2 * v)
  const t = mod(x * y)
  if (!isSquare || isNegative(t) || y === 0n) throw new Error('Not an element of ristretto255')
  return { x, y, z: 1n, t }
}

export function encodeElement({ x, y, z, t }: Point): Buffer {
  const u1 = mod((z + y) * (z - y))
  const u2 = mod(x * y)
  const { root } = squareRootOfRatio(1n, u1 * u2 * u2)
  const zInverse = mod(root * u1 * root * u2 * t)
  const isRotated = isNegative(t * zInverse)
  const [sideX, sideY] = isRotated ? [y * SQRT_M1, x * SQRT_M1] : [x, y]
  const inverse = isRotated ? root * u1 * INVSQRT_A_MINUS_D : root * u2
  return writeScalar(absolute(inverse * (z - (isNegative(sideX * zInverse) ? -sideY : sideY))))
}

export function add(one: Point, other: Point): Point {
  const a = mod((one.y - one.x) * (other.y - other.x))
  const b = mod((one.y + one.x) * (other.y + other.x))
  const c = mod(2n * D * one.t * other.t)
  const d = mod(2n * one.z * other.z)
  const [e, f, g, h] = [b - a, d - c, d + c, b + a]
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) }
}

export function multiply(point: Point, scalar: bigint): Point {
  let result: Point = { x: 0n, y: 1n, z: 1n, t: 0n }
  let double = point
  for (let left = scalar; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = add(result, double)
    double = add(double, double)
  }
  return result
}

export const generator: Point = decodeElement(
  Buffer.from('e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76', 'hex'),
)

export function invertScalar(scalar: bigint): bigint {
  return power(scalar, ORDER - 2n, ORDER)
}

/** The map of RFC 9496, 4.3.4. */
function mapToPoint(bytes: Uint8Array): Point {
  const t = mod(readScalar(bytes) & (2n ** 255n - 1n))
  const r = mod(SQRT_M1 * t * t)
  const u = mod((r + 1n) * (1n - D * D))
  const v = mod((-1n - r * D) * (r + D))
  const { isSquare, root } = squareRootOfRatio(u, v)
  const s = isSquare ? root : mod(-absolute(root * t))
  const n = mod((isSquare ? -1n : r) * (r - 1n) * (D - 1n) * (D - 1n) - v)
  const [w0, w1, w2, w3] = [2n * s * v, n * SQRT_AD_MINUS_ONE, 1n - s * s, 1n + s * s]
  return { x: mod(w0 * w3), y: mod(w2 * w1), z: mod(w1 * w3), t: mod(w0 * w2) }
}

/** 64 bytes of `expand_message_xmd` with SHA-512 (RFC 9380, 5.3.1). */
function expandMessage(message: Uint8Array, tag: Uint8Array): Buffer {
  const ending = Buffer.concat([tag, Buffer.of(tag.length)])
  const first = sha512(Buffer.alloc(128), message, Buffer.of(0, 64, 0), ending)
  return sha512(first, Buffer.of(1), ending)
}

export function sha512(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** RFC 9497, 3.1: mode OPRF, suite ristretto255-SHA512. */
const contextString = Buffer.from('OPRFV1-\0-ristretto255-SHA512', 'latin1')

export function hashToGroup(message: Uint8Array): Point {
  const uniform = expandMessage(message, Buffer.concat([Buffer.from('HashToGroup-'), contextString]))
  return add(mapToPoint(uniform.subarray(0, 32)), mapToPoint(uniform.subarray(32)))
}

/** `DeriveKeyPair` of RFC 9497: the private key. */
export function derivePrivateKey(seed: Uint8Array, info: string): bigint {
  const tag = Buffer.concat([Buffer.from('DeriveKeyPair'), contextString])
  const input = Buffer.concat([seed, Buffer.of(0, info.length), Buffer.from(info), Buffer.of(0)])
  // The counter at the end is 0: a key of 0, for which it would be counted up, does not happen.
  return readScalar(expandMessage(input, tag)) % ORDER
}

export function publicKeyOf(privateKey: bigint): Buffer {
  return encodeElement(multiply(generator, privateKey))
}

export function multiplyEncoded(element: Uint8Array, scalar: bigint): Buffer {
  return encodeElement(multiply(decodeElement(element), scalar))
}
