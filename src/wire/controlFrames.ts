import { createError } from '../errors.ts'
import { FIRST_CLAIMED_LEASE, FRAME_HEADER_BYTES, FrameType } from './frameTypes.ts'
import {
  readUint16,
  readUint32,
  readUint48,
  readUint64,
  writeUint16,
  writeUint32,
  writeUint48,
  writeUint64,
} from './integers.ts'

/**
 * The frames beside objects. Each has one function that writes it and one that reads it; the layouts are drawn in
 * PROTOCOL.md and pinned by controlFrames.test.ts. All begin with u32 length, u8 type, and three zero bytes where
 * numbers follow.
 */

const FIELDS_AT = 8

function begin(type: number, bytes: number): Buffer {
  const frame = Buffer.alloc(bytes)
  writeUint32(frame, 0, bytes)
  frame[4] = type
  return frame
}

function checkLength(what: string, length: number, right: boolean): void {
  if (!right) throw createError('PROTOCOL_VIOLATION', `The peer sent a ${what} of ${length} bytes, which cannot be.`)
}

/** A 64-bit field that is of no use beyond what a number holds exactly. */
function readExactly(what: string, buffer: Buffer, at: number): number {
  const value = readUint64(buffer, at)
  if (Number.isNaN(value)) throw createError('PROTOCOL_VIOLATION', `The peer sent a ${what} with a number beyond 2^53.`)
  return value
}

/** `| u32 length | u8 type | 3 zero | u64 receivedFrames | u64 objectBytesLimit |` */
export function encodeConfirm(receivedFrames: number, objectBytesLimit: number): Buffer {
  const frame = begin(FrameType.CONFIRM, FIELDS_AT + 16)
  writeUint64(frame, FIELDS_AT, receivedFrames)
  writeUint64(frame, FIELDS_AT + 8, objectBytesLimit)
  return frame
}

export function readConfirm(
  buffer: Buffer,
  start: number,
  end: number,
): { receivedFrames: number; objectBytesLimit: number } {
  checkLength('CONFIRM', end - start, end - start === FIELDS_AT + 16)
  return {
    receivedFrames: readUint64(buffer, start + FIELDS_AT),
    objectBytesLimit: readUint64(buffer, start + FIELDS_AT + 8),
  }
}

/** `| u32 length | u8 type | 3 zero | u64 from | u64 to | u16 count | count x u32 members |` */
export function encodeAccepted(from: number, to: number, memberCounts: readonly number[]): Buffer {
  const frame = begin(FrameType.ACCEPTED, FIELDS_AT + 18 + 4 * memberCounts.length)
  writeUint64(frame, FIELDS_AT, from)
  writeUint64(frame, FIELDS_AT + 8, to)
  writeUint16(frame, FIELDS_AT + 16, memberCounts.length)
  for (const [index, count] of memberCounts.entries()) writeUint32(frame, FIELDS_AT + 18 + 4 * index, count)
  return frame
}

export function readAccepted(
  buffer: Buffer,
  start: number,
  end: number,
): { from: number; to: number; memberCounts: number[] } {
  const count = readUint16(buffer, start + FIELDS_AT + 16)
  checkLength('ACCEPTED', end - start, end - start >= FIELDS_AT + 18 && end - start === FIELDS_AT + 18 + 4 * count)
  const memberCounts: number[] = []
  for (let index = 0; index < count; index++) memberCounts.push(readUint32(buffer, start + FIELDS_AT + 18 + 4 * index))
  return { ...readRange(buffer, start), memberCounts }
}

function readRange(buffer: Buffer, start: number): { from: number; to: number } {
  const from = readUint64(buffer, start + FIELDS_AT)
  const to = readUint64(buffer, start + FIELDS_AT + 8)
  if (!(from <= to)) throw createError('PROTOCOL_VIOLATION', 'The peer sent a range that ends before it begins.')
  return { from, to }
}

/** `| u32 length | u8 type | 3 zero | u64 from | u64 to |`: lease numbers, both inclusive. */
export function encodeAcknowledge(from: number, to: number): Buffer {
  return encodeRange(FrameType.ACKNOWLEDGE, 0, from, to)
}

