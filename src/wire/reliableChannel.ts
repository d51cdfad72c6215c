import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { encodeChunkHead, encodeConfirm } from './controlFrames.ts'
import { OutgoingLog, type Run } from './outgoingLog.ts'
import type { ChunkSource } from './outgoingStream.ts'
import { OutgoingStream } from './outgoingStream.ts'
import { Slab } from './slab.ts'
import type { SlabPool } from './slabPool.ts'
import { StreamTurns } from './streamTurns.ts'

/** Where a channel writes its bytes: one connection. */
export interface LinkWriter {
  write(bytes: Buffer): void
  /** What is written until {@link LinkWriter.uncork} leaves as one write. */
  cork?(): void
  uncork?(): void
  /** Bytes written and not yet taken by the operating system. */
  readonly pendingBytes: number
}

/** Runs shorter than this are gathered into one write. */
const GATHERED_RUN_BYTES_MAX = 16 * 1024
const GATHERED_BYTES_MAX = 64 * 1024
/** Parts that are longer than this on average are not copied together: the memory for that would cost more than it saves. */
const COPIED_PART_BYTES_MAX = 4 * 1024
/** Receipt is confirmed at the latest after this many bytes; and after half of it when something leaves anyway. */
const CONFIRM_BYTES = 128 * 1024

/**
 * One side of a session: the frames it sends, numbered, kept and sent again after a reconnect, and the count of those
 * it received. It outlives its links. Small frames overtake the chunks of large objects.
 */
export class ReliableChannel {
  readonly log: OutgoingLog
  /** Numbered frames received from the peer. */
  receivedFrames = 0
  /** No more of them are confirmed than this: the owner may have to make sure first that what they said will be remembered. */
  receiptLimit: number = Number.POSITIVE_INFINITY
  /** Object bytes, counted from the session's beginning, that the peer may send; the owner moves it. */
  grantedLimit: number
  /** Object bytes, counted from the session's beginning, that the peer takes. */
  peerLimit: number
  /** Whether a stream that was sent to its end stays open until its owner closes it, when the peer has answered. */
  readonly #keepsFinishedStreams: boolean
  readonly #slab = new Slab()
  readonly #streams = new Map<number, OutgoingStream>()
  /** Streams that are not sent to their end yet. */
  readonly #turns = new StreamTurns()
  #streamsBegun = 0
  #link: LinkWriter | undefined
  #confirmedReceipt = 0
  #confirmedLimit: number
  #unconfirmedBytes = 0
  readonly #limitStepBytes: number
  readonly #unconfirmedBytesMax: number

  /** Each side begins with room for `grantedLimit` and `peerLimit` object bytes. */
  constructor(
    grantedLimit: number,
    peerLimit: number,
    {
      keepsFinishedStreams = true,
      unconfirmedBytesMax = Number.POSITIVE_INFINITY,
      slabs,
    }: {
      keepsFinishedStreams?: boolean
      /** A peer that lets more than this be sent, or wait, without confirming it is beyond all windows that there are. */
      unconfirmedBytesMax?: number
      /** Where what it is given may lie. */
      slabs?: SlabPool | undefined
    } = {},
  ) {
    this.log = new OutgoingLog(slabs)
    this.#keepsFinishedStreams = keepsFinishedStreams
    this.#unconfirmedBytesMax = unconfirmedBytesMax
    this.grantedLimit = grantedLimit
    this.#limitStepBytes = grantedLimit / 4
    this.#confirmedLimit = grantedLimit
    this.peerLimit = peerLimit
  }

  get attached(): boolean {
    return this.#link !== undefined
  }

  /** Whether the peer may say that it has received `frames` frames up to now. */
  canResumeAt(frames: number): boolean {
    return frames >= this.log.confirmedFrames && frames <= this.log.appendedFrames
  }

  /** A link is there, over which the peer has received `peerReceived` frames up to now. Throws `PROTOCOL_VIOLATION`. */
  attach(link: LinkWriter, peerReceived: number): void {
    if (!this.log.rewind(peerReceived)) {
      throw createError('PROTOCOL_VIOLATION', `The peer says that it received ${peerReceived} frames, which cannot be.`)
    }
    this.#link = link
    // The peer learns at once how far this side is, whatever was lost with the old link.
    this.#confirmedReceipt = -1
  }

