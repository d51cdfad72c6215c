import type { RelayEventMessage, RelayEvents } from '../../src/relay/relayEvents.ts'
import { RelayServer } from '../../src/relay/relayServer.ts'
import type { RelayStats, RelayStopResult } from '../../src/relay/relayStats.ts'
import { RelayAuthenticator } from '../../src/security/relayProof.ts'
import type { Ledger } from './ledger.ts'
import type { SimulatedNetwork } from './network.ts'
import type { Scenario } from './scenario.ts'
import { type Scheduler, SimulatedThread } from './scheduler.ts'
import { serialOf } from './simulatedEndpoint.ts'
import { SimulatedStore } from './simulatedStore.ts'

/** The relay of a simulation: the real one, on a thread that may be frozen, killed and started again. */
export class SimulatedRelay {
  /** Counts its lives, from 1. */
  run = 0
  thread: SimulatedThread
  readonly #scheduler: Scheduler
  readonly #network: SimulatedNetwork
  readonly #scenario: Scenario
  readonly #ledger: Ledger
  readonly #note: (what: string) => void
  readonly store: SimulatedStore
  #server: RelayServer | undefined
  /** Drops that the present run has told of, by group. */
  #toldOfDrops = new Map<string, number>()
  /** Where the lost connection of an endpoint came from. */
  readonly #lastPeers = new Map<string, string>()

  constructor(options: {
    scheduler: Scheduler
    network: SimulatedNetwork
    scenario: Scenario
    ledger: Ledger
    note: (what: string) => void
  }) {
    this.#scheduler = options.scheduler
    this.#network = options.network
    this.#scenario = options.scenario
    this.#ledger = options.ledger
    this.#note = options.note
    this.thread = new SimulatedThread('relay 0', options.scheduler)
    this.store = new SimulatedStore(options.scenario.store, options.scheduler, options.note)
  }

  async start(): Promise<void> {
    const run = ++this.run
    const thread = new SimulatedThread(`relay ${run}`, this.#scheduler, this.#scheduler.random.pick([0.2, 20]))
    this.thread = thread
    const { acceptedGroups, limits } = this.#scenario
    this.#ledger.relayRestarted(this.store.remembers)
    this.#toldOfDrops = new Map()
    const store = await this.store.open(thread)
    const authenticator = await this.#scheduler.outside(
      RelayAuthenticator.create(
        { password: 'the password of a simulation' },
        { ticketMs: limits.ticketMs, ticketKey: store.ticketKey },
      ),
    )
    const server = new RelayServer(
      { acceptedGroups, limits },
      { clock: thread, authenticator, store, emit: (event) => this.#event(event, run) },
    )
    this.#server = server
    this.#network.listening = {
      thread,
      run,
      admit: (transport) => server.admit({ transport, reached: () => undefined, authenticated: () => undefined }),
    }
    this.#note(`relay ${run} runs`)
  }

  /** It ends from one moment to the next; `told`: whether its operating system still says so to the endpoints. */
  kill(told: boolean): void {
    this.#note(`relay ${this.run} is killed${told ? '' : ', silently'}`)
    this.#countUntoldDrops()
    this.thread.kill()
    this.store.crash()
    this.#network.listening = undefined
    for (const connection of this.#network.connections) this.#network.cut(connection, told ? 'endpoint' : 'none')
  }

  /** Some of what was dropped, for good, has not been told of yet: such events are gathered for a while. */
  #countUntoldDrops(): void {
    for (const { name, dropped } of Object.values(this.stats()?.groups ?? {}))
      this.#ledger.dropped(name, dropped - (this.#toldOfDrops.get(name) ?? 0))
  }

  stats(): RelayStats | undefined {
    return this.thread.alive ? this.#server?.stats() : undefined
  }

  async stop(deadlineMs: number): Promise<RelayStopResult | undefined> {
    this.#note(`relay ${this.run} stops within ${deadlineMs} ms`)
    this.#network.listening = undefined
    const result = await this.#server?.stop(deadlineMs)
    this.#note(`relay ${this.run} is stopped`)
    return result
  }

  /** Nobody may hold a place for the grace time who has told the relay that it does not come back. */
  #checkNoGhost({ endpoint, reason }: RelayEvents['endpointLeft']): void {
    const peer = this.#lastPeers.get(endpoint)
    this.#lastPeers.delete(endpoint)
    if (reason === 'grace' && peer !== undefined && this.#network.wasToldOfLeaving(peer))
      this.#ledger.break(`the relay kept the place of an endpoint that had left for good, at ${peer}`)
  }

  #event(event: RelayEventMessage, run: number): void {
    if (run !== this.run) return
    switch (event.name) {
      case 'objectDropped':
        this.#note(
          `relay drops ${event.value.count} of ${event.value.kind} ${event.value.group}: ${event.value.reason}`,
        )
        this.#toldOfDrops.set(event.value.group, (this.#toldOfDrops.get(event.value.group) ?? 0) + event.value.count)
        if (event.value.kind === 'produce') this.#ledger.dropped(event.value.group, event.value.count)
        return
      case 'endpointRefused':
      case 'endpointLost': {
        const { code, message } = event.value.error
        this.#note(`relay ${event.name}: ${code} ${message}`)
        if (code === 'PROTOCOL_VIOLATION') this.#ledger.break(`the relay accuses an endpoint: ${message}`)
        if (event.name === 'endpointLost') this.#lastPeers.set(event.value.endpoint, event.value.peer)
        return
      }
      case 'error':
        this.#ledger.break(`the relay has failed: ${event.value.error.message}`)
        return
      case 'endpointLeft':
        this.#note(`relay lets ${event.value.name} go: ${event.value.reason}`)
        this.#ledger.takenBack(serialOf(event.value.name))
        this.#checkNoGhost(event.value)
        return
      case 'leasesRevoked':
        this.#note(`relay revokes ${event.value.count} leases of ${event.value.name}`)
        this.#ledger.revoked(serialOf(event.value.name))
        return
      case 'objectDead':
        this.#note(
          `relay buries ${event.value.count} of ${event.value.group}: ${event.value.reason} at ${event.value.name}`,
        )
    }
  }
}
