import type { BlockWriter } from './blockWriter.ts'
import { VALUE_BYTES } from './recordFormat.ts'
import { LIVE_OVERHEAD_BYTES, type SegmentTable } from './segmentTable.ts'

interface NamedValue {
  readonly value: Buffer
  /** Of its record. */
  readonly segment: number
}

/** Small named values that a log keeps beside its objects: whose it is, what is remembered of sessions, and what was set of groups. */
export class LogValues {
  readonly #table: SegmentTable
  readonly #writer: BlockWriter
  readonly #values = new Map<string, NamedValue>()
  /** The names of the values whose records lie in a segment. */
  readonly #bySegment = new Map<number, Set<string>>()

  constructor(table: SegmentTable, writer: BlockWriter) {
    this.#table = table
    this.#writer = writer
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** Takes over one of an earlier run. */
  restore(name: string, value: Buffer, segment: number): void {
    this.#note(name, value, segment)
  }

  /** Writes a value; `undefined`: it is forgotten. */
  set(name: string, value: Buffer | undefined): void {
    if (value === undefined && !this.#values.has(name)) return
    const writer = this.#writer
    writer.reserveRecord(VALUE_BYTES + Buffer.byteLength(name) + (value?.length ?? 0))
    writer.records.value(name, value)
    this.#note(name, value, writer.number)
  }

  /** What the values take whose records lie in a segment, as the segment counts it. */
  bytesIn(segment: number): number {
    let bytes = 0
    for (const name of this.#bySegment.get(segment) ?? [])
      bytes += (this.#values.get(name)?.value.length ?? 0) + LIVE_OVERHEAD_BYTES
    return bytes
  }

  /** Writes those again whose records lie in a segment. */
  moveFrom(segment: number): void {
    for (const name of [...(this.#bySegment.get(segment) ?? [])]) this.set(name, this.#values.get(name)?.value)
  }

  #note(name: string, value: Buffer | undefined, segment: number): void {
    const before = this.#values.get(name)
    if (before !== undefined) {
      const names = this.#bySegment.get(before.segment)
      names?.delete(name)
      if (names?.size === 0) this.#bySegment.delete(before.segment)
      this.#table.unref(before.segment, before.value.length, 1)
    }
    if (value === undefined) {
      this.#values.delete(name)
      return
    }
    this.#values.set(name, { value, segment })
    let names = this.#bySegment.get(segment)
    if (names === undefined) {
      names = new Set()
      this.#bySegment.set(segment, names)
    }
    names.add(name)
    const holder = this.#table.get(segment)
    if (holder !== undefined) this.#table.keep(holder, value.length, 1)
  }
}
