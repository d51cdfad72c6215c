import { createError } from '../../src/errors.ts'
import type { ChannelBinding } from '../../src/security/channelProof.ts'
import type { ConnectOptions } from '../../src/transport/connect.ts'
import type { Transport } from '../../src/transport/transport.ts'
import type { SeededRandom } from './random.ts'
import type { Scheduler, SimulatedThread } from './scheduler.ts'
import { type Conditions, SimulatedTransport } from './simulatedTransport.ts'

/** How a connection ends: both sides learn of it, only one of them, or none. */
export type Cut = 'both' | 'endpoint' | 'relay' | 'none'

/** Where connections lead to: a relay that runs. */
export interface Listening {
  readonly thread: SimulatedThread
  /** Which run of the relay it is, from 1. */
  readonly run: number
  admit(transport: Transport): void
}

/** One connection between an endpoint and the relay. */
export interface Connection {
  readonly endpoint: SimulatedTransport
  readonly relay: SimulatedTransport
  readonly run: number
  /** The endpoint ended it when it stopped, or was refused: it does not come back. */
  leftForGood: boolean
}

/** The network between the endpoints and the relay: slow, unsteady, and cut now and then. */
export class SimulatedNetwork {
  listening: Listening | undefined
  /** Connections that are not over on both sides. */
  connections: Connection[] = []
  /** Until then nobody can connect. */
  closedUntilMs = 0
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  /** By the address that the relay sees. */
  readonly #latestOf = new Map<string, Connection>()
  #addresses = 0

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
    this.#random = scheduler.random
  }

  /** Connects a thread to the relay, as `connectTransport` does; `connected` is told when the channel stands. */
  connect(
    thread: SimulatedThread,
    { timeoutMs, signal }: Pick<ConnectOptions, 'timeoutMs' | 'signal'>,
    connected: (connection: Connection) => void,
  ): Promise<Transport> {
    const conditions = this.#conditions()
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const roundTripMs = 2 * conditions.latencyMs
      if (this.#scheduler.nowMs < this.closedUntilMs) {
        const error = () => reject(createError('CONNECT_FAILED', 'The relay did not answer in time.'))
        thread.after(Math.min(timeoutMs, this.closedUntilMs - this.#scheduler.nowMs + roundTripMs), error)
        return
      }
      thread.after(roundTripMs, () => {
        if (signal.aborted) return
        const { listening } = this
        if (listening?.thread.alive !== true) {
          reject(createError('CONNECT_FAILED', 'Nobody listens at the address of the relay.'))
          return
        }
        const connection = this.#join(thread, listening, conditions)
        connected(connection)
        resolve(connection.endpoint)
      })
    })
  }

  #join(thread: SimulatedThread, listening: Listening, conditions: Conditions): Connection {
    this.connections = this.connections.filter(({ endpoint, relay }) => !endpoint.gone || !relay.gone)
    const bytes = new Uint8Array(32).map(() => this.#random.integer(0, 255))
    const channelBinding: ChannelBinding = { type: 'tls-exporter', bytes }
    const peerAddress = `198.51.100.${++this.#addresses % 250}`
    const endpoint = new SimulatedTransport('relay', {
      thread,
      scheduler: this.#scheduler,
      conditions,
      channelBinding,
    })
    const relay = new SimulatedTransport(peerAddress, {
      thread: listening.thread,
      scheduler: this.#scheduler,
      conditions,
      channelBinding,
    })
    endpoint.join(relay)
    relay.join(endpoint)
    listening.thread.after(0, () => {
      // It may be over before the relay has looked at it.
      if (!relay.closed) listening.admit(relay)
    })
    const connection = { endpoint, relay, run: listening.run, leftForGood: false }
    this.connections.push(connection)
    this.#latestOf.set(peerAddress, connection)
    return connection
  }

  #conditions(): Conditions {
    const random = this.#random
    return {
      latencyMs: random.chance(0.2) ? random.integer(20, 150) : random.next() * 5,
      jitterMs: random.chance(0.3) ? random.next() * 40 : random.next(),
      bytesPerMs: random.pick([200, 2_000, 20_000, 200_000]),
      bufferBytes: random.pick([16 * 1024, 64 * 1024, 512 * 1024]),
      smallPieces: random.chance(0.2),
      frozenUntilMs: 0,
    }
  }

  /** Ends a connection: what is under way is lost. */
  cut({ endpoint, relay }: Connection, style: Cut): void {
    endpoint.loseAll()
    relay.loseAll()
    if (style === 'both' || style === 'endpoint') endpoint.break(this.#random.next() * 300)
    if (style === 'both' || style === 'relay') relay.break(this.#random.next() * 300)
  }

  /** Whether the endpoint at that address has left for good, and the relay has read everything up to the end. */
  wasToldOfLeaving(peer: string): boolean {
    const connection = this.#latestOf.get(peer)
    return connection?.leftForGood === true && connection.relay.heardTheEnd
  }

  /** Nothing passes for a while, and then it does. */
  freeze({ endpoint }: Connection, durationMs: number): void {
    endpoint.conditions.frozenUntilMs = this.#scheduler.nowMs + durationMs
  }

  /** Everything passes again at once. */
  heal(): void {
    this.closedUntilMs = 0
    for (const { endpoint } of this.connections) endpoint.conditions.frozenUntilMs = 0
  }
}
