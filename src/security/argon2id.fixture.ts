import { createHash } from 'node:crypto'
import type { KeyStretching } from './proofMessages.ts'

/**
 * Argon2id (RFC 9106), version 0x13, with a tag of 64 bytes, no secret and no associated data: for tests only, and as far as OPAQUE
 * needs it here. A 64-bit word is two elements of a `Uint32Array`, the lower half first.
 */

const BLOCK_WORDS = 256
const SLICES = 4
const ARGON2ID = 2

function blake2b(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('blake2b512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function littleEndian(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index)
  return bytes
}

/** The hash H' for 1024 bytes: the first halves of hashes of hashes, and all of the last one. */
function firstBlock(seed: Uint8Array, column: number, lane: number): Uint32Array {
  let hash = blake2b(littleEndian(1024), seed, littleEndian(column, lane))
  const halves: Buffer[] = []
  for (let index = 0; index < 30; index++) {
    halves.push(hash.subarray(0, 32))
    hash = blake2b(hash)
  }
  const bytes = Buffer.concat([...halves, hash])
  return Uint32Array.from({ length: BLOCK_WORDS }, (_, index) => bytes.readUInt32LE(4 * index))
}

/** v[a] = v[a] + v[b] + 2 * low(v[a]) * low(v[b]), of words of 64 bits. */
function addMultiplied(v: Uint32Array, a: number, b: number): void {
  const aLow = v[a] ?? 0
  const bLow = v[b] ?? 0
  const low = (aLow & 0xffff) * (bLow & 0xffff)
  const middle = (aLow >>> 16) * (bLow & 0xffff) + (low >>> 16)
  const other = (aLow & 0xffff) * (bLow >>> 16) + (middle & 0xffff)
  const high = (aLow >>> 16) * (bLow >>> 16) + (middle >>> 16) + (other >>> 16)
  const product = Math.imul(aLow, bLow) >>> 0
  const sum = aLow + bLow + ((product << 1) >>> 0)
  v[a] = sum
  v[a + 1] = (v[a + 1] ?? 0) + (v[b + 1] ?? 0) + ((high << 1) | (product >>> 31)) + Math.floor(sum / 2 ** 32)
}

/** v[d] = (v[d] xor v[a]) rotated to the right. */
function xorRotated(v: Uint32Array, d: number, a: number, bits: number): void {
  const low = (v[d] ?? 0) ^ (v[a] ?? 0)
  const high = (v[d + 1] ?? 0) ^ (v[a + 1] ?? 0)
  const [one, two] = bits < 32 ? [low, high] : [high, low]
  const shift = bits % 32
  v[d] = shift === 0 ? one : (one >>> shift) | (two << (32 - shift))
  v[d + 1] = shift === 0 ? two : (two >>> shift) | (one << (32 - shift))
}

function mix(v: Uint32Array, a: number, b: number, c: number, d: number): void {
  addMultiplied(v, a, b)
  xorRotated(v, d, a, 32)
  addMultiplied(v, c, d)
  xorRotated(v, b, c, 24)
  addMultiplied(v, a, b)
  xorRotated(v, d, a, 16)
  addMultiplied(v, c, d)
  xorRotated(v, b, c, 63)
}

/** The round of BLAKE2b on the 16 words of a row or column; `at` gives where in the block each lies. */
function permute(v: Uint32Array, at: (index: number) => number): void {
  for (let index = 0; index < 4; index++) mix(v, at(index), at(index + 4), at(index + 8), at(index + 12))
  for (let index = 0; index < 4; index++)
    mix(v, at(index), at(4 + ((index + 1) % 4)), at(8 + ((index + 2) % 4)), at(12 + ((index + 3) % 4)))
}

/** The compression function G. */
function compress(one: Uint32Array, other: Uint32Array): Uint32Array {
  const result = one.map((word, index) => word ^ (other[index] ?? 0))
  const v = Uint32Array.from(result)
  for (let row = 0; row < 8; row++) permute(v, (index) => 32 * row + 2 * index)
  for (let column = 0; column < 8; column++) permute(v, (index) => 4 * column + 32 * (index >> 1) + 2 * (index & 1))
  return result.map((word, index) => word ^ (v[index] ?? 0))
}

/** Where the filling of the memory is. */
interface Place {
  readonly pass: number
  readonly slice: number
  readonly lane: number
  readonly index: number
}

class Memory {
  readonly #lanes: Uint32Array[][]
  readonly #columns: number
  readonly #stretching: KeyStretching

  constructor(seed: Uint8Array, stretching: KeyStretching) {
    const { memoryKiB, parallelism } = stretching
    this.#stretching = stretching
    this.#columns = SLICES * Math.floor(memoryKiB / (SLICES * parallelism))
    this.#lanes = Array.from({ length: parallelism }, (_, lane) => [
      firstBlock(seed, 0, lane),
      firstBlock(seed, 1, lane),
    ])
  }

  get #segment(): number {
    return this.#columns / SLICES
  }

  fill(): void {
    const { iterations, parallelism } = this.#stretching
    for (let pass = 0; pass < iterations; pass++)
      for (let slice = 0; slice < SLICES; slice++)
        for (let lane = 0; lane < parallelism; lane++) this.#fillSegment(pass, slice, lane)
  }

  #fillSegment(pass: number, slice: number, lane: number): void {
    const isIndependent = pass === 0 && slice < 2
    let addresses = new Uint32Array(BLOCK_WORDS)
    for (let index = 0; index < this.#segment; index++) {
      if (isIndependent && index % 128 === 0) addresses = this.#addresses({ pass, slice, lane, index })
      if (pass === 0 && slice === 0 && index < 2) continue
      const column = slice * this.#segment + index
      const previous = this.#block(lane, (column + this.#columns - 1) % this.#columns)
      const from = isIndependent ? addresses : previous
      const at = isIndependent ? 2 * (index % 128) : 0
      const reference = this.#reference({ pass, slice, lane, index }, from[at] ?? 0, from[at + 1] ?? 0)
      const mixed = compress(previous, reference)
      const before = pass === 0 ? undefined : this.#block(lane, column)
      const row = this.#lanes[lane] ?? []
      row[column] = before === undefined ? mixed : mixed.map((word, at) => word ^ (before[at] ?? 0))
    }
  }

  /** Where the next 128 blocks look, if that does not depend on the password. */
  #addresses({ pass, slice, lane, index }: Place): Uint32Array<ArrayBuffer> {
    const { iterations, parallelism } = this.#stretching
    const input = new Uint32Array(BLOCK_WORDS)
    const fields = [pass, lane, slice, this.#columns * parallelism, iterations, ARGON2ID, index / 128 + 1]
    for (const [at, field] of fields.entries()) input[2 * at] = field
    const zero = new Uint32Array(BLOCK_WORDS)
    return Uint32Array.from(compress(zero, compress(zero, input)))
  }

  #reference({ pass, slice, lane, index }: Place, low: number, high: number): Uint32Array {
    const referenceLane = pass === 0 && slice === 0 ? lane : high % this.#stretching.parallelism
    const finished = pass === 0 ? slice * this.#segment : this.#columns - this.#segment
    const isSame = referenceLane === lane
    const size = isSame ? finished + index - 1 : finished - (index === 0 ? 1 : 0)
    const square = (BigInt(low) * BigInt(low)) >> 32n
    const back = Number((BigInt(size) * square) >> 32n)
    const begin = pass === 0 || slice === SLICES - 1 ? 0 : (slice + 1) * this.#segment
    return this.#block(referenceLane, (begin + size - 1 - back) % this.#columns)
  }

  #block(lane: number, column: number): Uint32Array {
    const block = this.#lanes[lane]?.[column]
    if (block === undefined) throw new Error(`Block ${column} of lane ${lane} was not filled`)
    return block
  }

  /** All last blocks, one over the other. */
  last(): Buffer {
    const sum = new Uint32Array(BLOCK_WORDS)
    for (const blocks of this.#lanes)
      for (const [index, word] of (blocks.at(-1) ?? sum).entries()) sum[index] = (sum[index] ?? 0) ^ word
    return littleEndian(...sum)
  }
}

export function argon2id(password: Uint8Array, salt: Uint8Array, stretching: KeyStretching): Buffer {
  const { memoryKiB, iterations, parallelism } = stretching
  const seed = blake2b(
    littleEndian(parallelism, 64, memoryKiB, iterations, 0x13, ARGON2ID, password.length),
    password,
    littleEndian(salt.length),
    salt,
    littleEndian(0, 0),
  )
  const memory = new Memory(seed, stretching)
  memory.fill()
  return blake2b(littleEndian(64), memory.last())
}
