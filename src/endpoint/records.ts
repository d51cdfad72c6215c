import { type ReleaseTerms, readJson } from '../wire/controlFrames.ts'
import { encodeFailure, readFailure } from '../wire/failures.ts'
import { FRAME_HEADER_BYTES, FrameType } from '../wire/frameTypes.ts'
import { readUint32, readUint64, writeUint32, writeUint64 } from '../wire/integers.ts'
import { STREAM_BEGIN_TAIL_BYTES } from '../wire/objectHeader.ts'
import type { Waker } from './threads/waker.ts'

/**
 * What travels between a program's endpoints and their I/O beside the frames of the protocol, which travel as they are.
 * All begin like a frame: u32 length, u8 type.
 *
 * To the I/O: OBJECT (with its sequence); STREAM_BEGIN, whose stream is the number of the attachment with the parts of
 * the body; NOTIFY; and OPEN, SETTLED, HANDED, STOP, CLAIM, FLUSH, REPLACEABLE, WITHDRAW of this list.
 *
 * To the program: CONTEXT; OBJECT; STREAM_BEGIN, whose stream is the number of the attachment with head and segments;
 * ACCEPTED; REJECTED; DEMAND; BLOCKED; UNBLOCKED; and STATE, SPARE_MEMORY, TRANSFER, RETURNED, STOPPED, SUPERSEDED,
 * LEASE_NUMBER, NOTICE of this list.
 */
export const RecordType = {
  /** JSON of the endpoint's options: an `EndpointConfiguration`, see jsonRecords.ts. */
  OPEN: 0x80,
  /**
   * `| u32 length | u8 type | u8 action | 2 zero | u32 epoch | u32 retryDelayMs | u64 from | u64 to | u64 takenBytes | JSON of the failure, if any |`:
   * what becomes of the leases `from` to `to` of a session, if there are any; and wire bytes of delivered objects that have left the inbox, since
   * the endpoint began.
   */
  SETTLED: 0x82,
  /** JSON `{ deadlineMs }`. */
  STOP: 0x83,
  /**
   * `| u32 length | u8 type | 3 zero | u32 epoch |`: answers a STATE with `claims`. What that session lent and no SETTLED
   * before this record settles or drops, the program has: it is to be claimed in the session that has begun.
   */
  CLAIM: 0x84,
  /**
   * `| u32 length | u8 type | 3 zero | u32 epoch | 4 zero | u64 lease | u64 takenBytes |`: the program is about to be handed an object and
   * may not survive that; and `takenBytes` as in SETTLED.
   */
  HANDED: 0x85,
  /** 0, and for no endpoint: the program ends. All that was written before is to leave now. */
  FLUSH: 0x86,
  /** Nothing: the large object that follows need not go before another one of its lane; it may be withdrawn until then. */
  REPLACEABLE: 0x87,
  /** `| u32 length | u8 type | 3 zero | u64 sequence |`: an object that need not be sent any more, unless it has begun to be. */
  WITHDRAW: 0x88,
  /** JSON of an `EndpointState`. */
  STATE: 0x90,
  /** Nothing: the OBJECT or STREAM_BEGIN that follows was sent by this program and could not be delivered. */
  RETURNED: 0x91,
  /** JSON of an `EndpointStopResult`; the last record of an endpoint. */
  STOPPED: 0x92,
  /** `| u32 length | u8 type | 3 zero | u32 attachment |`: memory that large objects came in, for the next ones. */
  SPARE_MEMORY: 0x94,
  /** `| u32 length | u8 type | 3 zero | u64 sentBytes | u64 arrivedBytes | u64 arrivingBytes |`: a {@link Transfer}. */
  TRANSFER: 0x96,
  /**
   * `| u32 length | u8 type | 3 zero | u64 leaseNumber |`: the next object of kind produce has this lease number. Only
   * written where it is not one more than that of the one before: large objects come whole, later than they began.
   */
  LEASE_NUMBER: 0x93,
  /** `| u32 length | u8 type | 3 zero | u64 sequence |`: answers a WITHDRAW: the object is not sent. */
  SUPERSEDED: 0x95,
  /** JSON of an error that answers nothing: the I/O found it. */
  NOTICE: 0x97,
} as const

/** For both readers: objects in a row are kept, and sent or handed on, as one. */
export const objectRuns: Readonly<{ runType: number; runBytesMax: number }> = {
  runType: FrameType.OBJECT,
  runBytesMax: 64 * 1024,
}

