// The network's side of an endpoint: what runs with its connection, in the I/O thread, or with `io: 'inline'` on the program's own.
// It may import records.ts, threads/, wire, transport, security, and the assembling of objects; never program/, nor code of the program.
// Changes that belong here: connecting and resuming, what is kept until the relay has it, putting deliveries together, claiming leases.

import type { Timer } from '../../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError, toPlainError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import type { Link } from '../../transport/link.ts'
import {
  checkEmpty,
  encodeJson,
  encodeNotify,
  encodeText,
  readAccepted,
  readCountOfGroup,
  readJson,
  readRejected,
  readStreamOffset,
  readText,
} from '../../wire/controlFrames.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { readUint32, writeUint32 } from '../../wire/integers.ts'
import { STREAM_BEGIN_TAIL_BYTES } from '../../wire/objectHeader.ts'
import { PartsSource } from '../../wire/outgoingStream.ts'
import { ReliableChannel } from '../../wire/reliableChannel.ts'
import type { EndpointConfiguration, EndpointState, EndpointStopResult } from '../jsonRecords.ts'
import {
  encodeAboutObject,
  encodeSpareMemory,
  RecordType,
  readHanded,
  readNumber,
  readSequenceOf,
  readSettledLeases,
  readTakenBytes,
  type SettledLeases,
} from '../records.ts'
import type { RecordPort } from '../threads/recordPort.ts'
import { Arrivals } from './arrivals.ts'
import type { AttemptHost } from './attempt.ts'
import { Claims } from './claims.ts'
import { Connector, type ConnectorOwner } from './connector.ts'
import { CreditTable } from './creditTable.ts'
import { type Greeting, readRefusal } from './handshake.ts'
import { Outbox } from './outbox.ts'
import { RetainedBroadcasts } from './retainedBroadcasts.ts'
import { TransferReports } from './transferReports.ts'
import type { Welcome } from './welcome.ts'

/** What the sessions of one process share. */
export interface SessionHost extends AttemptHost {
  readonly port: RecordPort
  nextAttachment(): number
  /** The session is over; no record will come from it any more. */
  ended(endpoint: number): void
}

const MINIMAL_INBOX_BYTES = 64 * 1024

/**
 * The I/O side of one endpoint: connects and reconnects, keeps what was sent until it is accepted, passes on what is
 * delivered. It lives in the background thread, or on the program's own with `io: 'inline'`.
 */
export class EndpointSession implements ConnectorOwner {
  readonly #id: number
  readonly #host: SessionHost
  readonly #configuration: EndpointConfiguration
  readonly #groups: ReadonlySet<string>
  readonly #connector: Connector
  readonly #outbox: Outbox
  #nextIsReplaceable = false
  readonly #credit = new CreditTable()
  readonly #claims = new Claims()
  /** By group: the retained broadcast that the program was given. */
  readonly #retainedBroadcasts = new RetainedBroadcasts()
  readonly #transfers: TransferReports
  #channel: ReliableChannel | undefined
  #arrivals: Arrivals | undefined
  #link: Link | undefined
  #epoch = 0
  /** The run of the relay that the last session was with. */
  #relayRun: string | undefined
  #wasConnected = false
  /** Since the link was lost: whether the relay said that it stops, or nothing answers at its address. */
  #relayIsGone = false
  #takenBytes = 0
  /** Of notices that were passed on since the program was that far behind. */
  #waitingNoticeBytes = 0
  /** Object bytes of earlier epochs, and of this one before `#arrivals` counts. */
  #receivedBefore = 0
  #discardedBefore = 0
  /** The room that the relay was told of for a session that begins. */
  #offeredBytes = 0
  #stopping = false
  #stopTimer: Timer | undefined
  #goodbyeSent = false
  #seenSoon = false
  #goodbyeAnswered = false
  #over = false

  constructor(id: number, configuration: EndpointConfiguration, host: SessionHost) {
    this.#id = id
    this.#configuration = configuration
    this.#groups = new Set(configuration.groups)
    this.#host = host
    // Not within the writing of what was its end.
    this.#outbox = new Outbox(() => host.clock.soon(() => this.#pumpOutbox()))
    this.#connector = new Connector(configuration, host, this)
    this.#transfers = new TransferReports(
      host.clock,
      () => {
        const { arrivedBytes, arrivingBytes } = this.#arrivals?.arriving ?? { arrivedBytes: 0, arrivingBytes: 0 }
        return { sentBytes: this.#channel?.streamedBytes ?? 0, arrivedBytes, arrivingBytes }
      },
      (record) => this.#passOn(record, 0, record.length),
    )
    this.#connector.dial()
  }

