import { AGENT } from '../agent.ts'
import type { Clock, Timer } from '../clock.ts'
import type { LeaveOptions } from '../core/broker.ts'
import { createError, type ObjectRelayError, toPlainError } from '../errors.ts'
import type { RelayLimits } from '../limits.ts'
import type { RememberedSession, Store } from '../store/store.ts'
import type { Link } from '../transport/link.ts'
import { encodeJson } from '../wire/controlFrames.ts'
import { FrameType, PROTOCOL_VERSION } from '../wire/frameTypes.ts'
import type { BrokerHost } from './brokerHost.ts'
import { DedupMemory } from './dedupMemory.ts'
import type { EventGate } from './eventGate.ts'
import type { Hello } from './hello.ts'
import { firstWindowBytes, RelaySession, type RelaySessionHost } from './relaySession.ts'

/** What the sessions of a relay have in common. */
export interface SessionsParts {
  readonly clock: Clock
  readonly store: Store
  readonly limits: RelayLimits
  readonly events: EventGate
}

/** Nothing of a session has to be remembered any more. */
const forgotten: RememberedSession = { runs: [], received: undefined }

/** The endpoints that a relay knows, as they come, come back and go. */
export class Sessions {
  readonly dedupMemory: DedupMemory
  readonly #parts: SessionsParts
  /** By the id of the endpoint. */
  readonly #sessions = new Map<string, RelaySession>()
  /** For the connections of endpoints that have said goodbye. */
  readonly #leaving = new Map<Link, Timer>()
  #broker: BrokerHost | undefined
  #ownSessionHost: RelaySessionHost | undefined
  #closed = false

  constructor(parts: SessionsParts) {
    this.#parts = parts
    this.dedupMemory = new DedupMemory((session) => parts.store.rememberSession(session, forgotten))
  }

