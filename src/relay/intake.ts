import type { Broker } from '../core/broker.ts'
import type { Session } from '../core/entities/model.ts'
import { isGroupName } from '../core/groupName.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import type { RelayLimits } from '../limits.ts'
import type { Store } from '../store/store.ts'
import { encodeStreamOffset } from '../wire/controlFrames.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { contentStart, readSequence, readStreamBeginTail, stampAttempt, stampSource } from '../wire/objectHeader.ts'
import { RouteCache } from '../wire/routeCache.ts'
import type { PastAnswers } from './dedupMemory.ts'
import { IncomingBodies } from './incomingBodies.ts'
import { ObjectRun } from './objectRun.ts'

/** Where the objects of all endpoints go. */
export interface IntakeHost {
  readonly broker: Broker
  readonly store: Store
  readonly limits: RelayLimits
}

/** Whose objects they are: the session of an endpoint, which answers for them. */
export interface IntakeOwner {
  /** What the broker knows it by. */
  readonly session: Session
  /** Stamped into each object. */
  readonly source: number
  /** How many object bytes it was given room for. */
  readonly channel: { readonly grantedLimit: number }
  say(frame: Buffer): void
  /** Does something as soon as all that was said before is kept. */
  whenKept(action: () => void): void
  accepted(sequence: number, objects: number, memberCounts: readonly number[]): void
  rejected(sequence: number, error: ObjectRelayError): void
}

/** The objects that come from one endpoint: into the store, and to the broker. */
export class Intake {
  /** What an earlier session of this endpoint was answered that it may not know. */
  readonly #pastAnswers: PastAnswers
  /** Of OBJECT frames, since the session began. */
  receivedBytes = 0
  readonly #owner: IntakeOwner
  readonly #host: IntakeHost
  readonly #routes = new RouteCache(isGroupName)
  readonly #bodies: IncomingBodies
  /** What has come last and is not with the broker yet. */
  #run: ObjectRun | undefined

  constructor(owner: IntakeOwner, host: IntakeHost, pastAnswers: PastAnswers) {
    this.#owner = owner
    this.#host = host
    this.#pastAnswers = pastAnswers
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
    if (this.receivedBytes > this.#owner.channel.grantedLimit) {
      throw createError('PROTOCOL_VIOLATION', 'The endpoint sent more than it was given room for.')
    }
    const route = this.#routes.read(buffer, start, end)
    stampSource(buffer, start, this.#owner.source)
    stampAttempt(buffer, start, 1)
    if (route.kind === 'clear' && end > contentStart(buffer, start, route))
      throw createError('PROTOCOL_VIOLATION', 'The endpoint sent a body where none can be.')
    const sequence = readSequence(buffer, start)
    if (this.#pastAnswers.runs.length > 0 && this.#answeredBefore(sequence)) return
    const run = this.#run
    if (run?.isBefore(buffer, start, end, sequence, route) === true) {
      run.end = end
      run.objects++
      return
    }
    this.flush()
    this.#run = new ObjectRun(buffer, start, end, sequence, route)
    // The memory of a frame that was put together is used again after this call.
    if (start === 0) this.flush()
  }

  /** Whoever looks at, or does, anything that comes behind the objects of a run needs them to be there. */
  flush(): void {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    const { buffer, end, route } = run
    const { broker, store } = this.#host
    for (let { start, sequence, objects } = run; objects > 0; ) {
      // What clears makes room.
      const refusal = route.kind === 'clear' ? undefined : store.refusal(end - start)
      if (refusal !== undefined) {
        for (; objects > 0; objects--) this.#owner.rejected(sequence++, refusal)
        return
      }
      const kept = store.keep(buffer, start, end, objects)
      const next = sequence
      // The broker may cut it.
      start += kept.bytes
      sequence += kept.objects
      objects -= kept.objects
      broker.send(this.#owner.session, next, route, kept)
    }
  }

  streamBegin(buffer: Buffer, start: number, end: number): void {
    const route = this.#routes.read(buffer, start, end)
    const { stream, bodyBytes } = readStreamBeginTail(buffer, contentStart(buffer, start, route), end)
    if (route.kind === 'clear')
      throw createError('PROTOCOL_VIOLATION', 'The endpoint begins an object where none can be.')
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
    const run = this.#pastAnswers.find(sequence)
    if (run === undefined) return false
    this.flush()
    this.#owner.accepted(sequence, 1, run.memberCounts)
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
