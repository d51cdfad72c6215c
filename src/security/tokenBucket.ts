/** So many at once, and then one after the other at a steady rate. */
export interface TokenRate {
  /** Tokens of a bucket that was left alone. */
  readonly burst: number
  /** How long one token takes to come back. */
  readonly tokenMs: number
}

/** A bucket of tokens that fills itself with time, which is an argument. */
export class TokenBucket {
  readonly #rate: TokenRate
  #tokens: number
  #atMs: number

  constructor(rate: TokenRate, nowMs: number) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#atMs = nowMs
  }

  /** Whether it is as if nothing had ever been taken. */
  isFull(nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens >= this.#rate.burst
  }

  /** How long until `count` tokens are there; 0: they are. */
  waitMs(nowMs: number, count = 1): number {
    this.#fill(nowMs)
    const missing = Math.min(count, this.#rate.burst) - this.#tokens
    return missing <= 0 ? 0 : missing * this.#rate.tokenMs
  }

  /** Takes tokens; {@link waitMs} was 0. */
  take(nowMs: number, count = 1): void {
    this.#fill(nowMs)
    this.#tokens -= count
  }

  /** Puts tokens back that need not have been taken. */
  giveBack(nowMs: number, count = 1): void {
    this.#fill(nowMs)
    this.#tokens = Math.min(this.#tokens + count, this.#rate.burst)
  }

  #fill(nowMs: number): void {
    const passedMs = Math.max(nowMs - this.#atMs, 0)
    this.#tokens = Math.min(this.#tokens + passedMs / this.#rate.tokenMs, this.#rate.burst)
    this.#atMs = Math.max(nowMs, this.#atMs)
  }
}
