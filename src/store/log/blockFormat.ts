import { crc32 } from 'node:zlib'
import { readUint16, readUint32, readUint48, writeUint16, writeUint32, writeUint48 } from '../../wire/integers.ts'
import { blockCorrupt, storeVersion } from './storeCorrupt.ts'

/**
 * The log is a sequence of blocks, one behind the other, and a commit is one or more of them. A block holds some frames, and
 * records of what became of objects meanwhile. Blocks stand in segments, of at most {@link SEGMENT_BYTES_MAX} bytes each: a frame
 * is found by the number of its segment and by its offset there. All numbers are little-endian.
 *
 * ```
 *  0       4         6       8         14     16       20      24          28         32      36      42       48
 *  +-------+---------+-------+---------+------+--------+-------+-----------+----------+-------+-------+--------+--------+---------+
 *  | magic | version | flags | segment | zero | offset | bytes | framesEnd | previous | check | first | commit | frames | records |
 *  | u32   | u16     | u16   | u48     | u16  | u32    | u32   | u32       | u32      | u32   | u48   | u48    |        |         |
 *  +-------+---------+-------+---------+------+--------+-------+-----------+----------+-------+-------+--------+--------+---------+
 * ```
 *
 * - `flags`: 1 for the last block of a commit. A commit counts as a whole, or not at all.
 * - `segment`, `offset`: where the block stands. It follows the block before, or begins the next segment.
 * - `bytes`: all of the block. `framesEnd`: where its records begin, counted from its own beginning.
 * - `previous`: the `check` of the block before, 0 in the first of all.
 * - `check`: the CRC-32 of all other bytes of the block, begun with the key of the store. So a block that was changed, comes from
 *   another store, or is not the one that the next one follows, is noticed.
 * - `first`: with this commit, the segments before this one are needed no more.
 * - `commit`: the number of the commit, counted from 1. It is written when the one before the last one is safe, see COMMITS_MAX.
 * - frames: OBJECT frames as they came, one behind the other, and STREAM_BEGIN frames of large objects; each begins with its length.
 * - records: see recordFormat.ts.
 */
export const BLOCK_HEAD_BYTES = 48

/** No segment is larger, and so no block. */
export const SEGMENT_BYTES_MAX: number = 256 * 1024

/** The format that this version writes, and the only one that it reads. */
export const LOG_VERSION = 1

const MAGIC = 0x6c_72_6f_89
const LAST_OF_COMMIT = 1
const PREVIOUS_AT = 28
const CHECK_AT = 32

/** The first bytes of every block, to look for one in damaged bytes. */
export const blockMagic: Buffer = Buffer.from([MAGIC & 0xff, (MAGIC >> 8) & 0xff, (MAGIC >> 16) & 0xff, MAGIC >>> 24])

/** What the head of a block says. */
export interface BlockHead {
  readonly isLast: boolean
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  readonly framesEnd: number
  /** The check of the block before. */
  readonly previous: number
  readonly check: number
  readonly first: number
  readonly commit: number
}

/** Writes the head of the block that fills `bytes`, whose frames and records are written. Returns its check. */
export function writeBlockHead(bytes: Buffer, head: Omit<BlockHead, 'bytes' | 'check'>, key: number): number {
  writeUint32(bytes, 0, MAGIC)
  writeUint16(bytes, 4, LOG_VERSION)
  writeUint16(bytes, 6, head.isLast ? LAST_OF_COMMIT : 0)
  writeUint48(bytes, 8, head.segment)
  writeUint16(bytes, 14, 0)
  writeUint32(bytes, 16, head.offset)
  writeUint32(bytes, 20, bytes.length)
  writeUint32(bytes, 24, head.framesEnd)
  writeUint32(bytes, PREVIOUS_AT, head.previous)
  writeUint48(bytes, 36, head.first)
  writeUint48(bytes, 42, head.commit)
  const check = checkOf(bytes, key)
  writeUint32(bytes, CHECK_AT, check)
  return check
}

/** The length of the block that begins at `at`, as it says itself; `undefined`: no block of this format begins here. */
export function blockBytesAt(bytes: Buffer, at: number): number | undefined {
  if (bytes.length - at < BLOCK_HEAD_BYTES || readUint32(bytes, at) !== MAGIC) return undefined
  if (readUint16(bytes, at + 4) !== LOG_VERSION) return undefined
  const length = readUint32(bytes, at + 20)
  return length < BLOCK_HEAD_BYTES || readUint32(bytes, at + 16) + length > SEGMENT_BYTES_MAX ? undefined : length
}

/** Throws `STORE_VERSION` if a block of a later format begins here. */
export function checkLogVersion(bytes: Buffer): void {
  if (bytes.length < BLOCK_HEAD_BYTES || readUint32(bytes, 0) !== MAGIC) return
  const version = readUint16(bytes, 4)
  if (version > LOG_VERSION) throw storeVersion('The log', version, LOG_VERSION)
}

/** Reads the head of the block that begins at `at`, and checks every byte of the block. `undefined`: there is no whole block. */
export function readBlockHead(bytes: Buffer, at: number, key: number): BlockHead | undefined {
  const length = blockBytesAt(bytes, at)
  if (length === undefined || length > bytes.length - at) return undefined
  const block = bytes.subarray(at, at + length)
  const framesEnd = readUint32(block, 24)
  if (readUint32(block, CHECK_AT) !== checkOf(block, key)) return undefined
  if (framesEnd < BLOCK_HEAD_BYTES || framesEnd > length) return undefined
  return {
    isLast: (readUint16(block, 6) & LAST_OF_COMMIT) !== 0,
    segment: readUint48(block, 8),
    offset: readUint32(block, 16),
    bytes: length,
    framesEnd,
    previous: readUint32(block, PREVIOUS_AT),
    check: readUint32(block, CHECK_AT),
    first: readUint48(block, 36),
    commit: readUint48(block, 42),
  }
}

/** Where the records of a block begin. */
export function framesEndOf(block: Buffer): number {
  return readUint32(block, 24)
}

/** The check of a block, as it says itself. */
export function checkIn(block: Buffer): number {
  return readUint32(block, CHECK_AT)
}

/** Checks every byte of a whole segment, whose last block has the check `check`. Throws `STORE_CORRUPT`. */
export function checkSegment(bytes: Buffer, number: number, check: number, key: number): void {
  let last: BlockHead | undefined
  for (let at = 0; at < bytes.length; at += last.bytes) {
    const head = readBlockHead(bytes, at, key)
    const follows =
      head?.segment === number && head.offset === at && (last === undefined || head.previous === last.check)
    if (head === undefined || !follows) throw blockCorrupt(number, at, 'was changed, or belongs to another store')
    last = head
  }
  if (last?.check !== check) throw blockCorrupt(number, last?.offset ?? 0, 'is not the one that was written')
}

function checkOf(block: Buffer, key: number): number {
  return crc32(block.subarray(CHECK_AT + 4), crc32(block.subarray(0, CHECK_AT), key))
}