  /** A record from the program. */
  record(buffer: Buffer, start: number, end: number): void {
    if (this.#over) return
    switch (buffer[start + 4]) {
      case FrameType.OBJECT:
        this.#send(buffer, start, end)
        return
      case FrameType.STREAM_BEGIN:
        this.#sendLarge(buffer, start, end)
        return
      case FrameType.NOTIFY:
        this.#notify(buffer, start, end)
        return
      case RecordType.SETTLED:
        this.#settleLeases(readSettledLeases(buffer, start, end))
        this.#taken(readTakenBytes(buffer, start))
        return
      case RecordType.HANDED: {
        const { epoch, leaseNumber, takenBytes } = readHanded(buffer, start)
        this.#taken(takenBytes)
        if (this.#claims.handed(epoch, leaseNumber)) this.#tellSeenSoon()
        return
      }
      case RecordType.CLAIM:
        this.#claims.answered(readNumber(buffer, start))
        this.#link?.requestFlush()
        return
      case RecordType.REPLACEABLE:
        this.#nextIsReplaceable = true
        return
      case RecordType.WITHDRAW:
        this.#withdraw(readSequenceOf(buffer, start))
        return
      case RecordType.STOP:
        this.#stop(Number(readJson(buffer, start, end).deadlineMs))
        return
    }
  }

  // ── to the relay ──────────────────────────────────────────────────────────────────────────────

  #send(buffer: Buffer, start: number, end: number): void {
    this.#outbox.addFrames(buffer, start, end, this.#channel)
    this.#pumpOutbox()
  }

  #sendLarge(buffer: Buffer, start: number, end: number): void {
    const frame = Buffer.from(buffer.subarray(start, end))
    const id = readUint32(frame, frame.length - STREAM_BEGIN_TAIL_BYTES)
    const parts = this.#host.port.waker.takeAttachment(id)
    const source = new PartsSource(parts.map((part) => new Uint8Array(part)))
    const isReplaceable = this.#nextIsReplaceable
    this.#nextIsReplaceable = false
    this.#outbox.addLarge(frame, { id, isReplaceable, source, parts })
    this.#pumpOutbox()
  }

  /** The program has sent a newer object in place of this one. */
  #withdraw(sequence: number): void {
    if (!this.#outbox.withdraw(sequence, this.#channel)) return
    this.#giveMemoryBack()
    const record = encodeAboutObject(RecordType.SUPERSEDED, sequence)
    this.#passOn(record, 0, record.length)
    this.#pumpOutbox()
    this.#checkStopped()
  }

  #pumpOutbox(): void {
    if (this.#channel !== undefined && this.#outbox.pump(this.#channel)) this.#link?.requestFlush()
  }

