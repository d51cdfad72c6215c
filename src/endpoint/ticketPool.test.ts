import { describe, expect, it } from 'vitest'
import type { Ticket } from '../security/tickets.ts'
import { TicketPool } from './ticketPool.ts'

function ticket(lifetimeMs = 1_000): Ticket {
  return { id: new Uint8Array(16), key: new Uint8Array(32), lifetimeMs }
}

describe('The tickets of a process', () => {
  it('cost one login for many endpoints', async () => {
    const pool = new TicketPool(() => 0)
    const first = await pool.admit('relay')
    expect(first.ticket).toBeUndefined()
    const others = Array.from({ length: 20 }, () => pool.admit('relay'))
    const brought = ticket()
    first.done(brought)
    for (const other of others) expect((await other).ticket).toBe(brought)
  })

  it('let the next one log in when a login brought none', async () => {
    const pool = new TicketPool(() => 0)
    const first = await pool.admit('relay')
    const second = pool.admit('relay')
    const third = pool.admit('relay')
    first.done(undefined)
    const next = await second
    expect(next.ticket).toBeUndefined()
    next.done(ticket())
    expect((await third).ticket).toBeDefined()
  })

  it('are kept apart by relay and password', async () => {
    const pool = new TicketPool(() => 0)
    ;(await pool.admit('one')).done(ticket())
    expect((await pool.admit('two')).ticket).toBeUndefined()
    expect((await pool.admit('one')).ticket).toBeDefined()
  })

  it('expire', async () => {
    let nowMs = 0
    const pool = new TicketPool(() => nowMs)
    ;(await pool.admit('relay')).done(ticket(1_000))
    nowMs = 999
    expect((await pool.admit('relay')).ticket).toBeDefined()
    nowMs = 1_000
    expect((await pool.admit('relay')).ticket).toBeUndefined()
  })

  it('are replaced when the relay did not know one and a login brought another', async () => {
    const pool = new TicketPool(() => 0)
    ;(await pool.admit('relay')).done(ticket())
    const fresh = ticket()
    ;(await pool.admit('relay')).done(fresh)
    expect((await pool.admit('relay')).ticket).toBe(fresh)
  })
})
