import { deadLetterName, isGroupName } from '../../core/groupName.ts'
import { fixedLimits } from '../../limits.ts'
import { splitBody } from '../../objects/splitBody.ts'
import { type ObjectContext, readContext } from '../../wire/controlFrames.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { readUint32 } from '../../wire/integers.ts'
import { contentStart, isProduced, readStreamBeginTail } from '../../wire/objectHeader.ts'
import { RouteCache } from '../../wire/routeCache.ts'
import { Slab } from '../../wire/slab.ts'
import { readLeaseNumber } from '../records.ts'
import type { Consumer } from './consumer.ts'
import type { Inbox } from './inbox.ts'
import { encodedParts, InboxRun, type KeptFrames } from './inboxRun.ts'
import type { IoChannel } from './ioChannel.ts'
import type { Settlement } from './settlement.ts'
import type { EndpointStatus } from './status.ts'
import type { WorkerPool } from './workerPool.ts'

/** What is as large as an array that stands by itself waits alone: such arrays are given memory of their own. */
const ALONE_BYTES_MIN = fixedLimits.segmentBytesMin
const noContext: ObjectContext = { groupIndex: 0, skipped: 0, isDead: false }

/** Puts what is delivered into the inbox, or gives it to a worker; counts leases as the relay counts them. */
export class Receiver {
  readonly #channel: IoChannel
  readonly #status: EndpointStatus
  readonly #inbox: Inbox
  readonly #settlement: Settlement
  readonly #consumer: Consumer
  readonly #workers: WorkerPool
  readonly #missed: (group: string, count: number) => void
  readonly #routes = new RouteCache(isGroupName)
  readonly #slab = new Slab()
  #context: ObjectContext = noContext
  #nextLease = 0
  objects = 0
  bytes = 0
  skipped = 0

  constructor(options: {
    channel: IoChannel
    status: EndpointStatus
    inbox: Inbox
    settlement: Settlement
    consumer: Consumer
    workers: WorkerPool
    /** Broadcasts of a group were dropped before they came here. */
    missed(group: string, count: number): void
  }) {
    this.#channel = options.channel
    this.#status = options.status
    this.#inbox = options.inbox
    this.#settlement = options.settlement
    this.#consumer = options.consumer
    this.#workers = options.workers
    this.#missed = options.missed
  }

  /** A new session at the relay: leases are counted anew. */
  beginEpoch(): void {
    this.#nextLease = 0
    this.#context = noContext
  }

  /** A CONTEXT: about the object that follows. */
  context(buffer: Buffer, start: number, end: number): void {
    this.#context = readContext(buffer, start, end)
  }

  /** A LEASE_NUMBER: of the produced object that follows. */
  leaseNumber(buffer: Buffer, start: number): void {
    this.#nextLease = readLeaseNumber(buffer, start)
  }