/** `| u32 length | u8 type | u8 attemptCounted | 2 zero | u64 from | u64 to |`: lease numbers, both inclusive. */
export function encodeRelease(from: number, to: number, attemptCounted: boolean): Buffer {
  return encodeRange(FrameType.RELEASE, attemptCounted ? 1 : 0, from, to)
}

function encodeRange(type: number, flag: number, from: number, to: number): Buffer {
  const frame = begin(type, FIELDS_AT + 16)
  frame[5] = flag
  writeUint64(frame, FIELDS_AT, from)
  writeUint64(frame, FIELDS_AT + 8, to)
  return frame
}

/** Reads an ACKNOWLEDGE or a RELEASE. */
export function readLeaseRange(
  buffer: Buffer,
  start: number,
  end: number,
): { from: number; to: number; attemptCounted: boolean } {
  checkLength('range of leases', end - start, end - start === FIELDS_AT + 16)
  return { ...readRange(buffer, start), attemptCounted: buffer[start + 5] === 1 }
}

/** A produced object as it was delivered in an earlier session: what it is known by, and its number from now on. */
export interface ReclaimedLease {
  readonly source: number
  readonly sequence: number
  readonly groupIndex: number
  readonly isDead: boolean
  readonly attempt: number
  readonly leaseNumber: number
}

const RECLAIM_BYTES = 32

/**
 * `| u32 length | u8 type | u8 isDead | u8 attempt | u8 groupIndex | u32 source | u48 sequence | 2 zero | u64 leaseNumber |
 * 4 zero |`
 */
export function encodeReclaim(lease: ReclaimedLease): Buffer {
  const frame = begin(FrameType.RECLAIM, RECLAIM_BYTES)
  frame[5] = lease.isDead ? 1 : 0
  frame[6] = lease.attempt
  frame[7] = lease.groupIndex
  writeUint32(frame, 8, lease.source)
  writeUint48(frame, 12, lease.sequence)
  writeUint64(frame, 20, lease.leaseNumber)
  return frame
}

/** Throws `PROTOCOL_VIOLATION` for a wrong length, and for a number of this session's own leases. */
export function readReclaim(buffer: Buffer, start: number, end: number): ReclaimedLease {
  checkLength('RECLAIM', end - start, end - start === RECLAIM_BYTES)
  const leaseNumber = readExactly('RECLAIM', buffer, start + 20)
  if (leaseNumber < FIRST_CLAIMED_LEASE) {
    throw createError('PROTOCOL_VIOLATION', `The peer claims a lease as number ${leaseNumber}, which is not for that.`)
  }
  return {
    source: readUint32(buffer, start + 8),
    sequence: readUint48(buffer, start + 12),
    groupIndex: buffer[start + 7] ?? 0,
    isDead: buffer[start + 5] === 1,
    attempt: buffer[start + 6] ?? 0,
    leaseNumber,
  }
}

/** `| u32 length | u8 type | 3 zero | i32 count | name |`; count -1 asks for all that wait. DEMAND answers with the count that was added. */
export function encodeNotify(group: string, count: number): Buffer {
  return encodeCountOfGroup(FrameType.NOTIFY, group, count)
}

export function encodeDemand(group: string, count: number): Buffer {
  return encodeCountOfGroup(FrameType.DEMAND, group, count)
}

function encodeCountOfGroup(type: number, group: string, count: number): Buffer {
  const name = Buffer.from(group, 'utf8')
  const frame = begin(type, FIELDS_AT + 4 + name.length)
  writeUint32(frame, FIELDS_AT, count)
  name.copy(frame, FIELDS_AT + 4)
  return frame
}

/** Reads a NOTIFY or a DEMAND. */
export function readCountOfGroup(buffer: Buffer, start: number, end: number): { group: string; count: number } {
  checkLength('count of a group', end - start, end - start > FIELDS_AT + 4)
  return {
    count: readUint32(buffer, start + FIELDS_AT) | 0,
    group: buffer.toString('utf8', start + FIELDS_AT + 4, end),
  }
}

/**
 * `| u32 length | u8 type | u8 isDead | 2 zero | u32 groupIndex | u64 skipped |`: says more of the OBJECT or
 * STREAM_BEGIN that follows. `isDead`: it comes from the dead-letter queue of that group.
 */
