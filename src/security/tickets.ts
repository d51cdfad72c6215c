import { randomBytes } from 'node:crypto'
import { ticketKeyOf } from './channelProof.ts'
import { ticketIdBytes } from './proofMessages.ts'

/**
 * What an endpoint keeps of a login, so that its process reconnects or opens further endpoints without the password
 * exchange. `key` is a secret: it is never logged, stored or sent.
 */
export interface Ticket {
  readonly id: Uint8Array
  readonly key: Uint8Array
  /** How long the relay promised to know it, from the login on. */
  readonly lifetimeMs: number
}

interface StoredTicket {
  readonly key: Uint8Array
  readonly expiresAtMs: number
}

/** Each takes about 0.5 KiB; the 10 001st process logs in with the password again after a lost link, nothing worse. */
const ticketsMax = 10_000

/** The tickets that a relay handed out: in memory, bounded, expiring. A relay that restarts knows none. */
export class TicketStore {
  /** Oldest first, which is also soonest expired first, since all live equally long. */
  readonly #tickets: Map<string, StoredTicket> = new Map()
  readonly #lifetimeSeconds: number
  readonly #max: number

  constructor(ticketMs: number, max: number = ticketsMax) {
    this.#lifetimeSeconds = Math.min(Math.floor(ticketMs / 1000), 0xffff_ffff)
    this.#max = max
  }

  get size(): number {
    return this.#tickets.size
  }

  /** A fresh name for a ticket and its lifetime; undefined if this relay hands out none. */
  announce(): { id: Uint8Array; seconds: number } | undefined {
    if (this.#lifetimeSeconds <= 0) return undefined
    return { id: new Uint8Array(randomBytes(ticketIdBytes)), seconds: this.#lifetimeSeconds }
  }

  /** Keeps the ticket of an endpoint that has proven itself. */
  keep(id: Uint8Array, sessionKey: Uint8Array, nowMs: number): void {
    this.#forgetExpired(nowMs)
    this.#tickets.set(nameOf(id), {
      key: ticketKeyOf(sessionKey, id),
      expiresAtMs: nowMs + this.#lifetimeSeconds * 1000,
    })
    for (const oldest of this.#tickets.keys()) {
      if (this.#tickets.size <= this.#max) break
      this.#tickets.delete(oldest)
    }
  }

  find(id: Uint8Array, nowMs: number): Uint8Array | undefined {
    const name = nameOf(id)
    const ticket = this.#tickets.get(name)
    if (ticket === undefined) return undefined
    if (ticket.expiresAtMs > nowMs) return ticket.key
    this.#tickets.delete(name)
    return undefined
  }

  #forgetExpired(nowMs: number): void {
    for (const [name, { expiresAtMs }] of this.#tickets) {
      if (expiresAtMs > nowMs) break
      this.#tickets.delete(name)
    }
  }
}

function nameOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('base64url')
}
