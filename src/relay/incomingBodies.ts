import { createError, type ObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import type { LargeBody } from '../store/store.ts'

/** A large object on its way from an endpoint. */
interface Incoming {
  readonly sequence: number
  readonly body: LargeBody
  /** How far the endpoint may send; 0 until the object has its place. */
  windowLimit: number
  admitted: boolean
  /** All of it has come, and the store makes it safe. */
  finishing: boolean
}

/** What becomes of the large objects of one endpoint. */
export interface IncomingBodiesHost {
  readonly bulkWindowBytes: number
  readonly streamsMax: number
  /** The endpoint may send a stream up to `limit`. */
  openWindow(stream: number, limit: number): void
  /** All of an object is there and safe. */
  completed(sequence: number, body: LargeBody): void
  /** An object that was admitted cannot be kept. */
  lost(sequence: number, error: ObjectRelayError): void
}

/** So many streams are remembered that were given up while parts of them were on their way. */
const GIVEN_UP_MAX = 1_000

/** The large objects that are on their way from one endpoint: each as fast as the store takes it. */
export class IncomingBodies {
  readonly #host: IncomingBodiesHost
  readonly #open = new Map<number, Incoming>()
  readonly #givenUp = new Set<number>()

  constructor(host: IncomingBodiesHost) {
    this.#host = host
  }

  /** Throws `PROTOCOL_VIOLATION` if a stream of that number and size may not begin. */
  check(stream: number, bodyBytes: number): void {
    if (this.#open.has(stream) || this.#open.size >= this.#host.streamsMax)
      throw violation(`began stream ${stream}, which is open already or one too many.`)
    if (bodyBytes < fixedLimits.streamBytesMin)
      throw violation(`began a large object of ${bodyBytes} bytes; what is that small travels in one frame.`)
  }

  begin(stream: number, sequence: number, body: LargeBody): void {
    const incoming: Incoming = { sequence, body, windowLimit: 0, admitted: false, finishing: false }
    this.#givenUp.delete(stream)
    this.#open.set(stream, incoming)
    body.onRoom = (error) => {
      if (this.#open.get(stream) !== incoming) return
      if (error === undefined) this.#moveWindow(stream, incoming)
      else this.#lose(stream, incoming, error)
    }
  }

  admitted(sequence: number): void {
    for (const [stream, incoming] of this.#open) {
      if (incoming.sequence !== sequence) continue
      incoming.admitted = true
      this.#moveWindow(stream, incoming)
    }
  }

  /** A part came. Throws `PROTOCOL_VIOLATION` where there is no room for it. */
  chunk(stream: number, offset: number, part: Buffer): void {
    const incoming = this.#open.get(stream)
    if (incoming === undefined && this.#givenUp.has(stream)) return
    if (incoming === undefined || offset + part.length > incoming.windowLimit)
      throw violation(`sent a part of stream ${stream} that it was not given room for.`)
    const { body } = incoming
    body.writeAt(offset, part)
    if (body.receivedBytes === body.bytes) this.#finish(stream, incoming)
    else this.#moveWindow(stream, incoming)
  }

  /** The object was rejected, or its sender gives it up; returns its sequence if it was there. */
  forget(stream: number): number | undefined {
    const incoming = this.#open.get(stream)
    if (incoming === undefined) return undefined
    this.#open.delete(stream)
    return incoming.sequence
  }

  rejected(sequence: number): void {
    for (const [stream, incoming] of this.#open) if (incoming.sequence === sequence) this.#open.delete(stream)
  }

  clear(): void {
    this.#open.clear()
  }

  #moveWindow(stream: number, incoming: Incoming): void {
    const { body, windowLimit, admitted } = incoming
    if (!admitted || windowLimit >= body.bytes) return
    const { bulkWindowBytes } = this.#host
    if (windowLimit - body.receivedBytes > bulkWindowBytes / 2) return
    if (body.receivedBytes >= body.roomEnd) return
    const limit = Math.min(body.receivedBytes + bulkWindowBytes, body.bytes)
    incoming.windowLimit = limit
    this.#host.openWindow(stream, limit)
  }

  #finish(stream: number, incoming: Incoming): void {
    if (incoming.finishing) return
    incoming.finishing = true
    const { sequence, body } = incoming
    const done = () => {
      if (this.#open.get(stream) !== incoming) return
      this.#open.delete(stream)
      this.#host.completed(sequence, body)
    }
    const safe = body.finish()
    if (safe === undefined) done()
    // Why not, the body says through onRoom as well.
    else safe.then(done, (error: ObjectRelayError) => this.#lose(stream, incoming, error))
  }

  #lose(stream: number, incoming: Incoming, error: ObjectRelayError): void {
    if (this.#open.get(stream) !== incoming) return
    this.#open.delete(stream)
    // Parts of it are still on their way, as far as its window goes.
    this.#givenUp.add(stream)
    if (this.#givenUp.size > GIVEN_UP_MAX) for (const oldest of this.#givenUp) return void this.#givenUp.delete(oldest)
    this.#host.lost(incoming.sequence, error)
  }
}

function violation(what: string): ObjectRelayError {
  return createError('PROTOCOL_VIOLATION', `The endpoint ${what}`)
}
