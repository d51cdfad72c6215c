import type { Broker } from '../core/broker.ts'
import type { Delivery } from '../core/contract.ts'
import { isGroupName } from '../core/groupName.ts'
import type { Session } from '../core/session.ts'
import { createError, type ObjectRelayError, toPlainError } from '../errors.ts'
import { fixedLimits, type RelayLimits } from '../limits.ts'
import type { Store } from '../store/store.ts'
import type { Link, LinkHandler } from '../transport/link.ts'
import {
  encodeAccepted,
  encodeContext,
  encodeDemand,
  encodeRejected,
  encodeStreamOffset,
  encodeText,
  readCountOfGroup,
  readLeaseRange,
  readStreamOffset,
} from '../wire/controlFrames.ts'
import { Conversation } from '../wire/conversation.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { writeUint32 } from '../wire/integers.ts'
import {
  OBJECT_HEAD_BYTES,
  readSequence,
  readStreamBeginTail,
  stampAttempt,
  stampSource,
} from '../wire/objectHeader.ts'
import { RouteCache } from '../wire/routeCache.ts'
import { AcceptedRuns } from './acceptedRuns.ts'
import type { Hello } from './hello.ts'
import { type AcceptedRun, findRun, UnconfirmedAnswers } from './pastAnswers.ts'
import { LargePayload, type RelayPayload } from './payload.ts'

/** What a session needs of the relay. */
export interface RelaySessionHost {
  readonly broker: Broker<RelayPayload>
  readonly store: Store
  readonly limits: RelayLimits
  /** The broker's deadlines may have changed. */
  watch(): void
  /** The link broke, or the peer ended it. */
  linkLost(session: RelaySession, error: ObjectRelayError): void
  /** The endpoint has said goodbye. */
  left(session: RelaySession): void
}

/** A count that fits a DEMAND. */
const DEMAND_MAX = 0x7fff_ffff
const { unconfirmedObjectBytesMax, unconfirmedBytesMax } = fixedLimits

/** How many object bytes may be delivered to an endpoint before it has confirmed any. */
export function firstWindowBytes({ inboxBytes }: Hello): number {
  return Math.min(inboxBytes, unconfirmedObjectBytesMax)
}

/** A large object on its way from the endpoint. */
interface IncomingStream {
  readonly sequence: number
  readonly payload: LargePayload
  /** How far the endpoint may send; 0 until the object has its place. */
  windowLimit: number
}

/**
 * One endpoint in the relay: turns its frames into calls of the broker, and what the broker decides into frames. It
 * outlives its links.
 */
export class RelaySession implements LinkHandler {
  readonly name: string
  /** A number that no other session of this relay has, stamped into the objects that the endpoint sends. */
  readonly source: number
  readonly hello: Hello
  readonly conversation: Conversation
  link: Link | undefined
  /** Whether the endpoint has read a WELCOME to this session: it confirms so at once. */
  #isKnownToEndpoint = false
  /** Where its last link came from. */
  peer = ''
  readonly #host: RelaySessionHost
  readonly #routes = new RouteCache(isGroupName)
  readonly #accepted: AcceptedRuns
  readonly #answers = new UnconfirmedAnswers()
  /** What an earlier session of this endpoint was answered that it may not know. */
  readonly #pastAnswers: readonly AcceptedRun[]
  readonly #incoming = new Map<number, IncomingStream>()
  /** Large objects on their way to the endpoint and not whole in the relay: by object, its streams with their leases (-1: broadcast). */
  readonly #outgoing = new Map<LargePayload, { id: number; leaseNumber: number }[]>()
  #session: Session<RelayPayload> | undefined
  #nextStream = 1
  #receivedBytes = 0
  /** Object bytes, counted from the session's beginning, that the broker may deliver. */
  #windowLimit: number

