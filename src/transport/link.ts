import type { Clock, Timer } from '../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { encodeJson, readConfirm, readStreamOffset } from '../wire/controlFrames.ts'
import { errorInFrame } from '../wire/errorCodes.ts'
import { FrameReader } from '../wire/frameReader.ts'
import { FIRST_NUMBERED_TYPE, FrameType } from '../wire/frameTypes.ts'
import type { LinkWriter, ReliableChannel } from '../wire/reliableChannel.ts'
import type { Transport } from './transport.ts'

/** What a link gives its frames to: the relay's or the endpoint's side of it. */
export interface LinkHandler {
  /** A frame that the link does not handle itself. A thrown `ObjectRelayError` ends the link and is told to the peer. */
  frame(type: number, buffer: Buffer, start: number, end: number): void
  /** A part of a chunk of a large object. */
  chunk(stream: number, offset: number, buffer: Buffer, start: number, end: number): void
  /** Some bytes were read and the frames in them were given. */
  received?(): void
  /** The peer confirmed receipt or gave room. */
  confirmed(): void
  /** The link is gone; called once. */
  closed(error: ObjectRelayError): void
}

/** How long the peer may take to read the rest of what was written when the link ends. */
const HANG_UP_MS = 1_000
/** Receipt of what came in small amounts is confirmed after this time. */
const CONFIRM_DELAY_MS = 20

/**
 * One connection to a peer with the frames on it: the password proof and HELLO first; then, when a channel is
 * attached, its numbered frames, confirmations and heartbeats.
 */
export class Link implements LinkWriter {
  readonly transport: Transport
  readonly #clock: Clock
  /** Whoever is in charge at this stage: the handshake first, the session then. */
  handler: LinkHandler
  readonly #reader: FrameReader
  #channel: ReliableChannel | undefined
  #flushRequested = false
  #bulkRequested = false
  #confirmTimer: Timer | undefined
  #heartbeatTimer: Timer | undefined
  #lastReceivedMs: number
  #wroteSinceHeartbeat = false
  #authenticated = false
  #closed = false
  #isPaused = false

