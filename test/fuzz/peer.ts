import { isGroupName } from '../../src/core/groupName.ts'
import { isErrorCode } from '../../src/errors.ts'
import { fixedLimits } from '../../src/limits.ts'
import type { EndpointProof } from '../../src/security/endpointProof.ts'
import type { MemoryLink } from '../../src/transport/memoryTransport.ts'
import {
  encodeJson,
  type ObjectContext,
  type ReclaimedLease,
  readAccepted,
  readConfirm,
  readContext,
  readCountOfGroup,
  readJson,
  readRejected,
  readStreamOffset,
} from '../../src/wire/controlFrames.ts'
import { FrameReader } from '../../src/wire/frameReader.ts'
import { FIRST_CLAIMED_LEASE, FIRST_NUMBERED_TYPE, FRAME_HEADER_BYTES, FrameType } from '../../src/wire/frameTypes.ts'
import {
  contentStart,
  isProduced,
  parseRoute,
  readAttempt,
  readSequence,
  readSource,
  readStreamBeginTail,
} from '../../src/wire/objectHeader.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'
import { fail } from './failure.ts'

/** A large object on its way from the relay. */
export interface IncomingPart {
  readonly lease: number
  readonly totalBytes: number
  receivedBytes: number
  windowBytes: number
}

/** A large object on its way to the relay. */
export interface OutgoingPart {
  readonly sequence: number
  readonly totalBytes: number
  sentBytes: number
  windowBytes: number
}

/** A produced object that it has on lease: by what it may claim it later, and the stream that is not whole yet. */
export interface PeerLease {
  readonly identity: Omit<ReclaimedLease, 'leaseNumber'>
  stream: number | undefined
}

export interface PeerIdentity {
  readonly session: string
  readonly groups: readonly string[]
  readonly broadcasts: 'every' | 'latest'
  readonly inboxBytes: number
  /** Whether it says that it can claim what it had before a restart. */
  readonly reclaims: boolean
}

const ROOM_ALWAYS_ENOUGH = 64 * 1024 * 1024

/**
 * An endpoint of which every byte is written by the test. It keeps the books of its session as PROTOCOL.md wants them, so
 * that it can keep the rules for as long as it likes and break exactly the one that it wants to; and it checks that the
 * relay keeps them.
 */
export class Peer {
  readonly identity: PeerIdentity
  /** `proving`, `greeting` (may say HELLO), `greeted` (has said it), `open` (welcomed), `closed`. */
  phase: 'proving' | 'greeting' | 'greeted' | 'open' | 'closed' = 'proving'
  link: MemoryLink
  /** The code of the error with which the relay ended the connection. */
  told: string | undefined
  goodbyeSaid = false
  /** It broke a rule in this session: what it knows of it may be wrong. */
  hasLied = false
  receivedFrames = 0
  sentFrames = 0
  confirmedFrames = 0
  /** What the relay has not confirmed. */
  log: Buffer[] = []
  sequence = 0
  sentObjectBytes = 0
  relayRoomBytes = 0
  receivedObjectBytes = 0
  givenRoomBytes: number
  nextLease = 0
  readonly leases: Map<number, PeerLease> = new Map()
  /** What it had before the relay was started again, and has not claimed yet. */
  earlier: ReclaimedLease[] = []
  readonly claimed: Map<number, ReclaimedLease> = new Map()
  /** Whether the relay waits for what it claims. */
  reclaimDue = false
  #nextClaim = FIRST_CLAIMED_LEASE
  /** The relay that keeps its leases, once it said so. */
  #keeper: unknown
  readonly incoming: Map<number, IncomingPart> = new Map()
  readonly outgoing: Map<number, OutgoingPart> = new Map()
  readonly credit: Map<string, number> = new Map()
  /** NOTIFYs of -1 without an answer. */
  drains = 0
  nextStream = 1
  #proof: EndpointProof
  #reader: FrameReader
  #context: ObjectContext | undefined
  #isOwnSession = true
  /** To how many sessions it was welcomed. */
  #epoch = 0
  #saidReclaims = false

  constructor(identity: PeerIdentity, link: MemoryLink, proof: EndpointProof) {
    this.identity = identity
    this.link = link
    this.#proof = proof
    this.givenRoomBytes = identity.inboxBytes
    this.#reader = this.#attach()
  }

  /** Comes back over another connection; the session may go on. */
  reconnect(link: MemoryLink, proof: EndpointProof): void {
    this.link = link
    this.#proof = proof
    this.phase = 'proving'
    this.told = undefined
    this.#context = undefined
    this.#reader = this.#attach()
    this.begin()
  }

