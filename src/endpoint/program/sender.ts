import { createError, type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import type { EndpointLimits } from '../../limits.ts'
import { type EncodedParts, ObjectEncoder } from '../../objects/encoder.ts'
import type { Serializer } from '../../objects/serializer.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { writeUint32 } from '../../wire/integers.ts'
import { encodeStreamBegin, OBJECT_HEAD_BYTES, writeObjectHead } from '../../wire/objectHeader.ts'
import { encodeAboutObject, encodeReplaceable, RecordType } from '../records.ts'
import { type PreparedRoute, receiptOf } from './destinations.ts'
import type { Receipt, SupersededReceipt } from './endpointTypes.ts'
import type { FrameRoom, IoChannel } from './ioChannel.ts'
import { ownParts } from './objectParts.ts'
import { type LargeObject, SendQueue, type WaitingObject } from './sendQueue.ts'
import { SequenceTable } from './sequenceTable.ts'
import { SpareMemory } from './spareMemory.ts'
import type { EndpointStatus } from './status.ts'

/** An object whose promise is open. */
interface PendingSend {
  readonly promise: Promise<Receipt | SupersededReceipt>
  readonly resolve: (receipt: Receipt | SupersededReceipt) => void
  readonly reject: (error: ObjectRelayError) => void
  readonly route: PreparedRoute
  readonly bytes: number
  /** Of one that a newer one may replace: what they have in common. */
  readonly replaces: string | undefined
}

/** How an object is sent, checked. */
export interface Sending {
  /** Its large arrays are given away. */
  readonly transfer: boolean
  /** It replaces an older one along the same route that has not begun to be sent, and may be replaced in turn. */
  readonly replace: boolean
}

/** Why there is no room: the text, and facts for programs. */
type RoomReason = readonly [message: string, details: Readonly<Record<string, number>>]

const supersededReceipt: SupersededReceipt = Object.freeze({ superseded: true })

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
  /** Of those that may be replaced, the newest along each route, as long as it is not answered. */
  readonly #replaceable = new Map<string, number>()
  /** What calls fail with while there is no room. */
  #roomError: ObjectRelayError | undefined
  accepted = 0
  rejected = 0
  superseded = 0

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
  send(object: unknown, route: PreparedRoute, { transfer, replace }: Sending): Promise<Receipt | SupersededReceipt> {
    const obstacle = this.#status.sendingObstacle
    if (obstacle !== undefined) throw obstacle
    if (this.#channel.encoding) throw nestedCall()
    if (this.#pending.size >= this.#limits.sendObjectsMax) throw this.#roomFull(this.#tooManyObjects)
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
    const replaces = replace ? replacementKey(route) : undefined
    if (typeof encoded === 'number') return this.#sendFrame(route, room, encoded - room.start, replaces)
    this.#channel.cancel()
    return this.#sendLarge(encoded, route, transfer, replaces)
  }

  /** Asks that nothing is retained in the groups of `route`. */
  clear(route: PreparedRoute): Promise<Receipt | SupersededReceipt> {
    const obstacle = this.#status.sendingObstacle
    if (obstacle !== undefined) throw obstacle
    if (this.#channel.encoding) throw nestedCall()
    return this.#sendFrame(
      route,
      this.#channel.begin(),
      OBJECT_HEAD_BYTES + route.encoded.destinations.length,
      undefined,
    )
  }

  #sendFrame(
    route: PreparedRoute,
    room: FrameRoom,
    bytes: number,
    replaces: string | undefined,
  ): Promise<Receipt | SupersededReceipt> {
    const { buffer, start } = room
    if (this.#hasRoom(bytes)) {
      writeObjectHead(buffer, start, FrameType.OBJECT, route.encoded, this.#sequence, Date.now())
      writeUint32(buffer, start, bytes)
      this.#unresolvedBytes += bytes
      const promise = this.#track(route, bytes, replaces)
      this.#channel.commit(bytes)
      if (replaces !== undefined) this.#replaceOlder(replaces)
      return promise
    }
    try {
      this.#checkWaitingRoom(bytes, replaces)
      const sequence = this.#sequence
      writeObjectHead(buffer, start, FrameType.OBJECT, route.encoded, sequence, Date.now())
      writeUint32(buffer, start, bytes)
      const isReplaceable = replaces !== undefined
      this.#queue.addFrame({ route, sequence, bytes, isReplaceable }, buffer, start, start + bytes)
    } finally {
      this.#channel.cancel()
    }
    const promise = this.#track(route, bytes, replaces)
    if (replaces !== undefined) this.#replaceOlder(replaces)
    this.#sendWaiting()
    return promise
  }

  #sendLarge(
    parts: EncodedParts,
    route: PreparedRoute,
    transfer: boolean,
    replaces: string | undefined,
  ): Promise<Receipt | SupersededReceipt> {
    const bytes = parts.byteLength
    const waits = !this.#hasRoom(bytes)
    // Before anything is copied.
    if (waits) this.#checkWaitingRoom(bytes, replaces)
    const buffers = ownParts(parts, transfer, this.spareMemory)
    const large = { buffers, bodyBytes: bytes, sequence: this.#sequence, sentAtMs: Date.now() }
    const about = { route, sequence: large.sequence, bytes, isReplaceable: replaces !== undefined }
    const promise = this.#track(route, bytes, replaces)
    if (waits) this.#queue.addLarge(about, large)
    else this.#writeLarge(about, large)
    if (replaces !== undefined) this.#replaceOlder(replaces)
    if (waits) this.#sendWaiting()
    return promise
  }

  #writeLarge(
    { route, bytes, isReplaceable }: Pick<WaitingObject, 'route' | 'bytes' | 'isReplaceable'>,
    { buffers, bodyBytes, sequence, sentAtMs }: LargeObject,
  ): void {
    this.#unresolvedBytes += bytes
    if (isReplaceable) this.#channel.write(encodeReplaceable())
    const attachment = this.#channel.attach(buffers)
    this.#channel.write(encodeStreamBegin(route.encoded, sequence, sentAtMs, attachment, bodyBytes))
  }

  #hasRoom(bytes: number): boolean {
    if (this.#queue.objects > 0) return false
    return this.#unresolvedBytes === 0 || this.#unresolvedBytes + bytes <= this.#limits.sendBytesMax
  }

  #checkWaitingRoom(bytes: number, replaces: string | undefined): void {
    const { sendBytesMax, sendWaitingBytesMax } = this.#limits
    const waitingBytes = this.#queue.bytes - this.#replacedBytes(replaces)
    if (waitingBytes === 0 || waitingBytes + bytes <= sendWaitingBytesMax) return
    throw this.#roomFull(() => [
      `${this.#queue.bytes} bytes wait for room already, and ${bytes} more would exceed sendWaitingBytesMax, ${sendWaitingBytesMax}.`,
      { bytes, sendBytesMax, sendWaitingBytesMax },
    ])
  }

  readonly #tooManyObjects = (): RoomReason => {
    const { sendObjectsMax } = this.#limits
    return [
      `${this.#pending.size} objects are not accepted yet; sendObjectsMax is ${sendObjectsMax}.`,
      { sendObjectsMax },
    ]
  }

  /** One error for all calls until there is room again: a program that does not wait makes very many. */
  #roomFull(reason: () => RoomReason): ObjectRelayError {
    if (this.#roomError !== undefined) return this.#roomError
    const [message, details] = reason()
    const advice = 'Await the promises of earlier calls, or raise the bound.'
    this.#roomError = createError('SEND_ROOM_FULL', `${message} ${advice}`, { details })
    return this.#roomError
  }

  /** What becomes free in the queue when an object replaces the one before it. */
  #replacedBytes(replaces: string | undefined): number {
    const older = replaces === undefined ? undefined : this.#replaceable.get(replaces)
    return older === undefined ? 0 : (this.#queue.find(older)?.bytes ?? 0)
  }

  /** The newest object has taken the place of the one before it, if that has not begun to be sent: for what the I/O has, it decides. */
  #replaceOlder(replaces: string): void {
    const older = this.#replaceable.get(replaces)
    this.#replaceable.set(replaces, this.#sequence - 1)
    if (older === undefined) return
    const removed = this.#queue.remove(older)
    if (removed === undefined) {
      this.#channel.write(encodeAboutObject(RecordType.WITHDRAW, older))
      return
    }
    if (removed.large !== undefined) this.spareMemory.give(removed.large.buffers)
    this.#supersede(older)
  }

  #supersede(sequence: number): PendingSend | undefined {
    const pending = this.#take(sequence)
    if (pending === undefined) return undefined
    this.superseded++
    pending.resolve(supersededReceipt)
    return pending
  }

  /** The I/O has not sent an object, because a newer one took its place. */
  supersededOne(sequence: number): void {
    const pending = this.#supersede(sequence)
    if (pending === undefined) return
    this.#unresolvedBytes -= pending.bytes
    this.#roomMade()
  }

  #take(sequence: number): PendingSend | undefined {
    const pending = this.#pending.take(sequence)
    const replaces = pending?.replaces
    if (replaces !== undefined && this.#replaceable.get(replaces) === sequence) this.#replaceable.delete(replaces)
    return pending
  }

  #track(route: PreparedRoute, bytes: number, replaces: string | undefined): Promise<Receipt | SupersededReceipt> {
    let resolve: PendingSend['resolve'] = nothing
    let reject: PendingSend['reject'] = nothing
    const promise = new Promise<Receipt | SupersededReceipt>((whenAccepted, whenRejected) => {
      resolve = whenAccepted
      reject = whenRejected
    })
    this.#pending.push(this.#sequence, { promise, resolve, reject, route, bytes, replaces })
    this.#sequence++
    return promise
  }

  /** Something was answered, or is gone: there may be room now. */
  #roomMade(): void {
    this.#roomError = undefined
    this.#sendWaiting()
  }

  /** Sends what waits, as far as there is room. */
  #sendWaiting(): void {
    // What is being encoded comes behind all that waits, and calls this again. After a stop, what waits is given back.
    if (this.#channel.encoding || !this.#channel.open) return
    for (let first = this.#queue.first; first !== undefined; first = this.#queue.first) {
      const { bytes, large, isBehindGap, sequence } = first
      if (this.#unresolvedBytes > 0 && this.#unresolvedBytes + bytes > this.#limits.sendBytesMax) return
      this.#queue.removeFirst()
      // Objects in a row are taken for one run: what lies between their records says that one is missing.
      if (isBehindGap) this.#channel.write(encodeAboutObject(RecordType.WITHDRAW, sequence - 1))
      if (large !== undefined) this.#writeLarge(first, large)
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
      const pending = this.#take(sequence)
      if (pending === undefined) continue
      this.#unresolvedBytes -= pending.bytes
      this.accepted++
      pending.resolve(receiptOf(pending.route, memberCounts))
    }
    this.#roomMade()
  }

  /** The relay has rejected an object; returns whether it was one of ours. */
  rejectedOne(sequence: number, error: ObjectRelayError): boolean {
    const pending = this.#take(sequence)
    if (pending === undefined) return false
    this.#unresolvedBytes -= pending.bytes
    this.rejected++
    rejectQuietly(pending, error)
    this.#roomMade()
    return true
  }

  /** Ends all promises that are open. */
  rejectAll(error: ObjectRelayError): void {
    const pendings = this.#pending
    this.#pending = new SequenceTable<PendingSend>()
    this.#replaceable.clear()
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

/** What broadcasts have in common of which the newest replaces the one before. */
function replacementKey({ kind, groups }: PreparedRoute): string {
  return `${kind}\n${groups.join('\n')}`
}

function nestedCall(): ObjectRelayError {
  return createError(
    'INVALID_ARGUMENT',
    'An object was sent by a getter, serializer or encode() while another one is being encoded; send it before or after.',
  )
}