  constructor(transport: Transport, clock: Clock, handler: LinkHandler) {
    this.transport = transport
    this.#clock = clock
    this.handler = handler
    this.#lastReceivedMs = clock.nowMs()
    this.#reader = new FrameReader(
      {
        frame: (type, buffer, start, end) => this.#frame(type, buffer, start, end),
        chunk: (stream, offset, buffer, start, end, last) => this.#chunk(stream, offset, buffer, start, end, last),
      },
      fixedLimits.handshakeFrameBytesMax,
    )
    transport.onData = (bytes) => this.#receive(bytes)
    transport.onDrain = () => this.flush()
    transport.onClose = (error) => this.#finish(linkLost(transport.peer, error))
    // It may have broken while its owner was busy with something else.
    if (transport.closed) clock.soon(() => this.#finish(linkLost(transport.peer, undefined)))
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whether numbered frames may be exchanged. */
  get established(): boolean {
    return this.#channel !== undefined
  }

  /** The peer has proven the password: control frames of their full size are accepted, and it is told of its mistakes. */
  allowControlFrames(): void {
    this.#authenticated = true
    this.#reader.frameBytesMax = fixedLimits.controlFrameBytesMax
  }

  /** Carries a channel from now on. */
  attach(channel: ReliableChannel, peerReceived: number, heartbeatMs: number): void {
    channel.attach(this, peerReceived)
    this.#channel = channel
    this.#reader.frameBytesMax = fixedLimits.frameBytesMax
    this.#scheduleHeartbeat(heartbeatMs)
    this.requestFlush()
  }

  /** Writes what leaves now: a frame that is not numbered, or what the channel gives. */
  write(bytes: Buffer): void {
    if (this.#closed) return
    this.#wroteSinceHeartbeat = true
    this.transport.write(bytes)
  }

  cork(): void {
    this.transport.cork?.()
  }

  uncork(): void {
    this.transport.uncork?.()
  }

  get pendingBytes(): number {
    return this.transport.pendingBytes
  }

  /** Nothing more is read from the peer, which is told nothing: it waits as it would for a slow network. */
  pause(): void {
    if (this.#isPaused || this.#closed) return
    this.#isPaused = true
    this.transport.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#lastReceivedMs = this.#clock.nowMs()
    if (!this.#closed) this.transport.resume()
  }

  /** Lets what was given to the channel leave, together with whatever else is given to it until then. */
  requestFlush(): void {
    if (this.#flushRequested || this.#closed) return
    this.#flushRequested = true
    this.#clock.soon(() => {
      this.#flushRequested = false
      this.flush()
    })
  }

  /** The owner took in, or gave room for, something: the peer will learn of it soon. */
  requestConfirm(): void {
    if (this.#confirmTimer !== undefined || this.#closed || this.#channel?.confirmPending !== true) return
    this.#confirmTimer = this.#clock.after(CONFIRM_DELAY_MS, () => {
      this.#confirmTimer = undefined
      if (this.#channel?.confirmPending !== true || this.#closed) return
      this.#channel.writeConfirm()
    })
  }

  /** Ends the link because of `error`, which the peer is told if `tellPeer` and if it has proven the password. */
  fail(error: ObjectRelayError, tellPeer: boolean): void {
    if (this.#closed) return
    if (tellPeer && this.#authenticated)
      this.transport.write(encodeJson(FrameType.CLOSE, { error: errorInFrame('CLOSE', error) }))
    this.#finish(error)
  }

  #receive(bytes: Buffer): void {
    if (this.#closed) return
    this.#lastReceivedMs = this.#clock.nowMs()
    try {
      this.#reader.push(bytes)
      if (this.#channel !== undefined) this.handler.received?.()
    } catch (thrown) {
      // Even a mistake of our own ends this link only: nobody else notices.
      this.fail(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'), true)
      return
    }
    if (this.#channel === undefined) return
    this.requestConfirm()
    if (this.#channel.confirmDue) this.requestFlush()
  }

  #frame(type: number, buffer: Buffer, start: number, end: number): void {
    const channel = this.#channel
    if (type < FIRST_NUMBERED_TYPE) {
      if (type !== FrameType.CONFIRM || channel === undefined) {
        this.handler.frame(type, buffer, start, end)
        return
      }
      const { receivedFrames, objectBytesLimit } = readConfirm(buffer, start, end)
      channel.confirmed(receivedFrames, objectBytesLimit)
      this.handler.confirmed()
      return
    }
    if (channel === undefined)
      throw createError(
        'PROTOCOL_VIOLATION',
        `A frame of type 0x${type.toString(16)} came before the session was set up.`,
      )
    channel.countReceived(end - start, true)
    if (type === FrameType.STREAM_WINDOW) {
      const { stream, offset } = readStreamOffset(buffer, start, end)
      channel.openWindow(stream, offset)
      this.requestFlush()
    } else this.handler.frame(type, buffer, start, end)
  }

  #chunk(stream: number, offset: number, buffer: Buffer, start: number, end: number, last: boolean): void {
    const channel = this.#channel
    if (channel === undefined)
      throw createError('PROTOCOL_VIOLATION', 'A part of a large object came before the session was set up.')
    channel.countReceived(end - start, last)
    this.handler.chunk(stream, offset, buffer, start, end)
  }

  /** Lets what was given to the channel leave now. */
  flush(): void {
    this.#pump((channel) => channel.pump())
    if (this.#channel?.hasBulk === true) this.#requestBulk()
    // Room that was given in small pieces, too little to be told at once, must not wait for the next heartbeat.
    this.requestConfirm()
  }

  /** A mistake, of the peer or of our own, ends this link only. */
  #pump(write: (channel: ReliableChannel) => void): void {
    if (this.#closed || this.#channel === undefined) return
    try {
      write(this.#channel)
    } catch (thrown) {
      this.fail(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'), true)
    }
  }

  /** Large objects leave when what is at hand is done: small ones, also those of other links, are not to wait behind them. */
  #requestBulk(): void {
    if (this.#bulkRequested || this.#closed) return
    this.#bulkRequested = true
    this.#clock.soon(() => {
      this.#bulkRequested = false
      this.#pump((channel) => channel.pumpBulk())
    })
  }

  #scheduleHeartbeat(heartbeatMs: number): void {
    // Twice an interval, and also at the very moment when the peer has been silent for too long.
    const halfMs = heartbeatMs / 2
    const beganMs = this.#clock.nowMs()
    const silentMs = beganMs - this.#lastReceivedMs
    const delayMs = Math.max(1, Math.min(halfMs, 2 * heartbeatMs - silentMs))
    this.#heartbeatTimer = this.#clock.after(delayMs, () => {
      const nowMs = this.#clock.nowMs()
      // If this thread was suspended, or does not read, what the peer sent meanwhile has not been read yet.
      if (this.#isPaused || nowMs - beganMs > delayMs + halfMs) this.#lastReceivedMs = nowMs
      if (nowMs - this.#lastReceivedMs >= 2 * heartbeatMs) {
        this.fail(
          createError(
            'PEER_SILENT',
            `${this.transport.peer} sent nothing for ${Math.round(nowMs - this.#lastReceivedMs)} ms.`,
          ),
          false,
        )
        return
      }
      if (!this.#wroteSinceHeartbeat) this.#channel?.writeConfirm()
      this.#wroteSinceHeartbeat = false
      this.#scheduleHeartbeat(heartbeatMs)
    })
  }

  #finish(error: ObjectRelayError): void {
    if (this.#closed) return
    this.#closed = true
    this.#reader.stop()
    this.#confirmTimer?.cancel()
    this.#heartbeatTimer?.cancel()
    this.#channel?.detach()
    this.transport.onData = () => undefined
    this.transport.onDrain = () => undefined
    this.#hangUp()
    this.handler.closed(error)
  }

  #hangUp(): void {
    if (this.transport.closed) return
    // A peer that does not read must not keep the connection: what is pending gets a moment, and no more.
    this.transport.end()
    const timer = this.#clock.after(HANG_UP_MS, () => this.transport.destroy())
    this.transport.onClose = () => timer.cancel()
  }
}

function linkLost(peer: string, cause: Error | undefined): ObjectRelayError {
  const why = cause === undefined ? '' : `: ${cause.message}`
  return createError('LINK_LOST', `The connection to ${peer} broke${why}.`, cause === undefined ? {} : { cause })
}
