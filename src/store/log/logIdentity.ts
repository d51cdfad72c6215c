import { crc32 } from 'node:zlib'
import { createError } from '../../errors.ts'
import { readUint16, readUint32, readUint64, writeUint16, writeUint32, writeUint64 } from '../../wire/integers.ts'
import { storeCorrupt, storeVersion } from './storeCorrupt.ts'

/** The name of the value that tells what a store is; it is written with every commit. */
export const IDENTITY_VALUE = 'relay'

/** What a store knows of itself, true as of one commit. */
export interface LogIdentity {
  readonly relayName: string
  /** The first and the last segment; if the last is before the first, there is none. */
  readonly first: number
  readonly last: number
  /** The check of the last segment, even if it was dropped. */
  readonly check: number
  /** The number of the next session. */
  readonly nextSource: number
  /** The number of the next file with the body of a large object. */
  readonly nextBody: number
  /** How many sessions are remembered, and what their values are together; see rememberedSessions.ts. */
  readonly sessionsCount: number
  readonly sessionsCheck: number
}

/** The format that this version writes, and the only one that it reads. */
export const IDENTITY_VERSION = 1

const MAGIC = 0x72_72_6f_89
const HEAD_BYTES = 60
const NAME_BYTES_MAX = 255
const WHERE = 'The value "relay"'

/** What the check of every segment begins with, so that none can be taken for one of another store. */
export function keyOf(relayName: string): number {
  return crc32(relayName)
}

/**
 * ```
 *  0        4         6           8       12      20     28      32           40         48              52              56    60
 *  +--------+---------+-----------+-------+-------+------+-------+------------+----------+---------------+---------------+-----+------
 *  | magic  | version | nameBytes | crc   | first | last | check | nextSource | nextBody | sessionsCount | sessionsCheck | zero| name
 *  | u32    | u16     | u16       | u32   | u64   | u64  | u32   | u64        | u64      | u32           | u32           | u32 | UTF-8
 *  +--------+---------+-----------+-------+-------+------+-------+------------+----------+---------------+---------------+-----+------
 *  crc: the CRC-32 of all other bytes
 * ```
 */
export function encodeIdentity(identity: LogIdentity): Buffer {
  const nameBytes = Buffer.byteLength(identity.relayName)
  if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX) throw new Error(`The name of a relay has ${nameBytes} bytes.`)
  const bytes = Buffer.alloc(HEAD_BYTES + nameBytes)
  writeUint32(bytes, 0, MAGIC)
  writeUint16(bytes, 4, IDENTITY_VERSION)
  writeUint16(bytes, 6, nameBytes)
  writeUint64(bytes, 12, identity.first)
  writeUint64(bytes, 20, identity.last)
  writeUint32(bytes, 28, identity.check)
  writeUint64(bytes, 32, identity.nextSource)
  writeUint64(bytes, 40, identity.nextBody)
  writeUint32(bytes, 48, identity.sessionsCount)
  writeUint32(bytes, 52, identity.sessionsCheck)
  bytes.write(identity.relayName, HEAD_BYTES)
  writeUint32(bytes, 8, checkOf(bytes))
  return bytes
}

/** Throws `STORE_FOREIGN`, `STORE_VERSION` or `STORE_CORRUPT`. */
export function decodeIdentity(bytes: Buffer): LogIdentity {
  if (bytes.length < HEAD_BYTES || readUint32(bytes, 0) !== MAGIC) {
    const message = `${WHERE} of the store does not say that it belongs to a relay. Give the relay a store of its own.`
    throw createError('STORE_FOREIGN', message)
  }
  const version = readUint16(bytes, 4)
  if (version > IDENTITY_VERSION) throw storeVersion(WHERE, version, IDENTITY_VERSION)
  const nameBytes = readUint16(bytes, 6)
  if (bytes.length !== HEAD_BYTES + nameBytes || readUint32(bytes, 8) !== checkOf(bytes))
    throw storeCorrupt(WHERE, 'was changed')
  const identity: LogIdentity = {
    relayName: bytes.toString('utf8', HEAD_BYTES),
    first: readUint64(bytes, 12),
    last: readUint64(bytes, 20),
    check: readUint32(bytes, 28),
    nextSource: readUint64(bytes, 32),
    nextBody: readUint64(bytes, 40),
    sessionsCount: readUint32(bytes, 48),
    sessionsCheck: readUint32(bytes, 52),
  }
  const { first, last, nextSource, nextBody } = identity
  if (![first, last, nextSource, nextBody].every(Number.isSafeInteger) || first < 1 || first > last + 1)
    throw storeCorrupt(WHERE, 'has numbers that cannot be')
  return identity
}

function checkOf(bytes: Buffer): number {
  return crc32(bytes.subarray(12), crc32(bytes.subarray(0, 8)))
}
