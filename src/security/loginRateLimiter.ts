import type { AddressPrefixes } from './address.ts'
import { TokenBucket, type TokenRate } from './tokenBucket.ts'

/** How often a password may be tried in vain. */
export interface LoginRates {
  /** From one address: an IPv4 address, or the /64 of an IPv6 one, which is what one machine may have. */
  readonly address: TokenRate
  /** From the /56 and the /48 of an IPv6 address, which is what one customer may have. */
  readonly site: TokenRate
  readonly network: TokenRate
  /** From everywhere together. */
  readonly total: TokenRate
}

/**
 * At most 1 820 wrong passwords from one address in the first hour and 1 800 in each hour after it; from a /56 3 640 and 3 600, from
 * a /48 7 280 and 7 200; and from everywhere together 14 800 and 14 400. Two seconds are also what a right password waits for each
 * wrong one from its own address that is before it.
 */
export const loginRates: Readonly<LoginRates> = {
  address: { burst: 20, tokenMs: 2_000 },
  site: { burst: 40, tokenMs: 1_000 },
  network: { burst: 80, tokenMs: 500 },
  total: { burst: 400, tokenMs: 250 },
}

/** Addresses from which the password was proven that go before others. */
const KNOWN_MAX = 10_000

/**
 * Bounds how often a password can be tried in vain, per address and in total, and leaves those alone that succeed: the answer
 * to a login takes a token of each prefix of its address, because who guesses has then all that is needed to try one
 * password and need not say how it went; and a login that succeeds gives its tokens back. So it is only wrong passwords that use
 * them up, and nobody's success forgives what somebody else at the same address did.
 *
 * A bucket that is full again is forgotten, which changes nothing. One that is not has lost a token which is not back yet, and all
 * of them together cannot lose more than the bucket for everybody: that bounds their number, so nothing has to be evicted.
 */
export class LoginRateLimiter {
  readonly #rates: LoginRates
  readonly #total: TokenBucket
  readonly #buckets = new Map<string, TokenBucket>()
  /** Least recently used first. */
  readonly #known = new Set<string>()

  constructor(nowMs: number, rates: LoginRates = loginRates) {
    this.#rates = rates
    this.#total = new TokenBucket(rates.total, nowMs)
  }

  /** Prefixes that are remembered at the moment. */
  get size(): number {
    return this.#buckets.size
  }

  /** How long a login from this address has to wait; 0: it may be answered now. Changes nothing. */
  waitMs(from: AddressPrefixes, nowMs: number): number {
    let waitMs = this.#total.waitMs(nowMs)
    for (const prefix of from) waitMs = Math.max(waitMs, this.#buckets.get(prefix)?.waitMs(nowMs) ?? 0)
    return waitMs
  }

  /** How long until any login at all may be answered. */
  totalWaitMs(nowMs: number): number {
    return this.#total.waitMs(nowMs)
  }

  /** The relay answers a login for which {@link waitMs} is 0; a right password is followed by {@link succeeded}. */
  answered(from: AddressPrefixes, nowMs: number): void {
    this.#total.take(nowMs)
    for (const [index, prefix] of from.entries()) this.#bucket(prefix, index, nowMs).take(nowMs)
    this.#forgetFull(nowMs)
  }

  /** The login that was answered proved the password: it counts as if it had not been. */
  succeeded(from: AddressPrefixes, nowMs: number): void {
    this.#total.giveBack(nowMs)
    for (const prefix of from) {
      const bucket = this.#buckets.get(prefix)
      bucket?.giveBack(nowMs)
      if (bucket?.isFull(nowMs) === true) this.#buckets.delete(prefix)
    }
    this.know(from)
  }

  /** Somebody at this address has proven the password, by whatever means. */
  know([place]: AddressPrefixes): void {
    this.#known.delete(place)
    this.#known.add(place)
    for (const oldest of this.#known) {
      if (this.#known.size <= KNOWN_MAX) break
      this.#known.delete(oldest)
    }
  }

  /** Whether the password was proven from there: where tokens are scarce, such an address goes before those that nobody knows. */
  isKnown([place]: AddressPrefixes): boolean {
    return this.#known.has(place)
  }

  #bucket(prefix: string, index: number, nowMs: number): TokenBucket {
    let bucket = this.#buckets.get(prefix)
    if (bucket === undefined) {
      const { address, site, network } = this.#rates
      bucket = new TokenBucket([address, site, network][index] ?? network, nowMs)
      this.#buckets.set(prefix, bucket)
    }
    return bucket
  }

  /** Some of the oldest each time: enough, since each call adds at most three. */
  #forgetFull(nowMs: number): void {
    let looks = 0
    for (const [prefix, bucket] of this.#buckets) {
      if (++looks > 8) break
      this.#buckets.delete(prefix)
      if (!bucket.isFull(nowMs)) this.#buckets.set(prefix, bucket)
    }
  }
}
