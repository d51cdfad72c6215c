import { FrameType } from '../wire/frameTypes.ts'
import { readUint32, readUint64, writeUint32, writeUint64 } from '../wire/integers.ts'
import { STREAM_BEGIN_TAIL_BYTES } from '../wire/objectHeader.ts'
import type { Bell } from './recordPort.ts'

/**
 * What travels between a program's endpoints and their I/O beside the frames of the protocol, which travel as they are.
 * All begin like a frame: u32 length, u8 type.
 *
 * To the I/O: OBJECT (with its sequence); STREAM_BEGIN, whose stream is the number of the attachment with the parts of
 * the body; NOTIFY; and OPEN, TAKEN, LEASES, STOP, CLAIM of this list.
 *
 * To the program: CONTEXT; OBJECT; STREAM_BEGIN, whose stream is the number of the attachment with head and segments;
 * ACCEPTED; REJECTED; DEMAND; BLOCKED; UNBLOCKED; NOTICE; and STATE, SPARE_MEMORY, RETURNED, STOPPED of this list.
 */
export const RecordType = {
  /** JSON of the endpoint's options. */
  OPEN: 0x80,
  /** `| u32 length | u8 type | 3 zero | u64 takenBytes |`: wire bytes of delivered objects that have left the inbox, since the endpoint began. */
  TAKEN: 0x81,
  /** `| u32 length | u8 type | u8 action | 2 zero | u32 epoch | 4 zero | u64 from | u64 to |` */
  LEASES: 0x82,
  /** JSON `{ deadlineMs }`. */
  STOP: 0x83,
  /**
   * `| u32 length | u8 type | 3 zero | u32 epoch |`: answers a STATE with `claims`. What that session lent and no LEASES
   * before this record settles or drops, the program has: it is to be claimed in the session that has begun.
   */
  CLAIM: 0x84,
  /** JSON of an {@link EndpointState}. */
  STATE: 0x90,
  /** Nothing: the OBJECT or STREAM_BEGIN that follows was sent by this program and could not be delivered. */
  RETURNED: 0x91,
  /** JSON of the result of a stop; the last record of an endpoint. */
  STOPPED: 0x92,
  /** `| u32 length | u8 type | 3 zero | u32 attachment |`: memory that large objects came in, for the next ones. */
  SPARE_MEMORY: 0x94,
  /**
   * `| u32 length | u8 type | 3 zero | u64 leaseNumber |`: the next object of kind produce has this lease number. Only
   * written where it is not one more than that of the one before: large objects come whole, later than they began.
   */
  LEASE_NUMBER: 0x93,
} as const

/** For both readers: objects in a row are kept, and sent or handed on, as one. */
export const objectRuns: Readonly<{ runType: number; runBytesMax: number }> = {
  runType: FrameType.OBJECT,
  runBytesMax: 64 * 1024,
}

/**
 * What is done with leases. DROP, of an earlier session only: the program never looked at the objects, and will not; the relay
 * lends them again.
 */
export const LeaseAction = { ACKNOWLEDGE: 0, RELEASE: 1, RELEASE_COUNTED: 2, DROP: 3 } as const

/** Writes a TAKEN at `at`; returns its bytes. */
export const TAKEN_BYTES = 16
export function writeTaken(target: Buffer, at: number, takenBytes: number): void {
  writeUint32(target, at, TAKEN_BYTES)
  writeUint32(target, at + 4, RecordType.TAKEN)
  writeUint64(target, at + 8, takenBytes)
}

export function readTaken(buffer: Buffer, start: number): number {
  return readUint64(buffer, start + 8)
}

/** Writes a LEASES at `at`; `from` and `to` are lease numbers of the session `epoch`, both inclusive. */
export const LEASES_BYTES = 32
export function writeLeases(target: Buffer, at: number, action: number, epoch: number, from: number, to: number): void {
  writeUint32(target, at, LEASES_BYTES)
  writeUint32(target, at + 4, RecordType.LEASES + action * 256)
  writeUint32(target, at + 8, epoch)
  writeUint32(target, at + 12, 0)
  writeUint64(target, at + 16, from)
  writeUint64(target, at + 24, to)
}

export function readLeases(buffer: Buffer, start: number): { action: number; epoch: number; from: number; to: number } {
  return {
    action: buffer[start + 5] ?? 0,
    epoch: readUint32(buffer, start + 8),
    from: readUint64(buffer, start + 16),
    to: readUint64(buffer, start + 24),
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

/** A CLAIM of the session `epoch`. */
export function encodeClaim(epoch: number): Buffer {
  return encodeNumber(RecordType.CLAIM, epoch)
}

/** A SPARE_MEMORY: the memory of `attachment`. */
export function encodeSpareMemory(attachment: number): Buffer {
  return encodeNumber(RecordType.SPARE_MEMORY, attachment)
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
export function dropAttachment(bell: Bell, buffer: Buffer, start: number, end: number): void {
  if (buffer[start + 4] === FrameType.STREAM_BEGIN)
    bell.takeAttachment(readUint32(buffer, end - STREAM_BEGIN_TAIL_BYTES))
  else if (buffer[start + 4] === RecordType.SPARE_MEMORY) bell.takeAttachment(readNumber(buffer, start))
}

export function readLeaseNumber(buffer: Buffer, start: number): number {
  return readUint64(buffer, start + 8)
}
