import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { EndpointConnectOptions, RelayOptions } from 'objectrelay'
import { temporaryFolder } from '../../support/folders.ts'
import { host, password } from '../../support/network.ts'
import { eventually } from '../../support/waiting.ts'
import { FaultyProxy } from './faultyProxy.ts'
import { Ledger, readJournal, type Sent, type Verdict } from './ledger.ts'
import { Party } from './party.ts'

/** Quick heartbeats, so that what is dead is noticed within half a second. */
export const heartbeatMs = 200
/** When a silent peer is noticed at the latest: two intervals, looked at twice in each, on a machine that is busy. */
export const noticedMs: number = 2.5 * heartbeatMs + 1_500

/** How many objects a consumer asks for, unless it is told otherwise; as in consuming.js. */
export const creditUsual = 1_000_000

/** A count for a fault test: the one of `name` in the environment, for long runs by hand, or that of CI. */
export function countFor(name: string, usual: number): number {
  return Number(process.env[name] ?? usual)
}

/** The processes, proxies and journals of one test. */
export class Stage {
  readonly #folder: string
  readonly #parties: Party[] = []
  readonly #proxies: FaultyProxy[] = []
  readonly #journals = new Set<string>()

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(): Promise<Stage> {
    return new Stage(await temporaryFolder())
  }

  party(): Party {
    const party = new Party()
    this.#parties.push(party)
    return party
  }

  /** A relay in a process of its own. */
  async relay({ limits = {}, ...options }: Partial<RelayOptions> = {}): Promise<{ relay: Party; port: number }> {
    const relay = this.party()
    const port = await this.startRelay(relay, {
      limits: { heartbeatMs, sessionGraceMs: 10_000, ...limits },
      ...options,
    })
    return { relay, port }
  }

  async startRelay(relay: Party, options: Partial<RelayOptions>): Promise<number> {
    const started = await relay.ask('startRelay', { options: { port: 0, host, password, ...options } })
    return (started as { port: number }).port // of relayRole.js
  }

  async proxy(relayPort: number): Promise<FaultyProxy> {
    const proxy = await FaultyProxy.open(relayPort)
    this.#proxies.push(proxy)
    return proxy
  }

  /** An endpoint in a process of its own, or in that of `party`. */
  async endpoint(
    name: string,
    { party = this.party(), ...options }: Partial<EndpointConnectOptions> & { port: number; party?: Party },
  ): Promise<Party> {
    const reconnect = { initialDelayMs: 20, maxDelayMs: 200 }
    await party.ask('connect', { name, options: { host, password, reconnect, ...options } })
    return party
  }

  /** The file that `name` writes down what it does in. */
  journal(name: string): string {
    const path = join(this.#folder, `${name}.journal`)
    this.#journals.add(path)
    return path
  }

  /** What stands in the journal of `name`. */
  lines(name: string): string[] {
    return readJournal(this.journal(name))
  }

  ledger(): Ledger {
    return new Ledger([...this.#journals])
  }

  /** Waits until so many lines stand in the journal of `name`. */
  async untilLines(name: string, count: number, timeoutMs = 30_000): Promise<void> {
    const path = this.journal(name)
    let bytes = -1
    let lines = 0
    const read = () => {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
      if (size !== bytes) lines = readJournal(path).length
      bytes = size
      return lines
    }
    await eventually(read, (have) => have >= count, timeoutMs)
  }

  /** Waits until the relay keeps nothing of a group any more, and says what became of each object that was sent there. */
  async verdict(relay: Party, group: string, sent: Sent, timeoutMs = 30_000): Promise<Verdict> {
    await eventually(
      async () => (await relay.relayStats()).groups[group],
      (state) => state !== undefined && state.waiting + state.leased === 0,
      timeoutMs,
    )
    return this.ledger().verdict(sent)
  }

  async close(): Promise<void> {
    for (const proxy of this.#proxies.splice(0)) proxy.close()
    await Promise.all(this.#parties.splice(0).map((party) => party.dismiss()))
  }
}

/** What each run must come to in which no consumer died. */
export const flawless = { lost: 0, duplicated: 0, unexpected: 0, outOfOrder: 0, redelivered: 0 } as const
