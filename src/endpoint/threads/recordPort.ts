// What carries records between the two sides of an endpoint: rings of bytes, the ports at their ends, and what wakes the other side.
// It may import records.ts and wire. It knows neither side, and of an endpoint only its number.
// Changes that belong here: how records travel, wait and wake. What a record says belongs in records.ts.

import { createError } from '../../errors.ts'
import { copyBytes } from '../../memoryCopy.ts'
import type { RingReader, RingWriter } from './ring.ts'
import { SpillQueue } from './spillQueue.ts'
import type { Waker } from './waker.ts'

/** After so many bytes the thread's other work gets its turn. */
const DRAIN_BYTES_MAX = 1024 * 1024
/** What handling a record costs beside its bytes, in bytes. */
const RECORD_COST_BYTES = 128
/**
 * So long a writer waits for a reader that is behind. Short beside all that depends on time, and long enough for some
 * megabytes.
 */
const CATCH_UP_MS = 5
/** While records wait for room in the ring, a thread that blocks looks for it this often: nothing wakes it. */
const BLOCKED_FLUSH_MS = 5

/** Records that are for no endpoint carry this number. */
export const NO_ENDPOINT = 0

/** What a port gives its records to. The bytes are reused after the call. Where its reader finds runs, it is given runs. */
export interface RecordHandler {
  record(endpoint: number, buffer: Buffer, start: number, end: number): void
}

/**
 * One end of the connection between the program and its I/O: records in order in both directions, over two rings.
 * What a full ring cannot take waits here; whoever writes bounds that by the limits of its endpoint.
 */
export class RecordPort {
  readonly waker: Waker
  readonly writer: RingWriter
  readonly #reader: RingReader
  readonly #handler: RecordHandler
  readonly #spilled = new SpillQueue()
  #draining = false
  #wakeWaiters: (() => void)[] = []
  /** Where the reader was when it was waited for in vain. */
  #stalledAt: number | undefined

  constructor(writer: RingWriter, reader: RingReader, waker: Waker, handler: RecordHandler) {
    this.writer = writer
    this.#reader = reader
    this.waker = waker
    this.#handler = handler
    waker.onWake = () => this.#onWake()
    reader.sleep()
  }

  /**
   * Finds room in the ring itself for a record of up to `bytes`, to be written at `writer.at` in `writer.buffer`, all
   * but its length, and then given to `commit`. False if there is none: then `write` is to be used.
   */
  reserve(endpoint: number, bytes: number): boolean {
    if (!this.#spilled.empty) return false
    if (this.writer.reserve(endpoint, bytes)) return true
    // Room that can be made at once spares copying what would have to wait for it.
    if (this.waker.wakeNow === undefined) return false
    this.waker.wakeNow()
    return this.writer.reserve(endpoint, bytes)
  }

  commit(bytes: number): void {
    if (this.writer.commit(bytes)) this.waker.wake()
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
      if (this.writer.publish(bytes)) this.waker.wake()
      return
    }
    const isFirst = this.#spilled.empty
    this.#spilled.add(endpoint, buffer, start, end)
    if (!isFirst) return
    this.writer.setSpills(true)
    this.#flushSpilled()
  }

  /** Whether the other side is so far behind that records wait here. */
  get spills(): boolean {
    return !this.#spilled.empty
  }

  /** Bytes of the records that wait here. */
  get waitingBytes(): number {
    return this.#spilled.bytes
  }

  /** Whether the other side has more to give than the ring can hold. */
  get peerSpills(): boolean {
    return this.#reader.writerSpills
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
          if (reader.release()) this.waker.wake()
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
    // Nothing of the program is called while a record is handled: it would wait here without end for what comes behind it.
    if (this.#draining) throw new Error('A thread cannot wait for records from within the handling of one.')
    this.#flushSpilled()
    this.drain()
    this.#reader.block(this.spills ? Math.min(timeoutMs, BLOCKED_FLUSH_MS) : timeoutMs)
    this.drain()
  }

  /**
   * Where a reader on another thread is behind, blocks this one for a moment, so that it catches up: what it reads then lies
   * in the ring, memory that was used before, and it gets the processor. One that does not move meanwhile does something
   * else, and is not waited for again until it has moved.
   */
  letReaderCatchUp(): void {
    if (!this.writer.isShared) return
    this.#flushSpilled()
    if (this.#spilled.empty) return
    const position = this.writer.readerPosition
    if (position === this.#stalledAt) return
    this.writer.blockForRoom(CATCH_UP_MS)
    this.#stalledAt = this.writer.readerPosition === position ? position : undefined
    this.#flushSpilled()
  }

  /**
   * Has the other thread send what was written to it, and blocks this one until it has, at most `timeoutMs`: for the moments in which
   * nothing else can be waited for. `request` is the record that asks for that.
   */
  flushAndWait(request: Buffer, timeoutMs: number): void {
    const deadlineMs = performance.now() + timeoutMs
    const before = this.writer.flushes
    this.write(NO_ENDPOINT, request, 0, request.length)
    for (let leftMs = timeoutMs; leftMs > 0; leftMs = deadlineMs - performance.now()) {
      if (this.writer.flushes !== before) return
      this.#flushSpilled()
      this.writer.blockForFlush(before, this.spills ? Math.min(leftMs, BLOCKED_FLUSH_MS) : leftMs)
    }
  }

  /** What the other side wrote before its FLUSH has left. */
  flushed(): void {
    this.#reader.flushed()
  }

  /** Resolves when the other side wakes this one the next time. */
  nextWake(): Promise<void> {
    return new Promise((resolve) => this.#wakeWaiters.push(resolve))
  }

  #onWake(): void {
    this.#flushSpilled()
    this.drain()
    const waiters = this.#wakeWaiters
    if (waiters.length === 0) return
    this.#wakeWaiters = []
    for (const resolve of waiters) resolve()
  }

  #flushSpilled(): void {
    const spilled = this.#spilled
    if (spilled.empty) return
    for (let run = spilled.first; run !== undefined; run = spilled.first) {
      const bytes = run.end - run.start
      if (!this.writer.reserve(run.endpoint, bytes)) {
        // The flag first, then one more look: the reader may have made room in between.
        this.writer.waitForRoom()
        if (!this.writer.reserve(run.endpoint, bytes)) return
      }
      copyBytes(this.writer.buffer, this.writer.at, run.buffer, run.start, run.end)
      if (this.writer.publish(bytes)) this.waker.wake()
      spilled.removeFirst()
    }
    this.writer.setSpills(false)
  }
}
