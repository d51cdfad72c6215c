import { createHash } from 'node:crypto'
import type { EndpointConfiguration } from '../background/endpointState.ts'
import type { Clock, Timer } from '../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { EndpointProof } from '../security/endpointProof.ts'
import { loadPasswordProof } from '../security/passwordLogin.ts'
import type { ConnectOptions } from '../transport/connect.ts'
import { Link, type LinkHandler } from '../transport/link.ts'
import type { Transport } from '../transport/transport.ts'
import { type Greeting, Handshake } from './handshake.ts'
import type { TicketPool } from './ticketPool.ts'
import type { Welcome } from './welcome.ts'

/** What a connector needs of its surroundings. */
export interface ConnectorHost {
  readonly clock: Clock
  readonly tickets: TicketPool
  connect(options: ConnectOptions): Promise<Transport>
}

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

/** How long one attempt may take until the channel stands. */
const ATTEMPT_MS = 15_000

/** However long a relay asks an endpoint to wait. */
const ASKED_WAIT_MS_MAX = 60_000

/** A relay that slows down guessing says how long; from another, `waitMs` may be anything. */
function askedWaitMs({ details: { waitMs } }: ObjectRelayError): number {
  return typeof waitMs === 'number' && waitMs > 0 ? Math.min(waitMs, ASKED_WAIT_MS_MAX) : 0
}

/**
 * Connects an endpoint to its relay and does so again whenever the link is lost, with growing, jittered delays. Only an
 * error that repeating cannot mend ends it: a wrong password, a refused group, a certificate that does not match.
 */
export class Connector {
  readonly #configuration: EndpointConfiguration
  readonly #host: ConnectorHost
  readonly #owner: ConnectorOwner
  readonly #ticketKey: string
  #attempt = 0
  #delayMs: number
  #retryTimer: Timer | undefined
  #stopped = false

  constructor(configuration: EndpointConfiguration, host: ConnectorHost, owner: ConnectorOwner) {
    this.#configuration = configuration
    this.#host = host
    this.#owner = owner
    this.#delayMs = configuration.reconnect.initialDelayMs
    const password = createHash('sha256').update(configuration.password).digest('base64')
    this.#ticketKey = `${configuration.host} ${configuration.port} ${password}`
  }

  /** Makes an attempt now. */
  dial(): void {
    this.#attempt++
    this.#attemptOnce().catch((thrown: unknown) => this.#fail(toObjectRelayError(thrown, 'CONNECT_FAILED')))
  }

  /** The link that was established is gone. */
  lost(error: ObjectRelayError): void {
    this.#fail(error)
  }

  stop(): void {
    this.#stopped = true
    this.#retryTimer?.cancel()
  }

  #succeed(link: Link, welcome: Welcome): void {
    if (this.#stopped) {
      link.fail(createError('STOPPED', 'The endpoint was stopped.'), false)
      return
    }
    const attempt = this.#attempt
    this.#attempt = 0
    this.#delayMs = this.#configuration.reconnect.initialDelayMs
    this.#owner.established(link, welcome, attempt)
  }

  #fail(error: ObjectRelayError): void {
    if (this.#stopped) return
    this.#host.tickets.doubt(this.#ticketKey)
    if (!error.retryable) {
      this.#stopped = true
      this.#owner.refused(error, this.#attempt)
      return
    }
    const { jitter, factor, maxDelayMs } = this.#configuration.reconnect
    const jittered = this.#delayMs * (1 + jitter * (2 * this.#host.clock.random() - 1))
    const delayMs = Math.round(Math.max(jittered, askedWaitMs(error)))
    this.#delayMs = Math.min(this.#delayMs * factor, maxDelayMs)
    this.#owner.retrying(error, this.#attempt, delayMs)
    this.#retryTimer = this.#host.clock.after(delayMs, () => this.dial())
  }

  async #attemptOnce(): Promise<void> {
    const { password, security } = this.#configuration
    await loadPasswordProof()
    // Without TLS there are no tickets: each connection proves the password anew.
    const admission = await this.#host.tickets.admit(this.#ticketKey, security === 'TLS')
    try {
      if (this.#stopped) throw createError('STOPPED', 'The endpoint was stopped.')
      const transport = await this.#host.connect({ ...this.#configuration, timeoutMs: ATTEMPT_MS })
      admission.heard()
      const link = new Link(transport, this.#host.clock, this.#owner)
      const proof = new EndpointProof({
        password,
        channelBinding: transport.channelBinding,
        ticket: admission.ticket,
        budget: admission.budget,
      })
      const handshake = new Handshake({
        link,
        proof,
        configuration: this.#configuration,
        greeting: () => this.#owner.greeting(),
        admission,
        clock: this.#host.clock,
        welcomed: (welcome) => this.#succeed(link, welcome),
      })
      link.handler = handshake
      await handshake.run()
      admission.over()
    } catch (thrown) {
      const error = toObjectRelayError(thrown, 'CONNECT_FAILED')
      admission.over(error)
      throw error
    }
  }
}
