import { checkIn } from './blockFormat.ts'
import type { LogDisk, RecoveredEnd } from './logDisk.ts'
import { ObjectIndex } from './objectIndex.ts'
import { RecordReader } from './recordReader.ts'

/** A segment of a log that was read. */
export interface RecoveredSegment {
  readonly number: number
  readonly bytes: number
  /** Of its last block. */
  readonly check: number
}

/** A named value, and the segment that its record lies in. */
export interface RecoveredValue {
  readonly value: Buffer
  readonly segment: number
}

/** All that a log tells. */
export interface RecoveredLog {
  /** `undefined`: there is none yet. */
  readonly end: RecoveredEnd | undefined
  readonly index: ObjectIndex
  /** In their order, without those that are needed no more. */
  readonly segments: readonly RecoveredSegment[]
  readonly values: ReadonlyMap<string, RecoveredValue>
}

/** Reads a whole log; the disk has checked every byte of it. It changes nothing. Rejects with `STORE_CORRUPT` or `STORE_VERSION`. */
export async function readLog(disk: Pick<LogDisk, 'recover'>): Promise<RecoveredLog> {
  const index = new ObjectIndex()
  const values = new Map<string, RecoveredValue>()
  const segments = new Map<number, { number: number; bytes: number; check: number }>()
  const reader = new RecordReader({
    index,
    value(name, value, segment) {
      if (value === undefined) values.delete(name)
      else values.set(name, { value, segment })
    },
  })
  const end = await disk.recover((block) => {
    const { segment: number, offset, bytes } = block
    segments.set(number, { number, bytes: offset + bytes.length, check: checkIn(bytes) })
    reader.read(block)
  })
  index.finish()
  const first = end?.first ?? 1
  return { end, index, values, segments: [...segments.values()].filter(({ number }) => number >= first) }
}
