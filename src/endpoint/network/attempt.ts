import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { EndpointProof } from '../../security/endpointProof.ts'
import { loadPasswordProof } from '../../security/passwordLogin.ts'
import type { ConnectOptions } from '../../transport/connect.ts'
import { Link } from '../../transport/link.ts'
import type { Transport } from '../../transport/transport.ts'
import type { EndpointConfiguration } from '../jsonRecords.ts'
import { type Greeting, Handshake } from './handshake.ts'
import type { AttemptTurn, TicketPool } from './ticketPool.ts'
import type { Welcome } from './welcome.ts'

/** How long an attempt may take until the channel stands. */
const ATTEMPT_MS = 15_000

/** What attempts need of their surroundings. */
export interface AttemptHost {
  readonly clock: Clock
  /** What the endpoints of the process share. */
  readonly tickets: TicketPool
  connect(options: ConnectOptions): Promise<Transport>
}

/** Whom an attempt works for. It is told of the end of the attempt, once, unless it gave it up. */
export interface AttemptOwner {
  /** What to say to the relay once it has proven itself. */
  greeting(): Greeting
  /** The relay has accepted the endpoint. The link's handler is to be changed before this returns. */
  welcomed(link: Link, welcome: Welcome): void
  /** `fromRelay`: whether it was the relay, proven by the password, that said so; else it may have been anybody. */
  failed(error: ObjectRelayError, fromRelay: boolean): void
}

export interface AttemptParts {
  readonly configuration: EndpointConfiguration
  readonly host: AttemptHost
  readonly owner: AttemptOwner
  /** What tells the relay and the password, for what the endpoints of a process share. */
  readonly relayKey: string
}

/**
 * One attempt to be accepted by the relay: waits for its turn, connects, proves the password, says HELLO. It can be given up at any
 * moment, and then leaves nothing behind: no socket, no timer, and no session at the relay that nobody would come back to.
 */
export class Attempt {
  readonly #parts: AttemptParts
  readonly #givingUp = new AbortController()
  #link: Link | undefined
  #relayIsProven = false
  #over = false

  constructor(parts: AttemptParts) {
    this.#parts = parts
    this.#run().catch((thrown: unknown) => this.#fail(toObjectRelayError(thrown, 'CONNECT_FAILED')))
  }

  /** Ends it at once; its owner hears nothing more of it. A relay that may have accepted the endpoint already is told. */
  giveUp(): void {
    if (this.#over) return
    this.#over = true
    const error = createError('STOPPED', 'The endpoint was stopped.')
    this.#givingUp.abort(error)
    this.#link?.fail(error, true)
  }

  async #run(): Promise<void> {
    const { configuration, host, relayKey } = this.#parts
    const { signal } = this.#givingUp
    await loadPasswordProof()
    // Without TLS there are no tickets: each connection proves the password anew.
    const turn = await host.tickets.nextTurn(relayKey, configuration.security === 'TLS', signal)
    try {
      await this.#connect(turn, signal)
      turn.over()
    } catch (thrown) {
      const error = toObjectRelayError(thrown, 'CONNECT_FAILED')
      turn.over(error)
      throw error
    }
  }

  async #connect(turn: AttemptTurn, signal: AbortSignal): Promise<void> {
    const { configuration, host, owner } = this.#parts
    const transport = await host.connect({ ...configuration, timeoutMs: ATTEMPT_MS, signal })
    if (signal.aborted) {
      transport.destroy()
      throw signal.reason
    }
    turn.heard()
    const handshake = new Handshake({
      proof: new EndpointProof({
        password: configuration.password,
        channelBinding: transport.channelBinding,
        ticket: turn.ticket,
        budget: turn.budget,
      }),
      configuration,
      greeting: () => owner.greeting(),
      heard: (quietMs) => turn.heard(quietMs),
      proven: (ticket) => {
        this.#relayIsProven = true
        turn.proven(ticket)
      },
      clock: host.clock,
      welcomed: (link, welcome) => {
        this.#over = true
        owner.welcomed(link, welcome)
      },
    })
    const link = new Link(transport, host.clock, handshake)
    this.#link = link
    await handshake.run(link)
  }

  #fail(error: ObjectRelayError): void {
    if (this.#over) return
    this.#over = true
    this.#parts.owner.failed(error, this.#relayIsProven)
  }
}
