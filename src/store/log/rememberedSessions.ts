import { readUint32, readUint48, writeUint32, writeUint48 } from '../../wire/integers.ts'
import type { AcceptedRun, HeardFrames, SessionMemory } from '../store.ts'
import { storeCorrupt } from './storeCorrupt.ts'

/** The values of sessions are called so, with the name of the session behind it. */
export const SESSIONS_PREFIX = 'sessions/'

const HEAD_BYTES = 16
const RUN_BYTES = 13

/**
 * What a session was answered and may not know, and what was heard of it:
 *
 * ```
 *  0       4       10       16
 *  +-------+-------+--------+-- for each run ---------------------------
 *  | count | epoch | frames | from | to  | groups | members, each group
 *  | u32   | u48   | u48    | u48  | u48 | u8     | u32
 *  +-------+-------+--------+-------------------------------------------
 *  epoch: 0 if nothing was heard
 * ```
 */
export function encodeSession(runs: readonly AcceptedRun[], heard: HeardFrames | undefined): Buffer {
  let end = HEAD_BYTES
  for (const { memberCounts } of runs) end += RUN_BYTES + 4 * memberCounts.length
  const bytes = Buffer.allocUnsafe(end)
  writeUint32(bytes, 0, runs.length)
  writeUint48(bytes, 4, heard?.epoch ?? 0)
  writeUint48(bytes, 10, heard?.frames ?? 0)
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
  return bytes
}

/** Throws `STORE_CORRUPT`. */
export function decodeSession(name: string, bytes: Buffer): SessionMemory {
  const where = `The value "${name}"`
  if (bytes.length < HEAD_BYTES) throw storeCorrupt(where, 'was cut off')
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
  if (runs.length !== readUint32(bytes, 0)) throw storeCorrupt(where, 'has another number of runs than it says')
  const epoch = readUint48(bytes, 4)
  return { runs, heard: epoch === 0 ? undefined : { epoch, frames: readUint48(bytes, 10) } }
}
