import { isGroupName } from '../../src/core/groupName.ts'
import { fixedLimits, relayLimitDefaults } from '../../src/limits.ts'
import { receiveAtOnce } from '../../src/security/proofExchange.fixture.ts'
import type { RelayProof } from '../../src/security/relayProof.ts'
import type { MemoryTransport } from '../../src/transport/memoryTransport.ts'
import {
  encodeJson,
  type ReclaimedLease,
  readConfirm,
  readCountOfGroup,
  readJson,
  readLeaseRange,
  readReclaim,
  readRelease,
  readStreamOffset,
} from '../../src/wire/controlFrames.ts'
import { FrameReader } from '../../src/wire/frameReader.ts'
import { FIRST_CLAIMED_LEASE, FIRST_NUMBERED_TYPE, FRAME_HEADER_BYTES, FrameType } from '../../src/wire/frameTypes.ts'
import { contentStart, parseRoute, readSequence, readStreamBeginTail } from '../../src/wire/objectHeader.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'
import { BEGAN_DATE_MS } from './channel.ts'
import { fail } from './failure.ts'
import { codeOf } from './peer.ts'

/** A large object on its way to the endpoint, or from it. */
export interface LiarStream {
  readonly sequence: number
  readonly totalBytes: number
  offset: number
  windowBytes: number
}

/** What an endpoint's relays know of it together, over all its sessions. */
export class LiarBook {
  /** Whether it is told that its leases outlive the relay; the same in all sessions. */
  readonly keepsLeases: boolean
  sessions = 0
  /** The produced objects that it was delivered. */
  readonly delivered: Set<string> = new Set()
  /** What it has claimed, by number. */
  readonly claims: Map<number, string> = new Map()

  constructor(keepsLeases: boolean) {
    this.keepsLeases = keepsLeases
  }
}

/** By what an endpoint names a produced object. */
export function identityOf(source: number, sequence: number, attempt: number): string {
  return `${source}/${sequence}/${attempt}`
}

/**
 * A relay of which every byte is written by the test, over one connection. It knows the password, keeps the books of the
 * session as PROTOCOL.md wants them, and checks that the endpoint keeps the rules.
 */
export class Liar {
  /** `proving`, `hello` (may answer it), `open` (welcomed), `closed`. */
  phase: 'proving' | 'hello' | 'open' | 'closed' = 'proving'
  readonly transport: MemoryTransport
  /** The code of the error with which the endpoint ended the connection. */
  told: string | undefined
  hasLied = false
  goodbyeHeard = false
  /** What the endpoint said in HELLO. */
  hello: Readonly<Record<string, unknown>> = {}
  receivedFrames = 0
  sentFrames = 0
  sentObjectBytes = 0
  roomBytes = 0
  leases = 0
  readonly credit: Map<string, number> = new Map()
  /** Groups of which all was asked for. */
  drains: string[] = []
  /** Sequences of objects that have no answer yet, each with the groups that it is produced for. */
  readonly unanswered: Map<number, readonly string[]> = new Map()
  /** Groups that it has blocked. */
  readonly blocked: Set<string> = new Set()
  readonly incoming: Map<number, LiarStream> = new Map()
  readonly outgoing: Map<number, LiarStream> = new Map()
  nextStream = 1
  nextSequence = 0
  /** Whether it said that it waits for claims, and how often it heard that this was all. */
  awaitsClaims = false
  reclaimEnds = 0
  readonly book: LiarBook
  readonly #proof: RelayProof
  readonly #reader: FrameReader

