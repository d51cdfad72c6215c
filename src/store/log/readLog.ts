import type { SessionMemory } from '../store.ts'
import type { LogDisk } from './logDisk.ts'
import { decodeIdentity, IDENTITY_VALUE, keyOf, type LogIdentity } from './logIdentity.ts'
import { RecordReader } from './recordReader.ts'
import { RecoveredObjects } from './recoveredObjects.ts'
import { RecoveredSegment } from './recoveredSegment.ts'
import { RememberedSessions, SESSIONS_PREFIX } from './rememberedSessions.ts'
import { readSegmentHead } from './segmentFormat.ts'
import { segmentCorrupt, storeCorrupt } from './storeCorrupt.ts'

/** All that a log tells. */
export interface RecoveredLog {
  readonly identity: LogIdentity
  readonly objects: RecoveredObjects
  /** What sessions were answered and may not know, and what was heard of them. */
  readonly sessions: ReadonlyMap<string, SessionMemory>
  readonly remembered: RememberedSessions
}

/**
 * Reads a whole log and checks every byte of it; it changes nothing. `undefined`: there is none yet. What it returns takes some
 * twenty bytes of memory for each object that waits. Throws `STORE_CORRUPT`, `STORE_FOREIGN` or `STORE_VERSION`.
 */
export function readLog(disk: LogDisk): RecoveredLog | undefined {
  const numbers = disk.segmentNumbers()
  const values = new Map<string, Buffer>()
  // A value may be a view that is valid for a moment only.
  for (const [name, value] of disk.values()) values.set(name, Buffer.from(value))
  const identityValue = values.get(IDENTITY_VALUE)
  if (identityValue === undefined) {
    if (numbers.length === 0 && values.size === 0) return undefined
    throw storeCorrupt('The value "relay"', 'is missing, though there is more')
  }
  const identity = decodeIdentity(identityValue)
  const remembered = new RememberedSessions()
  const sessions = readSessions(values, remembered, identity)
  checkNumbers(numbers, identity)
  return { identity, sessions, remembered, objects: readSegments(disk, numbers, identity) }
}

function readSessions(
  values: ReadonlyMap<string, Buffer>,
  remembered: RememberedSessions,
  { sessionsCount, sessionsCheck }: LogIdentity,
): Map<string, SessionMemory> {
  const sessions = new Map<string, SessionMemory>()
  for (const [name, value] of values) {
    if (name === IDENTITY_VALUE) continue
    if (!name.startsWith(SESSIONS_PREFIX)) throw storeCorrupt(`The value "${name}"`, 'is not one of ours')
    const session = name.slice(SESSIONS_PREFIX.length)
    sessions.set(session, remembered.found(session, value))
  }
  if (remembered.count !== sessionsCount || remembered.check !== sessionsCheck)
    throw storeCorrupt('One of the values "sessions/..."', 'is missing, or is an old one')
  return sessions
}

/** All segments from the first to the last are there, and no others. */
function checkNumbers(numbers: readonly number[], { first, last }: LogIdentity): void {
  for (const [index, number] of numbers.entries()) {
    const expected = first + index
    if (number > expected && expected <= last) throw segmentCorrupt(expected, 'is missing')
    if (number !== expected || number > last) throw segmentCorrupt(number, 'is there, and should not be')
  }
  const next = first + numbers.length
  if (next <= last) throw segmentCorrupt(next, 'is missing')
}

function readSegments(
  disk: LogDisk,
  numbers: readonly number[],
  { relayName, first, check }: LogIdentity,
): RecoveredObjects {
  const objects = new RecoveredObjects()
  const reader = new RecordReader(objects)
  const key = keyOf(relayName)
  let previous: number | undefined
  for (const number of numbers) {
    const bytes = disk.readSegment(number)
    const head = readSegmentHead(bytes, number, key)
    if (number > first && head.previous !== previous)
      throw segmentCorrupt(number, `does not follow segment ${number - 1}: one of the two is an old one`)
    previous = head.check
    objects.segments.push(new RecoveredSegment(number, head.check, bytes, head.framesEnd))
    reader.read(number, bytes, head.framesEnd)
  }
  if (previous !== undefined && previous !== check)
    throw segmentCorrupt(first + numbers.length - 1, 'is not the last one that was written')
  return objects
}
