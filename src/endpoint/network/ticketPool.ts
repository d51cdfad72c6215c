import type { Clock, Timer } from '../../clock.ts'
import type { ObjectRelayError } from '../../errors.ts'
import { StretchingBudget } from '../../security/stretchingBudget.ts'
import type { Ticket } from '../../security/tickets.ts'

/** How long a ticket that was good is taken to be so still. A relay may be restarted at any moment, and know none of before. */
const TRUST_MS = 1_000

/**
 * Attempts of one process under way at once to one relay. What was begun is finished before more is begun: a thousand endpoints that
 * all begin at once would all be late.
 */
const ATTEMPTS_MAX = 64

/** How long others wait for an attempt of which nothing is heard, before more are made beside it. */
const PATIENCE_MS = 1_000

interface WaitingAttempt {
  readonly sharesTickets: boolean
  readonly resolve: (turn: AttemptTurn) => void
  readonly reject: (reason: unknown) => void
}

interface PoolEntry {
  ticket: Ticket | undefined
  expiresAtMs: number
  trustedUntilMs: number
  /** Whether the relay hands out tickets at all, as far as is known. */
  givesTickets: boolean
  readonly budget: StretchingBudget
  waiting: WaitingAttempt[]
  /** Attempts that are under way, and those of them that others wait for: they find out whether the ticket is good, or bring one. */
  active: number
  trials: number
  /** How many times the usual number of attempts is made, because nothing is heard of those that are under way. */
  growth: number
  patientUntilMs: number
  timer: Timer | undefined
}

/** What one attempt to connect needs to know of the others of its process, and lets them know. */
export interface AttemptTurn {
  /** How it may prove itself, if not by the password. */
  readonly ticket: Ticket | undefined
  /** How much password stretching may be done for that relay. */
  readonly budget: StretchingBudget
  /** The attempt goes on, and the next may take so long: others go on waiting for it. */
  heard(quietMs?: number): void
  /** The relay and the endpoint have proven themselves; with the ticket that was shown or that came, if any. */
  proven(ticket: Ticket | undefined): void
  /** To be called once the attempt is over, however it ended. */
  over(error?: ObjectRelayError): void
}

/**
 * Lets the endpoints of this process connect in order, by relay and password, and shares their tickets. While one endpoint logs in
 * with the password, or finds out whether the relay still takes the ticket, others for the same relay wait for the ticket that
 * it will bring: to open many endpoints at once costs one password exchange, and so does the return of all of them to a relay
 * that was restarted. They wait before they connect, so that they occupy no place there; and only for one that is heard of: when there
 * is silence for a second, there are two attempts, then four, and so on.
 */
export class TicketPool {
  readonly #entries = new Map<string, PoolEntry>()
  readonly #clock: Pick<Clock, 'nowMs' | 'after'>

  constructor(clock: Pick<Clock, 'nowMs' | 'after'>) {
    this.#clock = clock
  }

  /**
   * How an attempt may be made, and when: now, or when those before it have come far enough. Rejects if one of them found out
   * that the password is wrong, or with the signal's reason.
   */
  async nextTurn(key: string, sharesTickets = true, signal?: AbortSignal): Promise<AttemptTurn> {
    signal?.throwIfAborted()
    const entry = this.#entryOf(key)
    let giveUp: () => void = () => undefined
    const turn = new Promise<AttemptTurn>((resolve, reject) => {
      const waiter = { sharesTickets, resolve, reject }
      giveUp = () => {
        entry.waiting = entry.waiting.filter((other) => other !== waiter)
        reject(signal?.reason)
        this.#advance(entry)
      }
      entry.waiting.push(waiter)
    })
    signal?.addEventListener('abort', giveUp)
    this.#advance(entry)
    return await turn.finally(() => signal?.removeEventListener('abort', giveUp))
  }

  /** A link to that relay was lost, or none came about: it may have been restarted, and know no ticket. */
  doubt(key: string): void {
    this.#entryOf(key).trustedUntilMs = 0
  }

  #advance(entry: PoolEntry): void {
    for (let next = entry.waiting[0]; next !== undefined; next = entry.waiting[0]) {
      const nowMs = this.#clock.nowMs()
      const ticket = entry.expiresAtMs > nowMs ? entry.ticket : undefined
      const isSure = ticket !== undefined ? entry.trustedUntilMs > nowMs : !entry.givesTickets
      const isTrial = next.sharesTickets && !isSure
      const isBusy = isTrial ? entry.trials >= entry.growth : entry.active >= ATTEMPTS_MAX * entry.growth
      if (isBusy) break
      entry.waiting.shift()
      if (entry.active === 0) entry.patientUntilMs = nowMs + PATIENCE_MS
      next.resolve(this.#begin(entry, next.sharesTickets ? ticket : undefined, isTrial))
    }
    this.#watch(entry)
  }

  #begin(entry: PoolEntry, ticket: Ticket | undefined, isTrial: boolean): AttemptTurn {
    let [isOver, isTried] = [false, isTrial]
    entry.active++
    if (isTrial) entry.trials++
    const endTrial = () => {
      if (isTried) entry.trials--
      isTried = false
    }
    return {
      ticket,
      budget: entry.budget,
      heard: (quietMs = PATIENCE_MS) => this.#heard(entry, quietMs),
      proven: (good) => {
        this.#keep(entry, good)
        endTrial()
        entry.growth = 1
        this.#heard(entry, PATIENCE_MS)
        this.#advance(entry)
      },
      over: (error) => {
        if (isOver) return
        isOver = true
        entry.active--
        endTrial()
        if (entry.active === 0) entry.growth = 1
        // It is the same for all of them, and each wrong one makes whoever comes from this address wait.
        if (error?.code === 'WRONG_PASSWORD') for (const { reject } of entry.waiting.splice(0)) reject(error)
        this.#advance(entry)
      },
    }
  }

  #heard(entry: PoolEntry, quietMs: number): void {
    entry.patientUntilMs = Math.max(entry.patientUntilMs, this.#clock.nowMs() + quietMs)
  }

  #keep(entry: PoolEntry, ticket: Ticket | undefined): void {
    entry.givesTickets = ticket !== undefined
    if (ticket === undefined) return
    const nowMs = this.#clock.nowMs()
    entry.trustedUntilMs = nowMs + TRUST_MS
    if (ticket === entry.ticket) return
    entry.ticket = ticket
    entry.expiresAtMs = nowMs + ticket.lifetimeMs
  }

  /** Those who wait do so only as long as something is heard. */
  #watch(entry: PoolEntry): void {
    if (entry.waiting.length === 0) {
      entry.timer?.cancel()
      entry.timer = undefined
      return
    }
    if (entry.timer !== undefined) return
    const waitMs = Math.max(entry.patientUntilMs - this.#clock.nowMs(), 1)
    entry.timer = this.#clock.after(waitMs, () => {
      entry.timer = undefined
      const nowMs = this.#clock.nowMs()
      if (nowMs >= entry.patientUntilMs) {
        entry.growth *= 2
        entry.patientUntilMs = nowMs + PATIENCE_MS
      }
      this.#advance(entry)
    })
  }

  #entryOf(key: string): PoolEntry {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = {
        ...{ ticket: undefined, expiresAtMs: 0, trustedUntilMs: 0, givesTickets: true },
        budget: new StretchingBudget(() => this.#clock.nowMs()),
        ...{ waiting: [], active: 0, trials: 0, growth: 1, patientUntilMs: 0, timer: undefined },
      }
      this.#entries.set(key, entry)
    }
    return entry
  }
}
