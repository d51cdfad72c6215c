import { createError } from '../errors.ts'
import { copyBytes } from '../memoryCopy.ts'
import { Slab } from '../wire/slab.ts'
import { ReaderState, type RingReader, type RingWriter } from './ring.ts'

/** After so many bytes the thread's other work gets its turn. */
const DRAIN_BYTES_MAX = 1024 * 1024
/** What handling a record costs beside its bytes, in bytes. */
const RECORD_COST_BYTES = 128
const OVERFLOW_TRIM_RECORDS = 1024
/** A side that lingers hears of records when there is as much as this, or when the code that writes them returns. */
const GATHERED_BYTES = 16 * 1024
/** How often it looks by itself, so that a program that goes on computing need not return. */
const LINGER_MS = 1
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
  readonly #lingers: boolean
  #lingerTimer: NodeJS.Timeout | undefined
  /** Whether records were found since the timer was set. */
  #foundRecords = false
  /** Of records that a side that lingers has not been told of. */
  #untoldBytes = 0
  #tellScheduled = false

  /**
   * With `lingers`, this side looks for records now and then for a while after it has found some, which saves the other
   * side most of the ringing, and gathers what it writes.
   */
  constructor(
    writer: RingWriter,
    reader: RingReader,
    bell: Bell,
    handler: RecordHandler,
    { lingers = false }: { lingers?: boolean } = {},
  ) {
    this.#lingers = lingers
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
    this.#published(bytes, this.writer.commit(bytes))
  }

  #published(bytes: number, state: number): void {
    if (state === ReaderState.AWAKE) return
    if (state === ReaderState.LINGERING && !this.#isEnough(bytes)) return
    this.#untoldBytes = 0
    if (this.writer.wakeReader()) this.bell.ring()
  }

  /** Whether a side that lingers is to be told now; if not, it is told when the code that runs returns. */
  #isEnough(bytes: number): boolean {
    this.#untoldBytes += bytes
    if (this.#untoldBytes >= GATHERED_BYTES) return true
    if (!this.#tellScheduled) {
      this.#tellScheduled = true
      queueMicrotask(() => this.#tell())
    }
    return false
  }

  #tell(): void {
    this.#tellScheduled = false
    this.#untoldBytes = 0
    if (!this.writer.isRead && this.writer.wakeReader()) this.bell.ring()
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
      this.#published(bytes, this.writer.publish(bytes))
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
          this.#foundRecords = true
          this.#handler.record(reader.endpoint, reader.buffer, reader.start, reader.end)
          if (reader.release()) this.bell.ring()
          if (leftBytes <= 0) {
            setImmediate(() => this.drain())
            return
          }
        }
      } while (!this.#rest())
    } finally {
      this.#draining = false
    }
  }

  /** Sleeps, or lingers while there was something not long ago; false if a record came in the meantime. */
  #rest(): boolean {
    if (!this.#lingers || !(this.#foundRecords || this.#lingerTimer !== undefined)) return this.#reader.sleep()
    this.#lingerTimer ??= setTimeout(() => this.#lookAgain(), LINGER_MS)
    return this.#reader.linger()
  }

  #lookAgain(): void {
    this.#lingerTimer = undefined
    // Found since the timer was set, or now: it lingers on, and sleeps if not.
    this.drain()
    this.#foundRecords = false
  }

  /** Blocks the thread until something came, at most `timeoutMs`, and reads it. May return early. */
  blockAndDrain(timeoutMs: number): void {
    this.#flushOverflow()
    if (this.#tellScheduled) this.#tell()
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
      this.#published(bytes, this.writer.publish(bytes))
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
