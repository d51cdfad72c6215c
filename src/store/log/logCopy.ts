import type { LogBodies } from './logBodies.ts'
import type { SegmentMemory } from './segmentMemory.ts'
import type { SegmentTable } from './segmentTable.ts'

/** A part of a copy of a log, in the order in which they are written. */
export type CopiedPart =
  /** The log begins here: what came before is needed no more. */
  | { readonly kind: 'begin'; readonly segment: number }
  | { readonly kind: 'log'; readonly bytes: Buffer }
  /** A file with the body of a large object, which is complete. */
  | { readonly kind: 'body'; readonly name: string }

/** What a log is copied from, while it runs. */
export interface LogCopyParts {
  readonly table: SegmentTable
  readonly memory: SegmentMemory
  readonly bodies: LogBodies
  /** Up to where the log is safe now. */
  safeEnd(): { readonly segment: number; readonly offset: number }
}

/**
 * Copies a log that runs, as of one commit. It follows the log from its beginning to its end, and begins again where what it had
 * copied is needed no more; so it keeps nothing from being dropped. Only bodies are kept, from the last moment until they are copied.
 */
export async function* copyLog({ table, memory, bodies, safeEnd }: LogCopyParts): AsyncGenerator<CopiedPart> {
  let next = -1
  for (;;) {
    if (next < table.first) {
      next = table.first
      yield { kind: 'begin', segment: next }
      continue
    }
    const read: Buffer | Error = memory.find(next) ?? (await memory.read(next).catch((thrown: Error) => thrown))
    // It was dropped meanwhile.
    if (next < table.first) continue
    if (read instanceof Error) throw read
    const end = safeEnd()
    if (next < end.segment) {
      const bytes = table.get(next)?.bytes ?? 0
      next++
      // The memory of a segment is used again.
      yield { kind: 'log', bytes: Buffer.from(read.subarray(0, bytes)) }
      continue
    }
    const held = bodies.hold()
    try {
      yield { kind: 'log', bytes: Buffer.from(read.subarray(0, end.offset)) }
      for (const name of held.names) yield { kind: 'body', name }
    } finally {
      held.release()
    }
    return
  }
}
