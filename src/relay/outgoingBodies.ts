import type { LargeBody, LargeReader } from '../store/store.ts'
import type { ChunkSource } from '../wire/outgoingStream.ts'
import type { ReliableChannel } from '../wire/reliableChannel.ts'

/** A large object on its way to an endpoint. */
class OutgoingBody implements ChunkSource {
  readonly id: number
  readonly leaseNumber: number
  readonly totalBytes: number
  readonly #reader: LargeReader
  readonly #closed: () => void
  #at = 0
  isClosed = false

  constructor(id: number, leaseNumber: number, reader: LargeReader, closed: () => void) {
    this.id = id
    this.leaseNumber = leaseNumber
    this.totalBytes = reader.totalBytes
    this.#reader = reader
    this.#closed = closed
  }

  get availableBytes(): number {
    return this.#reader.availableBytes
  }

  /** What of it has not left yet. */
  get unsentBytes(): number {
    return this.totalBytes - this.#at
  }

  pieces(offset: number, length: number): readonly Buffer[] {
    this.#at = offset + length
    return this.#reader.pieces(offset, length)
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#reader.close()
    this.#closed()
  }
}

/** The large objects on their way to one endpoint. */
export class OutgoingBodies {
  readonly #channel: ReliableChannel
  readonly #readable: () => void
  /** By object, its streams. */
  readonly #byBody = new Map<LargeBody, OutgoingBody[]>()
  #nextStream = 1

  constructor(channel: ReliableChannel, readable: () => void) {
    this.#channel = channel
    this.#readable = readable
  }

  /** A stream for one delivery; its number, and what begins to send it. */
  open(
    body: LargeBody,
    leaseNumber: number,
    { windowBytes, lane }: { windowBytes: number; lane: string },
  ): { id: number; start(): void } {
    const id = this.#nextStream++
    const outgoing = new OutgoingBody(id, leaseNumber, body.openReader(this.#readable), () =>
      this.#forget(body, outgoing),
    )
    const streams = this.#byBody.get(body)
    if (streams === undefined) this.#byBody.set(body, [outgoing])
    else streams.push(outgoing)
    return {
      id,
      start: () => {
        if (!outgoing.isClosed) this.#channel.openStream(id, outgoing, windowBytes, lane)
      },
    }
  }

  /** What of all of them has not left yet. */
  get unsentBytes(): number {
    let bytes = 0
    for (const streams of this.#byBody.values()) for (const { unsentBytes } of streams) bytes += unsentBytes
    return bytes
  }

  /** Stops one delivery; returns the number of its stream, if it is not sent to its end. */
  abort(body: LargeBody, leaseNumber: number): number | undefined {
    const outgoing = this.#byBody.get(body)?.find((stream) => stream.leaseNumber === leaseNumber)
    if (outgoing === undefined) return undefined
    this.#channel.closeStream(outgoing.id)
    outgoing.close()
    return outgoing.id
  }

  /** The session is over: nothing is read any more. */
  close(): void {
    this.#channel.closeStreams()
    for (const streams of [...this.#byBody.values()]) for (const outgoing of [...streams]) outgoing.close()
  }

  #forget(body: LargeBody, outgoing: OutgoingBody): void {
    const left = (this.#byBody.get(body) ?? []).filter((stream) => stream !== outgoing)
    if (left.length === 0) this.#byBody.delete(body)
    else this.#byBody.set(body, left)
  }
}