  constructor(source: number, hello: Hello, host: RelaySessionHost, pastAnswers: readonly AcceptedRun[] = []) {
    this.#pastAnswers = pastAnswers
    this.name = hello.session
    this.source = source
    this.hello = hello
    this.#host = host
    this.#windowLimit = firstWindowBytes(hello)
    this.conversation = new Conversation(host.limits.sendWindowBytes, hello.inboxBytes, {
      keepsFinishedStreams: false,
      unconfirmedBytesMax,
    })
    this.#accepted = new AcceptedRuns((from, to, memberCounts) => {
      this.conversation.send(encodeAccepted(from, to, memberCounts))
      this.#answers.add({ from, to, memberCounts }, this.conversation.log.appendedFrames)
    })
  }

  /** The broker's view of it; given once. */
  set session(session: Session<RelayPayload>) {
    this.#session = session
  }

  get session(): Session<RelayPayload> {
    if (this.#session === undefined) throw new Error('A frame came before the session had joined.')
    return this.#session
  }

  /** Whether an endpoint that comes back speaks of this session, and not of one before it because it never saw the WELCOME. */
  isMeantBy({ epoch }: Hello): boolean {
    if (epoch === undefined || this.hello.epoch === undefined) return this.#isKnownToEndpoint
    return epoch === this.hello.epoch + 1
  }

  /** Whether nothing is on its way to the endpoint: neither frames, nor answers that are gathered for one. */
  get idle(): boolean {
    this.#accepted.flush()
    return this.conversation.idle
  }

  /** What the endpoint was answered and may not know. */
  get unknownAnswers(): AcceptedRun[] {
    this.#accepted.flush()
    return [...this.#pastAnswers, ...this.#answers.runs]
  }

  /** The session is over: objects that are still arriving must not hold on to it. */
  dispose(): void {
    for (const payload of this.#outgoing.keys()) payload.receivers.delete(this)
    this.#outgoing.clear()
    this.#incoming.clear()
  }

  // ── from the endpoint ─────────────────────────────────────────────────────────────────────────

  frame(type: number, buffer: Buffer, start: number, end: number): void {
    // Behind its goodbye, nothing that an endpoint says is of any consequence.
    if (this.session.state === 'ended') return
    switch (type) {
      case FrameType.OBJECT:
        this.#object(buffer, start, end)
        break
      case FrameType.ACKNOWLEDGE: {
        const { from, to } = readLeaseRange(buffer, start, end)
        this.#host.broker.acknowledge(this.session, from, to)
        break
      }
      case FrameType.NOTIFY:
        this.#notify(buffer, start, end)
        break
      case FrameType.RELEASE: {
        const { from, to, attemptCounted } = readLeaseRange(buffer, start, end)
        this.#host.broker.release(this.session, from, to, { attemptCounted })
        break
      }
      case FrameType.STREAM_BEGIN:
        this.#streamBegin(buffer, start, end)
        break
      case FrameType.STREAM_ABORT:
        this.#streamAbort(readStreamOffset(buffer, start, end).stream)
        break
      case FrameType.GOODBYE:
        this.#host.left(this)
        break
      case FrameType.CLOSE:
        this.link?.fail(createError('LINK_LOST', 'The endpoint closed the connection.'), false)
        break
      default:
        throw createError(
          'PROTOCOL_VIOLATION',
          `The endpoint sent a frame of the unknown type 0x${type.toString(16)}.`,
          {
            details: { type },
          },
        )
    }
  }

  chunk(id: number, offset: number, buffer: Buffer, start: number, end: number): void {
    if (this.session.state === 'ended') return
    const stream = this.#incoming.get(id)
    if (stream === undefined || offset + (end - start) > stream.windowLimit) {
      throw createError(
        'PROTOCOL_VIOLATION',
        `The endpoint sent a part of stream ${id} that it was not given room for.`,
      )
    }
    stream.payload.writeAt(offset, buffer.subarray(start, end))
    this.#wakeReceivers(stream.payload)
    if (stream.payload.complete) {
      this.#incoming.delete(id)
      this.#host.broker.complete(this.session, stream.sequence)
      return
    }
    const { bulkWindowBytes } = this.#host.limits
    const { availableBytes, totalBytes } = stream.payload
    if (stream.windowLimit < totalBytes && stream.windowLimit - availableBytes <= bulkWindowBytes / 2) {
      this.#openWindow(id, stream, availableBytes + bulkWindowBytes)
    }
  }

  confirmed(): void {
    this.#isKnownToEndpoint = true
    if (this.session.state === 'ended') return
    const { session, conversation } = this
    this.#answers.confirmed(conversation.log.confirmedFrames)
    const limit = session.sentBytes - conversation.log.bytes + unconfirmedObjectBytesMax
    this.#windowLimit = Math.max(this.#windowLimit, Math.min(conversation.peerLimit, limit))
    this.#host.broker.setWindow(session, this.#windowLimit)
  }

  closed(error: ObjectRelayError): void {
    this.link = undefined
    this.#host.linkLost(this, error)
  }

  flushing(): void {
    this.#accepted.flush()
    if (this.#host.limits.progressMs > 0) this.#host.watch()
    // While much of what it sent finds no room, or much of what it was answered is not confirmed, it is given none either.
    const { session, conversation } = this
    const unconfirmedBytes = Math.max(0, conversation.log.bytes - unconfirmedObjectBytesMax)
    const room = Math.max(0, this.#host.limits.sendWindowBytes - session.heldBytes - unconfirmedBytes)
    conversation.grantedLimit = Math.max(conversation.grantedLimit, this.#receivedBytes + room)
  }

  #object(buffer: Buffer, start: number, end: number): void {
    this.#receivedBytes += end - start
    if (this.#receivedBytes > this.conversation.grantedLimit) {
      throw createError('PROTOCOL_VIOLATION', 'The endpoint sent more than it was given room for.')
    }
    const route = this.#routes.read(buffer, start, end)
    stampSource(buffer, start, this.source)
    stampAttempt(buffer, start, 1)
    const sequence = readSequence(buffer, start)
    if (!this.#answeredBefore(sequence))
      this.#host.broker.send(this.session, sequence, route, this.#host.store.keep(buffer, start, end))
    this.link?.requestFlush()
  }

  #notify(buffer: Buffer, start: number, end: number): void {
    const { group, count } = readCountOfGroup(buffer, start, end)
    const added = this.#host.broker.notify(this.session, group, count)
    if (count !== -1) return
    this.conversation.send(encodeDemand(group, Math.min(added, DEMAND_MAX)))
    this.link?.requestFlush()
  }

  #streamBegin(buffer: Buffer, start: number, end: number): void {
    const route = this.#routes.read(buffer, start, end)
    const { stream, bodyBytes } = readStreamBeginTail(buffer, start + OBJECT_HEAD_BYTES + route.destinationBytes, end)
    if (this.#incoming.has(stream) || this.#incoming.size >= this.#host.limits.streamsMax) {
      throw createError(
        'PROTOCOL_VIOLATION',
        `The endpoint began stream ${stream}, which is open already or one too many.`,
      )
    }
    if (bodyBytes < fixedLimits.streamBytesMin) {
      const message = `The endpoint began a large object of ${bodyBytes} bytes; what is that small travels in one frame.`
      throw createError('PROTOCOL_VIOLATION', message)
    }
    const sequence = readSequence(buffer, start)
    // Its chunks do not come: it was given no room for them.
    if (this.#answeredBefore(sequence)) return
    const begin = Buffer.from(buffer.subarray(start, end))
    stampSource(begin, 0, this.source)
    const payload = new LargePayload(begin, bodyBytes)
    this.#incoming.set(stream, { sequence, payload, windowLimit: 0 })
    this.#host.broker.begin(this.session, sequence, route, payload)
    this.link?.requestFlush()
  }

  /** An object that the relay has already, because the endpoint does not know its answer: it gets that once more. */
  #answeredBefore(sequence: number): boolean {
    const run = findRun(this.#pastAnswers, sequence)
    if (run === undefined) return false
    this.accepted(sequence, run.memberCounts)
    return true
  }

  #streamAbort(id: number): void {
    const stream = this.#incoming.get(id)
    if (stream === undefined) return
    this.#incoming.delete(id)
    this.#host.broker.abort(this.session, stream.sequence)
  }

  #openWindow(id: number, stream: IncomingStream, limit: number): void {
    stream.windowLimit = Math.min(limit, stream.payload.totalBytes)
    this.conversation.send(encodeStreamOffset(FrameType.STREAM_WINDOW, id, stream.windowLimit))
    this.link?.requestFlush()
  }

  #wakeReceivers(payload: LargePayload): void {
    for (const receiver of payload.receivers) receiver.link?.requestFlush()
    if (!payload.complete) return
    for (const receiver of payload.receivers) receiver.#outgoing.delete(payload)
    payload.receivers.clear()
  }

  // ── to the endpoint: called by the broker ─────────────────────────────────────────────────────

  deliver(delivery: Delivery<RelayPayload>): void {
    const { payload, groupIndex, skipped, group, attempt } = delivery
    const isDead = delivery.leaseNumber >= 0 && group.endsWith('.dead') && this.#isDeadLetter(delivery)
    if (groupIndex !== 0 || skipped !== 0 || isDead) this.conversation.send(encodeContext(groupIndex, skipped, isDead))
    if (payload instanceof LargePayload) this.#deliverLarge(payload, delivery)
    else if (attempt === 1) this.conversation.sendKept(payload.buffer, payload.start, payload.end)
    else {
      // Other deliveries may still be on their way from the same bytes.
      const copy = Buffer.from(payload.buffer.subarray(payload.start, payload.end))
      stampAttempt(copy, 0, attempt)
      this.conversation.sendKept(copy, 0, copy.length)
    }
    this.link?.requestFlush()
  }

  /** Whether an object comes from a dead-letter queue, and not from a group that a user happened to name like one. */
  #isDeadLetter({ payload, group, groupIndex }: Delivery<RelayPayload>): boolean {
    const frame = payload instanceof LargePayload ? payload.begin : payload.buffer
    const [start, end] = payload instanceof LargePayload ? [0, frame.length] : [payload.start, payload.end]
    return this.#routes.read(frame, start, end).groups[groupIndex] !== group
  }

  accepted(sequence: number, memberCounts: readonly number[]): void {
    this.#accepted.add(sequence, memberCounts)
    this.link?.requestFlush()
  }

  rejected(sequence: number, error: ObjectRelayError): void {
    for (const [id, stream] of this.#incoming) if (stream.sequence === sequence) this.#incoming.delete(id)
    this.#accepted.flush()
    this.conversation.send(encodeRejected(sequence, toPlainError(error)))
    this.link?.requestFlush()
  }

  admitted(sequence: number): void {
    for (const [id, stream] of this.#incoming) {
      if (stream.sequence === sequence) this.#openWindow(id, stream, this.#host.limits.bulkWindowBytes)
    }
  }

  abortDelivery(payload: LargePayload, leaseNumber: number): void {
    const streams = this.#outgoing.get(payload) ?? []
    const index = streams.findIndex((stream) => stream.leaseNumber === leaseNumber)
    const id = streams[index]?.id
    if (id === undefined) return
    streams.splice(index, 1)
    if (streams.length === 0) {
      this.#outgoing.delete(payload)
      payload.receivers.delete(this)
    }
    this.conversation.closeStream(id)
    this.conversation.send(encodeStreamOffset(FrameType.STREAM_ABORT, id, 0))
    this.link?.requestFlush()
  }

  blocked(group: string, isBlocked: boolean): void {
    this.#accepted.flush()
    this.conversation.send(encodeText(isBlocked ? FrameType.BLOCKED : FrameType.UNBLOCKED, group))
    this.link?.requestFlush()
  }

  /** Answers a goodbye, behind everything that was sent before. */
  sayGoodbye(): void {
    this.#accepted.flush()
    this.conversation.send(encodeText(FrameType.GOODBYE, ''))
    this.link?.requestFlush()
  }

  #deliverLarge(payload: LargePayload, { attempt, leaseNumber }: Delivery<RelayPayload>): void {
    const id = this.#nextStream++
    const begin = Buffer.from(payload.begin)
    stampAttempt(begin, 0, attempt)
    writeUint32(begin, begin.length - 12, id)
    this.conversation.sendKept(begin, 0, begin.length)
    this.conversation.openStream(id, payload, this.#host.limits.bulkWindowBytes)
    if (payload.complete) return
    payload.receivers.add(this)
    const streams = this.#outgoing.get(payload)
    if (streams === undefined) this.#outgoing.set(payload, [{ id, leaseNumber }])
    else streams.push({ id, leaseNumber })
  }
}
