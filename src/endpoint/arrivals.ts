import type { RecordPort } from '../background/recordPort.ts'
import { encodeLeaseNumber } from '../background/records.ts'
import { deadLetterName } from '../core/groupName.ts'
import { createError } from '../errors.ts'
import { BodyAssembler } from '../objects/bodyAssembler.ts'
import { encodeStreamOffset, readContext } from '../wire/controlFrames.ts'
import type { Conversation } from '../wire/conversation.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { writeUint32 } from '../wire/integers.ts'
import { OBJECT_HEAD_BYTES, ObjectKind, type ParsedRoute, readStreamBeginTail } from '../wire/objectHeader.ts'
import { RouteCache } from '../wire/routeCache.ts'

/** The place of one object in the order of its lane. */
interface Place {
  readonly context: Buffer | undefined
  readonly leaseNumber: number
  readonly frame: Buffer
  /** Whether all of it is here; what is `gone` never will be. */
  state: 'arriving' | 'whole' | 'gone'
  /** Of a large object that is whole: its head and segments. */
  parts: readonly ArrayBuffer[]
}

/** A large object that is arriving. */
interface IncomingStream {
  readonly lane: string
  readonly place: Place
  readonly bodyBytes: number
  readonly assembler: BodyAssembler
  windowLimit: number
}

/**
 * What the relay delivers to one endpoint within one session: passes objects on to the program as they are, puts large
 * ones together, keeps the order within each lane (a group, and broadcast or queue), counts leases and bytes.
 */
export class Arrivals {
  readonly #endpoint: number
  readonly #port: RecordPort
  readonly #conversation: Conversation
  readonly #objectBytesMax: number
  readonly #bulkWindowBytes: number
  readonly #nextAttachment: () => number
  readonly #served: (group: string) => void
  readonly #routes = new RouteCache(() => true)
  readonly #streams = new Map<number, IncomingStream>()
  /** By lane, while its first object is a large one on its way: what must not be handed over before it, and itself. */
  readonly #lanes = new Map<string, Place[]>()
  #context: Buffer | undefined
  #leases = 0
  /** The lease number that the program counts on for the next produced object. */
  #programLeases = 0
  /** Object bytes that arrived, counted as the relay counts them. */
  receivedBytes = 0
  /** Of these, what will never reach the program. */
  discardedBytes = 0

  constructor(options: {
    endpoint: number
    port: RecordPort
    conversation: Conversation
    objectBytesMax: number
    bulkWindowBytes: number
    nextAttachment: () => number
    /** A produced object of that group arrived: one less is owed. */
    served: (group: string) => void
  }) {
    this.#endpoint = options.endpoint
    this.#port = options.port
    this.#conversation = options.conversation
    this.#objectBytesMax = options.objectBytesMax
    this.#bulkWindowBytes = options.bulkWindowBytes
    this.#nextAttachment = options.nextAttachment
    this.#served = options.served
  }

  context(buffer: Buffer, start: number, end: number): void {
    this.#context = Buffer.from(buffer.subarray(start, end))
  }

  object(buffer: Buffer, start: number, end: number): void {
    this.receivedBytes += end - start
    const context = this.#takeContext()
    const leaseNumber = this.#countLease(buffer, start, end, context)
    if (this.#lanes.size > 0) {
      const lane = this.#lanes.get(laneOf(this.#routes.read(buffer, start, end), context))
      if (lane !== undefined) {
        const frame = Buffer.from(buffer.subarray(start, end))
        lane.push({ context, leaseNumber, frame, state: 'whole', parts: [] })
        return
      }
    }
    this.#pass(context, leaseNumber, buffer, start, end)
  }

