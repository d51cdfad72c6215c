import { deadLetterName, isGroupName } from '../../core/groupName.ts'
import { createError, type ObjectRelayError, toPlainError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { encodeContext, encodeJson, encodeRelease, encodeStreamOffset, readContext } from '../../wire/controlFrames.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { writeUint32 } from '../../wire/integers.ts'
import { contentStart, isRetained, type ParsedRoute, readStreamBeginTail } from '../../wire/objectHeader.ts'
import type { ReliableChannel } from '../../wire/reliableChannel.ts'
import { RouteCache } from '../../wire/routeCache.ts'
import { encodeLeaseNumber, LeaseAction, RecordType } from '../records.ts'
import type { RecordPort } from '../threads/recordPort.ts'
import { IncomingStream } from './incomingStream.ts'
import type { LeaseLog } from './leaseLog.ts'
import { PassedRun } from './passedRun.ts'
import type { RetainedBroadcasts } from './retainedBroadcasts.ts'

/** A frame that came behind a large object of its lane, and must not be handed over before it. */
interface HeldFrame {
  readonly context: Buffer | undefined
  readonly begin: Buffer
  readonly leaseNumber: number
}

/** Where large broadcasts were that will not be whole: what was told with them is told with the next one. */
class Gap {
  skipped: number

  constructor(skipped: number) {
    this.skipped = skipped
  }
}

/** What of one group and kind waits for a large object to become whole, in order; the first entry is one that is not. */
interface Lane {
  readonly name: string
  readonly group: string
  readonly entries: (HeldFrame | IncomingStream | Gap)[]
}

/** What arrivals need of their session. */
export interface ArrivalsOptions {
  readonly endpoint: number
  readonly port: RecordPort
  readonly channel: ReliableChannel
  /** Where leases are kept; `undefined` with a relay that does not keep them over its restart. */
  readonly leaseLog?: LeaseLog | undefined
  readonly retainedBroadcasts?: RetainedBroadcasts
  readonly objectBytesMax: number
  readonly bulkWindowBytes: number
  /** The groups that the endpoint is a member of. */
  readonly groups: ReadonlySet<string>
  /** The least bytes of a large object; for tests. */
  readonly streamBytesMin?: number
  nextAttachment(): number
  /** A produced object of that group arrived: one less is owed. */
  served(group: string): void
  /** What was counted as received will not reach the program: there may be room to give. */
  discarded?(): void
  /** It will not be whole after all, and the relay owes one more again. */
  unserved(group: string): void
}

/**
 * What the relay delivers to one endpoint within one session: passes objects on to the program as they are, puts large
 * ones together, keeps the order within each lane (a group, and broadcast or queue), counts leases and bytes.
 */
export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #routes = new RouteCache(isGroupName)
  readonly #run: PassedRun
  readonly #streams = new Map<number, { readonly stream: IncomingStream; readonly lane: Lane }>()
  readonly #lanes = new Map<string, Lane>()
  /** By lane: broadcasts that were missed before one that will not reach the program, for the next one that does. */
  readonly #missed = new Map<string, number>()
  #context: Buffer | undefined
  #leases = 0
  /** The lease number that the program counts on for the next produced object. */
  #programLeases = 0
  /** Object bytes that arrived, counted as the relay counts them. */
  receivedBytes = 0
  /** Of these, what will never reach the program. */
  discardedBytes = 0

  constructor(options: ArrivalsOptions) {
    this.#options = options
    this.#run = new PassedRun(options.endpoint, options.port)
  }

  /** Of the large objects that have not come whole, what has come; and all of them. */
  get arriving(): { readonly arrivedBytes: number; readonly arrivingBytes: number } {
    let arrivedBytes = 0
    let arrivingBytes = 0
    for (const { stream } of this.#streams.values()) {
      arrivedBytes += stream.receivedBytes
      arrivingBytes += stream.bodyBytes
    }
    return { arrivedBytes, arrivingBytes }
  }

  context(buffer: Buffer, start: number, end: number): void {
    this.#context = Buffer.from(buffer.subarray(start, end))
  }

  object(buffer: Buffer, start: number, end: number): void {
    this.#countBytes(end - start)
    const context = this.#takeContext()
    const route = this.#routes.read(buffer, start, end)
    const leaseNumber = this.#countLease(route, context, buffer, start)
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(laneName(route, context))
    if (lane !== undefined) lane.entries.push({ context, begin: Buffer.from(buffer.subarray(start, end)), leaseNumber })
    else if (leaseNumber < 0 && this.#repeats(groupOf(route, context), buffer, start)) {
      this.discardedBytes += end - start
      this.#miss(context, leaseNumber, laneName(route, context), 0)
      this.#options.discarded?.()
    } else if (context === undefined && this.#missed.size === 0) {
      this.#passLease(leaseNumber)
      this.#run.add(buffer, start, end)
    } else this.#pass(this.#withMissed(laneName(route, context), context), leaseNumber, buffer, start, end)
  }

  streamBegin(buffer: Buffer, start: number, end: number): void {
    const route = this.#routes.read(buffer, start, end)
    const { stream: id, bodyBytes } = readStreamBeginTail(buffer, contentStart(buffer, start, route), end)
    if (this.#streams.has(id)) {
      throw createError('PROTOCOL_VIOLATION', `The relay began stream ${id}, which is open already.`)
    }
    const { objectBytesMax, bulkWindowBytes, streamBytesMin = fixedLimits.streamBytesMin } = this.#options
    if (bodyBytes < streamBytesMin) {
      throw createError('PROTOCOL_VIOLATION', `The relay began a large object of ${bodyBytes} bytes.`)
    }
    this.#countBytes(bodyBytes)
    const context = this.#takeContext()
    const stream = new IncomingStream({
      begin: Buffer.from(buffer.subarray(start, end)),
      context,
      leaseNumber: this.#countLease(route, context, buffer, start),
      bodyBytes,
      objectBytesMax,
      bulkWindowBytes,
    })
    const lane = this.#laneOf(route, context)
    lane.entries.push(stream)
    this.#streams.set(id, { stream, lane })
  }

  chunk(id: number, offset: number, buffer: Buffer, start: number, end: number): void {
    const entry = this.#streams.get(id)
    if (entry === undefined)
      throw createError('PROTOCOL_VIOLATION', `The relay sent a part of stream ${id}, which was not begun.`)
    const { stream, lane } = entry
    stream.writeAt(offset, buffer.subarray(start, end))
    const limit = stream.nextWindow()
    if (limit !== undefined) this.#options.channel.send(encodeStreamOffset(FrameType.STREAM_WINDOW, id, limit))
    if (stream.state === 'arriving') return
    this.#streams.delete(id)
    const discardedBefore = this.discardedBytes
    this.#advance(lane)
    if (this.discardedBytes > discardedBefore) this.#options.discarded?.()
  }

  /** The sender of a large object is gone: it will never be whole. */
  streamAbort(id: number): void {
    const entry = this.#streams.get(id)
    if (entry === undefined) return
    const { stream, lane } = entry
    this.#streams.delete(id)
    this.#discard(stream, lane)
    this.#leaveGap(stream, lane)
    this.#advance(lane)
  }

  /** Its room is given back, so nothing of it may stay: a peer could begin and give up large objects without end. */
  #leaveGap(stream: IncomingStream, { entries }: Lane): void {
    const at = entries.lastIndexOf(stream)
    entries.splice(at, 1)
    // It is not missed, since it never was; what it would have told is still to be told.
    const skipped = stream.leaseNumber < 0 ? skippedBefore(stream.context) : 0
    if (skipped === 0) return
    const neighbour = [entries[at - 1], entries[at]].find((entry) => entry instanceof Gap)
    if (neighbour === undefined) entries.splice(at, 0, new Gap(skipped))
    else neighbour.skipped += skipped
  }

  /**
   * The session is over, and another one begins: what is not whole stays so. What the same relay had lent comes again. What
   * was broadcast, or lent by a relay that is no more, does not, so it is handed over.
   */
  abandon(sameRelay: boolean): void {
    this.#streams.clear()
    for (const lane of this.#lanes.values()) {
      for (const entry of lane.entries) {
        const isWhole = !(entry instanceof IncomingStream) || entry.state === 'whole'
        if (entry instanceof Gap || (isWhole && (entry.leaseNumber < 0 || !sameRelay))) this.#passEntry(entry, lane)
        else {
          this.#discard(entry, lane)
          this.#miss(entry.context, entry.leaseNumber, lane.name, 1)
        }
      }
    }
    this.#lanes.clear()
  }

  #discard(entry: HeldFrame | IncomingStream, lane: Lane): void {
    this.discardedBytes += entry instanceof IncomingStream ? entry.bodyBytes : entry.begin.length
    if (entry.leaseNumber < 0) return
    this.#options.unserved(lane.group)
    this.#options.leaseLog?.settle(LeaseAction.DROP, entry.leaseNumber, entry.leaseNumber, 0)
  }

  #laneOf(route: ParsedRoute, context: Buffer | undefined): Lane {
    const name = laneName(route, context)
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { name, group: groupOf(route, context), entries: [] }
      this.#lanes.set(name, lane)
    }
    return lane
  }

  /** Hands over what no longer has to wait. */
  #advance(lane: Lane): void {
    let passed = 0
    for (const entry of lane.entries) {
      if (entry instanceof IncomingStream && entry.state === 'arriving') break
      this.#passEntry(entry, lane)
      passed++
    }
    lane.entries.splice(0, passed)
    if (lane.entries.length === 0) this.#lanes.delete(lane.name)
  }

  #passEntry(entry: HeldFrame | IncomingStream | Gap, lane: Lane): void {
    if (entry instanceof Gap) {
      this.#missed.set(lane.name, (this.#missed.get(lane.name) ?? 0) + entry.skipped)
      return
    }
    const { leaseNumber, begin, context } = entry
    if (leaseNumber < 0 && this.#repeats(lane.group, begin, 0)) {
      this.#discard(entry, lane)
      this.#miss(context, leaseNumber, lane.name, 0)
      return
    }
    if (entry instanceof IncomingStream) {
      if (entry.fault?.code === 'OBJECT_TOO_LARGE') {
        this.#refuse(entry, entry.fault)
        this.#miss(context, leaseNumber, lane.name, 1)
        return
      }
      const { port, nextAttachment } = this.#options
      const attachment = nextAttachment()
      writeUint32(begin, begin.length - 12, attachment)
      port.waker.sendAttachment(attachment, entry.parts())
    }
    this.#pass(this.#withMissed(lane.name, context), leaseNumber, begin, 0, begin.length)
  }

  /** Whether it is the broadcast that the program was given last in that group: a relay that one joins anew sends it once more. */
  #repeats(group: string, frame: Buffer, start: number): boolean {
    if (!isRetained(frame, start)) return false
    return this.#options.retainedBroadcasts?.repeats(group, frame, start) === true
  }

  /** A broadcast will not reach the program, nor will its word of those that were skipped before it. */
  #miss(context: Buffer | undefined, leaseNumber: number, name: string, count: number): void {
    const missed = count + skippedBefore(context)
    if (leaseNumber < 0 && missed > 0) this.#missed.set(name, (this.#missed.get(name) ?? 0) + missed)
  }

  /** The context of what is handed over next in a lane, with what was missed before. */
  #withMissed(name: string, context: Buffer | undefined): Buffer | undefined {
    const missed = this.#missed.get(name)
    if (missed === undefined) return context
    this.#missed.delete(name)
    if (context === undefined) return encodeContext(0, missed, false)
    const { groupIndex, skipped, isDead } = readContext(context, 0, context.length)
    return encodeContext(groupIndex, skipped + missed, isDead)
  }

  /** Gives back what is too large for this endpoint. What is bad everywhere goes on instead, to be found unreadable. */
  #refuse({ leaseNumber, bodyBytes }: IncomingStream, fault: ObjectRelayError): void {
    const { endpoint, port, channel, leaseLog } = this.#options
    const notice = encodeJson(RecordType.NOTICE, toPlainError(fault))
    port.write(endpoint, notice, 0, notice.length)
    this.discardedBytes += bodyBytes
    // Another member may have room for it; if none has, it ends among the dead letters.
    if (leaseNumber < 0) return
    const terms = { attemptCounted: true, failure: { reason: 'tooLarge' } } as const
    channel.send(encodeRelease(leaseNumber, leaseNumber, terms))
    leaseLog?.settle(LeaseAction.RELEASE_COUNTED, leaseNumber, leaseNumber, channel.log.appendedFrames, terms)
  }

  #pass(context: Buffer | undefined, leaseNumber: number, buffer: Buffer, start: number, end: number): void {
    const { endpoint, port } = this.#options
    this.#passLease(leaseNumber)
    this.#run.flush()
    if (context !== undefined) port.write(endpoint, context, 0, context.length)
    port.write(endpoint, buffer, start, end)
  }

  /** Tells the program the lease number of the object that follows, if it counts on another one. */
  #passLease(leaseNumber: number): void {
    if (leaseNumber < 0) return
    const { endpoint, port } = this.#options
    if (leaseNumber !== this.#programLeases) {
      this.#run.flush()
      const record = encodeLeaseNumber(leaseNumber)
      port.write(endpoint, record, 0, record.length)
    }
    this.#programLeases = leaseNumber + 1
  }

  /** All that came together was given: passes on what was held back to go with what might follow. */
  flush(): void {
    this.#run.flush()
  }

  /** Counts what arrives. One object may be larger than the room that is left, but none may come where none is left. */
  #countBytes(bytes: number): void {
    const room = this.#options.channel.grantedLimit - this.receivedBytes
    if (bytes > room && room <= 0)
      throw createError('PROTOCOL_VIOLATION', 'The relay sent more than this endpoint has room for.')
    this.receivedBytes += bytes
  }

  /** The lease number of what arrives, or -1 for a broadcast. Whom it is for is checked by that. */
  #countLease(route: ParsedRoute, context: Buffer | undefined, buffer: Buffer, start: number): number {
    const group = groupOf(route, context)
    if (!this.#options.groups.has(group)) {
      throw createError('PROTOCOL_VIOLATION', 'The relay delivers an object of a group that this endpoint is not in.')
    }
    if (route.kind === 'clear')
      throw createError('PROTOCOL_VIOLATION', 'The relay delivers what only tells it to retain nothing.')
    if (route.kind !== 'produce') return -1
    this.#options.served(group)
    const { leaseLog } = this.#options
    if (leaseLog !== undefined) {
      if (context === undefined) leaseLog.add(buffer, start, 0, false)
      else {
        const { groupIndex, isDead } = readContext(context, 0, context.length)
        leaseLog.add(buffer, start, groupIndex, isDead)
      }
    }
    return this.#leases++
  }

  #takeContext(): Buffer | undefined {
    const context = this.#context
    this.#context = undefined
    return context
  }
}

function skippedBefore(context: Buffer | undefined): number {
  return context === undefined ? 0 : readContext(context, 0, context.length).skipped
}

function laneName(route: ParsedRoute, context: Buffer | undefined): string {
  return `${route.kind === 'produce' ? 'produce' : 'broadcast'} ${groupOf(route, context)}`
}

/** The group that an object is delivered for. */
function groupOf(route: ParsedRoute, context: Buffer | undefined): string {
  if (context === undefined) return route.groups[0] ?? ''
  const { groupIndex, isDead } = readContext(context, 0, context.length)
  const group = route.groups[groupIndex]
  if (group === undefined)
    throw createError('PROTOCOL_VIOLATION', 'The relay names a destination that the object does not have.')
  return isDead ? deadLetterName(group) : group
}
