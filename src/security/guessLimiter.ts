import { parseAddress, unmapAddress } from './address.ts'

/** How guessing is slowed down; the defaults follow. */
export interface GuessBounds {
  /** The wait after the first failed attempt; it doubles with each further one. */
  readonly delayMsMin: number
  /** The longest wait. */
  readonly delayMsMax: number
  /** The time without a failed attempt in which one is forgotten. */
  readonly decayMs: number
  /** Password exchanges that an address without a failed attempt may have open at once. */
  readonly pendingMax: number
  /** Addresses that are remembered; the one not seen for longest is forgotten first. */
  readonly addressesMax: number
}

const guessBoundDefaults: Readonly<GuessBounds> = {
  delayMsMin: 100,
  delayMsMax: 30_000,
  decayMs: 5 * 60_000,
  pendingMax: 64,
  addressesMax: 10_000,
}

interface Entry {
  /** Failed attempts that are not forgotten yet. */
  failures: number
  /** Since when the next one is being forgotten: the last failure, or the last forgetting. */
  sinceMs: number
  /** Before this moment no attempt is taken. */
  notBeforeMs: number
  /** Password exchanges that were answered and have not ended. */
  pending: number
}

/**
 * Slows down guessing, per address; an IPv6 address counts with its whole /64, which one machine can have. Everything is
 * counted when the relay *answers*, since whoever guesses has then what is needed to try one password and need not say
 * how it went. Attempts at once count too: an address that failed may have one open, so that waiting cannot be
 * circumvented by opening many connections before the first has failed.
 */
export class GuessLimiter {
  readonly #bounds: GuessBounds
  /** Least recently used first. */
  readonly #entries: Map<string, Entry> = new Map()
  /** Beyond this, more failures would only lengthen the forgetting. */
  readonly #failuresMax: number

  constructor(bounds: Partial<GuessBounds> = {}) {
    this.#bounds = { ...guessBoundDefaults, ...bounds }
    this.#failuresMax = 3 + Math.ceil(Math.log2(this.#bounds.delayMsMax / this.#bounds.delayMsMin))
  }

  /** Addresses that are remembered at the moment. */
  get size(): number {
    return this.#entries.size
  }

  /** How long an attempt from this address has to wait; 0: it may be answered now. Changes nothing. */
  delayMs(address: string, nowMs: number): number {
    const entry = this.#entries.get(placeOf(address))
    if (entry === undefined) return 0
    const wait = Math.max(entry.notBeforeMs - nowMs, 0)
    const failed = this.#failuresAt(entry, nowMs) >= 1
    const isCrowded = entry.pending >= (failed ? 1 : this.#bounds.pendingMax)
    return isCrowded ? Math.max(wait, this.#bounds.delayMsMin) : wait
  }

  /** The relay answers an attempt: to be called before the answer leaves, and followed by one `proven` or `failed`. */
  started(address: string, nowMs: number): void {
    this.#touch(address, nowMs).pending += 1
  }

  /** The attempt proved the password: what happened at this address before is forgiven, and at no other. */
  proven(address: string, nowMs: number): void {
    const entry = this.#touch(address, nowMs)
    entry.pending = Math.max(entry.pending - 1, 0)
    entry.failures = 0
    entry.notBeforeMs = 0
    if (entry.pending === 0) this.#entries.delete(placeOf(address))
  }

  /** The attempt ended in any other way, be it by silence. */
  failed(address: string, nowMs: number): void {
    const entry = this.#touch(address, nowMs)
    entry.pending = Math.max(entry.pending - 1, 0)
    entry.failures = Math.min(entry.failures + 1, this.#failuresMax)
    const { delayMsMin, delayMsMax } = this.#bounds
    const delay = Math.min(delayMsMin * 2 ** (entry.failures - 1), delayMsMax)
    entry.sinceMs = nowMs
    entry.notBeforeMs = Math.max(entry.notBeforeMs, nowMs + delay)
  }

  /** The entry, brought up to date and moved to the end of the order; made if it was not there. */
  #touch(address: string, nowMs: number): Entry {
    const place = placeOf(address)
    const entry = this.#entries.get(place) ?? { failures: 0, sinceMs: nowMs, notBeforeMs: 0, pending: 0 }
    const forgotten = entry.failures - this.#failuresAt(entry, nowMs)
    entry.failures -= forgotten
    entry.sinceMs += forgotten * this.#bounds.decayMs
    this.#entries.delete(place)
    this.#entries.set(place, entry)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#bounds.addressesMax) break
      this.#entries.delete(oldest)
    }
    return entry
  }

  #failuresAt({ failures, sinceMs }: Entry, nowMs: number): number {
    const forgotten = Math.floor(Math.max(nowMs - sinceMs, 0) / this.#bounds.decayMs)
    return Math.max(failures - forgotten, 0)
  }
}

/** What counts as one address. Text that is no address (a test, a pipe) counts as it is, cut short. */
function placeOf(address: string): string {
  const bytes = parseAddress(address)
  if (bytes === undefined) return address.slice(0, 64)
  const plain = unmapAddress(bytes)
  return plain.length === 4 ? plain.join('.') : Buffer.from(plain.subarray(0, 8)).toString('hex')
}
