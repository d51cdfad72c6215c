import { createError } from '../errors.ts'
import { copyBytes } from '../memoryCopy.ts'
import { Slab } from '../wire/slab.ts'
import type { RingReader, RingWriter } from './ring.ts'

/** After so many bytes the thread's other work gets its turn. */
const DRAIN_BYTES_MAX = 1024 * 1024
/** What handling a record costs beside its bytes, in bytes. */
const RECORD_COST_BYTES = 128
const OVERFLOW_TRIM_RECORDS = 1024
/** While records wait for room in the ring, a thread that blocks looks for it this often: no bell reaches it. */
const BLOCKED_FLUSH_MS = 5

/** How one side tells the other that there is something to read, or room to write; and passes large memory on. */
export interface Bell {
  ring(): void
  /** Passes memory to the other side; it is no longer usable here (`io: 'inline'`: must not be used any more). */
  sendAttachment(id: number, buffers: readonly ArrayBuffer[]): void
  /** Takes what the other side passed under this id. It was passed before the record that names it. */
  takeAttachment(id: number): readonly ArrayBuffer[]
  /** Called when the other side rang. */
  onRing: () => void
}

/** What a port gives its records to. The bytes are reused after the call. Where its reader finds runs, it is given runs. */
export interface RecordHandler {
  record(endpoint: number, buffer: Buffer, start: number, end: number): void
}

/**
 * One end of the connection between the program and its I/O: records in order in both directions, over two rings.
 * What a full ring cannot take waits here; whoever writes bounds that by the limits of its endpoint.
 */
export class RecordPort {
  readonly bell: Bell
  readonly writer: RingWriter
  readonly #reader: RingReader
  readonly #handler: RecordHandler
  readonly #slab = new Slab()
  #overflow: { endpoint: number; buffer: Buffer; start: number; end: number }[] = []
  #overflowHead = 0
  #overflowBytes = 0
  #draining = false
  #ringWaiters: (() => void)[] = []

  constructor(writer: RingWriter, reader: RingReader, bell: Bell, handler: RecordHandler) {
    this.writer = writer
    this.#reader = reader
    this.bell = bell
    this.#handler = handler
    bell.onRing = () => this.#onRing()
    reader.sleep()
  }

  /**
   * Finds room in the ring itself for a record of up to `bytes`, to be written at `writer.at` in `writer.buffer`, all
   * but its length, and then given to `commit`. False if there is none: then `write` is to be used.
   */
  reserve(endpoint: number, bytes: number): boolean {
    return this.#overflow.length === 0 && this.writer.reserve(endpoint, bytes)
  }

  commit(bytes: number): void {
    if (this.writer.commit(bytes)) this.bell.ring()
  }

  /** Writes a record, or several for one endpoint that lie in a row; the bytes are copied. */
  write(endpoint: number, buffer: Buffer, start: number, end: number): void {
    const bytes = end - start
    if (bytes > this.writer.recordBytesMax) {
      const message = `A record of ${bytes} bytes does not fit between the program and its I/O, which takes ${this.writer.recordBytesMax}.`
      throw createError('INVALID_ARGUMENT', message, { details: { bytes } })
    }
    if (this.reserve(endpoint, bytes)) {
      copyBytes(this.writer.buffer, this.writer.at, buffer, start, end)
      if (this.writer.publish(bytes)) this.bell.ring()
      return
    }
    const at = this.#slab.copy(buffer, start, end)
    this.#overflow.push({ endpoint, buffer: this.#slab.buffer, start: at, end: at + bytes })
    this.#overflowBytes += bytes
    if (this.#overflow.length === 1) {
      this.writer.setOverflows(true)
      this.#flushOverflow()
    }
  }

  /** Whether the other side is so far behind that records wait here. */
  get overflows(): boolean {
    return this.#overflow.length > 0
  }

  /** Bytes of the records that wait here. */
  get waitingBytes(): number {
    return this.#overflowBytes
  }

  /** Whether the other side has more to give than the ring can hold. */
  get peerOverflows(): boolean {
    return this.#reader.writerOverflows
  }

  /**
   * Reads the records that are there. Calls from within a record's handling return at once. After many records the
   * thread's other work gets its turn first.
   */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    const reader = this.#reader
    let leftBytes = DRAIN_BYTES_MAX
    try {
      do {
        while (reader.next()) {
          leftBytes -= reader.end - reader.start + RECORD_COST_BYTES
          this.#handler.record(reader.endpoint, reader.buffer, reader.start, reader.end)
          if (reader.release()) this.bell.ring()
          if (leftBytes <= 0) {
            setImmediate(() => this.drain())
            return
          }
        }
      } while (!reader.sleep())
    } finally {
      this.#draining = false
    }
  }

  /** Blocks the thread until something came, at most `timeoutMs`, and reads it. May return early. */
  blockAndDrain(timeoutMs: number): void {
    this.#flushOverflow()
    this.drain()
    this.#reader.block(this.#overflow.length > 0 ? Math.min(timeoutMs, BLOCKED_FLUSH_MS) : timeoutMs)
    this.drain()
  }

  /** Resolves when the other side rings the next time. */
  nextRing(): Promise<void> {
    return new Promise((resolve) => this.#ringWaiters.push(resolve))
  }

  #onRing(): void {
    this.#flushOverflow()
    this.drain()
    const waiters = this.#ringWaiters
    if (waiters.length === 0) return
    this.#ringWaiters = []
    for (const resolve of waiters) resolve()
  }

  #flushOverflow(): void {
    while (this.#overflowHead < this.#overflow.length) {
      const record = this.#overflow[this.#overflowHead]
      if (record === undefined) break
      const bytes = record.end - record.start
      if (!this.writer.reserve(record.endpoint, bytes)) {
        // The flag first, then one more look: the reader may have made room in between.
        this.writer.waitForRoom()
        if (!this.writer.reserve(record.endpoint, bytes)) return
      }
      copyBytes(this.writer.buffer, this.writer.at, record.buffer, record.start, record.end)
      if (this.writer.publish(bytes)) this.bell.ring()
      this.#overflowBytes -= bytes
      this.#overflowHead++
      this.#trimOverflow()
    }
    if (this.#overflow.length === 0) return
    this.#overflow = []
    this.#overflowHead = 0
    this.writer.setOverflows(false)
  }

  /** A reader that is slow but steady may never let the overflow run empty: what was written is let go nevertheless. */
  #trimOverflow(): void {
    if (this.#overflowHead < OVERFLOW_TRIM_RECORDS || this.#overflowHead * 2 < this.#overflow.length) return
    this.#overflow.splice(0, this.#overflowHead)
    this.#overflowHead = 0
  }
}
