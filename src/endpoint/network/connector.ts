import { createHash } from 'node:crypto'
import type { Timer } from '../../clock.ts'
import type { ObjectRelayError } from '../../errors.ts'
import type { Link, LinkHandler } from '../../transport/link.ts'
import type { EndpointConfiguration } from '../jsonRecords.ts'
import { Attempt, type AttemptHost } from './attempt.ts'
import type { Greeting } from './handshake.ts'
import { ReconnectDelays } from './reconnectDelays.ts'
import type { Welcome } from './welcome.ts'

/** Whom a connector works for: an endpoint's session. */
export interface ConnectorOwner extends LinkHandler {
  /** What to say to the relay, asked at each attempt. */
  greeting(): Greeting
  /** The relay has accepted the endpoint; `attempt` says at which try. */
  established(link: Link, welcome: Welcome, attempt: number): void
  /** An attempt failed, or (`attempt` 0) the link was lost; the next attempt comes in `delayMs`. */
  retrying(error: ObjectRelayError, attempt: number, delayMs: number): void
  /** Trying again would not help. */
  refused(error: ObjectRelayError, attempt: number): void
}

/** However long whoever answers asks an endpoint to wait. */
const ASKED_WAIT_MS_MAX = 60_000

/**
 * Connects an endpoint to its relay and does so again whenever the link is lost, with growing, jittered delays. A permanent
 * error ends it. Once a relay has welcomed the endpoint, only that relay, proven by the password, can say one: what anybody
 * else says at its address may be over in a moment.
 */
export class Connector {
  readonly #configuration: EndpointConfiguration
  readonly #host: AttemptHost
  readonly #owner: ConnectorOwner
  readonly #relayKey: string
  readonly #delays: ReconnectDelays
  #attempt: Attempt | undefined
  /** Attempts since the last one that succeeded. */
  #attempts = 0
  #retryTimer: Timer | undefined
  #wasWelcomed = false
  #stopped = false

  constructor(configuration: EndpointConfiguration, host: AttemptHost, owner: ConnectorOwner) {
    this.#configuration = configuration
    this.#host = host
    this.#owner = owner
    this.#delays = new ReconnectDelays(configuration.reconnect, () => host.clock.random())
    const password = createHash('sha256').update(configuration.password).digest('base64')
    this.#relayKey = `${configuration.host} ${configuration.port} ${password}`
  }

  /** Makes an attempt now. */
  dial(): void {
    this.#attempts++
    this.#attempt = new Attempt({
      configuration: this.#configuration,
      host: this.#host,
      relayKey: this.#relayKey,
      owner: {
        greeting: () => this.#owner.greeting(),
        welcomed: (link, welcome) => this.#succeed(link, welcome),
        failed: (error, fromRelay) => this.#fail(error, fromRelay),
      },
    })
  }

  /** The link that was established is gone. */
  lost(error: ObjectRelayError): void {
    this.#fail(error, true)
  }

  /** Ends it at once, an attempt that is under way included. */
  stop(): void {
    this.#stopped = true
    this.#retryTimer?.cancel()
    this.#attempt?.giveUp()
  }

  #succeed(link: Link, welcome: Welcome): void {
    const attempts = this.#attempts
    this.#attempts = 0
    this.#wasWelcomed = true
    this.#delays.reset()
    this.#owner.established(link, welcome, attempts)
  }

  #fail(error: ObjectRelayError, fromRelay: boolean): void {
    if (this.#stopped) return
    this.#host.tickets.doubt(this.#relayKey)
    if (!error.retryable && (fromRelay || !this.#wasWelcomed)) {
      this.#stopped = true
      this.#owner.refused(error, this.#attempts)
      return
    }
    // Whoever answers in the relay's place for a moment must not keep the endpoint away for longer than that.
    const waitMsMax = this.#wasWelcomed ? this.#configuration.reconnect.maxDelayMs : ASKED_WAIT_MS_MAX
    const delayMs = this.#delays.next(error, { fromRelay, waitMsMax })
    this.#owner.retrying(error, this.#attempts, delayMs)
    this.#retryTimer = this.#host.clock.after(delayMs, () => this.dial())
  }
}