  streamBegin(buffer: Buffer, start: number, end: number): void {
    const route = this.#routes.read(buffer, start, end)
    const tailAt = start + OBJECT_HEAD_BYTES + route.destinationBytes
    const { stream, bodyBytes } = readStreamBeginTail(buffer, tailAt, end)
    if (bodyBytes > this.#objectBytesMax || this.#streams.has(stream)) {
      throw createError(
        'PROTOCOL_VIOLATION',
        `The relay sends an object of ${bodyBytes} bytes; at most ${this.#objectBytesMax} were announced.`,
      )
    }
    this.receivedBytes += bodyBytes
    const context = this.#takeContext()
    const leaseNumber = this.#countLease(buffer, start, end, context)
    const frame = Buffer.from(buffer.subarray(start, end))
    const place: Place = { context, leaseNumber, frame, state: 'arriving', parts: [] }
    const lane = laneOf(route, context)
    const places = this.#lanes.get(lane)
    if (places === undefined) this.#lanes.set(lane, [place])
    else places.push(place)
    const assembler = new BodyAssembler(bodyBytes)
    this.#streams.set(stream, { lane, place, bodyBytes, assembler, windowLimit: this.#bulkWindowBytes })
  }

  chunk(id: number, offset: number, buffer: Buffer, start: number, end: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined)
      throw createError('PROTOCOL_VIOLATION', `The relay sent a part of stream ${id}, which was not begun.`)
    stream.assembler.writeAt(offset, buffer.subarray(start, end))
    const { received } = stream.assembler
    if (stream.windowLimit < stream.bodyBytes && stream.windowLimit - received <= this.#bulkWindowBytes / 2) {
      stream.windowLimit = received + this.#bulkWindowBytes
      this.#conversation.send(encodeStreamOffset(FrameType.STREAM_WINDOW, id, stream.windowLimit))
    }
    if (stream.assembler.complete) this.#finish(id, stream)
  }

  /** The sender of a large object is gone: it will never be whole. */
  streamAbort(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    this.#streams.delete(id)
    this.discardedBytes += stream.bodyBytes
    stream.place.state = 'gone'
    this.#advance(stream.lane)
  }

  #finish(id: number, stream: IncomingStream): void {
    this.#streams.delete(id)
    const { head, segments } = stream.assembler.finish()
    const headBuffer = head.buffer.slice(head.byteOffset, head.byteOffset + head.byteLength)
    // The assembler gives memory of its own, which is never shared.
    stream.place.parts = [headBuffer as ArrayBuffer, ...segments]
    stream.place.state = 'whole'
    this.#advance(stream.lane)
  }

  /** Hands over what is whole at the front of a lane. */
  #advance(name: string): void {
    const lane = this.#lanes.get(name)
    if (lane === undefined) return
    let count = 0
    for (const { state, context, leaseNumber, frame, parts } of lane) {
      if (state === 'arriving') break
      count++
      if (state === 'gone') continue
      if (parts.length > 0) {
        const attachment = this.#nextAttachment()
        writeUint32(frame, frame.length - 12, attachment)
        this.#port.bell.sendAttachment(attachment, parts)
      }
      this.#pass(context, leaseNumber, frame, 0, frame.length)
    }
    lane.splice(0, count)
    if (lane.length === 0) this.#lanes.delete(name)
  }

  #pass(context: Buffer | undefined, leaseNumber: number, buffer: Buffer, start: number, end: number): void {
    if (leaseNumber >= 0) {
      if (leaseNumber !== this.#programLeases) {
        const record = encodeLeaseNumber(leaseNumber)
        this.#port.write(this.#endpoint, record, 0, record.length)
      }
      this.#programLeases = leaseNumber + 1
    }
    if (context !== undefined) this.#port.write(this.#endpoint, context, 0, context.length)
    this.#port.write(this.#endpoint, buffer, start, end)
  }

  /** The lease number of what arrives, or -1 for a broadcast. */
  #countLease(buffer: Buffer, start: number, end: number, context: Buffer | undefined): number {
    if (buffer[start + 5] === ObjectKind.BROADCAST) return -1
    this.#served(groupOf(this.#routes.read(buffer, start, end), context))
    return this.#leases++
  }

  #takeContext(): Buffer | undefined {
    const context = this.#context
    this.#context = undefined
    return context
  }
}

function laneOf(route: ParsedRoute, context: Buffer | undefined): string {
  return `${route.kind} ${groupOf(route, context)}`
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