  #sendControl(frame: Buffer): void {
    this.#channel?.send(frame)
    this.#link?.requestFlush()
  }

  #notify(buffer: Buffer, start: number, end: number): void {
    const { group, count } = readCountOfGroup(buffer, start, end)
    this.#credit.request(group, count)
    // What is asked of a relay that is not there yet is asked when it is, see #askAgain.
    this.#sendControl(Buffer.from(buffer.subarray(start, end)))
  }

  #settleLeases(leases: SettledLeases | undefined): void {
    if (leases === undefined) return
    this.#claims.settle(leases)
    this.#link?.requestFlush()
  }

  /** So many bytes have left the program's inbox. */
  #taken(takenBytes: number): void {
    if (takenBytes === this.#takenBytes) return
    this.#takenBytes = takenBytes
    this.#grantRoom()
  }

  /** Once all that the program has written for now is read: of what it settles at once, the relay need not hear that it was seen. */
  #tellSeenSoon(): void {
    if (this.#seenSoon) return
    this.#seenSoon = true
    this.#host.clock.soon(() => {
      this.#seenSoon = false
      this.#claims.tellSeen()
      this.#link?.flush()
    })
  }

  /** Lets all that the program wrote leave now; false if something of it waits for the operating system. */
  flush(): boolean {
    const link = this.#link
    if (link === undefined) return true
    this.#claims.tellSeen()
    link.flush()
    return link.pendingBytes === 0
  }

  #grantRoom(): void {
    const channel = this.#channel
    const arrivals = this.#arrivals
    if (channel === undefined || arrivals === undefined) return
    const limit = arrivals.receivedBytes + Math.max(0, this.#inboxBytesMax - this.#inboxBytes())
    channel.grantedLimit = Math.max(channel.grantedLimit, limit)
    if (channel.confirmDue) this.#link?.requestFlush()
    else this.#link?.requestConfirm()
  }

  #inboxBytes(): number {
    const { receivedBytes, discardedBytes } = this.#arrivals ?? { receivedBytes: 0, discardedBytes: 0 }
    return this.#receivedBefore + receivedBytes - this.#discardedBefore - discardedBytes - this.#takenBytes
  }

  // ── from the relay ────────────────────────────────────────────────────────────────────────────

  frame(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.OBJECT:
        this.#arrivals?.object(buffer, start, end)
        return
      case FrameType.CONTEXT:
        this.#arrivals?.context(buffer, start, end)
        return
      case FrameType.STREAM_BEGIN:
        this.#arrivals?.streamBegin(buffer, start, end)
        return
      case FrameType.STREAM_ABORT:
        this.#arrivals?.streamAbort(readStreamOffset(buffer, start, end).stream)
        this.#grantRoom()
        return
      case FrameType.ACCEPTED:
        this.#accepted(buffer, start, end)
        return
      case FrameType.REJECTED: {
        const { sequence } = readRejected(buffer, start, end)
        this.#outbox.resolve(sequence, sequence, this.#channel)
        this.#passOn(buffer, start, end)
        this.#pumpOutbox()
        this.#checkStopped()
        return
      }
      case FrameType.BLOCKED:
        this.#outbox.block(readText(buffer, start, end))
        this.#passNotice(buffer, start, end)
        return
      case FrameType.UNBLOCKED:
        this.#outbox.unblock(readText(buffer, start, end))
        this.#passNotice(buffer, start, end)
        this.#pumpOutbox()
        return
      case FrameType.DEMAND:
        this.#drained(buffer, start, end)
        return
      case FrameType.GOODBYE:
        checkEmpty(start, end)
        if (!this.#goodbyeSent) throw createError('PROTOCOL_VIOLATION', 'The relay said goodbye first.')
        this.#goodbyeAnswered = true
        this.#finish(false)
        return
      case FrameType.CLOSE:
        this.#link?.fail(readRefusal(readJson(buffer, start, end)), false)
        return
      default:
        throw createError('PROTOCOL_VIOLATION', `The relay sent a frame of the unknown type 0x${type.toString(16)}.`)
    }
  }

  /** All frames were given of what was read from the link. */
  received(): void {
    this.#arrivals?.flush()
    this.#host.port.letReaderCatchUp()
  }

  chunk(stream: number, offset: number, buffer: Buffer, start: number, end: number): void {
    this.#arrivals?.chunk(stream, offset, buffer, start, end)
    this.#transfers.moved(true)
    this.#link?.requestFlush()
  }

  confirmed(): void {
    this.#claims.confirmed()
    this.#transfers.moved(this.#channel?.hasStreams === true)
    this.#giveMemoryBack()
    this.#pumpOutbox()
  }

  #giveMemoryBack(): void {
    const spent = this.#channel === undefined ? [] : this.#outbox.takeSpent(this.#channel)
    if (spent.length === 0) return
    const attachment = this.#host.nextAttachment()
    this.#host.port.waker.sendAttachment(attachment, spent)
    const record = encodeSpareMemory(attachment)
    this.#passOn(record, 0, record.length)
  }

  #accepted(buffer: Buffer, start: number, end: number): void {
    const { from, to } = readAccepted(buffer, start, end)
    this.#outbox.resolve(from, to, this.#channel)
    this.#giveMemoryBack()
    this.#passOn(buffer, start, end)
    this.#pumpOutbox()
    this.#checkStopped()
  }

  #drained(buffer: Buffer, start: number, end: number): void {
    const { group, count } = readCountOfGroup(buffer, start, end)
    if (count < 0 || !this.#configuration.groups.includes(group))
      throw createError('PROTOCOL_VIOLATION', 'The relay answers what was never asked.')
    this.#credit.drained(group, count)
  }

  #passOn(buffer: Buffer, start: number, end: number): void {
    this.#host.port.write(this.#id, buffer, start, end)
  }

  /** Passes on what no room and no window bounds. */
  #passNotice(buffer: Buffer, start: number, end: number): void {
    this.#passOn(buffer, start, end)
    this.#waitingNoticeBytes = this.#host.port.spills ? this.#waitingNoticeBytes + end - start : 0
    if (this.#waitingNoticeBytes <= fixedLimits.waitingNoticeBytesMax) return
    throw createError('PROTOCOL_VIOLATION', 'The relay says more beside objects than a program that is busy can hear.')
  }

  // ── connecting ────────────────────────────────────────────────────────────────────────────────

  greeting(): Greeting {
    this.#offeredBytes = Math.max(MINIMAL_INBOX_BYTES, this.#inboxBytesMax - this.#inboxBytes())
    return {
      received: this.#channel?.receivedFrames,
      epoch: this.#epoch,
      unresolved: this.#outbox.unresolvedRanges(),
      inboxBytes: this.#offeredBytes,
    }
  }

  /** With less than what was offered at first, the relay would never find all of it free, and keep what is larger. */
  get #inboxBytesMax(): number {
    return Math.max(MINIMAL_INBOX_BYTES, this.#configuration.limits.inboxBytesMax)
  }

  established(link: Link, welcome: Welcome, attempt: number): void {
    link.handler = this
    this.#link = link
    this.#wasConnected = true
    const resumed = welcome.resumed && this.#channel !== undefined
    const sameRelay = welcome.relay === this.#relayRun
    this.#relayRun = welcome.relay
    const sentBefore = this.#channel?.log.appendedFrames ?? 0
    if (!resumed && sameRelay && welcome.receivedBefore > sentBefore) {
      const message = `The relay says that it received ${welcome.receivedBefore} frames of the session before, of ${sentBefore} that were sent.`
      link.fail(createError('PROTOCOL_VIOLATION', message), true)
      return
    }
    // A relay that remembers its leases, and waits for no claims, has given them to others.
    const remembered = this.#claims.leaseLog !== undefined
    const claims = resumed ? false : this.#beginEpoch(welcome, sameRelay)
    const channel = this.#channel
    if (channel === undefined) return
    try {
      link.attach(channel, welcome.received, welcome.limits.heartbeatMs)
    } catch (thrown) {
      link.fail(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'), true)
      return
    }
    const { limits: relayLimits } = welcome
    const returned = sameRelay || remembered
    this.#report({ state: 'connected', attempt, epoch: this.#epoch, resumed, sameRelay, claims, returned, relayLimits })
    if (!resumed) this.#askAgain()
    this.#grantRoom()
    this.#pumpOutbox()
    this.#checkStopped()
  }

  /**
   * The relay does not know the session: numbers begin anew, everything that was not confirmed is sent again. Returns whether
   * what the program has taken is claimed once it has said what that is.
   */
  #beginEpoch({ limits, keepsLeases, reclaims, receivedBefore }: Welcome, sameRelay: boolean): boolean {
    this.#arrivals?.abandon(sameRelay)
    this.#receivedBefore += this.#arrivals?.receivedBytes ?? 0
    this.#discardedBefore += this.#arrivals?.discardedBytes ?? 0
    this.#epoch++
    this.#goodbyeSent = false
    this.#retainedBroadcasts.begin(sameRelay)
    const channel = new ReliableChannel(this.#offeredBytes, limits.sendWindowBytes, {
      // More than the program may have under way, by all that a relay may leave unconfirmed of what was answered.
      unconfirmedBytesMax: this.#configuration.limits.sendBytesMax + fixedLimits.unconfirmedBytesMax,
    })
    this.#channel = channel
    const beginning = { epoch: this.#epoch, channel, receivedBefore, sameRelay, keepsLeases, reclaims }
    const claims = this.#claims.begin(beginning)
    // A program that stops answers nothing more: it has settled all that it wants to.
    if (this.#stopping) this.#claims.answeredAll()
    this.#arrivals = new Arrivals({
      endpoint: this.#id,
      port: this.#host.port,
      channel,
      leaseLog: this.#claims.leaseLog,
      retainedBroadcasts: this.#retainedBroadcasts,
      objectBytesMax: this.#configuration.limits.objectBytesMax,
      bulkWindowBytes: limits.bulkWindowBytes,
      groups: this.#groups,
      nextAttachment: () => this.#host.nextAttachment(),
      discarded: () => this.#grantRoom(),
      served: (group) => this.#credit.served(group),
      unserved: (group) => this.#credit.unserved(group),
    })
    this.#outbox.restart(limits.streamsMax)
    return claims
  }

  #askAgain(): void {
    for (const [group, count] of this.#credit.toRequest()) {
      // Many calls add up to more than one may ask for.
      for (let left = count; left !== 0; left -= Math.min(left, fixedLimits.countMax)) {
        this.#sendControl(encodeNotify(group, Math.min(left, fixedLimits.countMax)))
      }
    }
  }

  /** The link is gone. */
  closed(error: ObjectRelayError): void {
    this.#arrivals?.flush()
    this.#link = undefined
    this.#connector.lost(error)
  }

  retrying(error: ObjectRelayError, attempt: number, delayMs: number): void {
    const state = this.#wasConnected ? 'reconnecting' : 'connecting'
    this.#report({ state, attempt, error: toPlainError(error), delayMs, epoch: this.#epoch, resumed: false })
    this.#relayIsGone = error.code === 'RELAY_STOPPED' || error.code === 'CONNECT_FAILED'
    this.#checkStopped()
  }

  refused(error: ObjectRelayError, attempt: number): void {
    this.#giveBack()
    this.#report({ state: 'disconnected', attempt, error: toPlainError(error), epoch: this.#epoch, resumed: false })
    this.#end()
  }

  #report(state: EndpointState): void {
    const record = encodeJson(RecordType.STATE, state)
    this.#host.port.write(this.#id, record, 0, record.length)
  }

  // ── stopping ──────────────────────────────────────────────────────────────────────────────────

  #stop(deadlineMs: number): void {
    this.#stopping = true
    this.#claims.answeredAll()
    // At once: at a deadline that is over, what was given back must not wait for the grace time of the session.
    this.flush()
    this.#stopTimer = this.#host.clock.after(deadlineMs, () => this.#finish(true))
    this.#checkStopped()
  }

  /** Once all that was sent is accepted, says goodbye; the relay answers when it has taken in everything before. */
  #checkStopped(): void {
    if (!this.#stopping || this.#goodbyeSent || this.#outbox.unresolved > 0) return
    const channel = this.#channel
    if (channel === undefined || (this.#link === undefined && channel.idle && this.#relayIsGone)) {
      // Nothing is owed to a relay that is not there. A link that broke does not say so: the relay would wait for a return.
      this.#finish(false)
      return
    }
    if (this.#link === undefined) return
    this.#goodbyeSent = true
    this.#sendControl(encodeText(FrameType.GOODBYE, ''))
  }

  #finish(deadlineReached: boolean): void {
    if (this.#over) return
    this.#arrivals?.flush()
    const result: EndpointStopResult = { returned: this.#giveBack(), deadlineReached }
    const record = encodeJson(RecordType.STOPPED, result)
    this.#host.port.write(this.#id, record, 0, record.length)
    this.#end()
  }

  /** Returns to the program what the relay has not accepted; how many objects that is. */
  #giveBack(): number {
    const { port } = this.#host
    const marker = encodeJson(RecordType.RETURNED, {})
    let returned = 0
    for (const { buffer, start, end, stream } of this.#outbox.unresolvedObjects()) {
      port.write(this.#id, marker, 0, marker.length)
      if (stream !== undefined) {
        this.#channel?.closeStream(stream.id)
        // Not the number under which it came: in this direction that may be another's.
        const attachment = this.#host.nextAttachment()
        writeUint32(buffer, end - STREAM_BEGIN_TAIL_BYTES, attachment)
        port.waker.sendAttachment(attachment, stream.parts)
      }
      port.write(this.#id, buffer, start, end)
      returned++
    }
    return returned
  }

  #end(): void {
    this.#over = true
    this.#connector.stop()
    this.#stopTimer?.cancel()
    this.#transfers.end()
    // The relay is told, so that it does not wait for a return that will not come.
    this.#link?.fail(createError('STOPPED', 'The endpoint was stopped.'), !this.#goodbyeAnswered)
    this.#host.ended(this.#id)
  }
}
