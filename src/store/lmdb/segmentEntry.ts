import { readUint32, readUint48, writeUint32, writeUint48 } from '../../wire/integers.ts'
import { SEGMENT_BYTES_MAX } from '../log/segmentFormat.ts'
import { segmentCorrupt } from '../log/storeCorrupt.ts'

/** Where a segment lies that has a place in a file. */
export interface SegmentPlace {
  /** The name of the file. */
  readonly file: string
  readonly offset: number
  readonly bytes: number
}

const IN_ENTRY = 0
const IN_FILE = 1
const PLACE_BYTES = 21
const FILE_NAME = /^(\d{1,15})-(\d{1,15})\.log$/

/** The name of a file that begins with a segment; `owner` is who wrote it, so that no two ever write into the same one. */
export function segmentFileName(segment: number, owner: number): string {
  return `${segment}-${owner}.log`
}

export function isSegmentFileName(name: string): boolean {
  return FILE_NAME.test(name)
}

/**
 * What the database has of a segment: all of it, or where it is.
 *
 * ```
 *  0   1                0   1            7       13       17      21
 *  +---+---------       +---+------------+-------+--------+-------+
 *  | 0 | bytes ...      | 1 | first of   | owner | offset | bytes |
 *  +---+---------       |   | file u48   | u48   | u32    | u32   |
 *                       +---+------------+-------+--------+-------+
 * ```
 */
export function encodeInEntry(bytes: Buffer): Buffer {
  const entry = Buffer.allocUnsafe(1 + bytes.length)
  entry[0] = IN_ENTRY
  bytes.copy(entry, 1)
  return entry
}

export function encodePlace({ file, offset, bytes }: SegmentPlace): Buffer {
  const [, segment = '', owner = ''] = FILE_NAME.exec(file) ?? []
  const entry = Buffer.alloc(PLACE_BYTES)
  entry[0] = IN_FILE
  writeUint48(entry, 1, Number(segment))
  writeUint48(entry, 7, Number(owner))
  writeUint32(entry, 13, offset)
  writeUint32(entry, 17, bytes)
  return entry
}

/** The segment, or where it is. Throws `STORE_CORRUPT`. */
export function decodeEntry(entry: Buffer, number: number): Buffer | SegmentPlace {
  if (entry[0] === IN_ENTRY) return entry.subarray(1)
  if (entry[0] !== IN_FILE || entry.length !== PLACE_BYTES) throw segmentCorrupt(number, 'has an entry that is none')
  const file = segmentFileName(readUint48(entry, 1), readUint48(entry, 7))
  const place = { file, offset: readUint32(entry, 13), bytes: readUint32(entry, 17) }
  if (place.bytes > SEGMENT_BYTES_MAX) throw segmentCorrupt(number, `has ${place.bytes} bytes, which none has`)
  return place
}
