import type { Clock, Timer } from '../clock.ts'
import type { AddressPrefixes } from '../security/address.ts'
import type { LoginRateLimiter } from '../security/loginRateLimiter.ts'

/** A login that waits for its turn. */
export interface WaitingLogin {
  /** Where it comes from. */
  readonly from: AddressPrefixes
  /** Its turn has come; the limiter has been told. */
  answer(): void
  /** It is told that its turn will come: what says nothing is taken for dead. */
  keepWaiting(): void
  /** There is no room for it any more; it may come again after so long. */
  refuse(waitMs: number): void
}

/** Logins that are answered before the relay looks at anything else again: each takes about a millisecond. */
const ANSWERS_PER_TURN = 4
/** How often a login that waits is told so. An endpoint gives up one that hears nothing for much longer. */
const TELL_MS = 500
/** How long a login that found no room stays away. */
const REFUSED_WAIT_MS = 2_000

/**
 * The logins that a relay has not answered yet. They are answered one address after the other, so that many from one address do
 * not keep those from others waiting, and in turns: one from where the password was proven before, then one of the others. Only
 * as many are answered as the limiter allows, which slows down nobody but those who guess; and only a few at a time, so that the
 * logins that were answered go on before new ones begin.
 */
export class LoginQueue {
  readonly #clock: Clock
  readonly #limiter: LoginRateLimiter
  readonly #waitingMax: number
  /** By address, in the order of their turns: from where the password was proven before, and the others. */
  readonly #known = new Map<string, WaitingLogin[]>()
  readonly #unknown = new Map<string, WaitingLogin[]>()
  #count = 0
  #knownIsNext = true
  #isDue = false
  #timer: Timer | undefined
  #tellTimer: Timer | undefined

  constructor(clock: Clock, limiter: LoginRateLimiter, waitingMax: number) {
    this.#clock = clock
    this.#limiter = limiter
    this.#waitingMax = waitingMax
  }

  /** Logins that wait. */
  get size(): number {
    return this.#count
  }

  /** Waits for a turn. */
  enter(login: WaitingLogin): void {
    const [address] = login.from
    const queue = this.#queueOf(login.from)
    const others = queue.get(address)
    if (others === undefined) queue.set(address, [login])
    else others.push(login)
    this.#count++
    if (this.#count > this.#waitingMax) this.#refuseOne()
    this.#request()
    this.#tellTimer ??= this.#clock.after(TELL_MS, () => this.#tell())
  }

  /** It waits no more: its connection is gone. */
  leave(login: WaitingLogin): void {
    const [address] = login.from
    for (const queue of [this.#known, this.#unknown]) {
      const others = queue.get(address)
      const index = others?.indexOf(login) ?? -1
      if (others === undefined || index < 0) continue
      others.splice(index, 1)
      if (others.length === 0) queue.delete(address)
      this.#count--
    }
    if (this.#count === 0) this.#rest()
  }

  #queueOf(from: AddressPrefixes): Map<string, WaitingLogin[]> {
    const [address] = from
    // Those who wait already keep their place, and those who come later go behind them.
    if (this.#unknown.has(address)) return this.#unknown
    return this.#known.has(address) || this.#limiter.isKnown(from) ? this.#known : this.#unknown
  }

  /** The newest one of the address from which most wait. */
  #refuseOne(): void {
    let most: WaitingLogin[] = []
    for (const queue of [this.#known, this.#unknown])
      for (const others of queue.values()) if (others.length > most.length) most = others
    const newest = most.at(-1)
    if (newest === undefined) return
    this.leave(newest)
    newest.refuse(REFUSED_WAIT_MS)
  }

  #request(): void {
    if (this.#isDue || this.#count === 0) return
    this.#isDue = true
    this.#timer?.cancel()
    this.#timer = undefined
    this.#clock.soon(() => {
      this.#isDue = false
      this.#answerSome()
    })
  }

  #answerSome(): void {
    for (let answered = 0; answered < ANSWERS_PER_TURN; answered++) {
      const next = this.#next()
      if (next === undefined) {
        this.#waitForTurn()
        return
      }
      this.#limiter.answered(next.from, this.#clock.nowMs())
      next.answer()
    }
    this.#request()
  }

  /** Whose turn it is, if the limiter lets anybody have it; the address goes behind the others then. */
  #next(): WaitingLogin | undefined {
    const nowMs = this.#clock.nowMs()
    if (this.#limiter.totalWaitMs(nowMs) > 0) return undefined
    // Neither those that are known nor those that are not can keep the others waiting forever.
    for (const queue of this.#knownIsNext ? [this.#known, this.#unknown] : [this.#unknown, this.#known]) {
      for (const [address, others] of queue) {
        const [next] = others
        if (next === undefined || this.#limiter.waitMs(next.from, nowMs) > 0) continue
        others.shift()
        queue.delete(address)
        if (others.length > 0) queue.set(address, others)
        this.#count--
        this.#knownIsNext = queue === this.#unknown
        return next
      }
    }
    return undefined
  }

  /** A login that succeeds gives way to the next one: its tokens are back. */
  succeeded(from: AddressPrefixes): void {
    this.#limiter.succeeded(from, this.#clock.nowMs())
    this.#request()
  }

  #waitForTurn(): void {
    if (this.#count === 0) {
      this.#rest()
      return
    }
    const nowMs = this.#clock.nowMs()
    let waitMs = Number.POSITIVE_INFINITY
    for (const queue of [this.#known, this.#unknown])
      for (const [next] of queue.values())
        if (next !== undefined) waitMs = Math.min(waitMs, this.#limiter.waitMs(next.from, nowMs))
    this.#timer?.cancel()
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(waitMs)), () => {
      this.#timer = undefined
      this.#request()
    })
  }

  #tell(): void {
    this.#tellTimer = undefined
    if (this.#count === 0) return
    for (const queue of [this.#known, this.#unknown])
      for (const others of [...queue.values()]) for (const login of [...others]) login.keepWaiting()
    this.#tellTimer ??= this.#clock.after(TELL_MS, () => this.#tell())
  }

  /** No timer is left behind. */
  #rest(): void {
    this.#timer?.cancel()
    this.#tellTimer?.cancel()
    this.#timer = undefined
    this.#tellTimer = undefined
  }
}