/**
 * What is done with leases. RELEASE_FINAL: the attempt counts, and no further one is made. DROP, of an earlier session only: the
 * program never looked at the objects, and will not; the relay lends them again.
 */
export const LeaseAction = { ACKNOWLEDGE: 0, RELEASE: 1, RELEASE_COUNTED: 2, DROP: 3, RELEASE_FINAL: 4 } as const

/** A release has what the relay is to be told of it. */
export type ReleaseAction =
  | typeof LeaseAction.RELEASE
  | typeof LeaseAction.RELEASE_COUNTED
  | typeof LeaseAction.RELEASE_FINAL

const actionOf = ({ attemptCounted, isFinal = false }: ReleaseTerms): ReleaseAction =>
  isFinal ? LeaseAction.RELEASE_FINAL : attemptCounted ? LeaseAction.RELEASE_COUNTED : LeaseAction.RELEASE

/** The relay knows how long. */
const NO_DELAY = 0xffff_ffff

/** Leases in a row that the same is done with: numbers of the session `epoch`, both inclusive. */
export interface LeaseRange {
  readonly action: number
  readonly epoch: number
  readonly from: number
  readonly to: number
}

/** Leases with what their release says, if it is one. */
export interface SettledLeases extends LeaseRange {
  readonly terms: ReleaseTerms | undefined
}

/** For a SETTLED that is about bytes only. */
export const noLeases: LeaseRange = { action: LeaseAction.ACKNOWLEDGE, epoch: 0, from: 1, to: 0 }

/** Writes a SETTLED at the beginning of `target`. */
export const SETTLED_BYTES = 40
export function writeSettled(target: Buffer, { action, epoch, from, to }: LeaseRange, takenBytes: number): void {
  writeUint32(target, 0, SETTLED_BYTES)
  writeUint32(target, 4, RecordType.SETTLED + action * 256)
  writeUint32(target, 8, epoch)
  writeUint32(target, 12, NO_DELAY)
  writeUint64(target, 16, from)
  writeUint64(target, 24, to)
  writeUint64(target, 32, takenBytes)
}

/** A SETTLED that says how a lease is given back. */
export function encodeReleased(epoch: number, leaseNumber: number, terms: ReleaseTerms, takenBytes: number): Buffer {
  const json = terms.failure === undefined ? undefined : encodeFailure(terms.failure)
  const record = Buffer.alloc(SETTLED_BYTES + (json?.length ?? 0))
  writeSettled(record, { action: actionOf(terms), epoch, from: leaseNumber, to: leaseNumber }, takenBytes)
  writeUint32(record, 0, record.length)
  writeUint32(record, 12, terms.retryDelayMs ?? NO_DELAY)
  json?.copy(record, SETTLED_BYTES)
  return record
}

export function readTakenBytes(buffer: Buffer, start: number): number {
  return readUint64(buffer, start + 32)
}

/** The leases of a SETTLED; `undefined` if it is about bytes only. */
export function readSettledLeases(buffer: Buffer, start: number, end: number): SettledLeases | undefined {
  const action = buffer[start + 5] ?? 0
  const from = readUint64(buffer, start + 16)
  const to = readUint64(buffer, start + 24)
  if (to < from) return undefined
  return { action, epoch: readUint32(buffer, start + 8), from, to, terms: readTerms(action, buffer, start, end) }
}

const plainReleases: ReadonlyMap<number, ReleaseTerms> = new Map([
  [LeaseAction.RELEASE, { attemptCounted: false }],
  [LeaseAction.RELEASE_COUNTED, { attemptCounted: true }],
  [LeaseAction.RELEASE_FINAL, { attemptCounted: true, isFinal: true }],
])

function readTerms(action: number, buffer: Buffer, start: number, end: number): ReleaseTerms | undefined {
  const terms = plainReleases.get(action)
  if (terms === undefined) return undefined
  const retryDelayMs = readUint32(buffer, start + 12)
  const hasFailure = end - start > SETTLED_BYTES
  if (!hasFailure && retryDelayMs === NO_DELAY) return terms
  return {
    ...terms,
    retryDelayMs: retryDelayMs === NO_DELAY ? undefined : retryDelayMs,
    failure: hasFailure ? readFailure(readJson(buffer, start + SETTLED_BYTES - FRAME_HEADER_BYTES, end)) : undefined,
  }
}

