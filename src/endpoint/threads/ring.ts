import { fixedLimits } from '../../limits.ts'
import { readUint32, writeUint32 } from '../../wire/integers.ts'

/**
 * A ring of bytes with one writer and one reader, on two threads or on one. Records lie in a row, each with its own length
 * first, as frames have it; so what was written one after the other for the same endpoint can be copied, and sent, as one.
 *
 * ```
 *  | u32 length, itself included | ...       a record
 *  | u32 0x7ffffffe | u32 endpoint |         whom the records behind it are for
 *  | u32 0x7fffffff |                        it goes on at the start; where less than 4 bytes are left, that needs no mark
 * ```
 *
 * A record never wraps. The two positions count bytes without end, modulo 2^32, so that a full ring and an empty one differ.
 */
const ENDPOINT_BYTES = 8
const LENGTH_BYTES = 4
// No record is that long; and V8 handles numbers up to here as small integers.
const WRAP_MARK = 0x7fff_ffff
const ENDPOINT_MARK = 0x7fff_fffe
/** Where the type of a record stands, as in frames. */
const TYPE_AT = 4

/** Where the shared numbers lie in the control words. */
const TAIL = 0
const HEAD = 1
const READER_STATE = 2
const WRITER_STATE = 3
const WRITER_SPILLS = 4
/** Counts how often the reader has sent on all that it was given. */
const FLUSHES = 5
const CONTROL_WORDS = 8

const READER_AWAKE = 0
const READER_ASLEEP = 1
const READER_BLOCKED = 2

const WRITER_GOES_ON = 0
const WRITER_ASLEEP = 1
const WRITER_BLOCKED = 2

/** The memory of a ring, which both sides are given. */
export interface RingMemory {
  readonly control: Int32Array
  readonly bytes: Uint8Array
}

