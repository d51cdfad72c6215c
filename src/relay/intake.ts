import { isGroupName } from '../core/groupName.ts'
import { createError } from '../errors.ts'
import type { AcceptedRun } from '../store/store.ts'
import { encodeStreamOffset } from '../wire/controlFrames.ts'
import { FrameType } from '../wire/frameTypes.ts'
import {
  OBJECT_HEAD_BYTES,
  readSequence,
  readStreamBeginTail,
  stampAttempt,
  stampSource,
} from '../wire/objectHeader.ts'
import { RouteCache } from '../wire/routeCache.ts'
import { IncomingBodies } from './incomingBodies.ts'
import { findRun } from './pastAnswers.ts'
import type { RelaySession, RelaySessionHost } from './relaySession.ts'

/** The objects that come from one endpoint: into the store, and to the broker. */
export class Intake {
  /** What an earlier session of this endpoint was answered that it may not know. */
  readonly pastAnswers: readonly AcceptedRun[]
  /** Of OBJECT frames, since the session began. */
  receivedBytes = 0
  readonly #owner: RelaySession
  readonly #host: RelaySessionHost
  readonly #routes = new RouteCache(isGroupName)
  readonly #bodies: IncomingBodies

  constructor(owner: RelaySession, host: RelaySessionHost, pastAnswers: readonly AcceptedRun[]) {
    this.#owner = owner
    this.#host = host
    this.pastAnswers = pastAnswers
    const { bulkWindowBytes, streamsMax } = host.limits
    this.#bodies = new IncomingBodies({
      bulkWindowBytes,
      streamsMax,
      openWindow: (stream, limit) => owner.say(encodeStreamOffset(FrameType.STREAM_WINDOW, stream, limit)),
      completed: (sequence, body) => {
        host.broker.complete(owner.session, sequence)
        owner.whenKept(() => body.releaseEnd())
      },
      lost: (sequence, error) => {
        host.broker.abort(owner.session, sequence)
        owner.rejected(sequence, error)
      },
    })
  }

  object(buffer: Buffer, start: number, end: number): void {
    this.receivedBytes += end - start
    if (this.receivedBytes > this.#owner.conversation.grantedLimit) {
      throw createError('PROTOCOL_VIOLATION', 'The endpoint sent more than it was given room for.')
    }
    const route = this.#routes.read(buffer, start, end)
    stampSource(buffer, start, this.#owner.source)
    stampAttempt(buffer, start, 1)
    const sequence = readSequence(buffer, start)
    if (this.#answeredBefore(sequence)) return
    const { broker, store } = this.#host
    const refusal = store.refusal(end - start)
    if (refusal === undefined) broker.send(this.#owner.session, sequence, route, store.keep(buffer, start, end))
    else this.#owner.rejected(sequence, refusal)
  }

  streamBegin(buffer: Buffer, start: number, end: number): void {
    const route = this.#routes.read(buffer, start, end)
    const { stream, bodyBytes } = readStreamBeginTail(buffer, start + OBJECT_HEAD_BYTES + route.destinationBytes, end)
    this.#bodies.check(stream, bodyBytes)
    const sequence = readSequence(buffer, start)
    // Its chunks do not come: it was given no room for them.
    if (this.#answeredBefore(sequence)) return
    const { broker, store } = this.#host
    const refusal = store.refusal(bodyBytes)
    if (refusal !== undefined) {
      this.#owner.rejected(sequence, refusal)
      return
    }
    const begin = Buffer.from(buffer.subarray(start, end))
    stampSource(begin, 0, this.#owner.source)
    const body = store.keepLarge(begin, bodyBytes)
    this.#bodies.begin(stream, sequence, body)
    broker.begin(this.#owner.session, sequence, route, body)
  }

  /** An object that the relay has already, because the endpoint does not know its answer: it gets that once more. */
  #answeredBefore(sequence: number): boolean {
    const run = findRun(this.pastAnswers, sequence)
    if (run === undefined) return false
    this.#owner.accepted(sequence, run.memberCounts)
    return true
  }

  /** A part of a large object. */
  chunk(stream: number, offset: number, part: Buffer): void {
    this.#bodies.chunk(stream, offset, part)
  }

  /** The endpoint takes a large object back. */
  streamAbort(stream: number): void {
    const sequence = this.#bodies.forget(stream)
    if (sequence !== undefined) this.#host.broker.abort(this.#owner.session, sequence)
  }

  admitted(sequence: number): void {
    this.#bodies.admitted(sequence)
  }

  rejected(sequence: number): void {
    this.#bodies.rejected(sequence)
  }

  /** The session is over. */
  clear(): void {
    this.#bodies.clear()
  }
}
