import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import type { EndpointLimits } from '../limits.ts'
import { type EncodedParts, ObjectEncoder } from '../objects/encoder.ts'
import type { Serializer } from '../objects/serializer.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { writeUint32 } from '../wire/integers.ts'
import { encodeStreamBegin, OBJECT_HEAD_BYTES, writeObjectHead } from '../wire/objectHeader.ts'
import { type PreparedRoute, receiptOf } from './destinations.ts'
import type { Receipt } from './endpointTypes.ts'
import type { FrameRoom, IoChannel } from './ioChannel.ts'
import { ownParts } from './objectParts.ts'
import { type LargeObject, SendQueue, type WaitingObject } from './sendQueue.ts'
import { SequenceTable } from './sequenceTable.ts'
import { SpareMemory } from './spareMemory.ts'
import type { EndpointStatus } from './status.ts'

/** An object whose promise is open. */
interface PendingSend {
  readonly promise: Promise<Receipt>
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (error: ObjectRelayError) => void
  readonly route: PreparedRoute
  readonly bytes: number
}

const nothing = () => undefined

/**
 * Sends objects: encodes each at the call, straight into the ring to the I/O if there is room within `sendBytesMax`, and
 * else into a queue of its own. Its promise is kept until the relay has accepted or rejected the object.
 */
export class Sender {
  readonly #channel: IoChannel
  readonly #status: EndpointStatus
  readonly #limits: EndpointLimits
  readonly #encoder: ObjectEncoder
  #pending = new SequenceTable<PendingSend>()
  readonly #queue = new SendQueue()
  /** What large arrays are copied into; the I/O gives it back here. */
  readonly spareMemory: SpareMemory = new SpareMemory()
  /** The number of the next object. */
  #sequence = 0
  /** Of objects that the I/O has and the relay has not accepted. */
  #unresolvedBytes = 0
  #queueEmptied: () => void = nothing
  accepted = 0
  rejected = 0

  constructor(options: {
    channel: IoChannel
    status: EndpointStatus
    limits: EndpointLimits
    serializer: Serializer | undefined
  }) {
    this.#channel = options.channel
    this.#status = options.status
    this.#limits = options.limits
    const { serializer, limits } = options
    const { objectBytesMax } = limits
    this.#encoder = new ObjectEncoder({ objectBytesMax, ...(serializer === undefined ? {} : { serializer }) })
  }

  get sequence(): number {
    return this.#sequence
  }

  get pendingObjects(): number {
    return this.#pending.size
  }

  get pendingBytes(): number {
    return this.#unresolvedBytes + this.#queue.bytes
  }