  /** OBJECTs in a row; or the STREAM_BEGIN of an object that is here as a whole. */
  receive(buffer: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) at = this.#receiveRun(buffer, at, end)
  }

  /** Receives what goes together of what lies in a row; returns where it ends. */
  #receiveRun(buffer: Buffer, start: number, endOfAll: number): number {
    const context = this.#context
    this.#context = noContext
    const produced = isProduced(buffer, start)
    // Before anything can be wrong with it, since the relay has counted it.
    const firstLease = produced ? this.#nextLease++ : -1
    const route = this.#routes.read(buffer, start, endOfAll)
    let end = start + readUint32(buffer, start)
    let objects = 1
    // Bodies behind extensions do not all begin at the same place of their frames.
    if (context === noContext && end - start < ALONE_BYTES_MIN && !route.hasExtensions) {
      for (; end < endOfAll; end += readUint32(buffer, end), objects++) {
        const isLarge = readUint32(buffer, end) >= ALONE_BYTES_MIN
        if (isLarge || this.#routes.read(buffer, end, endOfAll) !== route) break
      }
      if (produced) this.#nextLease += objects - 1
    }
    const group = route.groups[context.groupIndex] ?? route.groups[0] ?? ''
    const bodyOffset = contentStart(buffer, start, route) - start
    const kept = this.#keep(buffer, start, end, objects === 1 ? start + bodyOffset : end)
    const run = new InboxRun(kept, bodyOffset, context.isDead ? deadLetterName(group) : group, objects)
    run.epoch = this.#status.epoch
    run.nextLease = firstLease
    run.skipped = context.skipped
    run.deadLetter = context.deadLetter
    this.#count(run)
    this.#deliver(run)
    return end
  }

  #count(run: InboxRun): void {
    this.objects += run.objects
    this.bytes += run.wireBytes
    this.skipped += run.skipped
    if (run.skipped > 0) this.#missed(run.group, run.skipped)
  }

  /** Copies what arrived; the arrays of a single object, whose body begins at `bodyAt`, into memory that the program is given later. */
  #keep(buffer: Buffer, start: number, end: number, bodyAt: number): KeptFrames {
    if (buffer[start + 4] === FrameType.STREAM_BEGIN) {
      const { stream, bodyBytes } = readStreamBeginTail(buffer, bodyAt, end)
      const { buffer: head, segments } = encodedParts(this.#channel.port.waker.takeAttachment(stream))
      const at = this.#slab.copy(buffer, start, end)
      return { frames: this.#slab.buffer, start: at, bodies: head, end: head.length, segments, wireBytes: bodyBytes }
    }
    const split = bodyAt < end ? splitBody(buffer, bodyAt, end) : undefined
    const at = this.#slab.copy(buffer, start, split === undefined ? end : split.headEnd)
    const frames = this.#slab.buffer
    return { frames, start: at, bodies: frames, end: this.#slab.end, segments: split?.segments, wireBytes: end - start }
  }

  #deliver(run: InboxRun): void {
    if (this.#status.receivingClosed) {
      this.#settlement.taken(run)
      this.#settlement.releaseRun(run)
      this.#settlement.flush()
      return
    }
    if (run.kind === 'produce' && this.#workers.concerns(run.group)) this.#offer(run)
    else {
      if (run.kind === 'broadcast' && this.#inbox.onlyLatest) this.#keepLatest(run)
      this.#inbox.push(run)
    }
    this.#consumer.arrived()
  }

  #offer(run: InboxRun): void {
    while (run.objects > 0) {
      const entry = run.take()
      if (!this.#workers.offer(entry)) this.#inbox.push(InboxRun.of(entry))
    }
  }

  #keepLatest(run: InboxRun): void {
    const older = this.#inbox.latestBroadcast(run.group)
    if (older !== undefined) {
      this.#inbox.remove(older)
      this.#settlement.taken(older)
    }
    const replaced = run.objects - 1 + (older === undefined ? 0 : 1)
    while (run.objects > 1) this.#settlement.taken(run.take())
    run.skipped += replaced + (older?.skipped ?? 0)
    this.skipped += replaced
    this.#settlement.flush()
  }

  /** How many produced objects wait in the inbox; for a session that is lost. */
  countUnacknowledged(): number {
    let count = 0
    for (let run = this.#inbox.oldest; run !== undefined; run = run.next)
      if (run.kind === 'produce') count += run.objects
    return count
  }

  /**
   * Drops the produced objects of a session that nobody took, because the relay puts them back into their queues: by group, how
   * many. Kept, they would be worked on here and by whoever is given them next. With `tells`, the I/O learns which they were.
   */
  dropLent(epoch: number, tells: boolean): ReadonlyMap<string, number> {
    const dropped = new Map<string, number>()
    let next: InboxRun | undefined
    for (let run = this.#inbox.oldest; run !== undefined; run = next) {
      next = run.next
      // What was lent by a relay that is no more is here for good, whatever relays came later.
      if (run.kind === 'broadcast' || run.epoch !== epoch) continue
      this.#inbox.remove(run)
      this.#settlement.taken(run)
      if (tells) this.#settlement.dropRun(run)
      dropped.set(run.group, (dropped.get(run.group) ?? 0) + run.objects)
    }
    for (const { group } of this.#workers.dropLent(epoch, tells)) dropped.set(group, (dropped.get(group) ?? 0) + 1)
    this.#settlement.flush()
    return dropped
  }

  /** Gives back what nobody took. */
  releaseAll(): void {
    for (let run = this.#inbox.oldest; run !== undefined; run = this.#inbox.oldest) {
      this.#inbox.remove(run)
      this.#settlement.taken(run)
      this.#settlement.releaseRun(run)
    }
    this.#settlement.flush()
  }
}
