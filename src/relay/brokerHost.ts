import type { Clock, Timer } from '../clock.ts'
import { Broker } from '../core/broker.ts'
import type { KeptPlace } from '../core/journal.ts'
import type { AcceptedGroup, BrokerEvent, BrokerOutput, BrokerSession, Delivery, Payload } from '../core/ports.ts'
import { type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { fixedLimits, type RelayLimits } from '../limits.ts'
import type { AcceptedRun, ReceivedFrames, Store, StoredObject } from '../store/store.ts'
import type { ReclaimedLease, ReleaseTerms } from '../wire/controlFrames.ts'
import { readUint32 } from '../wire/integers.ts'
import { AbsentLeases } from './absentLeases.ts'
import { CommitGate } from './commitGate.ts'
import type { RelaySession } from './relaySession.ts'

export interface BrokerHostOptions {
  readonly acceptedGroups: null | Readonly<Record<string, AcceptedGroup>>
  readonly limits: RelayLimits
}

/** What the host of a broker needs, and whom it tells what. */
export interface BrokerHostParts {
  readonly clock: Clock
  readonly store: Store
  /** What an earlier run had answered to a session, and received from it. */
  remembered(session: string, runs: readonly AcceptedRun[], received: ReceivedFrames | undefined): void
  /** Only these sessions may still claim leases of before. */
  awaits(isAwaited: (session: string) => boolean): void
  event(event: BrokerEvent): void
  /** The store can keep or read nothing any more. */
  failed(error: ObjectRelayError): void
}

/** The broker between the sessions of this thread, its store and its clock. */
export class BrokerHost {
  readonly broker: Broker
  readonly gate: CommitGate
  readonly #parts: BrokerHostParts
  readonly #sessions = new Map<BrokerSession, RelaySession>()
  readonly #absentLeases = new AbsentLeases()
  #joining: RelaySession | undefined
  #timer: Timer | undefined
  #timerDueMs = Number.POSITIVE_INFINITY
  #isCompacting = false

  constructor({ acceptedGroups, limits }: BrokerHostOptions, parts: BrokerHostParts) {
    this.#parts = parts
    const { clock, store } = parts
    this.gate = new CommitGate(clock, store, (error) => parts.failed(error))
    const packing = store.packing === undefined ? {} : { packing: store.packing }
    this.broker = new Broker({ acceptedGroups, limits, ...packing }, this.#output(), store.journal)
    this.#recover()
  }

  /** Goes on where an earlier run of the relay ended. */
  #recover(): void {
    const { store, clock } = this.#parts
    store.recover({
      groupSet: (group, setting) => this.broker.restoreGroup(group, setting),
      place: (place, sender) => {
        this.broker.restore(place)
        if (sender !== undefined) this.#absentLeases.add(place, sender)
      },
      remembered: (session, runs, received) => this.#parts.remembered(session, runs, received),
    })
    this.broker.restored(clock.nowMs())
    this.#forgetAbsent()
    this.watch()
  }

  /** Lets a session join its groups; while it does, it is given things already. Throws what {@link Broker.join} throws. */
  join(session: RelaySession, inboxBytes: number): void {
    const { name, groups, broadcasts, reclaims } = session.hello
    this.#joining = session
    try {
      session.session = this.broker.join(session.id, groups, {
        name,
        broadcasts,
        inboxBytes,
        ...(broadcasts === 'latest' ? { unarrivedBytesMax: fixedLimits.latestUnarrivedBytesMax } : {}),
        nowMs: this.#parts.clock.nowMs(),
      })
      this.#sessions.set(session.session, session)
    } finally {
      this.#joining = undefined
    }
    // One that does not know how to claim what it had cannot be waited for.
    if (!reclaims) this.broker.endReclaim(session.session)
  }

  /** A session that has left the broker is told nothing more. */
  forget({ session }: RelaySession): void {
    this.#sessions.delete(session)
    this.gate.schedule()
  }

  /** A session gives leases back; what failed waits for a while. */
  release({ session }: RelaySession, from: number, to: number, terms: ReleaseTerms): void {
    this.broker.release(session, from, to, terms, this.#parts.clock.nowMs())
    this.watch()
  }

  /** A session claims a lease of an earlier run. */
  reclaim({ id, session }: RelaySession, reclaim: ReclaimedLease): void {
    const absent = this.#absentLeases.find(id, reclaim)
    if (absent === undefined) return
    this.broker.reclaim(session, absent.object, absent.group, reclaim.attempt, reclaim.leaseNumber)
  }

  /** A session has claimed all that it claims. */
  endReclaim({ session }: RelaySession): void {
    this.broker.endReclaim(session)
    this.#forgetAbsent()
  }

  #forgetAbsent(): void {
    const claiming = new Set<string>()
    for (const { id, isClaiming } of this.#sessions.keys()) if (isClaiming) claiming.add(id)
    const isAwaited = (id: string) => claiming.has(id) || this.broker.isAbsent(id)
    this.#absentLeases.forget(isAwaited)
    this.#parts.awaits(isAwaited)
  }

  #output(): BrokerOutput<StoredObject> {
    return {
      deliver: (session, delivery) => this.#deliver(session, delivery),
      accepted: (session, sequence, objects, counts) => this.#sessionOf(session)?.accepted(sequence, objects, counts),
      rejected: (session, sequence, error) => this.#sessionOf(session)?.rejected(sequence, error),
      admitted: (session, sequence) => this.#sessionOf(session)?.admitted(sequence),
      abortDelivery: (session, payload, leaseNumber) => {
        if ('begin' in payload) this.#sessionOf(session)?.abortDelivery(payload, leaseNumber)
      },
      blocked: (session, group) => this.#sessionOf(session)?.blocked(group, true),
      unblocked: (session, group) => this.#sessionOf(session)?.blocked(group, false),
      released: (payload) => this.#release(payload),
      firstBytes: (object) => firstBytesOf(object),
      cut: (run, objects) => this.#parts.store.cut(run, objects),
      event: (event) => this.#parts.event(event),
      dateMs: () => this.#parts.clock.dateMs(),
    }
  }

  #deliver(session: BrokerSession, delivery: Delivery<StoredObject>): void {
    try {
      this.#sessionOf(session)?.deliver(delivery)
    } catch (thrown) {
      this.failed(thrown)
    }
  }

  /** The store cannot read what it keeps. Nobody is told anything that is not so: the relay ends. */
  failed(thrown: unknown): void {
    this.#parts.failed(toObjectRelayError(thrown, 'STORE_FAILED'))
  }

  #release(object: StoredObject): void {
    const { store, clock } = this.#parts
    store.release(object)
    if (!store.needsCompaction || this.#isCompacting) return
    this.#isCompacting = true
    // Not from within the broker, which is about to use some of them.
    clock.soon(() => this.#compact())
  }

  #compact(): void {
    const { store, failed } = this.#parts
    this.#isCompacting = false
    try {
      store.compact(storedIn(this.broker.payloads()), storedPlacesIn(this.broker.places()))
    } catch (thrown) {
      failed(toObjectRelayError(thrown, 'STORE_FAILED'))
    }
    this.gate.schedule()
  }

  /** While it joins, a session that the broker already delivers to is not in the table yet. */
  #sessionOf(session: BrokerSession): RelaySession | undefined {
    return this.#sessions.get(session) ?? (this.#joining?.id === session.id ? this.#joining : undefined)
  }

  /** Sees to it that the broker is told of the time when its next deadline, which may be another one now, is due. */
  watch(): void {
    const { clock } = this.#parts
    const dueMs = this.broker.nextDeadlineMs()
    if (dueMs === undefined || dueMs >= this.#timerDueMs) return
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer = clock.after(Math.max(0, dueMs - clock.nowMs()), () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY
      this.broker.advance(clock.nowMs())
      this.#forgetAbsent()
      this.gate.schedule()
      this.watch()
    })
  }

  /** Time does not matter any more. */
  stop(): void {
    this.#timer?.cancel()
  }
}

/** The broker gives back what it was given, which came from the store. */
function* storedIn(payloads: Iterable<Payload>): Generator<StoredObject> {
  for (const payload of payloads) if (isStored(payload)) yield payload
}

function* storedPlacesIn(places: Iterable<KeptPlace>): Generator<KeptPlace<StoredObject>> {
  for (const place of places) if (isPlaceOfStored(place)) yield place
}

function isPlaceOfStored(place: KeptPlace): place is KeptPlace<StoredObject> {
  return isStored(place.payload)
}

function isStored(payload: Payload): payload is StoredObject {
  return 'find' in payload || 'begin' in payload
}

/** The bytes of the first object of a run. What is not in memory is none. */
function firstBytesOf(object: StoredObject): number {
  const frame = 'begin' in object ? undefined : object.find()
  return frame === undefined ? object.bytes : readUint32(frame.buffer, frame.start)
}
