import { fixedLimits } from '../limits.ts'

/**
 * A ring of bytes with one writer and one reader, on two threads or on one. Records lie in a row:
 *
 * ```
 *  | u32 payloadBytes | u32 endpoint | payload | padding to 8 |
 * ```
 *
 * A record never wraps: where it does not fit before the end, a marker says so and it begins at the start. The two
 * positions count bytes for ever, modulo 2^32, so that a full ring and an empty one differ.
 */
const HEADER_BYTES = 8
const WRAP_MARKER = 0xffff_ffff

/** Where the shared numbers lie in the control words. */
const TAIL = 0
const HEAD = 1
const READER_STATE = 2
const WRITER_WAITS = 3
const WRITER_OVERFLOWS = 4
const CONTROL_WORDS = 8

const READER_AWAKE = 0
const READER_ASLEEP = 1
const READER_BLOCKED = 2

/** The memory of a ring, which both sides are given. */
export interface RingMemory {
  readonly control: Int32Array
  readonly bytes: Uint8Array
}

/** The largest payload of one record. */
export const RECORD_BYTES_MAX: number = fixedLimits.frameBytesMax

export function createRingMemory(capacityBytes: number, shared: boolean): RingMemory {
  if (capacityBytes < 64 || (capacityBytes & (capacityBytes - 1)) !== 0)
    throw new RangeError(`A ring of ${capacityBytes} bytes: its positions need a power of two.`)
  const allocate = (bytes: number) => (shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
  return { control: new Int32Array(allocate(CONTROL_WORDS * 4)), bytes: new Uint8Array(allocate(capacityBytes)) }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export class RingWriter {
  readonly buffer: Buffer
  /** The largest payload that finds room wherever the ring's end happens to lie. */
  readonly recordBytesMax: number
  /** Where the payload of the reserved record begins. */
  at = 0
  readonly #control: Int32Array
  readonly #words: Uint32Array
  readonly #capacity: number
  #tail: number
  #head: number

  constructor({ control, bytes }: RingMemory) {
    this.buffer = asBuffer(bytes)
    this.#control = control
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    this.#capacity = bytes.byteLength
    this.recordBytesMax = this.#capacity / 2 - HEADER_BYTES
    this.#tail = Atomics.load(control, TAIL) >>> 0
    this.#head = Atomics.load(control, HEAD) >>> 0
  }

  /** Finds room for a record of up to `payloadBytes`; false if there is none now. */
  reserve(payloadBytes: number): boolean {
    const needed = HEADER_BYTES + align(payloadBytes)
    let offset = this.#tail & (this.#capacity - 1)
    const toEnd = this.#capacity - offset
    const total = needed <= toEnd ? needed : toEnd + needed
    if (this.#free() < total) {
      this.#head = Atomics.load(this.#control, HEAD) >>> 0
      if (this.#free() < total) return false
    }
    if (needed > toEnd) {
      this.#words[offset >>> 2] = WRAP_MARKER
      this.#tail = (this.#tail + toEnd) >>> 0
      offset = 0
    }
    this.at = offset + HEADER_BYTES
    return true
  }

  /** Publishes the reserved record, of which `payloadBytes` were written. Returns whether the reader must be woken by the bell. */
  commit(endpoint: number, payloadBytes: number): boolean {
    const word = (this.at - HEADER_BYTES) >>> 2
    this.#words[word] = payloadBytes
    this.#words[word + 1] = endpoint
    this.#tail = (this.#tail + HEADER_BYTES + align(payloadBytes)) >>> 0
    Atomics.store(this.#control, TAIL, this.#tail | 0)
    return Atomics.load(this.#control, READER_STATE) !== READER_AWAKE && this.wakeReader()
  }

  /** Wakes a sleeping reader; returns whether the bell must be rung for that. */
  wakeReader(): boolean {
    const state = Atomics.exchange(this.#control, READER_STATE, READER_AWAKE)
    if (state === READER_BLOCKED) Atomics.notify(this.#control, TAIL)
    return state === READER_ASLEEP
  }

  /** Asks the reader for the bell when there is room again. */
  waitForRoom(): void {
    Atomics.store(this.#control, WRITER_WAITS, 1)
  }

  /** Tells the reader whether more than the ring can hold is waiting here. */
  setOverflows(overflows: boolean): void {
    Atomics.store(this.#control, WRITER_OVERFLOWS, overflows ? 1 : 0)
  }

  #free(): number {
    return this.#capacity - ((this.#tail - this.#head) >>> 0)
  }
}

export class RingReader {
  readonly buffer: Buffer
  /** The record that `next` found. */
  endpoint = 0
  start = 0
  end = 0
  readonly #control: Int32Array
  readonly #words: Uint32Array
  readonly #capacity: number
  #head: number

  constructor({ control, bytes }: RingMemory) {
    this.buffer = asBuffer(bytes)
    this.#control = control
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    this.#capacity = bytes.byteLength
    this.#head = Atomics.load(control, HEAD) >>> 0
  }

  /** Whether the writer has more than the ring can hold. */
  get writerOverflows(): boolean {
    return Atomics.load(this.#control, WRITER_OVERFLOWS) === 1
  }

  /** Finds the next record; its bytes stay until `release`. */
  next(): boolean {
    const tail = Atomics.load(this.#control, TAIL) >>> 0
    while (this.#head !== tail) {
      const offset = this.#head & (this.#capacity - 1)
      const payloadBytes = this.#words[offset >>> 2] ?? 0
      if (payloadBytes === WRAP_MARKER) {
        this.#head = (this.#head + this.#capacity - offset) >>> 0
        continue
      }
      this.endpoint = this.#words[(offset >>> 2) + 1] ?? 0
      this.start = offset + HEADER_BYTES
      this.end = this.start + payloadBytes
      this.#head = (this.#head + HEADER_BYTES + align(payloadBytes)) >>> 0
      return true
    }
    return false
  }

  /** Gives the room of all records read so far back; returns whether the writer must be woken by the bell. */
  release(): boolean {
    if (Atomics.load(this.#control, HEAD) >>> 0 === this.#head) return false
    Atomics.store(this.#control, HEAD, this.#head | 0)
    return Atomics.load(this.#control, WRITER_WAITS) === 1 && Atomics.exchange(this.#control, WRITER_WAITS, 0) === 1
  }

  /** Goes to sleep until the bell; false if a record came in the meantime. */
  sleep(): boolean {
    Atomics.store(this.#control, READER_STATE, READER_ASLEEP)
    return this.#stillEmpty()
  }

  /** Blocks the thread until a record is there, at most `timeoutMs`. Only for shared memory. */
  block(timeoutMs: number): void {
    Atomics.store(this.#control, READER_STATE, READER_BLOCKED)
    if (this.#stillEmpty()) Atomics.wait(this.#control, TAIL, this.#head | 0, timeoutMs)
    Atomics.store(this.#control, READER_STATE, READER_AWAKE)
  }

  #stillEmpty(): boolean {
    if (Atomics.load(this.#control, TAIL) >>> 0 === this.#head) return true
    Atomics.store(this.#control, READER_STATE, READER_AWAKE)
    return false
  }
}

function align(bytes: number): number {
  return (bytes + 7) & ~7
}
