import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sealedTicketBytes, TicketSeal } from './tickets.ts'

const ticketKey = new Uint8Array(32).fill(1)
const passwordBinding = new Uint8Array(32).fill(2)
const key = new Uint8Array(32).fill(7)
const options = { ticketKey, passwordBinding, ticketMs: 10_000 }

function sealed(dateMs = 0): Uint8Array {
  return new TicketSeal(options).seal(key, dateMs)
}

describe('the tickets of a relay', () => {
  it('are taken until they expire, by whoever has the same key and password: also after a restart', () => {
    const ticket = sealed(1_000)
    const restarted = new TicketSeal(options)
    expect(restarted.open(ticket, 1_000)).toEqual(key)
    expect(restarted.open(ticket, 10_999)).toEqual(key)
    expect(restarted.open(ticket, 11_000)).toBeUndefined()
  })

  it('die with the password, and with the key of the relay', () => {
    const ticket = sealed()
    expect(new TicketSeal({ ...options, passwordBinding: new Uint8Array(32) }).open(ticket, 0)).toBeUndefined()
    expect(new TicketSeal({ ...options, ticketKey: new Uint8Array(32) }).open(ticket, 0)).toBeUndefined()
  })

  it('live no longer than the relay gives them now, whatever the clock or the option was when they were made', () => {
    const seal = new TicketSeal(options)
    const ofTheFuture = seal.seal(key, 1_000_000)
    expect(seal.open(ofTheFuture, 0)).toBeUndefined()
    // A clock that was set back a little is forgiven.
    expect(seal.open(ofTheFuture, 1_000_000 - 59_000)).toEqual(key)
    expect(new TicketSeal({ ...options, ticketMs: 1_000 }).open(seal.seal(key, 100_000), 0)).toBeUndefined()
    expect(new TicketSeal({ ...options, ticketMs: 0 }).open(seal.seal(key, 0), 0)).toBeUndefined()
  })

  it('show nothing of their key, and no two are alike', () => {
    const [one, other] = [sealed(), sealed()]
    expect(one).toHaveLength(sealedTicketBytes)
    expect(one).not.toEqual(other)
    expect(Buffer.from(one).includes(Buffer.from(key.subarray(0, 8)))).toBe(false)
  })

  it('are not taken when a single bit is changed, a byte is missing, or they are made up', () => {
    const seal = new TicketSeal(options)
    const ticket = sealed()
    fc.assert(
      fc.property(fc.nat(ticket.length * 8 - 1), (bit) => {
        const changed = Uint8Array.from(ticket)
        changed[bit >>> 3] = (changed[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
        expect(seal.open(changed, 0)).toBeUndefined()
      }),
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => seal.open(bytes, 0) === undefined))
    expect(seal.open(ticket.subarray(1), 0)).toBeUndefined()
  })

  it('are not handed out when they would live less than a second, and say so when their lifetime does not fit the wire', () => {
    expect(new TicketSeal({ ...options, ticketMs: 999 }).lifetimeSeconds).toBe(0)
    expect(new TicketSeal({ ...options, ticketMs: Number.MAX_SAFE_INTEGER }).lifetimeSeconds).toBe(0xffff_ffff)
  })
})
