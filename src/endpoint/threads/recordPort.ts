import { createError } from '../../errors.ts'
import { copyBytes } from '../../memoryCopy.ts'
import { Overflow } from './overflow.ts'
import type { RingReader, RingWriter } from './ring.ts'

/** After so many bytes the thread's other work gets its turn. */
const DRAIN_BYTES_MAX = 1024 * 1024
/** What handling a record costs beside its bytes, in bytes. */
const RECORD_COST_BYTES = 128
/**
 * So long a writer waits for a reader that is behind. Short beside all that depends on time, and long enough for some
 * megabytes.
 */
const CATCH_UP_MS = 5
/** While records wait for room in the ring, a thread that blocks looks for it this often: no bell reaches it. */
const BLOCKED_FLUSH_MS = 5

/** Records that are for no endpoint carry this number. */
export const NO_ENDPOINT = 0

/** How one side tells the other that there is something to read, or room to write; and passes large memory on. */
export interface Bell {
  ring(): void
  /** Lets the other side read now, within this call. Absent where it is on another thread, or must not be called from here. */
  ringNow?(): void
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
  readonly #overflow = new Overflow()
  #draining = false
  #ringWaiters: (() => void)[] = []
  /** Where the reader was when it was waited for in vain. */
  #stalledAt: number | undefined

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
    if (!this.#overflow.empty) return false
    if (this.writer.reserve(endpoint, bytes)) return true
    // Room that can be made at once spares copying what would have to wait for it.
    if (this.bell.ringNow === undefined) return false
    this.bell.ringNow()
    return this.writer.reserve(endpoint, bytes)
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
    const isFirst = this.#overflow.empty
    this.#overflow.add(endpoint, buffer, start, end)
    if (!isFirst) return
    this.writer.setOverflows(true)
    this.#flushOverflow()
  }

  /** Whether the other side is so far behind that records wait here. */
  get overflows(): boolean {
    return !this.#overflow.empty
  }

  /** Bytes of the records that wait here. */
  get waitingBytes(): number {
    return this.#overflow.bytes
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
    // Nothing of the program is called while a record is handled: it would wait here without end for what comes behind it.
    if (this.#draining) throw new Error('A thread cannot wait for records from within the handling of one.')
    this.#flushOverflow()
    this.drain()
    this.#reader.block(this.overflows ? Math.min(timeoutMs, BLOCKED_FLUSH_MS) : timeoutMs)
    this.drain()
  }

  /**
   * Where a reader on another thread is behind, blocks this one for a moment, so that it catches up: what it reads then lies
   * in the ring, memory that was used before, and it gets the processor. One that does not move meanwhile does something
   * else, and is not waited for again until it has moved.
   */
  letReaderCatchUp(): void {
    if (!this.writer.isShared) return
    this.#flushOverflow()
    if (this.#overflow.empty) return
    const position = this.writer.readerPosition
    if (position === this.#stalledAt) return
    this.writer.blockForRoom(CATCH_UP_MS)
    this.#stalledAt = this.writer.readerPosition === position ? position : undefined
    this.#flushOverflow()
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
      this.#flushOverflow()
      this.writer.blockForFlush(before, this.overflows ? Math.min(leftMs, BLOCKED_FLUSH_MS) : leftMs)
    }
  }

  /** What the other side wrote before its FLUSH has left. */
  flushed(): void {
    this.#reader.flushed()
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
    const overflow = this.#overflow
    if (overflow.empty) return
    for (let run = overflow.first; run !== undefined; run = overflow.first) {
      const bytes = run.end - run.start
      if (!this.writer.reserve(run.endpoint, bytes)) {
        // The flag first, then one more look: the reader may have made room in between.
        this.writer.waitForRoom()
        if (!this.writer.reserve(run.endpoint, bytes)) return
      }
      copyBytes(this.writer.buffer, this.writer.at, run.buffer, run.start, run.end)
      if (this.writer.publish(bytes)) this.bell.ring()
      overflow.removeFirst()
    }
    this.writer.setOverflows(false)
  }
}
