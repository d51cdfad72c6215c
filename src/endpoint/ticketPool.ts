import type { Ticket } from '../security/tickets.ts'

interface PoolEntry {
  ticket: Ticket | undefined
  expiresAtMs: number
  login: Promise<void> | undefined
}

/** How a connection may prove the password: with a ticket, or by a login that others wait for. */
export interface Admission {
  readonly ticket: Ticket | undefined
  /** To be called once the attempt is over, with the ticket that it brought, if any. */
  done(ticket: Ticket | undefined): void
}

/**
 * The tickets of this process, by relay and password. While one endpoint logs in with the password, others for the
 * same relay wait for the ticket that it will bring: opening many endpoints at once costs one password exchange.
 */
export class TicketPool {
  readonly #entries = new Map<string, PoolEntry>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  async admit(key: string): Promise<Admission> {
    for (;;) {
      const entry = this.#entryOf(key)
      if (entry.ticket !== undefined && entry.expiresAtMs > this.#nowMs()) {
        return { ticket: entry.ticket, done: (ticket) => this.#keep(entry, ticket) }
      }
      if (entry.login === undefined) return this.#beginLogin(entry)
      await entry.login
    }
  }

  #beginLogin(entry: PoolEntry): Admission {
    let finish: () => void = () => undefined
    entry.ticket = undefined
    entry.login = new Promise((resolve) => {
      finish = resolve
    })
    let over = false
    return {
      ticket: undefined,
      done: (ticket) => {
        if (over) return
        over = true
        this.#keep(entry, ticket)
        entry.login = undefined
        finish()
      },
    }
  }

  #keep(entry: PoolEntry, ticket: Ticket | undefined): void {
    if (ticket === undefined || ticket === entry.ticket) return
    entry.ticket = ticket
    entry.expiresAtMs = this.#nowMs() + ticket.lifetimeMs
  }

  #entryOf(key: string): PoolEntry {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { ticket: undefined, expiresAtMs: 0, login: undefined }
      this.#entries.set(key, entry)
    }
    return entry
  }
}
