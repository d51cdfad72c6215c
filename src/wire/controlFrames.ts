import { type DeadLetter, failureBytesMax, type LeaseFailure } from '../deadLetter.ts'
import { createError } from '../errors.ts'
import { encodeDeadLetter, encodeFailure, readDeadLetter, readFailure } from './failures.ts'
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
  return encodeRange(FrameType.ACKNOWLEDGE, from, to)
}

/**
 * `| u32 length | u8 type | 3 zero | u64 from | u64 to |`: the program has been given the objects of these leases; lease numbers, both
 * inclusive.
 */
export function encodeSeen(from: number, to: number): Buffer {
  return encodeRange(FrameType.SEEN, from, to)
}

/** How leases are given back. */
export interface ReleaseTerms {
  /** Whether the delivery counts as an attempt. */
  readonly attemptCounted: boolean
  /** Whether the remaining attempts are skipped; only with an attempt counted. */
  readonly isFinal?: boolean
  /** How long the object waits after its first attempt; `undefined`: as long as the relay thinks right. */
  readonly retryDelayMs?: number | undefined
  readonly failure?: LeaseFailure | undefined
}

/** What a RELEASE says. */
export interface ReleasedLeases extends ReleaseTerms {
  readonly from: number
  readonly to: number
  readonly isFinal: boolean
}

const RELEASE_BYTES = FIELDS_AT + 20
const ATTEMPT_COUNTED = 1
const FINAL = 2
const RELAYS_DELAY = 0xffff_ffff

/** `| u32 length | u8 type | u8 flags | 2 zero | u64 from | u64 to | u32 retryDelayMs | JSON of the failure, if any |`: lease numbers, both inclusive. */
export function encodeRelease(from: number, to: number, terms: ReleaseTerms): Buffer {
  const { attemptCounted, isFinal = false, retryDelayMs, failure } = terms
  const json = failure === undefined ? undefined : encodeFailure(failure)
  const frame = begin(FrameType.RELEASE, RELEASE_BYTES + (json?.length ?? 0))
  frame[5] = (attemptCounted ? ATTEMPT_COUNTED : 0) | (isFinal ? FINAL : 0)
  writeUint64(frame, FIELDS_AT, from)
  writeUint64(frame, FIELDS_AT + 8, to)
  writeUint32(frame, FIELDS_AT + 16, Math.min(retryDelayMs ?? RELAYS_DELAY, RELAYS_DELAY))
  json?.copy(frame, RELEASE_BYTES)
  return frame
}

/** Throws `PROTOCOL_VIOLATION` for anything that {@link encodeRelease} would not write. */
export function readRelease(buffer: Buffer, start: number, end: number): ReleasedLeases {
  const length = end - start
  checkLength('RELEASE', length, length >= RELEASE_BYTES && length <= RELEASE_BYTES + failureBytesMax)
  const flags = buffer[start + 5] ?? 0
  const attemptCounted = (flags & ATTEMPT_COUNTED) !== 0
  const isFinal = (flags & FINAL) !== 0
  if (isFinal && !attemptCounted) {
    throw createError('PROTOCOL_VIOLATION', 'The peer sent a RELEASE that is final and counts no attempt.')
  }
  const retryDelayMs = readUint32(buffer, start + FIELDS_AT + 16)
  const failure =
    length === RELEASE_BYTES
      ? undefined
      : readFailure(readJson(buffer, start + RELEASE_BYTES - FRAME_HEADER_BYTES, end))
  return {
    ...readRange(buffer, start),
    attemptCounted,
    isFinal,
    retryDelayMs: retryDelayMs === RELAYS_DELAY ? undefined : retryDelayMs,
    failure,
  }
}

function encodeRange(type: number, from: number, to: number): Buffer {
  const frame = begin(type, FIELDS_AT + 16)
  writeUint64(frame, FIELDS_AT, from)
  writeUint64(frame, FIELDS_AT + 8, to)
  return frame
}

/** Reads an ACKNOWLEDGE or a SEEN. */
export function readLeaseRange(buffer: Buffer, start: number, end: number): { from: number; to: number } {
  checkLength('range of leases', end - start, end - start === FIELDS_AT + 16)
  return readRange(buffer, start)
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

const CONTEXT_BYTES = FIELDS_AT + 12

/** What a CONTEXT says of the object that follows it. */
export interface ObjectContext {
  readonly groupIndex: number
  readonly skipped: number
  /** It comes from the dead-letter queue of that group. */
  readonly isDead: boolean
  readonly deadLetter?: DeadLetter | undefined
}

/**
 * `| u32 length | u8 type | u8 isDead | 2 zero | u32 groupIndex | u64 skipped | JSON of the dead letter, if any |`: says more of the
 * OBJECT or STREAM_BEGIN that follows.
 */
export function encodeContext(groupIndex: number, skipped: number, isDead: boolean, deadLetter?: DeadLetter): Buffer {
  const json = deadLetter === undefined ? undefined : encodeDeadLetter(deadLetter)
  const frame = begin(FrameType.CONTEXT, CONTEXT_BYTES + (json?.length ?? 0))
  frame[5] = isDead ? 1 : 0
  writeUint32(frame, FIELDS_AT, groupIndex)
  writeUint64(frame, FIELDS_AT + 4, skipped)
  json?.copy(frame, CONTEXT_BYTES)
  return frame
}

export function readContext(buffer: Buffer, start: number, end: number): ObjectContext {
  const isDead = buffer[start + 5] === 1
  const length = end - start
  checkLength('CONTEXT', length, length === CONTEXT_BYTES || (isDead && length > CONTEXT_BYTES))
  return {
    groupIndex: readUint32(buffer, start + FIELDS_AT),
    skipped: readExactly('CONTEXT', buffer, start + FIELDS_AT + 4),
    isDead,
    deadLetter:
      length === CONTEXT_BYTES
        ? undefined
        : readDeadLetter(readJson(buffer, start + CONTEXT_BYTES - FRAME_HEADER_BYTES, end)),
  }
}

/** A GOODBYE or a RECLAIM_END says nothing but its type. */
export function checkEmpty(start: number, end: number): void {
  checkLength('frame without fields', end - start, end - start === FRAME_HEADER_BYTES)
}

/** `| u32 length | u8 type | 3 zero | u32 stream | u64 offset |`: STREAM_WINDOW, and STREAM_ABORT with offset 0. */
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

/** `| u32 length | u8 type | JSON in UTF-8 |`: HELLO, WELCOME, REFUSED, CLOSE. */
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