/** The largest record. */
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
  /** The largest record that finds room wherever the ring's end happens to lie. */
  readonly recordBytesMax: number
  /** Where the reserved record begins. */
  at = 0
  /** Whether its reader may be on another thread. */
  readonly isShared: boolean
  readonly #control: Int32Array
  readonly #capacity: number
  #tail: number
  #head: number
  /** Whom the records are for, as the last mark says. */
  #endpoint = -1

  constructor({ control, bytes }: RingMemory) {
    this.buffer = asBuffer(bytes)
    this.isShared = control.buffer instanceof SharedArrayBuffer
    this.#control = control
    this.#capacity = bytes.byteLength
    this.recordBytesMax = this.#capacity / 2 - ENDPOINT_BYTES
    this.#tail = Atomics.load(control, TAIL) >>> 0
    this.#head = Atomics.load(control, HEAD) >>> 0
  }

  /** Finds room for a record of up to `bytes` for an endpoint; false if there is none now. */
  reserve(endpoint: number, bytes: number): boolean {
    const markBytes = endpoint === this.#endpoint ? 0 : ENDPOINT_BYTES
    const needed = markBytes + bytes
    let offset = this.#tail & (this.#capacity - 1)
    const toEnd = this.#capacity - offset
    const total = needed <= toEnd ? needed : toEnd + needed
    if (this.#free() < total) {
      this.#head = Atomics.load(this.#control, HEAD) >>> 0
      if (this.#free() < total) return false
    }
    if (needed > toEnd) {
      if (toEnd >= LENGTH_BYTES) writeUint32(this.buffer, offset, WRAP_MARK)
      this.#tail = (this.#tail + toEnd) >>> 0
      offset = 0
    }
    if (markBytes > 0) {
      writeUint32(this.buffer, offset, ENDPOINT_MARK)
      writeUint32(this.buffer, offset + LENGTH_BYTES, endpoint)
      this.#endpoint = endpoint
      this.#tail = (this.#tail + ENDPOINT_BYTES) >>> 0
      offset += ENDPOINT_BYTES
    }
    this.at = offset
    return true
  }

  /** Publishes the reserved record, of which `bytes` were written, its length excepted. Returns whether its reader is asleep and needs the waker. */
  commit(bytes: number): boolean {
    writeUint32(this.buffer, this.at, bytes)
    return this.publish(bytes)
  }

  /** Publishes whole records that were written one behind the other into the room of one. Returns whether its reader is asleep and needs the waker. */
  publish(bytes: number): boolean {
    this.#tail = (this.#tail + bytes) >>> 0
    Atomics.store(this.#control, TAIL, this.#tail | 0)
    return Atomics.load(this.#control, READER_STATE) !== READER_AWAKE && this.wakeReader()
  }

  /** Marks the reader as awake, and wakes it if it blocks; returns whether it is asleep and needs the waker. */
  wakeReader(): boolean {
    const state = Atomics.exchange(this.#control, READER_STATE, READER_AWAKE)
    if (state === READER_BLOCKED) Atomics.notify(this.#control, TAIL)
    return state === READER_ASLEEP
  }

  /** Asks the reader to wake this side when there is room again. */
  waitForRoom(): void {
    Atomics.store(this.#control, WRITER_STATE, WRITER_ASLEEP)
  }

  /** How far the reader is, as a number that another one follows when it has read something. */
  get readerPosition(): number {
    return Atomics.load(this.#control, HEAD)
  }

  /** Blocks the thread until the reader has made room, at most `timeoutMs`. Only for a reader on another thread. */
  blockForRoom(timeoutMs: number): void {
    const position = this.readerPosition
    Atomics.store(this.#control, WRITER_STATE, WRITER_BLOCKED)
    Atomics.wait(this.#control, HEAD, position, timeoutMs)
    Atomics.store(this.#control, WRITER_STATE, WRITER_GOES_ON)
  }

  /** How often the reader has said that all it was given has left. */
  get flushes(): number {
    return Atomics.load(this.#control, FLUSHES)
  }

  /** Blocks the thread until the reader says so once more, at most `timeoutMs`. Only for a reader on another thread. */
  blockForFlush(before: number, timeoutMs: number): void {
    Atomics.wait(this.#control, FLUSHES, before, timeoutMs)
  }

  /** Tells the reader whether more than the ring can hold is waiting here. */
  setSpills(spills: boolean): void {
    Atomics.store(this.#control, WRITER_SPILLS, spills ? 1 : 0)
  }

  #free(): number {
    return this.#capacity - ((this.#tail - this.#head) >>> 0)
  }
}

export class RingReader {
  readonly buffer: Buffer
  /** The record, or the run of records, that `next` found. */
  endpoint = 0
  start = 0
  end = 0
  readonly #control: Int32Array
  readonly #capacity: number
  readonly #runType: number
  readonly #runBytesMax: number
  #head: number
  /** How far the writer was when this side looked last. */
  #tail: number

  /** Records of the type `runType` that lie in a row are found together, up to `runBytesMax` bytes if there are several. */
  constructor(
    { control, bytes }: RingMemory,
    { runType = -1, runBytesMax = 0 }: { runType?: number; runBytesMax?: number } = {},
  ) {
    this.buffer = asBuffer(bytes)
    this.#control = control
    this.#capacity = bytes.byteLength
    this.#runType = runType
    this.#runBytesMax = runBytesMax
    this.#head = Atomics.load(control, HEAD) >>> 0
    this.#tail = this.#head
  }

  /** Whether the writer has more than the ring can hold. */
  get writerSpills(): boolean {
    return Atomics.load(this.#control, WRITER_SPILLS) === 1
  }

  /** Finds the next record or run; its bytes stay until `release`. */
  next(): boolean {
    if (this.#head === this.#tail) this.#tail = Atomics.load(this.#control, TAIL) >>> 0
    while (this.#head !== this.#tail) {
      const offset = this.#head & (this.#capacity - 1)
      const toEnd = this.#capacity - offset
      const length = toEnd < LENGTH_BYTES ? WRAP_MARK : readUint32(this.buffer, offset)
      if (length === WRAP_MARK) this.#move(toEnd)
      else if (length === ENDPOINT_MARK) {
        this.endpoint = readUint32(this.buffer, offset + LENGTH_BYTES)
        this.#move(ENDPOINT_BYTES)
      } else {
        this.start = offset
        this.end = this.buffer[offset + TYPE_AT] === this.#runType ? this.#endOfRun(offset, length) : offset + length
        this.#move(this.end - offset)
        return true
      }
    }
    return false
  }

  #endOfRun(start: number, firstLength: number): number {
    // The end of the ring ends it too: nothing that is published lies beyond, and no mark is of that type.
    const published = start + ((this.#tail - this.#head) >>> 0)
    const limit = Math.min(published, this.#capacity - TYPE_AT, start + this.#runBytesMax)
    let end = start + firstLength
    while (end < limit && this.buffer[end + TYPE_AT] === this.#runType) {
      const length = readUint32(this.buffer, end)
      if (length >= ENDPOINT_MARK || end + length > start + this.#runBytesMax) break
      end += length
    }
    return end
  }

  #move(bytes: number): void {
    this.#head = (this.#head + bytes) >>> 0
  }

  /**
   * Gives the room of all records read so far back; returns whether the writer waits and needs the waker: not before half
   * of the ring is free, since it would fill a little room, and wait again. A blocked one is woken here.
   */
  release(): boolean {
    if (Atomics.load(this.#control, HEAD) >>> 0 === this.#head) return false
    Atomics.store(this.#control, HEAD, this.#head | 0)
    if ((this.#tail - this.#head) >>> 0 > this.#capacity / 2) return false
    if (Atomics.load(this.#control, WRITER_STATE) === WRITER_GOES_ON) return false
    const state = Atomics.exchange(this.#control, WRITER_STATE, WRITER_GOES_ON)
    if (state === WRITER_BLOCKED) Atomics.notify(this.#control, HEAD)
    return state === WRITER_ASLEEP
  }

  /** All that the writer gave has left. */
  flushed(): void {
    Atomics.add(this.#control, FLUSHES, 1)
    Atomics.notify(this.#control, FLUSHES)
  }

  /** Goes to sleep until it is woken; false if a record came in the meantime. */
  sleep(): boolean {
    return this.#rest(READER_ASLEEP)
  }

  /** Blocks the thread until a record is there, at most `timeoutMs`. Only for shared memory. */
  block(timeoutMs: number): void {
    if (!this.#rest(READER_BLOCKED)) return
    Atomics.wait(this.#control, TAIL, this.#head | 0, timeoutMs)
    Atomics.store(this.#control, READER_STATE, READER_AWAKE)
  }

  #rest(state: number): boolean {
    Atomics.store(this.#control, READER_STATE, state)
    if (Atomics.load(this.#control, TAIL) >>> 0 === this.#head) return true
    Atomics.store(this.#control, READER_STATE, READER_AWAKE)
    return false
  }
}
