/** Little-endian integers beyond 32 bits, written by arithmetic: BigInt would allocate on every frame. */

const TWO_POW_32 = 0x1_0000_0000

export function readUint32(bytes: Uint8Array, at: number): number {
  // Reading past the end gives undefined, which the operators below turn into 0; callers check lengths first.
  return (
    (((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)) >>> 0) +
    (bytes[at + 3] ?? 0) * 0x100_0000
  )
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

export function readUint48(bytes: Uint8Array, at: number): number {
  const high = readUint16(bytes, at + 4)
  // Without the product a number stays a small integer, and so does all that is computed with it.
  return high === 0 ? readUint32(bytes, at) : readUint32(bytes, at) + high * TWO_POW_32
}

export function writeUint48(bytes: Uint8Array, at: number, value: number): void {
  writeUint32(bytes, at, (value % TWO_POW_32) | 0)
  writeUint16(bytes, at + 4, Math.floor(value / TWO_POW_32))
}

/** Reads a 64-bit field; a value that a JavaScript number cannot hold exactly gives NaN, which every range check refuses. */
export function readUint64(bytes: Uint8Array, at: number): number {
  const high = readUint32(bytes, at + 4)
  if (high === 0) return readUint32(bytes, at)
  const value = readUint32(bytes, at) + high * TWO_POW_32
  return Number.isSafeInteger(value) ? value : Number.NaN
}

export function writeUint64(bytes: Uint8Array, at: number, value: number): void {
  writeUint32(bytes, at, (value % TWO_POW_32) | 0)
  writeUint32(bytes, at + 4, Math.floor(value / TWO_POW_32))
}
