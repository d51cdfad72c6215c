import { crc32 } from 'node:zlib'
import { readUint16, readUint32, readUint48, writeUint16, writeUint32, writeUint48 } from '../../wire/integers.ts'
import { segmentCorrupt, storeVersion } from './storeCorrupt.ts'

/**
 * A segment of the log: some frames, and what happened to objects meanwhile. All numbers are little-endian.
 *
 * ```
 *  0        4         6      8        14     16         20       24       28          32
 *  +--------+---------+------+--------+------+----------+--------+--------+-----------+----------+-----------+
 *  | magic  | version | zero | number | zero | previous | check  | bytes  | framesEnd | frames   | records   |
 *  | u32    | u16     | u16  | u48    | u16  | u32      | u32    | u32    | u32       |          |           |
 *  +--------+---------+------+--------+------+----------+--------+--------+-----------+----------+-----------+
 * ```
 *
 * - `number`: one more than that of the segment before. `previous`: the `check` of the segment before, 0 in the first of all.
 * - `check`: the CRC-32 of all other bytes, begun with the key of the store (the CRC-32 of the relay's name), so that a
 *   segment that was changed, comes from another store, or is not the one that the next one follows, is noticed.
 * - `bytes`: the length of all. `framesEnd`: where the records begin.
 * - frames: OBJECT frames as they came, one behind the other, and STREAM_BEGIN frames of large objects; each begins with its length.
 * - records: see recordFormat.ts.
 */
export const SEGMENT_HEAD_BYTES = 32

/** No segment is larger. */
export const SEGMENT_BYTES_MAX: number = 256 * 1024

/** The format that this version writes, and the only one that it reads. */
export const SEGMENT_VERSION = 1

const MAGIC = 0x6c_72_6f_89
const PREVIOUS_AT = 16
const CHECK_AT = 20
const BYTES_AT = 24
const FRAMES_END_AT = 28

/** What the head of a segment says. */
export interface SegmentHead {
  readonly number: number
  /** The check of the segment before. */
  readonly previous: number
  /** Where the frames end and the records begin. */
  readonly framesEnd: number
}

/** Writes the head of the segment that fills `bytes`, whose frames and records are written. Returns its check. */
export function writeSegmentHead(bytes: Buffer, { number, previous, framesEnd }: SegmentHead, key: number): number {
  writeUint32(bytes, 0, MAGIC)
  writeUint16(bytes, 4, SEGMENT_VERSION)
  writeUint16(bytes, 6, 0)
  writeUint48(bytes, 8, number)
  writeUint16(bytes, 14, 0)
  writeUint32(bytes, PREVIOUS_AT, previous)
  writeUint32(bytes, BYTES_AT, bytes.length)
  writeUint32(bytes, FRAMES_END_AT, framesEnd)
  const check = checkOf(bytes, key)
  writeUint32(bytes, CHECK_AT, check)
  return check
}

/** Reads the head of a segment that should be `number`, and checks all of its bytes. Throws `STORE_CORRUPT` or `STORE_VERSION`. */
export function readSegmentHead(bytes: Buffer, number: number, key: number): SegmentHead & { readonly check: number } {
  if (bytes.length < SEGMENT_HEAD_BYTES || bytes.length > SEGMENT_BYTES_MAX)
    throw segmentCorrupt(number, `has ${bytes.length} bytes, which none has`)
  if (readUint32(bytes, 0) !== MAGIC) throw segmentCorrupt(number, 'does not begin like a segment')
  const version = readUint16(bytes, 4)
  if (version > SEGMENT_VERSION) throw storeVersion(`Segment ${number}`, version, SEGMENT_VERSION)
  const check = readUint32(bytes, CHECK_AT)
  if (readUint32(bytes, BYTES_AT) !== bytes.length) throw segmentCorrupt(number, 'was cut off')
  if (check !== checkOf(bytes, key)) throw segmentCorrupt(number, 'was changed, or belongs to another store')
  if (readUint48(bytes, 8) !== number) throw segmentCorrupt(number, `is in truth segment ${readUint48(bytes, 8)}`)
  const framesEnd = readUint32(bytes, FRAMES_END_AT)
  if (framesEnd < SEGMENT_HEAD_BYTES || framesEnd > bytes.length)
    throw segmentCorrupt(number, 'says that its frames end beyond it')
  return { number, previous: readUint32(bytes, PREVIOUS_AT), check, framesEnd }
}

function checkOf(bytes: Buffer, key: number): number {
  return crc32(bytes.subarray(CHECK_AT + 4), crc32(bytes.subarray(0, CHECK_AT), key))
}
