import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../clock.fixture.ts'
import { createError } from '../../errors.ts'
import type { Ticket } from '../../security/tickets.ts'
import { type AttemptTurn, TicketPool } from './ticketPool.ts'

function ticket(lifetimeMs = 100_000): Ticket {
  return { sealed: new Uint8Array(72), key: new Uint8Array(32), lifetimeMs }
}

/** A pool, and one that has the ticket of a login. */
function emptyPool() {
  const clock = new FakeClock()
  return { clock, pool: new TicketPool(clock) }
}

async function poolWith(known: Ticket) {
  const { clock, pool } = emptyPool()
  ;(await pool.nextTurn('relay')).proven(known)
  return { clock, pool }
}

/** Waits for so many turns at once; those that were given, as they come. */
function turnsGiven(pool: TicketPool, count: number): AttemptTurn[] {
  const turns: AttemptTurn[] = []
  for (let index = 0; index < count; index++) void pool.nextTurn('relay').then((turn) => turns.push(turn))
  return turns
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('The tickets of a process', () => {
  it('cost one login for many endpoints', async () => {
    const { pool } = emptyPool()
    const first = await pool.nextTurn('relay')
    expect(first.ticket).toBeUndefined()
    const others = Array.from({ length: 20 }, () => pool.nextTurn('relay'))
    const brought = ticket()
    first.proven(brought)
    for (const other of others) expect((await other).ticket).toBe(brought)
  })

  it('let the next one log in when a login brought none', async () => {
    const { pool } = emptyPool()
    const first = await pool.nextTurn('relay')
    const second = pool.nextTurn('relay')
    const third = pool.nextTurn('relay')
    first.over()
    const next = await second
    expect(next.ticket).toBeUndefined()
    next.proven(ticket())
    expect((await third).ticket).toBeDefined()
  })

  it('are kept apart by relay and password', async () => {
    const { pool } = emptyPool()
    ;(await pool.nextTurn('one')).proven(ticket())
    expect((await pool.nextTurn('two')).ticket).toBeUndefined()
    expect((await pool.nextTurn('one')).ticket).toBeDefined()
  })

  it('expire', async () => {
    const { clock, pool } = await poolWith(ticket(1_000))
    clock.advance(999)
    expect((await pool.nextTurn('relay')).ticket).toBeDefined()
    clock.advance(1)
    expect((await pool.nextTurn('relay')).ticket).toBeUndefined()
  })

  it('are shown by all at once while it is certain that the relay knows them', async () => {
    const { pool } = await poolWith(ticket())
    const all = turnsGiven(pool, 20)
    await turn()
    expect(all).toHaveLength(20)
  })

  it('are tried by one alone when a link was lost: if the relay was restarted, all use what that one brings', async () => {
    const old = ticket()
    const { pool } = await poolWith(old)
    pool.doubt('relay')
    const all = turnsGiven(pool, 20)
    await turn()
    expect(all.map((turn) => turn.ticket)).toEqual([old])
    const fresh = ticket()
    all[0]?.proven(fresh)
    await turn()
    expect(all.slice(1).map((turn) => turn.ticket)).toEqual(Array.from({ length: 19 }, () => fresh))
  })

  it('are tried by one alone after a while, and by all when they were good', async () => {
    const known = ticket()
    const { clock, pool } = await poolWith(known)
    clock.advance(1_000)
    const all = turnsGiven(pool, 3)
    await turn()
    expect(all).toHaveLength(1)
    all[0]?.proven(known)
    await turn()
    expect(all.map((turn) => turn.ticket)).toEqual([known, known, known])
  })

  it('are not waited for when nothing is heard: there are two attempts after a second, four after two', async () => {
    const { clock, pool } = emptyPool()
    const all = turnsGiven(pool, 50)
    const counts: number[] = []
    for (let second = 0; second < 5; second++) {
      await turn()
      counts.push(all.length)
      clock.advance(1_000)
    }
    expect(counts).toEqual([1, 2, 4, 8, 16])
    // What is late is of use to whoever comes next.
    const fresh = ticket()
    all[2]?.proven(fresh)
    await turn()
    expect(all).toHaveLength(50)
    expect((await pool.nextTurn('relay')).ticket).toBe(fresh)
    for (const turn of all) turn.over()
    expect(clock.timers).toBe(0)
  })

  it('are waited for as long as the attempt that will bring one is heard of', async () => {
    const { clock, pool } = emptyPool()
    const all = turnsGiven(pool, 3)
    await turn()
    for (let step = 0; step < 20; step++) {
      clock.advance(900)
      all[0]?.heard()
    }
    all[0]?.heard(5_000)
    clock.advance(4_999)
    await turn()
    expect(all).toHaveLength(1)
    clock.advance(1)
    await turn()
    expect(all).toHaveLength(2)
  })

  it('are not waited for at a relay that gives none', async () => {
    const { pool } = emptyPool()
    const all = turnsGiven(pool, 50)
    await turn()
    all[0]?.proven(undefined)
    await turn()
    expect(all).toHaveLength(50)
  })
})

describe('The attempts of a process', () => {
  it('are finished before more are begun, in order', async () => {
    const { pool } = await poolWith(ticket())
    const all = turnsGiven(pool, 500)
    await turn()
    // One more is under way: the one that brought the ticket.
    expect(all).toHaveLength(63)
    for (let done = 0; done < 400; done++) {
      all[done]?.over()
      all[done]?.over()
      await turn()
      expect(all).toHaveLength(Math.min(500, 64 + done))
    }
  })

  it('are not held up by many that are swallowed', async () => {
    const { clock, pool } = await poolWith(ticket())
    const all = turnsGiven(pool, 500)
    await turn()
    expect(all).toHaveLength(63)
    clock.advance(1_000)
    await turn()
    all.at(-1)?.proven(all.at(-1)?.ticket)
    await turn()
    expect(all.length).toBeGreaterThan(63)
  })

  it('find out once for all who wait that the password is wrong', async () => {
    const { pool } = emptyPool()
    const first = await pool.nextTurn('relay')
    const others = Array.from({ length: 20 }, () => pool.nextTurn('relay'))
    const other = pool.nextTurn('another relay')
    first.over(createError('WRONG_PASSWORD', 'wrong'))
    const outcomes = await Promise.allSettled(others)
    expect(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason.code === 'WRONG_PASSWORD')).toBe(
      true,
    )
    expect((await other).ticket).toBeUndefined()
    // Whoever comes later tries again.
    expect((await pool.nextTurn('relay')).ticket).toBeUndefined()
  })

  it('do not wait for tickets where there are none', async () => {
    const { pool } = emptyPool()
    const all = await Promise.all(Array.from({ length: 50 }, () => pool.nextTurn('relay', false)))
    expect(all).toHaveLength(50)
  })
})
