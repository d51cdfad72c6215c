import { describe, expect, it } from 'vitest'
import { ticketKeyOf } from './channelProof.ts'
import { TicketStore } from './tickets.ts'

const sessionKey = new Uint8Array(64).fill(1)

function keepOne(store: TicketStore, nowMs: number): Uint8Array {
  const announced = store.announce()
  if (announced === undefined) throw new Error('No ticket')
  store.keep(announced.id, sessionKey, nowMs)
  return announced.id
}

describe('the tickets of a relay', () => {
  it('are known until they expire', () => {
    const store = new TicketStore(10_000)
    const id = keepOne(store, 0)
    expect(store.find(id, 9_999)).toEqual(ticketKeyOf(sessionKey, id))
    expect(store.find(id, 10_000)).toBeUndefined()
    expect(store.size).toBe(0)
  })

  it('make room by forgetting the expired first and then the oldest', () => {
    const store = new TicketStore(10_000, 3)
    const first = keepOne(store, 0)
    keepOne(store, 9_000)
    keepOne(store, 10_000)
    expect(store.find(first, 9_999)).toBeUndefined()
    const kept = [keepOne(store, 11_000), keepOne(store, 11_000), keepOne(store, 11_000)]
    expect(store.size).toBe(3)
    for (const id of kept) expect(store.find(id, 11_000)).toBeDefined()
  })

  it('are not handed out when they would live less than a second', () => {
    expect(new TicketStore(999).announce()).toBeUndefined()
  })

  it('say so when their lifetime does not fit the wire', () => {
    expect(new TicketStore(Number.MAX_SAFE_INTEGER).announce()?.seconds).toBe(0xffff_ffff)
  })
})