  detach(): void {
    this.#link = undefined
  }

  /** Sends a numbered frame; its bytes are copied. */
  send(frame: Buffer): void {
    const at = this.#slab.copy(frame, 0, frame.length)
    this.log.append(this.#slab.buffer, at, at + frame.length)
  }

  /** Sends numbered frames that lie in `buffer`, one behind the other, which must not change any more. */
  sendKept(buffer: Buffer, start: number, end: number, frames = 1): void {
    this.log.append(buffer, start, end, frames)
  }

  /** Begins to send the chunks of a large object, whose STREAM_BEGIN was sent, after those of its lane that began before. */
  openStream(id: number, source: ChunkSource, windowLimit: number, lane: string): void {
    const stream = new OutgoingStream(id, source, { windowLimit, lane, order: this.#streamsBegun++ })
    this.#streams.set(id, stream)
    this.#turns.add(stream)
  }

  /** Ends a stream, sent to its end or not. */
  closeStream(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    this.#streams.delete(id)
    this.#turns.remove(stream)
    stream.source.close?.()
  }

  /** Ends all streams. */
  closeStreams(): void {
    for (const id of [...this.#streams.keys()]) this.closeStream(id)
  }

  /** Whether nothing waits to be sent or to be confirmed. */
  get idle(): boolean {
    return this.log.confirmedFrames === this.log.appendedFrames && this.#turns.isEmpty
  }

  /** What has been sent of the streams that are open. */
  get streamedBytes(): number {
    let bytes = 0
    for (const { offset } of this.#streams.values()) bytes += offset
    return bytes
  }

  get hasStreams(): boolean {
    return this.#streams.size > 0
  }

  hasStream(id: number): boolean {
    return this.#streams.has(id)
  }

  /** The peer takes the bytes of a stream up to `limit`. A window for a stream that has ended is harmless. */
  openWindow(id: number, limit: number): void {
    const stream = this.#streams.get(id)
    if (stream !== undefined)
      stream.windowLimit = Math.max(stream.windowLimit, Math.min(limit, stream.source.totalBytes))
  }

  /** A numbered frame of the peer, or a part of one that is not whole yet, was received. */
  countReceived(bytes: number, whole: boolean): void {
    if (whole) this.receivedFrames++
    this.#unconfirmedBytes += bytes
  }

  /** The peer's CONFIRM. Throws `PROTOCOL_VIOLATION` for numbers that cannot be. */
  confirmed(receivedFrames: number, objectBytesLimit: number): void {
    if (!this.log.confirm(receivedFrames) || !(objectBytesLimit >= this.peerLimit)) {
      throw createError('PROTOCOL_VIOLATION', 'The peer confirms what was never sent, or takes back room that it gave.')
    }
    this.peerLimit = objectBytesLimit
  }

  /** Whether the peer should learn of received frames or of room, some time soon. */
  get confirmPending(): boolean {
    return this.#confirmedReceipt !== this.#confirmableFrames || this.#confirmedLimit !== this.grantedLimit
  }

  get #confirmableFrames(): number {
    return Math.min(this.receivedFrames, this.receiptLimit)
  }

  /** Whether the peer should learn of received frames or of room at once. */
  get confirmDue(): boolean {
    return (
      (this.#unconfirmedBytes >= CONFIRM_BYTES && this.confirmPending) ||
      this.#confirmedReceipt < 0 ||
      this.grantedLimit - this.#confirmedLimit >= this.#limitStepBytes
    )
  }

  /** Whether there are large objects that are not sent to their end, for {@link ReliableChannel.pumpBulk}. */
  get hasBulk(): boolean {
    return !this.#turns.isEmpty
  }

  /** Writes what is small and may be written now. Throws `PROTOCOL_VIOLATION` if the peer makes this side keep too much. */
  pump(): void {
    const link = this.#link
    if (link === undefined) return
    if (this.log.bytes > this.#unconfirmedBytesMax) {
      throw createError(
        'PROTOCOL_VIOLATION',
        `The peer has not confirmed ${this.log.bytes} bytes; ${this.#unconfirmedBytesMax} are more than its windows allow.`,
      )
    }
    const gathering = new GatheredWrite(link)
    const confirmsAlong = this.log.hasUnsent && this.#unconfirmedBytes >= CONFIRM_BYTES / 2 && this.confirmPending
    if (this.confirmDue || confirmsAlong) this.#confirm(link, gathering)
    this.#pumpSmall(link, gathering)
    gathering.flush()
  }

  /** Writes a CONFIRM: now, because it is due, or as a heartbeat. */
  writeConfirm(): void {
    if (this.#link === undefined) return
    const gathering = new GatheredWrite(this.#link)
    this.#confirm(this.#link, gathering)
    gathering.flush()
  }

  #confirm(link: LinkWriter, gathering: GatheredWrite): void {
    // To a peer that does not read, one more says nothing new, and they would pile up: the next one leaves when it reads.
    if (link.pendingBytes >= fixedLimits.linkPendingBytesMax) return
    const receivedFrames = this.#confirmableFrames
    gathering.add(encodeConfirm(receivedFrames, this.grantedLimit))
    this.#confirmedReceipt = receivedFrames
    this.#confirmedLimit = this.grantedLimit
    this.#unconfirmedBytes = 0
  }

  /** Writes parts of large objects, as far as they may be written now. */
  pumpBulk(): void {
    const link = this.#link
    // What is small and could not leave goes first; and what is numbered leaves in the order of its numbers.
    if (link === undefined || this.log.hasUnsent) return
    const gathering = new GatheredWrite(link)
    while (link.pendingBytes + gathering.bytes < fixedLimits.linkPendingBulkBytesMax) {
      const stream = this.#turns.next()
      if (stream === undefined) break
      const length = stream.sendableBytes
      this.log.appendParts(encodeChunkHead(stream.id, stream.offset, length), stream.take(length))
      const run = this.log.takeUnsent()
      if (run !== undefined) gathering.addRun(run)
      if (stream.finished) this.#finished(stream)
    }
    gathering.flush()
  }

  #finished(stream: OutgoingStream): void {
    if (!this.#keepsFinishedStreams) {
      this.closeStream(stream.id)
      return
    }
    this.#turns.remove(stream)
    stream.source.finished?.()
  }

  #pumpSmall(link: LinkWriter, gathering: GatheredWrite): void {
    while (this.log.hasUnsent && link.pendingBytes + gathering.bytes < fixedLimits.linkPendingBytesMax) {
      const run = this.log.takeUnsent()
      if (run === undefined) break
      gathering.addRun(run)
    }
  }
}

/**
 * Gathers runs into one write: each write costs a TLS record, a system call and several microseconds, which is more than
 * copying some KiB. Only a run that is long by itself is written as it lies.
 */
class GatheredWrite {
  bytes = 0
  readonly #link: LinkWriter
  #parts: Buffer[] = []

  constructor(link: LinkWriter) {
    this.#link = link
  }

  addRun(run: Run): void {
    const whole = run.start === 0 && run.end === run.buffer.length
    const first = whole ? run.buffer : run.buffer.subarray(run.start, run.end)
    if (first.length > GATHERED_RUN_BYTES_MAX) {
      this.flush()
      this.#link.write(first)
    } else this.add(first)
    if (run.tail !== undefined) for (const part of run.tail) this.add(part)
    if (this.bytes >= GATHERED_BYTES_MAX) this.flush()
  }

  flush(): void {
    const parts = this.#parts
    const [only] = parts
    if (only === undefined) return
    if (parts.length === 1) this.#link.write(only)
    else if (this.bytes <= COPIED_PART_BYTES_MAX * parts.length) this.#link.write(Buffer.concat(parts, this.bytes))
    else {
      this.#link.cork?.()
      for (const part of parts) this.#link.write(part)
      this.#link.uncork?.()
    }
    this.#parts = []
    this.bytes = 0
  }

  add(part: Buffer): void {
    this.#parts.push(part)
    this.bytes += part.length
  }
}
