import { describe, expect, it } from 'vitest'
import { GuessLimiter } from './guessLimiter.ts'

function fail(limiter: GuessLimiter, address: string, nowMs: number): void {
  limiter.started(address, nowMs)
  limiter.failed(address, nowMs)
}

describe('slowing down guesses', () => {
  it('lets an address wait twice as long after each failed attempt, up to 30 s', () => {
    const limiter = new GuessLimiter()
    const waits: number[] = []
    let now = 0
    for (let attempt = 0; attempt < 12; attempt += 1) {
      now += limiter.delayMs('192.0.2.1', now)
      fail(limiter, '192.0.2.1', now)
      waits.push(limiter.delayMs('192.0.2.1', now))
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000])
  })

  it('keeps the other addresses as they are, for a failed and for a right attempt', () => {
    const limiter = new GuessLimiter()
    fail(limiter, '192.0.2.1', 0)
    expect(limiter.delayMs('192.0.2.2', 0)).toBe(0)
    limiter.started('192.0.2.2', 0)
    limiter.proven('192.0.2.2', 0)
    expect(limiter.delayMs('192.0.2.1', 0)).toBe(100)
  })

  it('forgives an address that proves the password', () => {
    const limiter = new GuessLimiter()
    for (let attempt = 0; attempt < 5; attempt += 1) fail(limiter, '192.0.2.1', 0)
    limiter.started('192.0.2.1', 60_000)
    limiter.proven('192.0.2.1', 60_000)
    expect(limiter.delayMs('192.0.2.1', 60_000)).toBe(0)
    expect(limiter.size).toBe(0)
  })

  it('counts a whole /64 as one address, and a mapped IPv4 address as the IPv4 one', () => {
    const limiter = new GuessLimiter()
    fail(limiter, '2001:db8:1:2::1', 0)
    expect(limiter.delayMs('2001:db8:1:2:ffff::9', 0)).toBe(100)
    expect(limiter.delayMs('2001:db8:1:3::1', 0)).toBe(0)
    fail(limiter, '::ffff:192.0.2.1', 0)
    expect(limiter.delayMs('192.0.2.1', 0)).toBe(100)
    fail(limiter, 'fe80::1%eth0', 0)
    expect(limiter.delayMs('fe80::2', 0)).toBe(100)
  })

  it('forgets with time', () => {
    const limiter = new GuessLimiter({ decayMs: 1_000 })
    for (let attempt = 0; attempt < 4; attempt += 1) fail(limiter, '192.0.2.1', 0)
    fail(limiter, '192.0.2.1', 20_000)
    expect(limiter.delayMs('192.0.2.1', 20_000)).toBe(100)
  })

  it('does not let many connections at once go round the wait', () => {
    const limiter = new GuessLimiter()
    fail(limiter, '192.0.2.1', 0)
    expect(limiter.delayMs('192.0.2.1', 100)).toBe(0)
    limiter.started('192.0.2.1', 100)
    expect(limiter.delayMs('192.0.2.1', 100)).toBe(100)
  })

  it('bounds the attempts at once of an address that has not failed yet, and takes no notice of those that succeed', () => {
    const limiter = new GuessLimiter()
    for (let attempt = 0; attempt < 64; attempt += 1) {
      expect(limiter.delayMs('192.0.2.1', 0)).toBe(0)
      limiter.started('192.0.2.1', 0)
    }
    expect(limiter.delayMs('192.0.2.1', 0)).toBe(100)
    for (let attempt = 0; attempt < 64; attempt += 1) limiter.proven('192.0.2.1', 10)
    expect(limiter.delayMs('192.0.2.1', 10)).toBe(0)
  })

  it('remembers a bounded number of addresses and forgets the one not seen for longest', () => {
    const limiter = new GuessLimiter({ addressesMax: 100 })
    for (let host = 0; host < 200; host += 1) {
      fail(limiter, '192.0.2.1', 0)
      fail(limiter, `198.51.100.${host}`, 0)
    }
    expect(limiter.size).toBe(100)
    expect(limiter.delayMs('192.0.2.1', 0)).toBe(30_000)
    expect(limiter.delayMs('198.51.100.0', 0)).toBe(0)
  })
})