  /** The host of the broker, which tells the sessions what it decides; given once, before the first endpoint comes. */
  set host(host: BrokerHost) {
    const { store, limits } = this.#parts
    this.#broker = host
    this.#ownSessionHost = {
      broker: host.broker,
      gate: host.gate,
      store,
      limits,
      release: (session, from, to, terms) => host.release(session, from, to, terms),
      failed: (thrown) => host.failed(thrown),
      watch: () => host.watch(),
      reclaim: (session, reclaim) => host.reclaim(session, reclaim),
      reclaimed: (session) => host.endReclaim(session),
      linkLost: (session, error) => this.#linkLost(session, error),
      left: (session) => this.#left(session),
      gone: (session, reason) => this.#gone(session, reason),
    }
  }

  get #host(): BrokerHost {
    if (this.#broker === undefined) throw new Error('An endpoint came before there was a broker.')
    return this.#broker
  }

  get #sessionHost(): RelaySessionHost {
    if (this.#ownSessionHost === undefined) throw new Error('An endpoint came before there was a broker.')
    return this.#ownSessionHost
  }

  get(id: string): RelaySession | undefined {
    return this.#sessions.get(id)
  }

  get count(): number {
    return this.#sessions.size
  }

  get connectedCount(): number {
    let count = 0
    for (const { link } of this.#sessions.values()) if (link !== undefined) count++
    return count
  }

  /** Whether nothing is on its way to an endpoint that is connected. */
  get idle(): boolean {
    for (const { link, idle } of this.#sessions.values()) if (link !== undefined && !idle) return false
    return true
  }

  /** From now on no endpoint is welcomed, and who loses its link is left as it is. */
  close(): void {
    this.#closed = true
  }

  /** Ends all connections. */
  hangUp(error: ObjectRelayError): void {
    for (const session of [...this.#sessions.values()]) session.link?.fail(error, true)
    for (const [link, timer] of this.#leaving) {
      timer.cancel()
      link.fail(error, true)
    }
  }

  /** The broker has ended a session whose grace time is over. */
  expired(id: string): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    const { unknownAnswers } = session
    this.dedupMemory.keep(id, unknownAnswers)
    this.#parts.store.rememberSession(id, { runs: unknownAnswers, received: undefined })
    this.#forget(session)
  }

  /** Answers a HELLO: an endpoint that is known goes on with its session, another joins. Throws why not. */
  welcome(hello: Hello, link: Link): void {
    if (this.#closed) throw createError('RELAY_STOPPED', 'The relay is about to stop.')
    const known = this.#sessions.get(hello.id)
    // Of a session whose WELCOME was lost the endpoint knows nothing: what it has received, it has received in an earlier one.
    const resumes = known?.isMeantBy(hello) === true && hello.received !== undefined
    if (resumes && !known.channel.canResumeAt(hello.received)) {
      const message = `The endpoint says that it received ${hello.received} frames, which cannot be.`
      throw createError('PROTOCOL_VIOLATION', message)
    }
    if (known !== undefined) {
      // Its old link may look alive for a while: half open, or on its way to be noticed.
      const error = createError('LINK_LOST', 'The endpoint came back on another connection.')
      known.link?.fail(error, false)
      if (!resumes) {
        this.dedupMemory.keep(known.id, known.unknownAnswers, known.framesReceived)
        known.remember()
        // Its endpoint may still claim what it had before this session.
        this.#end(known, 'stopped', { absentFromMs: this.#parts.clock.nowMs() })
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
    this.#host.broker.attach(session.session)
    // What it is told to have been received must be kept.
    this.#host.gate.afterCommit(() => this.#open(session, link, hello, true))
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
        reclaims: !resumed && session.session.isClaiming,
        resumed,
        received: session.channel.receivedFrames,
        receivedBefore: resumed ? 0 : session.receivedBefore,
        limits: this.#parts.limits,
      }),
    )
    link.attach(session.channel, resumed ? (hello.received ?? 0) : 0, this.#parts.limits.heartbeatMs)
    this.#parts.events.emit({
      name: 'endpointConnected',
      value: {
        endpoint: session.id,
        name: session.hello.name,
        peer: link.transport.peer,
        agent: hello.agent,
        groups: hello.groups,
        resumed,
      },
    })
  }

  #join(hello: Hello): RelaySession {
    const { endpointsMax } = this.#parts.limits
    if (this.#sessions.size >= endpointsMax) {
      throw createError(
        'TOO_MANY_CONNECTIONS',
        `The relay has ${endpointsMax} endpoints; limits.endpointsMax allows no more.`,
      )
    }
    const source = this.#parts.store.takeSource()
    // What it was answered before is to be known at its next attempt too, if it finds no place now.
    const session = new RelaySession(source, hello, this.#sessionHost, this.dedupMemory.look(hello.id))
    this.#host.join(session, firstWindowBytes(hello))
    const past = this.dedupMemory.take(hello.id)
    // What it has read meanwhile is of no use any more; and what changes from now on is told on top of this.
    if (past.runs.length > 0 || past.received !== undefined) session.remember()
    this.#sessions.set(session.id, session)
    return session
  }

  #linkLost(session: RelaySession, error: ObjectRelayError): void {
    // Its endpoint may have begun another session meanwhile.
    if (this.#sessions.get(session.id) !== session || this.#closed) return
    this.#parts.events.emit({
      name: 'endpointLost',
      value: { endpoint: session.id, name: session.hello.name, peer: session.peer, error: toPlainError(error) },
    })
    if (error.category !== 'link') {
      // What it sent cannot be trusted to go on from.
      this.#parts.store.rememberSession(session.id, forgotten)
      this.#end(session, 'violation')
      return
    }
    this.#host.broker.detach(session.session, this.#parts.clock.nowMs())
    this.#host.watch()
  }

  #left(session: RelaySession): void {
    // What it gave back before its goodbye may have been lent to it again at once: none of that is an attempt.
    this.#host.broker.leave(session.session, 'released', { attemptCounted: false })
    session.sayGoodbye()
    this.#parts.store.rememberSession(session.id, forgotten)
    this.#forget(session)
    this.#awaitClosing(session)
    this.#parts.events.emit({
      name: 'endpointLeft',
      value: { endpoint: session.id, name: session.hello.name, reason: 'stopped' },
    })
  }

  /** An endpoint that gave up, perhaps before it read its WELCOME, must not hold its places for the grace time. */
  #gone(session: RelaySession, reason: 'stopped' | 'violation'): void {
    this.#parts.store.rememberSession(session.id, forgotten)
    this.#end(session, reason)
  }

  /**
   * Who has said goodbye closes the connection when it has read the answer. Who does not, though all was read or nothing more
   * is, would keep a connection that `endpointsMax` does not count.
   */
  #awaitClosing({ link, channel }: Pick<RelaySession, 'link' | 'channel'>): void {
    if (link === undefined) return
    const { confirmedFrames } = channel.log
    const timer = this.#parts.clock.after(this.#parts.limits.heartbeatMs, () => {
      this.#leaving.delete(link)
      if (link.closed) return
      if (channel.log.confirmedFrames > confirmedFrames) this.#awaitClosing({ link, channel })
      else link.fail(createError('LINK_LOST', 'The endpoint said goodbye and kept its connection.'), false)
    })
    this.#leaving.set(link, timer)
  }

  #end(session: RelaySession, reason: 'stopped' | 'violation', options: LeaveOptions = {}): void {
    this.#host.broker.leave(session.session, reason === 'violation' ? reason : 'lost', options)
    this.#forget(session)
    this.#parts.events.emit({ name: 'endpointLeft', value: { endpoint: session.id, name: session.hello.name, reason } })
  }

  #forget(session: RelaySession): void {
    if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id)
    this.#host.forget(session)
    session.dispose()
  }
}
