import { crc32 } from 'node:zlib'
import { readUint32, readUint48, writeUint32, writeUint48 } from '../../wire/integers.ts'
import type { AcceptedRun, HeardFrames, SessionMemory } from '../store.ts'
import { storeCorrupt } from './storeCorrupt.ts'

/** The values of sessions are called so, with the name of the session behind it. */
export const SESSIONS_PREFIX = 'sessions/'

const HEAD_BYTES = 20
const RUN_BYTES = 13

/**
 * What sessions were answered and may not know, and what was heard of them: one value for each.
 *
 * ```
 *  0       4       8       14       20
 *  +-------+-------+-------+--------+-- for each run ---------------------------
 *  | crc   | count | epoch | frames | from | to  | groups | members, each group
 *  | u32   | u32   | u48   | u48    | u48  | u48 | u8     | u32
 *  +-------+-------+-------+--------+-------------------------------------------
 *  crc: the CRC-32 of all that follows; epoch: 0 if nothing was heard
 * ```
 *
 * So that none can be missing or be an old one without notice, the checks of all, mixed with their names, are combined to one
 * number in the identity of the log.
 */
export class RememberedSessions {
  /** For each session its part in {@link RememberedSessions.check}. */
  readonly #checks = new Map<string, number>()
  /** The checks of all, combined. */
  check = 0

  get count(): number {
    return this.#checks.size
  }

  has(session: string): boolean {
    return this.#checks.has(session)
  }

  /** The value to write for a session from now on; `undefined` if it is to be forgotten. */
  set(session: string, runs: readonly AcceptedRun[], heard: HeardFrames | undefined): Buffer | undefined {
    if (runs.length === 0 && heard === undefined) {
      this.#note(session, undefined)
      return undefined
    }
    const value = encode(runs, heard)
    this.#note(session, value)
    return value
  }

  /** Takes a value that was found. Throws `STORE_CORRUPT`. */
  found(session: string, value: Buffer): SessionMemory {
    const memory = decode(session, value)
    this.#note(session, value)
    return memory
  }

  #note(session: string, value: Buffer | undefined): void {
    const before = this.#checks.get(session)
    if (before !== undefined) this.check = (this.check ^ before) >>> 0
    if (value === undefined) {
      this.#checks.delete(session)
      return
    }
    const check = crc32(value, crc32(session))
    this.#checks.set(session, check)
    this.check = (this.check ^ check) >>> 0
  }
}

function encode(runs: readonly AcceptedRun[], heard: HeardFrames | undefined): Buffer {
  let end = HEAD_BYTES
  for (const { memberCounts } of runs) end += RUN_BYTES + 4 * memberCounts.length
  const bytes = Buffer.allocUnsafe(end)
  writeUint32(bytes, 4, runs.length)
  writeUint48(bytes, 8, heard?.epoch ?? 0)
  writeUint48(bytes, 14, heard?.frames ?? 0)
  let at = HEAD_BYTES
  for (const { from, to, memberCounts } of runs) {
    writeUint48(bytes, at, from)
    writeUint48(bytes, at + 6, to)
    bytes[at + 12] = memberCounts.length
    at += RUN_BYTES
    for (const count of memberCounts) {
      writeUint32(bytes, at, count)
      at += 4
    }
  }
  writeUint32(bytes, 0, crc32(bytes.subarray(4)))
  return bytes
}

function decode(session: string, bytes: Buffer): SessionMemory {
  const where = `The value "${SESSIONS_PREFIX}${session}"`
  if (bytes.length < HEAD_BYTES || readUint32(bytes, 0) !== crc32(bytes.subarray(4)))
    throw storeCorrupt(where, 'was changed')
  const runs: AcceptedRun[] = []
  let at = HEAD_BYTES
  while (at < bytes.length) {
    const groups = bytes[at + 12] ?? 0
    const end = at + RUN_BYTES + 4 * groups
    if (end > bytes.length) throw storeCorrupt(where, 'was cut off')
    const memberCounts = Array.from({ length: groups }, (_, index) => readUint32(bytes, at + RUN_BYTES + 4 * index))
    const run = { from: readUint48(bytes, at), to: readUint48(bytes, at + 6), memberCounts }
    if (run.to < run.from) throw storeCorrupt(where, 'has a run that ends before it begins')
    runs.push(run)
    at = end
  }
  if (runs.length !== readUint32(bytes, 4)) throw storeCorrupt(where, 'has another number of runs than it says')
  const epoch = readUint48(bytes, 8)
  return { runs, heard: epoch === 0 ? undefined : { epoch, frames: readUint48(bytes, 14) } }
}