export function encodeContext(groupIndex: number, skipped: number, isDead: boolean): Buffer {
  const frame = begin(FrameType.CONTEXT, FIELDS_AT + 12)
  frame[5] = isDead ? 1 : 0
  writeUint32(frame, FIELDS_AT, groupIndex)
  writeUint64(frame, FIELDS_AT + 4, skipped)
  return frame
}

export function readContext(
  buffer: Buffer,
  start: number,
  end: number,
): { groupIndex: number; skipped: number; isDead: boolean } {
  checkLength('CONTEXT', end - start, end - start === FIELDS_AT + 12)
  return {
    groupIndex: readUint32(buffer, start + FIELDS_AT),
    skipped: readExactly('CONTEXT', buffer, start + FIELDS_AT + 4),
    isDead: buffer[start + 5] === 1,
  }
}

/** A GOODBYE or a RECLAIM_END says nothing but its type. */
export function checkEmpty(start: number, end: number): void {
  checkLength('frame without fields', end - start, end - start === FRAME_HEADER_BYTES)
}

/** `| u32 length | u8 type | 3 zero | u32 stream | u64 offset |`: STREAM_WINDOW, STREAM_REWIND and STREAM_ABORT (offset 0). */
export function encodeStreamOffset(type: number, stream: number, offset: number): Buffer {
  const frame = begin(type, FIELDS_AT + 12)
  writeUint32(frame, FIELDS_AT, stream)
  writeUint64(frame, FIELDS_AT + 4, offset)
  return frame
}

export function readStreamOffset(buffer: Buffer, start: number, end: number): { stream: number; offset: number } {
  checkLength('stream frame', end - start, end - start === FIELDS_AT + 12)
  return {
    stream: readUint32(buffer, start + FIELDS_AT),
    offset: readExactly('stream frame', buffer, start + FIELDS_AT + 4),
  }
}

/** `| u32 length | u8 type | 3 zero | u32 stream | u64 offset | bytes |`, without the bytes, whose number is `partBytes`. */
export function encodeChunkHead(stream: number, offset: number, partBytes: number): Buffer {
  const frame = begin(FrameType.STREAM_CHUNK, 20)
  writeUint32(frame, 0, 20 + partBytes)
  writeUint32(frame, 8, stream)
  writeUint64(frame, 12, offset)
  return frame
}

/** `| u32 length | u8 type | JSON in UTF-8 |`: HELLO, WELCOME, REFUSED, CLOSE, NOTICE. */
export function encodeJson(type: number, value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value), 'utf8')
  const frame = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + text.length)
  writeUint32(frame, 0, frame.length)
  frame[4] = type
  text.copy(frame, FRAME_HEADER_BYTES)
  return frame
}

export function readJson(buffer: Buffer, start: number, end: number): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(buffer.toString('utf8', start + FRAME_HEADER_BYTES, end))
  } catch (cause) {
    throw createError('PROTOCOL_VIOLATION', 'The peer sent a frame that should hold JSON and does not.', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw createError('PROTOCOL_VIOLATION', 'The peer sent a frame whose JSON is not an object.')
  }
  return value as Record<string, unknown> // an object that is no array has string keys and unknown values
}

/** `| u32 length | u8 type | text in UTF-8 |`: BLOCKED and UNBLOCKED with a group's name, GOODBYE and RECLAIM_END with nothing. */
export function encodeText(type: number, text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  const frame = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + bytes.length)
  writeUint32(frame, 0, frame.length)
  frame[4] = type
  bytes.copy(frame, FRAME_HEADER_BYTES)
  return frame
}

export function readText(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('utf8', start + FRAME_HEADER_BYTES, end)
}

/** `| u32 length | u8 type | 3 zero | u64 sequence | JSON of the error |` */
export function encodeRejected(sequence: number, error: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(error), 'utf8')
  const frame = begin(FrameType.REJECTED, FIELDS_AT + 8 + text.length)
  writeUint64(frame, FIELDS_AT, sequence)
  text.copy(frame, FIELDS_AT + 8)
  return frame
}

export function readRejected(
  buffer: Buffer,
  start: number,
  end: number,
): { sequence: number; error: Readonly<Record<string, unknown>> } {
  checkLength('REJECTED', end - start, end - start > FIELDS_AT + 8)
  return {
    sequence: readExactly('REJECTED', buffer, start + FIELDS_AT),
    error: readJson(buffer, start + FIELDS_AT + 8 - FRAME_HEADER_BYTES, end),
  }
}
