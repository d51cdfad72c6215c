import { join } from 'node:path'
import { host, password } from '../../../support/network.ts'
import { FaultyProxy } from '../faultyProxy.ts'
import { Party } from '../party.ts'
import type { SoakLedger } from './soakLedger.ts'

/** The kinds of load: objects of a few hundred bytes, objects in chunks, and broadcasts. */
const loads = [
  { group: 'work', kind: 'produce', bytes: 300, ratePerSecond: 1_000, outstandingMax: 2_000 },
  { group: 'bulk', kind: 'produce', bytes: 3_000_000, ratePerSecond: 3, outstandingMax: 4 },
  { group: 'news', kind: 'broadcast', bytes: 5_000, ratePerSecond: 50, outstandingMax: 200 },
] as const

export const sessionGraceMs = 5_000
const limits = { heartbeatMs: 200, sessionGraceMs, groupBytesMax: 256 << 20, objectBytesMax: 16 << 20 }

/** The processes of a soak run: a relay, producers and consumers behind a proxy each. Those who die have successors. */
export class SoakCast {
  readonly relay: Party = new Party()
  readonly producers: Party[] = []
  readonly consumers: Party[] = []
  readonly proxies: FaultyProxy[] = []
  readonly #folder: string
  readonly #ledger: SoakLedger
  readonly #names = new Map<Party, string>()
  #port = 0
  #started = 0

  constructor(folder: string, ledger: SoakLedger) {
    this.#folder = folder
    this.#ledger = ledger
  }

  async begin(): Promise<void> {
    // What waits is bounded by count: a consumer that is away must not fill the machine.
    const acceptedGroups = { work: { maxConsumables: 20_000 }, bulk: { maxConsumables: 20 }, news: {} }
    const options = { host, port: 0, password, limits, acceptedGroups }
    this.#port = ((await this.relay.ask('startRelay', { options })) as { port: number }).port // of relayRole.js
    for (let count = 0; count < 3; count++) await this.addConsumer()
    for (let count = 0; count < 2; count++) await this.addProducer()
  }

  /** A process that takes produced objects and hears broadcasts. */
  async addConsumer(): Promise<void> {
    const { party, name, port } = await this.#newcomer()
    this.consumers.push(party)
    for (const { group, kind } of loads) {
      const own = `${name}.${group}`
      const options = { host, port, password, groups: group, reconnect: { initialDelayMs: 20, maxDelayMs: 500 } }
      await party.ask('connect', { name: own, options, quiet: ['reconnecting', 'connected', 'connecting'] })
      const journal = this.#journal(own, kind === 'broadcast')
      await party.ask('consume', { name: own, group, credit: kind === 'broadcast' ? 0 : 1_000_000, journal })
    }
  }

  /** A process that sends all kinds of load until it is stopped. */
  async addProducer(): Promise<void> {
    const { party, name, port } = await this.#newcomer()
    this.producers.push(party)
    for (const { group, kind, ...load } of loads) {
      const own = `${name}.${group}`
      const options = { host, port, password, reconnect: { initialDelayMs: 20, maxDelayMs: 500 } }
      const quiet = ['reconnecting', 'connected', 'connecting', 'error', 'blocked', 'unblocked']
      await party.ask('connect', { name: own, options, quiet })
      const journal = this.#journal(own, kind === 'broadcast')
      const order = { name: own, group, kind, to: Number.MAX_SAFE_INTEGER, journal, untilStopped: true, ...load }
      party.send(order).catch(() => undefined) // it may be killed
    }
  }

  /** Ends one at once, and puts another in its place. */
  async replace(party: Party): Promise<void> {
    const isProducer = this.producers.includes(party)
    const list = isProducer ? this.producers : this.consumers
    list.splice(list.indexOf(party), 1)
    await party.kill()
    await (isProducer ? this.addProducer() : this.addConsumer())
  }

  /** Lets the producers send what they have begun, and ends them; gives how many objects they got back unsent. */
  async stopProducers(): Promise<number> {
    let undelivered = 0
    for (const party of this.producers) {
      const name = this.#names.get(party)
      const stops = loads.map(({ group }) => party.stopEndpoint(`${name}.${group}`, 20_000))
      for (const outcome of await Promise.all(stops)) undelivered += outcome.undelivered.length
    }
    return undelivered
  }

  async end(): Promise<void> {
    for (const proxy of this.proxies) proxy.close()
    await Promise.all([this.relay, ...this.producers, ...this.consumers].map((party) => party.dismiss()))
  }

  async #newcomer(): Promise<{ party: Party; name: string; port: number }> {
    const party = new Party()
    const name = `p${this.#started++}`
    this.#names.set(party, name)
    const proxy = await FaultyProxy.open(this.#port)
    this.proxies.push(proxy)
    return { party, name, port: proxy.port }
  }

  #journal(name: string, isBroadcast: boolean): string {
    const path = join(this.#folder, `${name}.journal`)
    this.#ledger.follow(path, name, { isBroadcast })
    return path
  }
}
