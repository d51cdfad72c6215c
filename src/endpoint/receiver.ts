import { readLeaseNumber } from '../background/records.ts'
import { deadLetterName, isGroupName } from '../core/groupName.ts'
import { readContext } from '../wire/controlFrames.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { OBJECT_HEAD_BYTES, ObjectKind, readAttempt, readSentAt, readStreamBeginTail } from '../wire/objectHeader.ts'
import { RouteCache } from '../wire/routeCache.ts'
import { Slab } from '../wire/slab.ts'
import type { Inbox, InboxEntry } from './inbox.ts'
import type { IoChannel } from './ioChannel.ts'
import type { Settlement } from './settlement.ts'
import type { EndpointStatus } from './status.ts'
import type { Taking } from './taking.ts'
import type { Works } from './work.ts'

const noBytes = Buffer.alloc(0)
const noContext = { groupIndex: 0, skipped: 0, isDead: false }

/** Puts what is delivered into the inbox, or gives it to a worker; counts leases as the relay counts them. */
export class Receiver {
  readonly #channel: IoChannel
  readonly #status: EndpointStatus
  readonly #inbox: Inbox
  readonly #settlement: Settlement
  readonly #taking: Taking
  readonly #works: Works
  readonly #missed: (group: string, count: number) => void
  readonly #routes = new RouteCache(isGroupName)
  readonly #slab = new Slab()
  #context: { groupIndex: number; skipped: number; isDead: boolean } = noContext
  #nextLease = 0
  objects = 0
  bytes = 0
  skipped = 0

  constructor(options: {
    channel: IoChannel
    status: EndpointStatus
    inbox: Inbox
    settlement: Settlement
    taking: Taking
    works: Works
    /** Broadcasts of a group were dropped before they came here. */
    missed(group: string, count: number): void
  }) {
    this.#channel = options.channel
    this.#status = options.status
    this.#inbox = options.inbox
    this.#settlement = options.settlement
    this.#taking = options.taking
    this.#works = options.works
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

  /** An OBJECT, or the STREAM_BEGIN of an object that is here as a whole. */
  object(buffer: Buffer, start: number, end: number): void {
    const { groupIndex, skipped, isDead } = this.#context
    this.#context = noContext
    const produced = buffer[start + 5] !== ObjectKind.BROADCAST
    // Before anything can be wrong with it, since the relay has counted it.
    const leaseNumber = produced ? this.#nextLease++ : -1
    const route = this.#routes.read(buffer, start, end)
    const bodyAt = start + OBJECT_HEAD_BYTES + route.destinationBytes
    const whole = buffer[start + 4] === FrameType.STREAM_BEGIN ? readStreamBeginTail(buffer, bodyAt, end) : undefined
    const bodyBytes = whole === undefined ? end - bodyAt : 0
    const at = whole === undefined ? this.#slab.copy(buffer, bodyAt, end) : 0
    const group = route.groups[groupIndex] ?? route.groups[0] ?? ''
    const entry: InboxEntry = {
      buffer: whole === undefined ? this.#slab.buffer : noBytes,
      start: at,
      end: at + bodyBytes,
      parts: whole === undefined ? undefined : this.#channel.port.bell.takeAttachment(whole.stream),
      group: isDead ? deadLetterName(group) : group,
      kind: produced ? 'produce' : 'broadcast',
      attempt: produced ? readAttempt(buffer, start) : 1,
      skipped,
      sentAtMs: readSentAt(buffer, start),
      leaseNumber,
      epoch: this.#status.epoch,
      wireBytes: whole === undefined ? end - start : whole.bodyBytes,
      settled: false,
      previous: undefined,
      next: undefined,
    }
    this.objects++
    this.bytes += entry.wireBytes
    this.skipped += skipped
    if (skipped > 0) this.#missed(entry.group, skipped)
    this.#deliver(entry)
  }

  #deliver(entry: InboxEntry): void {
    if (this.#status.receivingClosed) {
      this.#settlement.taken(entry)
      this.#settlement.release(entry, false)
      this.#settlement.flush()
      return
    }
    if (this.#works.offer(entry)) return
    if (entry.kind === 'broadcast') this.#replaceOlder(entry)
    this.#inbox.push(entry)
    this.#taking.arrived()
  }

  #replaceOlder(entry: InboxEntry): void {
    const older = this.#inbox.latestBroadcast(entry.group)
    if (older === undefined) return
    this.#inbox.remove(older)
    entry.skipped += older.skipped + 1
    this.skipped++
    this.#settlement.taken(older)
    this.#settlement.flush()
  }

  /** How many produced objects wait in the inbox; for a session that is lost. */
  countUnacknowledged(): number {
    let count = 0
    for (let entry = this.#inbox.oldest; entry !== undefined; entry = entry.next) if (entry.leaseNumber >= 0) count++
    return count
  }

  /**
   * Drops the produced objects of a session that nobody took, because the relay puts them back into their queues: by group, how
   * many. Kept, they would be worked on here and by whoever is given them next. With `tells`, the I/O learns which they were.
   */
  dropLent(epoch: number, tells: boolean): ReadonlyMap<string, number> {
    const dropped = new Map<string, number>()
    let next: InboxEntry | undefined
    for (let entry = this.#inbox.oldest; entry !== undefined; entry = next) {
      next = entry.next
      // What was lent by a relay that is no more is here for good, whatever relays came later.
      if (entry.leaseNumber < 0 || entry.epoch !== epoch) continue
      this.#inbox.remove(entry)
      this.#settlement.taken(entry)
      if (tells) this.#settlement.drop(entry)
      dropped.set(entry.group, (dropped.get(entry.group) ?? 0) + 1)
    }
    this.#settlement.flush()
    return dropped
  }

  /** Gives back what nobody took. */
  releaseAll(): void {
    for (let entry = this.#inbox.oldest; entry !== undefined; entry = this.#inbox.oldest) {
      this.#inbox.remove(entry)
      this.#settlement.taken(entry)
      this.#settlement.release(entry, false)
    }
    this.#settlement.flush()
  }
}