/** Writes a HANDED at `at`. */
export const HANDED_BYTES = 32
export function writeHanded(target: Buffer, at: number, epoch: number, leaseNumber: number, takenBytes: number): void {
  writeUint32(target, at, HANDED_BYTES)
  writeUint32(target, at + 4, RecordType.HANDED)
  writeUint32(target, at + 8, epoch)
  writeUint32(target, at + 12, 0)
  writeUint64(target, at + 16, leaseNumber)
  writeUint64(target, at + 24, takenBytes)
}

export function readHanded(buffer: Buffer, start: number): { epoch: number; leaseNumber: number; takenBytes: number } {
  return {
    epoch: readUint32(buffer, start + 8),
    leaseNumber: readUint64(buffer, start + 16),
    takenBytes: readUint64(buffer, start + 24),
  }
}

/** Writes a LEASE_NUMBER at `at`; returns its bytes. */
export const LEASE_NUMBER_BYTES = 16
export function encodeLeaseNumber(leaseNumber: number): Buffer {
  const record = Buffer.alloc(LEASE_NUMBER_BYTES)
  writeUint32(record, 0, LEASE_NUMBER_BYTES)
  writeUint32(record, 4, RecordType.LEASE_NUMBER)
  writeUint64(record, 8, leaseNumber)
  return record
}

/** How far the large objects are that are under way. */
export interface Transfer {
  /** Of those that the relay has not accepted, what has gone to it. */
  readonly sentBytes: number
  /** Of those that have not come whole, what has come; and all of them. */
  readonly arrivedBytes: number
  readonly arrivingBytes: number
}

const TRANSFER_BYTES = 32
export function encodeTransfer({ sentBytes, arrivedBytes, arrivingBytes }: Transfer): Buffer {
  const record = Buffer.alloc(TRANSFER_BYTES)
  writeUint32(record, 0, TRANSFER_BYTES)
  writeUint32(record, 4, RecordType.TRANSFER)
  writeUint64(record, 8, sentBytes)
  writeUint64(record, 16, arrivedBytes)
  writeUint64(record, 24, arrivingBytes)
  return record
}

export function readTransfer(buffer: Buffer, start: number): Transfer {
  return {
    sentBytes: readUint64(buffer, start + 8),
    arrivedBytes: readUint64(buffer, start + 16),
    arrivingBytes: readUint64(buffer, start + 24),
  }
}

/** A CLAIM of the session `epoch`. */
export function encodeClaim(epoch: number): Buffer {
  return encodeNumber(RecordType.CLAIM, epoch)
}

/** A FLUSH. */
export function encodeFlush(): Buffer {
  return encodeNumber(RecordType.FLUSH, 0)
}

/** A SPARE_MEMORY: the memory of `attachment`. */
export function encodeSpareMemory(attachment: number): Buffer {
  return encodeNumber(RecordType.SPARE_MEMORY, attachment)
}

export function encodeReplaceable(): Buffer {
  return encodeNumber(RecordType.REPLACEABLE, 0)
}

/** A WITHDRAW or a SUPERSEDED: of the object `sequence`. */
export function encodeAboutObject(type: number, sequence: number): Buffer {
  const record = Buffer.alloc(16)
  writeUint32(record, 0, record.length)
  writeUint32(record, 4, type)
  writeUint64(record, 8, sequence)
  return record
}

/** The sequence that a WITHDRAW or a SUPERSEDED is about. */
export function readSequenceOf(buffer: Buffer, start: number): number {
  return readUint64(buffer, start + 8)
}

function encodeNumber(type: number, value: number): Buffer {
  const record = Buffer.alloc(12)
  writeUint32(record, 0, record.length)
  writeUint32(record, 4, type)
  writeUint32(record, 8, value)
  return record
}

/** The number that a CLAIM or a SPARE_MEMORY consists of. */
export function readNumber(buffer: Buffer, start: number): number {
  return readUint32(buffer, start + 8)
}

/** Lets go of the memory that a record names and that nobody will take, because whom it is for is gone. */
export function dropAttachment(waker: Waker, buffer: Buffer, start: number, end: number): void {
  if (buffer[start + 4] === FrameType.STREAM_BEGIN)
    waker.takeAttachment(readUint32(buffer, end - STREAM_BEGIN_TAIL_BYTES))
  else if (buffer[start + 4] === RecordType.SPARE_MEMORY) waker.takeAttachment(readNumber(buffer, start))
}

export function readLeaseNumber(buffer: Buffer, start: number): number {
  return readUint64(buffer, start + 8)
}

/** Smaller memory costs less to allocate anew than to hand back by a SPARE_MEMORY. */
export const SPARE_BYTES_MIN: number = 256 * 1024
