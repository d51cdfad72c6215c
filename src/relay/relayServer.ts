import type { TlsOptions } from 'node:tls'
import type { Clock, Timer } from '../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError, toPlainError } from '../errors.ts'
import { LoginRateLimiter } from '../security/loginRateLimiter.ts'
import type { RelayAuthenticator } from '../security/relayProof.ts'
import type { Store } from '../store/store.ts'
import { type Listener, listen } from '../transport/listen.ts'
import type { PendingConnection } from '../transport/pendingConnections.ts'
import { Admission } from './admission.ts'
import { BrokerHost, type BrokerHostOptions } from './brokerHost.ts'
import { EventGate } from './eventGate.ts'
import { LoginQueue } from './loginQueue.ts'
import type { RelayEventMessage } from './relayEvents.ts'
import type { RelayStats, RelayStopResult } from './relayStats.ts'
import { Sessions } from './sessions.ts'

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
/** So long a store may take to end. */
const CLOSE_MS = 1_000

/** The relay itself, on the thread that it runs on: the broker between real links. */
export class RelayServer {
  readonly #options: BrokerHostOptions
  readonly #parts: RelayServerParts
  readonly #events: EventGate
  readonly #limiter: LoginRateLimiter
  readonly #logins: LoginQueue
  readonly #sessions: Sessions
  readonly #host: BrokerHost
  readonly #startedMs: number
  #listener: Listener | undefined
  /** Why it cannot go on. */
  #failure: ObjectRelayError | undefined

  /** Goes on where an earlier run ended, if the store knows of one. Throws `STORE_CORRUPT` if it cannot. */
  constructor(options: BrokerHostOptions, parts: RelayServerParts) {
    const { clock, store } = parts
    this.#options = options
    this.#parts = parts
    this.#startedMs = clock.nowMs()
    this.#limiter = new LoginRateLimiter(clock.nowMs())
    this.#logins = new LoginQueue(clock, this.#limiter, Math.ceil(options.limits.unauthenticatedMax / 2))
    this.#events = new EventGate(clock, {
      emit: (event) => parts.emit(event),
      nameOf: (endpoint) => this.#sessions.get(endpoint)?.hello.name ?? '',
    })
    this.#sessions = new Sessions({ clock, store, limits: options.limits, events: this.#events })
    this.#host = new BrokerHost(options, {
      clock,
      store,
      remembered: (session, runs, received) => this.#sessions.dedupMemory.keep(session, runs, received),
      awaits: (isAwaited) => this.#sessions.dedupMemory.forgetReceived(isAwaited),
      event: (event) => {
        this.#events.broker(event)
        if (event.type === 'sessionExpired') this.#sessions.expired(event.session)
      },
      failed: (error) => this.#fail(error),
    })
    this.#sessions.host = this.#host
  }

  /** Listens for endpoints. Rejects with `PORT_IN_USE` or `CANNOT_LISTEN`. */
  async listen({ host, port, tls }: RelayAddress): Promise<void> {
    const { handshakeMs, unauthenticatedMax } = this.#options.limits
    this.#listener = await listen(
      { host, port, tls, handshakeMs, unauthenticatedMax },
      {
        connected: (connection) => this.admit(connection),
        refused: (error, peer) => this.#events.refusal(error, { peer }),
      },
    )
  }

  /** New connections get these keys from now on. Throws what is wrong with them. */
  useKeys(tls: TlsOptions): void {
    this.#listener?.useKeys(tls)
  }

  /** Takes a peer in whose channel stands: it has to prove the password next. */
  admit(connection: PendingConnection): void {
    new Admission(connection, {
      clock: this.#parts.clock,
      authenticator: this.#parts.authenticator,
      logins: this.#logins,
      known: (from) => this.#limiter.know(from),
      welcome: (hello, link) => this.#sessions.welcome(hello, link),
      refused: (error, refused) => this.#events.refusal(error, refused),
    })
  }

  get port(): number {
    return this.#listener?.port ?? 0
  }

  get address(): string {
    return this.#listener?.address ?? ''
  }

  stats(): RelayStats {
    const { groups, sessions, ...rest } = this.#host.broker.stats()
    const { count, connectedCount } = this.#sessions
    return {
      port: this.port,
      uptimeMs: Math.round(this.#parts.clock.nowMs() - this.#startedMs),
      endpoints: { connected: connectedCount, away: count - connectedCount, refused: this.#events.refused },
      unauthenticated: this.#listener?.unauthenticated ?? 0,
      memory: { residentBytes: process.memoryUsage.rss(), storeBytes: this.#parts.store.memoryBytes },
      ...rest,
      sessions: sessions.map(({ id, ...session }) => {
        const { channel, link, peer = '' } = this.#sessions.get(id) ?? {}
        const unconfirmedBytes = channel?.log.bytes ?? 0
        return { endpoint: id, peer, ...session, unconfirmedBytes, pendingBytes: link?.pendingBytes ?? 0 }
      }),
      // fromEntries defines own properties, so that a group may be called __proto__.
      groups: Object.fromEntries(groups.map((group) => [group.name, group])),
    }
  }

  /**
   * Takes nothing new, lets what is on its way to connected endpoints arrive, and ends; at the deadline in any case.
   */
  async stop(deadlineMs: number): Promise<RelayStopResult> {
    this.#sessions.close()
    this.#listener?.close()
    this.#host.broker.stopAccepting()
    const deadline = this.#parts.clock.nowMs() + deadlineMs
    while (this.#failure === undefined && !this.#quiet && this.#parts.clock.nowMs() < deadline) {
      await new Promise<void>((resolve) => this.#parts.clock.after(STOP_POLL_MS, resolve))
    }
    const deadlineReached = !this.#quiet
    const { groups } = this.#host.broker.stats()
    this.#events.flush()
    this.#hangUp()
    if (this.#failure === undefined) {
      this.#host.gate.close()
      await this.#closeStore()
    }
    // What the store could not keep was not accepted: its senders still have it.
    const unkept = this.#parts.store.unkept()
    const undelivered: RelayStopResult['undelivered'] = {}
    for (const { name, waiting: all, leased } of groups) {
      const waiting = Math.max(0, all - (unkept.get(name) ?? 0))
      if (waiting + leased > 0)
        Object.defineProperty(undelivered, name, { value: { waiting, leased }, enumerable: true })
    }
    return { undelivered, deadlineReached }
  }

  /** A disk that hangs is not waited for any longer than this. */
  async #closeStore(): Promise<void> {
    const { store, clock } = this.#parts
    const closed = store.close().catch((thrown: unknown) => {
      const error = toObjectRelayError(thrown, 'STORE_FAILED')
      if (error.code !== 'STORE_FULL') throw error
    })
    let timer: Timer | undefined
    const late = new Promise<void>((resolve) => {
      timer = clock.after(CLOSE_MS, resolve)
    })
    await Promise.race([closed, late])
    timer?.cancel()
    closed.catch(() => undefined)
  }

  #hangUp(): void {
    this.#host.stop()
    this.#listener?.close()
    this.#sessions.hangUp(createError('RELAY_STOPPED', 'The relay was stopped.'))
  }

  get #quiet(): boolean {
    return this.#host.gate.isOpen && this.#sessions.idle
  }

  /** The store can keep nothing any more: what was not kept was not answered, and nothing more is. */
  #fail(error: ObjectRelayError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#sessions.close()
    this.#parts.emit({ name: 'error', value: { error: toPlainError(error) } })
    this.#parts.clock.soon(() => this.#hangUp())
  }
}