  begin(): void {
    this.write(encodeProofFrame(this.#proof.start()))
  }

  write(bytes: Buffer): void {
    this.link.near.write(bytes)
  }

  /** Sends a frame that counts. */
  send(frame: Buffer): void {
    this.sentFrames++
    this.log.push(frame)
    this.write(frame)
  }

  hello(
    received: number | null,
    different: { readonly session?: unknown; readonly [field: string]: unknown } = {},
  ): void {
    this.phase = 'greeted'
    const { session, groups, broadcasts, inboxBytes, reclaims } = this.identity
    this.#isOwnSession = (different.session ?? session) === session
    const common = {
      version: 1,
      agent: 'fuzz',
      session,
      name: 'fuzz',
      received,
      groups,
      broadcasts,
      inboxBytes,
      objectBytesMax: 1e9,
    }
    const fields = { ...common, ...(reclaims ? { reclaims, epoch: this.#epoch } : {}), ...different }
    this.#saidReclaims = fields.reclaims === true
    this.write(encodeJson(FrameType.HELLO, fields))
  }

  /** Room that is left for the relay. */
  get roomBytes(): number {
    return this.givenRoomBytes - this.receivedObjectBytes
  }

  #attach(): FrameReader {
    const { near } = this.link
    const reader = new FrameReader(
      {
        frame: (type, buffer, start, end) => this.#frame(type, buffer, start, end),
        chunk: (stream, offset, _, start, end, last) => this.#chunk(stream, offset, end - start, last),
      },
      fixedLimits.handshakeFrameBytesMax,
    )
    near.onData = (bytes) => {
      if (this.link.near === near) reader.push(bytes)
    }
    near.onClose = () => {
      if (this.link.near === near) this.phase = 'closed'
    }
    return reader
  }

  #frame(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.phase === 'proving') {
      const body = buffer.subarray(start + FRAME_HEADER_BYTES, end)
      const { send, outcome } = this.#proof.receive({ type, body })
      if (send !== undefined) this.write(encodeProofFrame(send))
      if (outcome === undefined) return
      if ('refused' in outcome) fail(`The relay does not take the proof: ${outcome.refused.message}`)
      this.phase = 'greeting'
      this.#reader.frameBytesMax = fixedLimits.controlFrameBytesMax
      return
    }
    if (type >= FIRST_NUMBERED_TYPE) this.receivedFrames++
    if (this.#context !== undefined && type !== FrameType.OBJECT && type !== FrameType.STREAM_BEGIN)
      fail(`A frame of type ${type} stands behind a CONTEXT.`)
    this.#take(type, buffer, start, end)
  }

  #take(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.WELCOME:
        this.#welcome(readJson(buffer, start, end))
        return
      case FrameType.CLOSE:
      case FrameType.REFUSED:
        this.told = codeOf(readJson(buffer, start, end).error)
        return
      case FrameType.CONFIRM: {
        const { receivedFrames, objectBytesLimit } = readConfirm(buffer, start, end)
        const isLess = receivedFrames < this.confirmedFrames || objectBytesLimit < this.relayRoomBytes
        if (isLess && !this.hasLied) fail('The relay takes back what it confirmed.')
        if (!this.hasLied && receivedFrames > this.sentFrames) fail('The relay confirms what was never sent.')
        this.log.splice(0, receivedFrames - this.confirmedFrames)
        this.confirmedFrames = receivedFrames
        this.relayRoomBytes = objectBytesLimit
        return
      }
      case FrameType.OBJECT:
      case FrameType.STREAM_BEGIN:
        this.#delivery(type, buffer, start, end)
        return
      case FrameType.CONTEXT:
        this.#context = readContext(buffer, start, end)
        return
      case FrameType.ACCEPTED: {
        const { from, to } = readAccepted(buffer, start, end)
        for (const [id, { sequence }] of this.outgoing) if (sequence >= from && sequence <= to) this.outgoing.delete(id)
        return
      }
      case FrameType.REJECTED: {
        const { sequence, error } = readRejected(buffer, start, end)
        codeOf(error)
        for (const [id, stream] of this.outgoing) if (stream.sequence === sequence) this.outgoing.delete(id)
        return
      }
      case FrameType.STREAM_WINDOW: {
        const { stream, offset } = readStreamOffset(buffer, start, end)
        const part = this.outgoing.get(stream)
        if (part !== undefined) part.windowBytes = Math.max(part.windowBytes, offset)
        return
      }
      case FrameType.STREAM_ABORT:
        this.#aborted(readStreamOffset(buffer, start, end).stream)
        return
      case FrameType.DEMAND: {
        const { group, count } = readCountOfGroup(buffer, start, end)
        this.drains--
        this.credit.set(group, (this.credit.get(group) ?? 0) + count)
        return
      }
      case FrameType.BLOCKED:
      case FrameType.UNBLOCKED:
      case FrameType.GOODBYE:
        return
      default:
        fail(`The relay sends a frame of type ${type}.`)
    }
  }

  #welcome(json: Readonly<Record<string, unknown>>): void {
    const { resumed, received, relay, keepsLeases, reclaims, receivedBefore } = json
    this.phase = 'open'
    if (this.#keeper !== undefined && relay !== this.#keeper) fail('A relay that keeps leases has lost its name.')
    if (keepsLeases === true) this.#keeper = relay
    if (reclaims === true && (!this.#saidReclaims || resumed === true || keepsLeases !== true))
      fail('The relay waits for claims that nobody announced, or that there cannot be.')
    const before = Number(receivedBefore)
    if (reclaims === true && !this.hasLied && !(before >= this.confirmedFrames && before <= this.sentFrames))
      fail(`The relay heard ${before} frames; ${this.sentFrames} were sent, and ${this.confirmedFrames} confirmed.`)
    this.#reader.frameBytesMax = fixedLimits.frameBytesMax
    if (resumed === true) {
      // The rest is sent again, as a whole, in the old order.
      const missing = this.sentFrames - Number(received)
      if (!this.hasLied && (missing < 0 || missing > this.log.length))
        fail(
          `The relay resumes at frame ${String(received)} of ${this.sentFrames}; ${this.confirmedFrames} were confirmed.`,
        )
      for (const frame of missing > 0 ? this.log.slice(-missing) : []) this.write(frame)
      return
    }
    this.#beginSession(reclaims === true)
  }

  #beginSession(reclaims: boolean): void {
    this.#keepEarlier(reclaims)
    this.#epoch++
    // In a session of somebody else, it forgets what it knew of its own.
    this.hasLied = !this.#isOwnSession
    this.goodbyeSaid = false
    this.receivedFrames = 0
    this.sentFrames = 0
    this.confirmedFrames = 0
    this.log = []
    this.sentObjectBytes = 0
    this.relayRoomBytes = 0
    this.receivedObjectBytes = 0
    this.givenRoomBytes = this.identity.inboxBytes
    this.nextLease = 0
    this.drains = 0
    for (const table of [this.leases, this.incoming, this.outgoing, this.credit]) table.clear()
  }

  /** What it has not settled, it may claim, under the number that it has claimed it as before. */
  #keepEarlier(reclaims: boolean): void {
    const before = [...this.earlier, ...this.claimed.values()]
    for (const { identity } of this.leases.values()) before.push({ ...identity, leaseNumber: this.#nextClaim++ })
    this.earlier = reclaims ? before : []
    this.reclaimDue = reclaims
    this.claimed.clear()
  }

  #delivery(type: number, buffer: Buffer, start: number, end: number): void {
    const { groupIndex = 0, isDead = false, deadLetter } = this.#context ?? {}
    if (isDead !== (deadLetter !== undefined))
      fail('The relay does not say how a dead letter died, or of what is none.')
    this.#context = undefined
    const route = parseRoute(buffer, start, end, isGroupName)
    const isLarge = type === FrameType.STREAM_BEGIN
    const tailAt = contentStart(buffer, start, route)
    const { stream, bodyBytes } = isLarge ? readStreamBeginTail(buffer, tailAt, end) : { stream: 0, bodyBytes: 0 }
    const bytes = isLarge ? bodyBytes : end - start
    const isEnough = this.roomBytes >= Math.min(this.identity.inboxBytes, ROOM_ALWAYS_ENOUGH)
    if (!this.hasLied && bytes > this.roomBytes && !isEnough)
      fail(`The relay sends ${bytes} bytes, for which there is no room.`)
    this.receivedObjectBytes += bytes
    const lease = isProduced(buffer, start) ? this.nextLease++ : -1
    const [source, sequence] = [readSource(buffer, start), readSequence(buffer, start)]
    const identity = { source, sequence, groupIndex, isDead, attempt: readAttempt(buffer, start) }
    if (lease >= 0) this.leases.set(lease, { identity, stream: isLarge ? stream : undefined })
    if (isLarge) this.incoming.set(stream, { lease, totalBytes: bodyBytes, receivedBytes: 0, windowBytes: 65_536 })
  }

  #chunk(stream: number, offset: number, bytes: number, last: boolean): void {
    if (last) this.receivedFrames++
    if (this.hasLied) return
    const part = this.incoming.get(stream)
    if (part === undefined) fail(`The relay sends a part of stream ${stream}.`)
    const end = offset + bytes
    if (offset > part.receivedBytes || end > part.totalBytes || end > part.windowBytes)
      fail(`The relay sends ${offset} to ${end} of ${part.totalBytes} where ${part.receivedBytes} were due.`)
    part.receivedBytes = Math.max(part.receivedBytes, end)
    if (part.receivedBytes < part.totalBytes) return
    this.incoming.delete(stream)
    const lease = this.leases.get(part.lease)
    if (lease !== undefined) lease.stream = undefined
  }

  #aborted(stream: number): void {
    const part = this.incoming.get(stream)
    this.incoming.delete(stream)
    if (part === undefined) return
    this.leases.delete(part.lease)
    this.givenRoomBytes += part.totalBytes
  }
}

/** The code of an error on the wire, which must be one of the catalogue. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  if (!isErrorCode(code)) fail(`The peer is told an error of no type: ${JSON.stringify(error)}`)
  return code
}
