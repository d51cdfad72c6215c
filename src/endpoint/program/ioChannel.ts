import type { RecordPort } from '../threads/recordPort.ts'
import { RECORD_BYTES_MAX } from '../threads/ring.ts'
import type { EndpointRecords, Io } from './io.ts'

/** A frame that is being written: where it begins, and where its room ends. */
export interface FrameRoom {
  buffer: Buffer
  start: number
  end: number
}

/**
 * All that the endpoints of one program write through one port. Objects are encoded straight into its ring, and encoding
 * runs code of the program (getters, `encode` of a registered type, a serializer): what that code makes us write is
 * kept until the frame under way is complete.
 */
class PortWriter {
  readonly port: RecordPort
  readonly room: FrameRoom
  /** Whether a frame is being written into `room`. */
  busy = false
  attachments = 0
  #inRing = false
  #scratch: Buffer | undefined
  #deferred: { endpoint: number; record: Buffer }[] = []

  constructor(port: RecordPort) {
    this.port = port
    this.room = { buffer: port.writer.buffer, start: 0, end: 0 }
  }

  /** Makes room for one frame, in the ring if possible. */
  begin(endpoint: number): FrameRoom {
    const { port, room } = this
    this.busy = true
    this.#inRing = port.reserve(endpoint, RECORD_BYTES_MAX)
    if (this.#inRing) {
      room.buffer = port.writer.buffer
      room.start = port.writer.at
    } else {
      this.#scratch ??= Buffer.allocUnsafeSlow(RECORD_BYTES_MAX)
      room.buffer = this.#scratch
      room.start = 0
    }
    room.end = room.start + RECORD_BYTES_MAX
    return room
  }

  commit(endpoint: number, bytes: number): void {
    const { port, room } = this
    this.busy = false
    if (this.#inRing) port.commit(bytes)
    else port.write(endpoint, room.buffer, room.start, room.start + bytes)
    if (this.#deferred.length > 0) this.#writeDeferred()
  }

  /** Leaves the frame unwritten. */
  cancel(): void {
    this.busy = false
    if (this.#deferred.length > 0) this.#writeDeferred()
  }

  write(endpoint: number, record: Buffer, start: number, end: number): void {
    if (this.busy) this.#deferred.push({ endpoint, record: Buffer.from(record.subarray(start, end)) })
    else this.port.write(endpoint, record, start, end)
  }

  #writeDeferred(): void {
    const deferred = this.#deferred
    this.#deferred = []
    for (const { endpoint, record } of deferred) this.port.write(endpoint, record, 0, record.length)
  }
}

const writers = new WeakMap<RecordPort, PortWriter>()

function writerOf(port: RecordPort): PortWriter {
  let writer = writers.get(port)
  if (writer === undefined) {
    writer = new PortWriter(port)
    writers.set(port, writer)
  }
  return writer
}

/** One endpoint's way to its I/O. */
export class IoChannel {
  readonly port: RecordPort
  readonly #io: Io
  readonly #writer: PortWriter
  readonly #id: number
  #open = true

  constructor(io: Io, records: EndpointRecords) {
    this.#io = io
    this.port = io.port
    this.#writer = writerOf(io.port)
    this.#id = io.add(records)
  }

  /** Whether what is written is read: until the last record. */
  get open(): boolean {
    return this.#open
  }

  /** Whether the program's thread may block and is still served. */
  get canBlock(): boolean {
    return this.#io.canBlock
  }

  /** Whether an object of any endpoint is being encoded; nothing may be sent from within. */
  get encoding(): boolean {
    return this.#writer.busy
  }

  /** Makes room for a frame; `commit` or `cancel` must follow. Only while `encoding` is false. */
  begin(): FrameRoom {
    return this.#writer.begin(this.#id)
  }

  /** Sends the frame that was written at the beginning of the room, its length included. */
  commit(bytes: number): void {
    this.#writer.commit(this.#id, bytes)
  }

  cancel(): void {
    this.#writer.cancel()
  }

  /** Writes a record, which is copied. */
  write(buffer: Buffer, start: number = 0, end: number = buffer.length): void {
    if (this.#open) this.#writer.write(this.#id, buffer, start, end)
  }

  /** Writes the last record: what is written after it would come too late, and is dropped. */
  writeLast(record: Buffer): void {
    this.write(record)
    this.#open = false
  }

  /** Lets what was written leave at once, as far as that is possible: see {@link Io.flush}. */
  flush(): boolean {
    return !this.#open || this.#io.flush(this.#id)
  }

  /** Passes memory to the I/O and returns the number under which a record may name it. */
  attach(buffers: readonly ArrayBuffer[]): number {
    this.#writer.attachments = (this.#writer.attachments + 1) >>> 0
    this.port.waker.sendAttachment(this.#writer.attachments, buffers)
    return this.#writer.attachments
  }

  /** Whether the program is kept alive for this endpoint, from now on. */
  keepAlive(isKept: boolean): void {
    this.#io.keepAlive(this.#id, isKept)
  }

  /** Ends it: nothing is read or written any more, and the program is no longer kept alive for it. */
  close(): void {
    this.#open = false
    this.#io.remove(this.#id)
  }
}
