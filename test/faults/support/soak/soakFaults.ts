import { setTimeout as pause } from 'node:timers/promises'
import type { Silence } from '../faultyProxy.ts'
import type { Party } from '../party.ts'
import type { SoakCast } from './soakCast.ts'

/** Numbers from 0 up to below 1, the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One fault after the other, at random, none of which may cost an object. */
export class SoakFaults {
  readonly counts: Map<string, number> = new Map()
  readonly #cast: SoakCast
  readonly #random: () => number

  constructor(cast: SoakCast, seed: number) {
    this.#cast = cast
    this.#random = seededRandom(seed)
  }

  /** Does a fault, and mends it. */
  async next(): Promise<void> {
    const { relay, producers, consumers, proxies } = this.#cast
    const faults: readonly (readonly [name: string, weight: number, run: () => Promise<void>])[] = [
      ['cut of all links', 4, async () => this.#cutAll()],
      ['cut of one link', 6, async () => this.#pick(proxies).cut()],
      ['half-open links', 3, () => this.#silence()],
      ['other address', 2, async () => this.#pick(proxies).move(this.#pick(['127.0.0.2', '127.0.0.3', '127.0.0.1']))],
      ['frozen producer', 3, () => this.#freeze(this.#pick(producers))],
      ['frozen consumer', 3, () => this.#freeze(this.#pick(consumers))],
      ['frozen relay', 2, () => this.#freeze(relay)],
      ['killed producer', 1, () => this.#cast.replace(this.#pick(producers))],
      ['killed consumer', 1, () => this.#cast.replace(this.#pick(consumers))],
    ]
    const lots = faults.flatMap((fault) => Array.from({ length: fault[1] }, () => fault))
    const [name, , run] = this.#pick(lots)
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    await run()
    await pause(this.#between(200, 2_000))
  }

  #cutAll(): void {
    for (const proxy of this.#cast.proxies) proxy.cut()
  }

  async #silence(): Promise<void> {
    const silence = this.#pick<Silence>(['toRelay', 'toEndpoint', 'both'])
    const proxies = this.#cast.proxies.filter(() => this.#random() < 0.5)
    for (const proxy of proxies) proxy.fallSilent(silence)
    await pause(this.#between(100, 1_500))
    for (const proxy of proxies) proxy.fallSilent('none')
  }

  /** Always for less than the grace time, after which objects are given to others. */
  async #freeze(party: Party): Promise<void> {
    party.signal('SIGSTOP')
    await pause(this.#between(100, 1_500))
    party.signal('SIGCONT')
  }

  #between(least: number, most: number): number {
    return Math.round(least + this.#random() * (most - least))
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.#random() * items.length)]
    if (item === undefined) throw new Error('There is nothing to pick from.')
    return item
  }
}