  get waiting(): { objects: number; bytes: number } {
    return { objects: this.#queue.objects, bytes: this.#queue.bytes }
  }

  /** Sends one object; the promise is that of the relay's answer. Throws what is wrong at once. */
  send(object: unknown, route: PreparedRoute, transfer: boolean): Promise<Receipt> {
    const obstacle = this.#status.sendingObstacle
    if (obstacle !== undefined) throw obstacle
    if (this.#channel.encoding) throw nestedCall()
    const room = this.#channel.begin()
    const bodyAt = room.start + OBJECT_HEAD_BYTES + route.encoded.destinations.length
    let encoded: number | EncodedParts
    try {
      const { objectBytesMax } = this.#status.relayLimits
      encoded = this.#encoder.encodeInto(object, room.buffer, bodyAt, room.end, objectBytesMax)
    } catch (thrown) {
      this.#channel.cancel()
      // Room that was made meanwhile was not used, see there.
      this.#sendWaiting()
      throw toObjectRelayError(thrown, 'NOT_SERIALIZABLE')
    }
    if (typeof encoded === 'number') return this.#sendFrame(route, room, encoded - room.start)
    this.#channel.cancel()
    return this.#sendLarge(encoded, route, transfer)
  }

  #sendFrame(route: PreparedRoute, room: FrameRoom, bytes: number): Promise<Receipt> {
    const { buffer, start } = room
    if (this.#hasRoom(bytes)) {
      writeObjectHead(buffer, start, FrameType.OBJECT, route.encoded, this.#sequence, Date.now())
      writeUint32(buffer, start, bytes)
      this.#unresolvedBytes += bytes
      const promise = this.#track(route, bytes)
      this.#channel.commit(bytes)
      return promise
    }
    try {
      this.#checkWaitingRoom(bytes)
      writeObjectHead(buffer, start, FrameType.OBJECT, route.encoded, this.#sequence, Date.now())
      writeUint32(buffer, start, bytes)
      this.#queue.addFrame(route, buffer, start, start + bytes)
    } finally {
      this.#channel.cancel()
    }
    const promise = this.#track(route, bytes)
    this.#sendWaiting()
    return promise
  }

  #sendLarge(parts: EncodedParts, route: PreparedRoute, transfer: boolean): Promise<Receipt> {
    const bytes = parts.byteLength
    const waits = !this.#hasRoom(bytes)
    // Before anything is copied.
    if (waits) this.#checkWaitingRoom(bytes)
    const buffers = ownParts(parts, transfer, this.spareMemory)
    const large = { buffers, bodyBytes: bytes, sequence: this.#sequence, sentAtMs: Date.now() }
    const promise = this.#track(route, bytes)
    if (waits) this.#queue.addLarge(route, bytes, large)
    else this.#writeLarge(route, bytes, large)
    if (waits) this.#sendWaiting()
    return promise
  }

  #writeLarge(route: PreparedRoute, bytes: number, { buffers, bodyBytes, sequence, sentAtMs }: LargeObject): void {
    this.#unresolvedBytes += bytes
    const attachment = this.#channel.attach(buffers)
    this.#channel.write(encodeStreamBegin(route.encoded, sequence, sentAtMs, attachment, bodyBytes))
  }

  #hasRoom(bytes: number): boolean {
    if (this.#queue.objects > 0) return false
    return this.#unresolvedBytes === 0 || this.#unresolvedBytes + bytes <= this.#limits.sendBytesMax
  }

  #checkWaitingRoom(bytes: number): void {
    const { sendBytesMax, sendWaitingBytesMax } = this.#limits
    if (this.#queue.bytes === 0 || this.#queue.bytes + bytes <= sendWaitingBytesMax) return
    throw createError(
      'SEND_ROOM_FULL',
      `${this.#queue.bytes} bytes wait for room already, and ${bytes} more would exceed sendWaitingBytesMax, ${sendWaitingBytesMax}. Await the promises of earlier calls, or raise the bound.`,
      { details: { bytes, sendBytesMax, sendWaitingBytesMax } },
    )
  }

  #track(route: PreparedRoute, bytes: number): Promise<Receipt> {
    let resolve: PendingSend['resolve'] = nothing
    let reject: PendingSend['reject'] = nothing
    const promise = new Promise<Receipt>((whenAccepted, whenRejected) => {
      resolve = whenAccepted
      reject = whenRejected
    })
    this.#pending.push(this.#sequence, { promise, resolve, reject, route, bytes })
    this.#sequence++
    return promise
  }

  /** Sends what waits, as far as there is room. */
  #sendWaiting(): void {
    // What is being encoded comes behind all that waits, and calls this again. After a stop, what waits is given back.
    if (this.#channel.encoding || !this.#channel.open) return
    for (let first = this.#queue.first; first !== undefined; first = this.#queue.first) {
      const { route, bytes, large } = first
      if (this.#unresolvedBytes > 0 && this.#unresolvedBytes + bytes > this.#limits.sendBytesMax) return
      this.#queue.removeFirst()
      if (large !== undefined) this.#writeLarge(route, bytes, large)
      else {
        this.#unresolvedBytes += bytes
        this.#channel.write(first.buffer, first.start, first.end)
      }
    }
    this.#queueEmptied()
  }

  /** The relay has accepted a run of objects. */
  acceptedRun(from: number, to: number, memberCounts: readonly number[]): void {
    const last = Math.min(to, this.#sequence - 1)
    for (let sequence = from; sequence <= last; sequence++) {
      const pending = this.#pending.take(sequence)
      if (pending === undefined) continue
      this.#unresolvedBytes -= pending.bytes
      this.accepted++
      pending.resolve(receiptOf(pending.route, memberCounts))
    }
    this.#sendWaiting()
  }

  /** The relay has rejected an object; returns whether it was one of ours. */
  rejectedOne(sequence: number, error: ObjectRelayError): boolean {
    const pending = this.#pending.take(sequence)
    if (pending === undefined) return false
    this.#unresolvedBytes -= pending.bytes
    this.rejected++
    rejectQuietly(pending, error)
    this.#sendWaiting()
    return true
  }

  /** Ends all promises that are open. */
  rejectAll(error: ObjectRelayError): void {
    const pendings = this.#pending
    this.#pending = new SequenceTable<PendingSend>()
    for (const pending of pendings.values()) rejectQuietly(pending, error)
    this.#unresolvedBytes = 0
    this.spareMemory.clear()
  }

  /** Resolves when the I/O has everything. */
  whenQueueEmpty(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#queue.objects === 0) resolve()
      else this.#queueEmptied = resolve
    })
  }

  /** Gives up what waits. */
  takeWaiting(): readonly WaitingObject[] {
    return this.#queue.takeAll()
  }
}

function rejectQuietly({ promise, reject }: PendingSend, error: ObjectRelayError): void {
  // Whoever does not await it hears of it by an event.
  promise.catch(nothing)
  reject(error)
}

function nestedCall(): ObjectRelayError {
  return createError(
    'INVALID_ARGUMENT',
    'An object was sent by a getter, serializer or encode() while another one is being encoded; send it before or after.',
  )
}
