import type { TlsOptions } from 'node:tls'
import { AGENT } from '../agent.ts'
import type { Clock, Timer } from '../clock.ts'
import { Broker } from '../core/broker.ts'
import type { AcceptedGroup, BrokerOutput, Delivery } from '../core/contract.ts'
import type { Session } from '../core/session.ts'
import { createError, type ObjectRelayError, toObjectRelayError, toPlainError } from '../errors.ts'
import type { RelayLimits } from '../limits.ts'
import { GuessLimiter } from '../security/guessLimiter.ts'
import type { RelayAuthenticator } from '../security/relayProof.ts'
import type { Store, StoredObject } from '../store/store.ts'
import type { Link } from '../transport/link.ts'
import { type Listener, listen, type Newcomer } from '../transport/listen.ts'
import { encodeJson, type ReclaimedLease } from '../wire/controlFrames.ts'
import { FrameType, PROTOCOL_VERSION } from '../wire/frameTypes.ts'
import { AbsentLeases } from './absentLeases.ts'
import { Admission } from './admission.ts'
import { EventGate } from './eventGate.ts'
import type { Hello } from './hello.ts'
import { OutputGate } from './outputGate.ts'
import { PastAnswers } from './pastAnswers.ts'
import type { RelayEventMessage } from './relayEvents.ts'
import { firstWindowBytes, RelaySession, type RelaySessionHost } from './relaySession.ts'
import type { RelayStats, RelayStopResult } from './relayStats.ts'

export interface RelayServerOptions {
  readonly acceptedGroups: null | Readonly<Record<string, AcceptedGroup>>
  readonly limits: RelayLimits
}

/** Where a relay listens, and with which keys; `tls` is undefined for one without TLS. */
export interface RelayAddress {
  readonly host: string | undefined
  readonly port: number
  readonly tls: TlsOptions | undefined
}

/** What is made before the server: from files, passwords and modules. */
export interface RelayServerParts {
  readonly clock: Clock
  readonly authenticator: RelayAuthenticator
  readonly store: Store
  emit(event: RelayEventMessage): void
}

const STOP_POLL_MS = 10

/** The relay itself, on the thread that it runs on: the broker between real links. */
export class RelayServer {
  readonly #options: RelayServerOptions
  readonly #parts: RelayServerParts
  readonly #events: EventGate
  readonly #broker: Broker<StoredObject>
  readonly #guesses = new GuessLimiter()
  readonly #sessions = new Map<string, RelaySession>()
  readonly #pastAnswers: PastAnswers
  readonly #absentLeases = new AbsentLeases()
  readonly #gate: OutputGate
  readonly #bySession = new Map<Session<StoredObject>, RelaySession>()
  readonly #startedMs: number
  readonly #sessionHost: RelaySessionHost
  #joining: RelaySession | undefined
  #listener: Listener | undefined
  #timer: Timer | undefined
  /** For the connections of endpoints that have said goodbye. */
  readonly #leaving = new Map<Link, Timer>()
  #timerDueMs = Number.POSITIVE_INFINITY
  #stopping = false
  /** Why it cannot go on. */
  #failure: ObjectRelayError | undefined
  #tidying = false

