import type { Session } from '../core/entities/model.ts'
import { isDeadLetterName } from '../core/groupName.ts'
import type { Delivery } from '../core/ports.ts'
import { createError, type ErrorCode, isErrorCode, type ObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { isRecord } from '../options.ts'
import type {
  AcceptedRun,
  ColdFrame,
  KeptFrame,
  LargeBody,
  LoadedFrame,
  ReceivedFrames,
  RememberedSession,
  StoredObject,
} from '../store/store.ts'
import type { Link, LinkHandler } from '../transport/link.ts'
import {
  checkEmpty,
  encodeAccepted,
  encodeContext,
  encodeDemand,
  encodeRejected,
  encodeStreamOffset,
  encodeText,
  type ReclaimedLease,
  type ReleaseTerms,
  readCountOfGroup,
  readJson,
  readLeaseRange,
  readReclaim,
  readRelease,
  readStreamOffset,
} from '../wire/controlFrames.ts'
import { errorInFrame } from '../wire/errorCodes.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { writeUint32 } from '../wire/integers.ts'
import { stampAttempt } from '../wire/objectHeader.ts'
import { ReliableChannel } from '../wire/reliableChannel.ts'
import { AcceptedRuns } from './acceptedRuns.ts'
import type { CommitGate, Gated } from './commitGate.ts'
import { PastAnswers, UnconfirmedAnswers } from './dedupMemory.ts'
import type { Hello } from './hello.ts'
import { Intake, type IntakeHost, type IntakeOwner } from './intake.ts'
import { OutgoingBodies } from './outgoingBodies.ts'
import { PendingOutput } from './pendingOutput.ts'

/** What a session needs of the relay. */
export interface RelaySessionHost extends IntakeHost {
  readonly gate: CommitGate
  /** The endpoint gives leases back. */
  release(session: RelaySession, from: number, to: number, terms: ReleaseTerms): void
  /** The store cannot read what it keeps. */
  failed(thrown: unknown): void
  /** The broker's deadlines may have changed. */
  watch(): void
  /** The link broke, or the peer ended it. */
  linkLost(session: RelaySession, error: ObjectRelayError): void
  /** The endpoint has said goodbye. */
  left(session: RelaySession): void
  /** The endpoint has closed the connection and does not come back. */
  gone(session: RelaySession, reason: 'stopped' | 'violation'): void
  /** The endpoint claims a lease of an earlier run of the relay. */
  reclaim(session: RelaySession, reclaim: ReclaimedLease): void
  /** The endpoint has claimed all that it claims. */
  reclaimed(session: RelaySession): void
}

/** While more than this waits for the store, or for a disk, nothing more is read from an endpoint. */
const HELD_BYTES_MAX = 8 * 1024 * 1024

/** Why an endpoint closes its connection, as far as it says so. */
function readClosingCode({ error }: Readonly<Record<string, unknown>>): ErrorCode {
  return isRecord(error) && isErrorCode(error.code) ? error.code : 'PROTOCOL_VIOLATION'
}

/** A count that fits a DEMAND. */
const DEMAND_MAX = 0x7fff_ffff
const { unconfirmedObjectBytesMax, unconfirmedBytesMax } = fixedLimits

/** How many object bytes may be delivered to an endpoint before it has confirmed any. */
export function firstWindowBytes({ inboxBytes }: Hello): number {
  return Math.min(inboxBytes, unconfirmedObjectBytesMax)
}

/**
 * One endpoint in the relay: turns its frames into calls of the broker, and what the broker decides into frames. It
 * outlives its links.
 */
export class RelaySession implements LinkHandler, Gated, IntakeOwner {
  /** The public id of its endpoint. */
  readonly id: string
  /** A number that no other session of this relay has, stamped into the objects that the endpoint sends. */
  readonly source: number
  readonly hello: Hello
  readonly channel: ReliableChannel
  link: Link | undefined
  isWaiting = false
  /** Whether the endpoint has read a WELCOME to this session: it confirms so at once. */
  #isKnownToEndpoint = false
  /** Where its last link came from. */
  peer = ''
  readonly #host: RelaySessionHost
  readonly #accepted: AcceptedRuns
  readonly #pastAnswers: PastAnswers
  /** Whether the store was told that the endpoint knows all of them. */
  #isPastKnown: boolean
  readonly #answers = new UnconfirmedAnswers()
  readonly #output: PendingOutput
  readonly #intake: Intake
  readonly #outgoing: OutgoingBodies
  #session: Session | undefined
  /** What was received from the endpoint before this session. */
  readonly #receivedBefore: ReceivedFrames | undefined
  readonly #remembersFrames: boolean
  /** Of this session, as the store was told. */
  #toldFrames = 0
  #isOver = false
  /** Object bytes, counted from the session's beginning, that the broker may deliver. */
  #windowLimit: number

  constructor(source: number, hello: Hello, host: RelaySessionHost, past?: RememberedSession) {
    this.id = hello.id
    this.source = source
    this.hello = hello
    this.#host = host
    this.#windowLimit = firstWindowBytes(hello)
    this.channel = new ReliableChannel(host.limits.sendWindowBytes, hello.inboxBytes, {
      keepsFinishedStreams: false,
      unconfirmedBytesMax,
      slabs: host.store.slabs,
    })
    this.channel.receiptLimit = 0
    this.#output = new PendingOutput(this.channel, host.store.slabs)
    this.#accepted = new AcceptedRuns((from, to, memberCounts) => {
      this.#output.send(encodeAccepted(from, to, memberCounts))
      this.#answers.add({ from, to, memberCounts })
      this.#output.do(() => this.#answers.sent(this.channel.log.appendedFrames))
    })
    this.#outgoing = new OutgoingBodies(this.channel, () => this.link?.requestFlush())
    this.#pastAnswers = new PastAnswers(past?.runs ?? [], hello.unresolved)
    this.#isPastKnown = this.#pastAnswers.runs.length === 0
    this.#intake = new Intake(this, host, this.#pastAnswers)
    this.#receivedBefore = past?.received
    this.#remembersFrames = host.store.keepsLeases && hello.reclaims
  }

  /** The broker's view of it; given once. */
  set session(session: Session) {
    this.#session = session
  }

  get session(): Session {
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
    return this.#output.isEmpty && this.channel.idle
  }

  /** What the endpoint was answered and may not know. */
  get unknownAnswers(): AcceptedRun[] {
    this.#accepted.flush()
    return [...this.#pastAnswers.runs, ...this.#answers.runs]
  }

  /**
   * What was received from the endpoint in the latest of its sessions in which it said anything: as long as it says nothing, it may
   * not know of this one.
   */
  get framesReceived(): ReceivedFrames | undefined {
    const { receivedFrames } = this.channel
    const { epoch } = this.hello
    if (!this.#remembersFrames || epoch === undefined || receivedFrames === 0) return this.#receivedBefore
    return { epoch: epoch + 1, frames: receivedFrames }
  }

  /** So many frames of the session before had their effect. */
  get receivedBefore(): number {
    const before = this.#receivedBefore
    return before?.epoch === this.hello.epoch ? (before?.frames ?? 0) : 0
  }

  /** The store is told all that has to outlive the relay of it: when it begins, and when it is over. */
  remember(): void {
    this.#host.store.rememberSession(this.id, { runs: this.unknownAnswers, received: this.framesReceived })
  }

  /** The store is told what has changed of that. */
  #rememberChanges(): void {
    const { receivedFrames } = this.channel
    const hasReceived = this.#remembersFrames && receivedFrames > this.#toldFrames
    this.#toldFrames = receivedFrames
    const isPastKnown = !this.#isPastKnown && this.#pastAnswers.runs.length === 0
    const { forgotten = 0, added = [] } = this.#answers.takeChanges() ?? {}
    if (!isPastKnown && !hasReceived && forgotten === 0 && added.length === 0) return
    this.#isPastKnown ||= isPastKnown
    const received = hasReceived ? this.framesReceived : undefined
    this.#host.store.changeSession(this.id, { isPastKnown, forgotten, added, received })
  }

  /**
   * The session is over: objects that are still arriving must not hold on to it. What the store is to know of its endpoint, it has
   * been told already.
   */
  dispose(): void {
    this.#isOver = true
    this.#outgoing.close()
    this.#intake.clear()
  }

  // ── from the endpoint ─────────────────────────────────────────────────────────────────────────

  frame(type: number, buffer: Buffer, start: number, end: number): void {
    // Behind its goodbye, nothing that an endpoint says is of any consequence.
    if (this.session.state === 'ended') return
    if (type === FrameType.OBJECT) this.#intake.object(buffer, start, end)
    else {
      this.#intake.flush()
      this.#control(type, buffer, start, end)
    }
  }

  #control(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.ACKNOWLEDGE: {
        const { from, to } = readLeaseRange(buffer, start, end)
        this.#host.broker.acknowledge(this.session, from, to)
        break
      }
      case FrameType.NOTIFY:
        this.#notify(buffer, start, end)
        break
      case FrameType.RELEASE: {
        const { from, to, ...terms } = readRelease(buffer, start, end)
        this.#host.release(this, from, to, terms)
        break
      }
      case FrameType.SEEN: {
        const { from, to } = readLeaseRange(buffer, start, end)
        this.#host.broker.seen(this.session, from, to)
        break
      }
      case FrameType.STREAM_BEGIN:
        this.#intake.streamBegin(buffer, start, end)
        break
      case FrameType.STREAM_ABORT:
        this.#intake.streamAbort(readStreamOffset(buffer, start, end).stream)
        break
      case FrameType.RECLAIM:
        this.#host.reclaim(this, readReclaim(buffer, start, end))
        break
      case FrameType.RECLAIM_END:
        checkEmpty(start, end)
        this.#host.reclaimed(this)
        break
      case FrameType.GOODBYE:
        checkEmpty(start, end)
        this.#host.left(this)
        break
      case FrameType.CLOSE:
        this.#closedByEndpoint(readClosingCode(readJson(buffer, start, end)))
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

  /** It is gone for good, without goodbye. */
  #closedByEndpoint(code: ErrorCode): void {
    this.#host.gone(this, code === 'STOPPED' ? 'stopped' : 'violation')
    this.link?.fail(createError('LINK_LOST', 'The endpoint closed the connection.'), false)
  }

  chunk(id: number, offset: number, buffer: Buffer, start: number, end: number): void {
    if (this.session.state === 'ended') return
    this.#intake.flush()
    this.#intake.chunk(id, offset, buffer.subarray(start, end))
  }

  received(): void {
    this.#intake.flush()
    this.#host.gate.request(this)
    // It is read from again when what it said is kept.
    if (this.#host.store.isBehind || this.#output.bytes > HELD_BYTES_MAX) this.link?.pause()
  }

  confirmed(): void {
    this.#isKnownToEndpoint = true
    if (this.session.state === 'ended') return
    this.#intake.flush()
    const { session, channel } = this
    // What it was answered again, it knows now.
    for (const run of this.#answers.confirmed(channel.log.confirmedFrames)) this.#pastAnswers.forget(run)
    const unconfirmedBytes = channel.log.bytes + this.#output.bytes
    if (this.hello.broadcasts === 'latest')
      this.#host.broker.setArrived(session, session.sentBytes - unconfirmedBytes - this.#outgoing.unsentBytes)
    const limit = session.sentBytes - unconfirmedBytes + unconfirmedObjectBytesMax
    this.#windowLimit = Math.max(this.#windowLimit, Math.min(channel.peerLimit, limit))
    this.#host.broker.setWindow(session, this.#windowLimit)
  }

  closed(error: ObjectRelayError): void {
    this.#flushBeforeEnd()
    // Its last frames had their effect: the store has to know what was answered to them.
    this.#host.gate.request(this)
    this.link = undefined
    this.#host.linkLost(this, error)
  }

  /** What came before the mistake that ends the link counts as received. */
  #flushBeforeEnd(): void {
    try {
      this.#intake.flush()
    } catch {
      // The link ends already, and its endpoint was told of the first mistake.
    }
  }

  /** What was gathered is complete; the store learns what it has to know. */
  seal(): () => void {
    this.#accepted.flush()
    const { receivedFrames } = this.channel
    if (!this.#isOver) this.#rememberChanges()
    if (this.#host.limits.progressMs > 0) this.#host.watch()
    const mark = this.#output.mark()
    const { receivedBytes } = this.#intake
    return () => {
      this.#output.release(mark)
      this.channel.receiptLimit = receivedFrames
      this.#giveRoom(receivedBytes)
      this.link?.resume()
      this.link?.flush()
    }
  }

  /** While much of what it sent finds no room, or much of what it was answered is not confirmed, it is given none either. */
  #giveRoom(receivedBytes: number): void {
    const { session, channel } = this
    const unconfirmedBytes = Math.max(0, channel.log.bytes - unconfirmedObjectBytesMax)
    const room = Math.max(0, this.#host.limits.sendWindowBytes - session.blockedBytes - unconfirmedBytes)
    channel.grantedLimit = Math.max(channel.grantedLimit, receivedBytes + room)
  }

  /** A frame for the endpoint, which may leave when all that happened before is kept. */
  say(frame: Buffer): void {
    this.#output.send(frame)
    this.#host.gate.request(this)
  }

  #notify(buffer: Buffer, start: number, end: number): void {
    const { group, count } = readCountOfGroup(buffer, start, end)
    const added = this.#host.broker.notify(this.session, group, count)
    if (count !== -1) return
    this.say(encodeDemand(group, Math.min(added, DEMAND_MAX)))
  }

  // ── to the endpoint: called by the broker ─────────────────────────────────────────────────────

  deliver(delivery: Delivery<StoredObject>): void {
    const { payload, groupIndex, skipped, group, attempt, deadLetter } = delivery
    const isDead = isDeadLetterName(group)
    if (groupIndex !== 0 || skipped !== 0 || isDead)
      this.#output.send(encodeContext(groupIndex, skipped, isDead, deadLetter))
    if ('begin' in payload) this.#deliverLarge(payload, delivery)
    else this.#deliverKept(payload, attempt)
    this.#host.gate.request(this)
  }

  /** Does something when all that happened before is kept. */
  whenKept(action: () => void): void {
    this.#output.do(action)
    this.#host.gate.request(this)
  }

  accepted(sequence: number, objects: number, memberCounts: readonly number[]): void {
    this.#accepted.add(sequence, objects, memberCounts)
    this.#host.gate.request(this)
  }

  rejected(sequence: number, error: ObjectRelayError): void {
    this.#intake.rejected(sequence)
    this.#accepted.flush()
    this.say(encodeRejected(sequence, errorInFrame('REJECTED', error)))
  }

  admitted(sequence: number): void {
    this.#intake.admitted(sequence)
  }

  abortDelivery(body: LargeBody, leaseNumber: number): void {
    const stream = this.#outgoing.abort(body, leaseNumber)
    if (stream !== undefined) this.say(encodeStreamOffset(FrameType.STREAM_ABORT, stream, 0))
  }

  blocked(group: string, isBlocked: boolean): void {
    this.#accepted.flush()
    this.say(encodeText(isBlocked ? FrameType.BLOCKED : FrameType.UNBLOCKED, group))
  }

  /** Answers a goodbye, behind everything that was sent before. */
  sayGoodbye(): void {
    this.#accepted.flush()
    this.say(encodeText(FrameType.GOODBYE, ''))
  }

  #deliverKept(kept: KeptFrame, attempt: number): void {
    const apart = kept.apart()
    if (apart !== undefined) {
      for (const one of apart) this.#deliverKept(one, attempt)
      return
    }
    const found = kept.find()
    const output = this.#output
    if (found === undefined) {
      const cold = kept.load()
      output.sendLoaded(
        attempt === 1 ? cold : stampedLater(cold, attempt),
        kept.objects,
        () => this.link?.flush(),
        (thrown) => this.#host.failed(thrown),
      )
    } else if (attempt === 1) output.sendKept(found.buffer, found.start, found.end, kept.objects)
    else {
      const { buffer, start, end } = stamped(found, attempt)
      output.sendKept(buffer, start, end)
    }
  }

  #deliverLarge(body: LargeBody, { attempt, leaseNumber, kind, group }: Delivery<StoredObject>): void {
    const { bulkWindowBytes: windowBytes } = this.#host.limits
    const { id, start } = this.#outgoing.open(body, leaseNumber, { windowBytes, lane: `${kind} ${group}` })
    const begin = Buffer.from(body.begin)
    stampAttempt(begin, 0, attempt)
    writeUint32(begin, begin.length - 12, id)
    this.#output.sendKept(begin, 0, begin.length)
    this.#output.do(start)
  }
}

function stampedLater({ reading, start, end }: ColdFrame, attempt: number): ColdFrame {
  return {
    reading: reading.then((buffer) => stamped({ buffer, start, end }, attempt).buffer),
    start: 0,
    end: end - start,
  }
}

/** A copy with the attempt in it: other deliveries may still be on their way from the same bytes. */
function stamped({ buffer, start, end }: LoadedFrame, attempt: number): LoadedFrame {
  const copy = Buffer.from(buffer.subarray(start, end))
  stampAttempt(copy, 0, attempt)
  return { buffer: copy, start: 0, end: copy.length }
}
