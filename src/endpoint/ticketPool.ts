import type { Clock } from '../clock.ts'
import { relayLimitDefaults } from '../limits.ts'
import type { Ticket } from '../security/tickets.ts'

/**
 * How long a connection waits for the outcome of another one. Half of what a relay gives a connection in all, so that there is
 * time for a login of its own.
 */
const WAIT_MS = relayLimitDefaults.handshakeMs / 2

/** How long a ticket that was good is taken to be so still. A relay may be restarted at any moment, and knows none of before. */
const TRUST_MS = 1_000

interface PoolEntry {
  ticket: Ticket | undefined
  expiresAtMs: number
  trustedUntilMs: number
  /** What others wait for: a connection that finds out whether the ticket is good, or brings one. */
  trial: Promise<void> | undefined
}

/** How a connection may prove the password: with a ticket, or by a login that others wait for. */
export interface Admission {
  readonly ticket: Ticket | undefined
  /** The relay and the endpoint have proven themselves; with the ticket that was shown or that came, if any. */
  proven(ticket: Ticket | undefined): void
  /** To be called once the attempt is over, however it ended. */
  over(): void
}

/**
 * The tickets of this process, by relay and password. While one endpoint logs in with the password, or finds out whether the
 * relay still knows the ticket, others for the same relay wait for the ticket that it will bring: to open many endpoints
 * at once costs one password exchange, and so does the return of all of them to a relay that was restarted.
 */
export class TicketPool {
  readonly #entries = new Map<string, PoolEntry>()
  readonly #clock: Pick<Clock, 'nowMs' | 'after'>

  constructor(clock: Pick<Clock, 'nowMs' | 'after'>) {
    this.#clock = clock
  }

  /** How a connection may prove itself now; it waits for others, but not for long. */
  async admit(key: string): Promise<Admission> {
    const entry = this.#entryOf(key)
    const lateAtMs = this.#clock.nowMs() + WAIT_MS
    for (;;) {
      const nowMs = this.#clock.nowMs()
      const ticket = entry.expiresAtMs > nowMs ? entry.ticket : undefined
      if (ticket !== undefined && entry.trustedUntilMs > nowMs) return this.#admission(entry, ticket)
      if (entry.trial === undefined) return this.#beginTrial(entry, ticket)
      if (nowMs >= lateAtMs) return this.#admission(entry, ticket)
      await this.#within(lateAtMs - nowMs, entry.trial)
    }
  }

  /** A link to that relay was lost, or none came about: it may have been restarted, and know no ticket. */
  doubt(key: string): void {
    this.#entryOf(key).trustedUntilMs = 0
  }

  #admission(entry: PoolEntry, ticket: Ticket | undefined): Admission {
    return { ticket, proven: (good) => this.#keep(entry, good), over: () => undefined }
  }

  #beginTrial(entry: PoolEntry, ticket: Ticket | undefined): Admission {
    let finish: () => void = () => undefined
    const trial = new Promise<void>((resolve) => {
      finish = resolve
    })
    entry.trial = trial
    const over = () => {
      if (entry.trial === trial) entry.trial = undefined
      finish()
    }
    return {
      ticket,
      proven: (good) => {
        this.#keep(entry, good)
        over()
      },
      over,
    }
  }

  #keep(entry: PoolEntry, ticket: Ticket | undefined): void {
    if (ticket === undefined) return
    const nowMs = this.#clock.nowMs()
    entry.trustedUntilMs = nowMs + TRUST_MS
    if (ticket === entry.ticket) return
    entry.ticket = ticket
    entry.expiresAtMs = nowMs + ticket.lifetimeMs
  }

  async #within(ms: number, trial: Promise<void>): Promise<void> {
    let late: () => void = () => undefined
    const timer = this.#clock.after(ms, () => late())
    await Promise.race([
      trial,
      new Promise<void>((resolve) => {
        late = resolve
      }),
    ])
    timer.cancel()
  }

  #entryOf(key: string): PoolEntry {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { ticket: undefined, expiresAtMs: 0, trustedUntilMs: 0, trial: undefined }
      this.#entries.set(key, entry)
    }
    return entry
  }
}