  constructor(transport: MemoryTransport, proof: RelayProof, book: LiarBook) {
    this.transport = transport
    this.book = book
    this.#proof = proof
    this.#reader = new FrameReader(
      {
        frame: (type, buffer, start, end) => this.#frame(type, buffer, start, end),
        chunk: (stream, offset, _, start, end, last) => this.#chunk(stream, offset, end - start, last),
      },
      fixedLimits.handshakeFrameBytesMax,
    )
    transport.onData = (bytes) => this.#reader.push(bytes)
    transport.onClose = () => {
      this.phase = 'closed'
    }
  }

  get groups(): readonly string[] {
    const { groups } = this.hello
    return Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : []
  }

  write(bytes: Buffer): void {
    this.transport.write(bytes)
  }

  /** Sends a frame that counts. */
  send(frame: Buffer): void {
    this.sentFrames++
    this.write(frame)
  }

  welcome(different: object = {}): void {
    this.phase = 'open'
    this.book.sessions++
    const limits = relayLimitDefaults
    const fields = { version: 1, agent: 'liar', relay: 'liar', resumed: false, received: 0, receivedBefore: 0, limits }
    this.write(encodeJson(FrameType.WELCOME, { ...fields, ...different }))
  }

  #frame(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.phase === 'proving') {
      const body = buffer.subarray(start + FRAME_HEADER_BYTES, end)
      const { send, outcome } = receiveAtOnce(this.#proof, { type, body }, BEGAN_DATE_MS)
      if (send !== undefined) this.write(encodeProofFrame(send))
      if (outcome === undefined) return
      if ('refused' in outcome) fail(`The endpoint does not prove the password: ${outcome.refused.message}`)
      this.#reader.frameBytesMax = fixedLimits.controlFrameBytesMax
      this.phase = 'hello'
      return
    }
    if (type >= FIRST_NUMBERED_TYPE) this.receivedFrames++
    this.#take(type, buffer, start, end)
  }

  #take(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.HELLO:
        this.hello = readJson(buffer, start, end)
        this.roomBytes = Number(this.hello.inboxBytes)
        this.#reader.frameBytesMax = fixedLimits.frameBytesMax
        return
      case FrameType.CLOSE:
        this.told = codeOf(readJson(buffer, start, end).error)
        return
      case FrameType.CONFIRM: {
        const { receivedFrames, objectBytesLimit } = readConfirm(buffer, start, end)
        if (!this.hasLied && (receivedFrames > this.sentFrames || objectBytesLimit < this.roomBytes))
          fail('The endpoint confirms what was never sent, or takes back room.')
        this.roomBytes = objectBytesLimit
        return
      }
      case FrameType.OBJECT:
      case FrameType.STREAM_BEGIN: {
        const route = parseRoute(buffer, start, end, isGroupName)
        const { kind, groups } = route
        const sequence = readSequence(buffer, start)
        this.unanswered.set(sequence, kind === 'produce' ? groups : [])
        if (type === FrameType.OBJECT) return
        const { stream, bodyBytes } = readStreamBeginTail(buffer, contentStart(buffer, start, route), end)
        this.incoming.set(stream, { sequence, totalBytes: bodyBytes, offset: 0, windowBytes: 0 })
        return
      }
      case FrameType.NOTIFY: {
        const { group, count } = readCountOfGroup(buffer, start, end)
        if (count === -1) this.drains.push(group)
        else this.credit.set(group, (this.credit.get(group) ?? 0) + count)
        return
      }
      case FrameType.ACKNOWLEDGE:
      case FrameType.SEEN:
        this.#checkLeases(type, readLeaseRange(buffer, start, end))
        return
      case FrameType.RELEASE: {
        const released = readRelease(buffer, start, end)
        this.#checkLeases(type, released)
        const { attemptCounted, failure } = released
        if (failure !== undefined && failure.reason !== 'released' && !attemptCounted)
          fail(`The endpoint counts no attempt for what is ${failure.reason}.`)
        return
      }
      case FrameType.RECLAIM:
        this.#claim(readReclaim(buffer, start, end))
        return
      case FrameType.RECLAIM_END:
        this.reclaimEnds++
        if (!this.hasLied && (!this.awaitsClaims || this.reclaimEnds > 1))
          fail('The endpoint ends its claims unasked, or twice.')
        return
      case FrameType.STREAM_WINDOW: {
        const { stream, offset } = readStreamOffset(buffer, start, end)
        const part = this.outgoing.get(stream)
        if (part !== undefined) part.windowBytes = Math.max(part.windowBytes, offset)
        return
      }
      case FrameType.STREAM_ABORT:
        this.incoming.delete(readStreamOffset(buffer, start, end).stream)
        return
      case FrameType.GOODBYE:
        this.goodbyeHeard = true
        return
      default:
        fail(`The endpoint sends a frame of type ${type}.`)
    }
  }

  #claim({ source, sequence, attempt, leaseNumber }: ReclaimedLease): void {
    const { delivered, claims } = this.book
    const identity = identityOf(source, sequence, attempt)
    // What it said in a session that it was lied to about, it may say again.
    if (this.hasLied) return
    if (!this.awaitsClaims) fail('The endpoint claims leases that nobody waits for.')
    if (!delivered.has(identity)) fail(`The endpoint claims ${identity}, which it was not delivered.`)
    if ((claims.get(leaseNumber) ?? identity) !== identity) fail(`The endpoint claims two objects as ${leaseNumber}.`)
    claims.set(leaseNumber, identity)
  }

  #checkLeases(type: number, { from, to }: { readonly from: number; readonly to: number }): void {
    // What was claimed counts as seen: it has no reason to say so.
    if (from >= FIRST_CLAIMED_LEASE && type !== FrameType.SEEN) this.#checkClaims(to)
    else if (to >= this.leases && !this.hasLied) fail(`The endpoint settles lease ${to} of ${this.leases}.`)
  }

  /** It may settle what it did not claim, where that lies between others; there are no more numbers than it was delivered. */
  #checkClaims(to: number): void {
    if (!this.hasLied && to - FIRST_CLAIMED_LEASE >= this.book.delivered.size)
      fail(`The endpoint settles ${to}, which it cannot have claimed.`)
  }

  #chunk(stream: number, offset: number, bytes: number, last: boolean): void {
    if (last) this.receivedFrames++
    if (this.hasLied) return
    const part = this.incoming.get(stream)
    const end = offset + bytes
    if (part === undefined) fail(`The endpoint sends a part of stream ${stream}.`)
    if (end > part.totalBytes || end > part.windowBytes) fail(`The endpoint sends beyond its window: ${end}.`)
    part.offset = Math.max(part.offset, end)
  }
}