  constructor(options: RelayServerOptions, parts: RelayServerParts) {
    this.#options = options
    this.#parts = parts
    this.#startedMs = parts.clock.nowMs()
    this.#events = new EventGate(parts.clock, (event) => parts.emit(event))
    const { acceptedGroups, limits } = options
    const { clock, store } = parts
    this.#pastAnswers = new PastAnswers((session) => store.rememberAnswers(session, []))
    this.#gate = new OutputGate(clock, store, (error) => this.#fail(error))
    const { packing } = store
    const brokerOptions = { acceptedGroups, limits, ...(packing === undefined ? {} : { packing }) }
    this.#broker = new Broker(brokerOptions, this.#brokerOutput(), store.journal)
    this.#sessionHost = {
      broker: this.#broker,
      store,
      limits,
      gate: this.#gate,
      watch: () => this.#scheduleTimer(),
      linkLost: (session, error) => this.#linkLost(session, error),
      left: (session) => this.#left(session),
      reclaim: (session, reclaim) => this.#reclaim(session, reclaim),
      reclaimed: (session) => {
        this.#broker.endReclaim(session.session)
        this.#absentLeases.forget((name) => this.#isAwaited(name))
      },
    }
    this.#recover()
  }

  /** Goes on where an earlier run of the relay ended. */
  #recover(): void {
    const { store, clock } = this.#parts
    store.recover({
      place: (place) => {
        this.#broker.restore(place)
        this.#absentLeases.add(place)
      },
      answers: (session, runs) => this.#pastAnswers.keep(session, runs),
    })
    this.#broker.restored(clock.nowMs())
    this.#scheduleTimer()
  }

  /** Listens for endpoints. Rejects with `PORT_IN_USE` or `CANNOT_LISTEN`. */
  async listen({ host, port, tls }: RelayAddress): Promise<void> {
    const { handshakeMs, unauthenticatedMax } = this.#options.limits
    this.#listener = await listen(
      { host, port, tls, handshakeMs, unauthenticatedMax },
      {
        connected: (newcomer) => this.admit(newcomer),
        refused: (error, peer) => this.#events.refusal(error, peer),
      },
    )
  }

  /** Takes a peer in whose channel stands: it has to prove the password next. */
  admit(newcomer: Newcomer): void {
    new Admission(newcomer, {
      clock: this.#parts.clock,
      authenticator: this.#parts.authenticator,
      guesses: this.#guesses,
      welcome: (hello, link) => this.#welcome(hello, link),
      refused: (error, peer) => this.#events.refusal(error, peer),
    })
  }

  get port(): number {
    return this.#listener?.port ?? 0
  }

  get address(): string {
    return this.#listener?.address ?? ''
  }

  stats(): RelayStats {
    const { groups, sessions, ...rest } = this.#broker.stats()
    const connected = [...this.#sessions.values()].filter((session) => session.link !== undefined).length
    return {
      port: this.port,
      uptimeMs: Math.round(this.#parts.clock.nowMs() - this.#startedMs),
      endpoints: { connected, away: this.#sessions.size - connected, refused: this.#events.refused },
      unauthenticated: this.#listener?.unauthenticated ?? 0,
      memory: { residentBytes: process.memoryUsage.rss(), storeBytes: this.#parts.store.memoryBytes },
      ...rest,
      sessions: sessions.map((session) => {
        const { conversation, link } = this.#sessions.get(session.id) ?? {}
        return { ...session, unconfirmedBytes: conversation?.log.bytes ?? 0, pendingBytes: link?.pendingBytes ?? 0 }
      }),
      // fromEntries defines own properties, so that a group may be called __proto__.
      groups: Object.fromEntries(groups.map((group) => [group.name, group])),
    }
  }

  /**
   * Takes nothing new, lets what is on its way to connected endpoints arrive, and ends; at the deadline in any case.
   */
  async stop(deadlineMs: number): Promise<RelayStopResult> {
    this.#stopping = true
    this.#listener?.close()
    this.#broker.stopAccepting()
    const deadline = this.#parts.clock.nowMs() + deadlineMs
    while (this.#failure === undefined && !this.#quiet() && this.#parts.clock.nowMs() < deadline) {
      await new Promise<void>((resolve) => this.#parts.clock.after(STOP_POLL_MS, resolve))
    }
    const deadlineReached = !this.#quiet()
    const { groups } = this.#broker.stats()
    this.#events.flush()
    this.#hangUp()
    if (this.#failure === undefined) await this.#parts.store.close()
    const undelivered: RelayStopResult['undelivered'] = {}
    for (const { name, waiting, leased } of groups) {
      if (waiting + leased > 0)
        Object.defineProperty(undelivered, name, { value: { waiting, leased }, enumerable: true })
    }
    return { undelivered, deadlineReached }
  }

  #hangUp(): void {
    this.#timer?.cancel()
    this.#listener?.close()
    const error = createError('RELAY_STOPPED', 'The relay was stopped.')
    for (const session of [...this.#sessions.values()]) session.link?.fail(error, true)
    for (const [link, timer] of this.#leaving) {
      timer.cancel()
      link.fail(error, true)
    }
  }

  #quiet(): boolean {
    if (!this.#gate.isOpen) return false
    for (const session of this.#sessions.values()) {
      if (session.link !== undefined && !session.idle) return false
    }
    return true
  }

  // ── endpoints come and go ─────────────────────────────────────────────────────────────────────

  /** Answers a HELLO: an endpoint that is known goes on with its session, another joins. Throws why not. */
  #welcome(hello: Hello, link: Link): void {
    if (this.#stopping) throw createError('RELAY_STOPPED', 'The relay is about to stop.')
    const known = this.#sessions.get(hello.session)
    // Of a session whose WELCOME was lost the endpoint knows nothing: what it has received, it has received in an earlier one.
    const resumes = known?.isMeantBy(hello) === true && hello.received !== undefined
    if (resumes && !known.conversation.canResumeAt(hello.received)) {
      const message = `The endpoint says that it received ${hello.received} frames, which cannot be.`
      throw createError('PROTOCOL_VIOLATION', message)
    }
    if (known !== undefined) {
      // Its old link may look alive for a while: half open, or on its way to be noticed.
      const error = createError('LINK_LOST', 'The endpoint came back on another connection.')
      known.link?.fail(error, false)
      if (!resumes) {
        this.#pastAnswers.keep(known.name, known.unknownAnswers)
        // Its endpoint may still claim what it had before this session.
        this.#end(known, 'stopped', this.#parts.clock.nowMs())
      }
    }
    const session = resumes ? known : this.#join(hello)
    link.handler = session
    session.link = link
    session.peer = link.transport.peer
    if (!resumes) {
      this.#open(session, link, hello, false)
      return
    }
    this.#broker.attach(session.session)
    // What it is told to have been received must be kept.
    this.#gate.afterCommit(() => this.#open(session, link, hello, true))
  }

  /** The endpoint is welcomed; its session goes on over this link. */
  #open(session: RelaySession, link: Link, hello: Hello, resumed: boolean): void {
    if (link.closed || session.link !== link) return
    const { store } = this.#parts
    link.write(
      encodeJson(FrameType.WELCOME, {
        version: PROTOCOL_VERSION,
        agent: AGENT,
        relay: store.relayName,
        keepsLeases: store.keepsLeases,
        reclaims: !resumed && session.session.earlier !== undefined,
        resumed,
        received: session.conversation.receivedFrames,
        limits: this.#options.limits,
      }),
    )
    link.attach(session.conversation, resumed ? (hello.received ?? 0) : 0, this.#options.limits.heartbeatMs)
    this.#events.emit({
      name: 'endpointConnected',
      value: {
        endpoint: session.name,
        peer: link.transport.peer,
        agent: hello.agent,
        groups: hello.groups,
        resumed,
      },
    })
  }

  #join(hello: Hello): RelaySession {
    const { endpointsMax } = this.#options.limits
    if (this.#sessions.size >= endpointsMax) {
      throw createError(
        'TOO_MANY_CONNECTIONS',
        `The relay has ${endpointsMax} endpoints; limits.endpointsMax allows no more.`,
      )
    }
    const session = new RelaySession(
      this.#parts.store.takeSource(),
      hello,
      this.#sessionHost,
      this.#pastAnswers.take(hello.session),
    )
    const { broadcasts } = hello
    const inboxBytes = firstWindowBytes(hello)
    this.#joining = session
    try {
      const joined = this.#broker.join(hello.session, hello.groups, { broadcasts, inboxBytes })
      session.session = joined
      this.#bySession.set(joined, session)
    } finally {
      this.#joining = undefined
    }
    this.#sessions.set(session.name, session)
    // One that does not know how to claim what it had cannot be waited for.
    if (!hello.reclaims) this.#broker.endReclaim(session.session)
    return session
  }

  /** Whether leases of an earlier run may still be claimed for that session. */
  #isAwaited(name: string): boolean {
    return this.#broker.isAbsent(name) || this.#sessions.get(name)?.session.earlier !== undefined
  }

  #reclaim(session: RelaySession, reclaim: ReclaimedLease): void {
    const absent = this.#absentLeases.find(session.name, reclaim)
    if (absent === undefined) return
    this.#broker.reclaim(session.session, absent.object, absent.group, reclaim.attempt, reclaim.leaseNumber)
  }

  #linkLost(session: RelaySession, error: ObjectRelayError): void {
    // Its name may have begun another session meanwhile.
    if (this.#sessions.get(session.name) !== session || this.#stopping) return
    this.#events.emit({
      name: 'endpointLost',
      value: { endpoint: session.name, peer: session.peer, error: toPlainError(error) },
    })
    if (error.category !== 'link') {
      // What it sent cannot be trusted to go on from.
      this.#end(session, 'violation')
      return
    }
    this.#broker.detach(session.session, this.#parts.clock.nowMs())
    this.#scheduleTimer()
  }

  #left(session: RelaySession): void {
    // What it gave back before its goodbye may have been lent to it again at once: none of that is an attempt.
    this.#broker.leave(session.session, 'stopped', { attemptCounted: false })
    session.sayGoodbye()
    this.#parts.store.rememberAnswers(session.name, [])
    this.#forget(session)
    this.#awaitClosing(session)
    this.#events.emit({ name: 'endpointLeft', value: { endpoint: session.name, reason: 'stopped' } })
  }

  /**
   * Who has said goodbye closes the connection when it has read the answer. Who does not, though all was read or nothing more
   * is, would keep a connection that `endpointsMax` does not count.
   */
  #awaitClosing({ link, conversation }: Pick<RelaySession, 'link' | 'conversation'>): void {
    if (link === undefined) return
    const { confirmedFrames } = conversation.log
    const timer = this.#parts.clock.after(this.#options.limits.heartbeatMs, () => {
      this.#leaving.delete(link)
      if (link.closed) return
      if (conversation.log.confirmedFrames > confirmedFrames) this.#awaitClosing({ link, conversation })
      else link.fail(createError('LINK_LOST', 'The endpoint said goodbye and kept its connection.'), false)
    })
    this.#leaving.set(link, timer)
  }

  #end(session: RelaySession, reason: 'stopped' | 'violation', absentFromMs?: number): void {
    this.#broker.leave(session.session, reason, absentFromMs === undefined ? {} : { absentFromMs })
    this.#forget(session)
    this.#events.emit({ name: 'endpointLeft', value: { endpoint: session.name, reason } })
  }

  #forget(session: RelaySession): void {
    if (this.#sessions.get(session.name) === session) this.#sessions.delete(session.name)
    this.#bySession.delete(session.session)
    session.dispose()
  }

  // ── what the broker decides ───────────────────────────────────────────────────────────────────

  #brokerOutput(): BrokerOutput<StoredObject> {
    return {
      deliver: (session, delivery) => this.#deliver(session, delivery),
      accepted: (session, sequence, counts) => this.#sessionOf(session)?.accepted(sequence, counts),
      rejected: (session, sequence, error) => this.#sessionOf(session)?.rejected(sequence, error),
      admitted: (session, sequence) => this.#sessionOf(session)?.admitted(sequence),
      abortDelivery: (session, payload, leaseNumber) => {
        if ('begin' in payload) this.#sessionOf(session)?.abortDelivery(payload, leaseNumber)
      },
      blocked: (session, group) => this.#sessionOf(session)?.blocked(group, true),
      unblocked: (session, group) => this.#sessionOf(session)?.blocked(group, false),
      released: (payload) => this.#letGo(payload),
      event: (event) => {
        this.#events.broker(event)
        if (event.type !== 'sessionExpired') return
        const session = this.#sessions.get(event.session)
        if (session === undefined) return
        this.#pastAnswers.keep(session.name, session.unknownAnswers)
        this.#forget(session)
      },
    }
  }

  #deliver(session: Session<StoredObject>, delivery: Delivery<StoredObject>): void {
    try {
      this.#sessionOf(session)?.deliver(delivery)
    } catch (thrown) {
      // The store cannot read what it keeps. Nobody is told anything that is not so: the relay ends.
      this.#fail(toObjectRelayError(thrown, 'BACKGROUND_FAILED'))
    }
  }

  #letGo(object: StoredObject): void {
    const { store, clock } = this.#parts
    store.release(object)
    if (!store.isSparse || this.#tidying) return
    this.#tidying = true
    // Not from within the broker, which is about to use some of them.
    clock.soon(() => {
      this.#tidying = false
      store.moveTogether(this.#broker.payloads(), this.#broker.places())
    })
  }

  /** The store can keep nothing any more: what was not kept was not answered, and nothing more is. */
  #fail(error: ObjectRelayError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#stopping = true
    this.#parts.emit({ name: 'error', value: { error: toPlainError(error) } })
    this.#parts.clock.soon(() => this.#hangUp())
  }

  /** While it joins, a session that the broker already delivers to is not in the table yet. */
  #sessionOf(session: Session<StoredObject>): RelaySession | undefined {
    return this.#bySession.get(session) ?? (this.#joining?.name === session.id ? this.#joining : undefined)
  }

  // ── time ──────────────────────────────────────────────────────────────────────────────────────

  /** Sees to it that the broker is told of the time when its next deadline is due. */
  #scheduleTimer(): void {
    const dueMs = this.#broker.nextDeadlineMs()
    if (dueMs === undefined || dueMs >= this.#timerDueMs) return
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer = this.#parts.clock.after(Math.max(0, dueMs - this.#parts.clock.nowMs()), () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY
      this.#broker.advance(this.#parts.clock.nowMs())
      this.#absentLeases.forget((name) => this.#isAwaited(name))
      this.#scheduleTimer()
    })
  }
}
