import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addressPrefixes as at } from './address.ts'
import { LoginRateLimiter, loginRates } from './loginRateLimiter.ts'

const hourMs = 3_600_000

/** Guesses wrongly as often as it is let, one address after the other; how many came through. */
function guess(limiter: LoginRateLimiter, addresses: readonly string[], fromMs: number, untilMs: number): number {
  const origins = addresses.map(at)
  let guesses = 0
  for (let nowMs = fromMs; nowMs < untilMs; nowMs += 250) {
    for (const origin of origins) {
      if (limiter.waitMs(origin, nowMs) > 0) continue
      limiter.answered(origin, nowMs)
      guesses++
    }
  }
  return guesses
}

describe('slowing down wrong passwords', () => {
  it.each<[string, readonly string[], number]>([
    ['one address', ['192.0.2.1'], 1_820],
    ['one address that is written in two ways', ['192.0.2.1', '::ffff:192.0.2.1'], 1_820],
    ['a /64', ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::3'], 1_820],
    ['a /56', ['2001:db8:0:1::1', '2001:db8:0:2::1', '2001:db8:0:ff::1'], 3_640],
    ['a /48', Array.from({ length: 50 }, (_, index) => `2001:db8:0:${index.toString(16)}00::1`), 7_280],
    ['everywhere', Array.from({ length: 60 }, (_, index) => `198.51.100.${index}`), 14_800],
  ])('lets %s try only so many in an hour', (_, addresses, most) => {
    const limiter = new LoginRateLimiter(0)
    const guesses = guess(limiter, addresses, 0, hourMs)
    expect(guesses).toBeLessThanOrEqual(most)
    expect(guesses).toBeGreaterThan(most * 0.98)
  })

  it('costs those who know the password nothing, however many there are', () => {
    const limiter = new LoginRateLimiter(0)
    for (let login = 0; login < 10_000; login++) {
      expect(limiter.waitMs(at('192.0.2.1'), 0)).toBe(0)
      limiter.answered(at('192.0.2.1'), 0)
      limiter.succeeded(at('192.0.2.1'), 0)
    }
    expect(limiter.size).toBe(0)
  })

  it('forgives nothing of what others at a shared address did when somebody succeeds', () => {
    const limiter = new LoginRateLimiter(0)
    guess(limiter, ['192.0.2.1'], 0, 1)
    for (let count = 1; count < 20; count++) limiter.answered(at('192.0.2.1'), 0)
    expect(limiter.waitMs(at('192.0.2.1'), 0)).toBe(2_000)
    limiter.answered(at('192.0.2.1'), 2_000)
    limiter.succeeded(at('192.0.2.1'), 2_000)
    // The one token is back, and no other.
    expect(limiter.waitMs(at('192.0.2.1'), 2_000)).toBe(0)
    limiter.answered(at('192.0.2.1'), 2_000)
    expect(limiter.waitMs(at('192.0.2.1'), 2_000)).toBe(2_000)
  })

  it('leaves other addresses alone', () => {
    const limiter = new LoginRateLimiter(0)
    guess(limiter, ['192.0.2.1'], 0, 60_000)
    expect(limiter.waitMs(at('192.0.2.2'), 60_000)).toBe(0)
  })

  it('remembers everybody who guesses, in bounded memory, since it forgets only what makes no difference', () => {
    const limiter = new LoginRateLimiter(0)
    const { address, total } = loginRates
    let most = 0
    for (let nowMs = 0; nowMs < 400_000; nowMs += 250) {
      const from = `2001:db8:${(nowMs / 250).toString(16)}::1`
      if (limiter.waitMs(at(from), nowMs) === 0) limiter.answered(at(from), nowMs)
      most = Math.max(most, limiter.size)
    }
    expect(most).toBeLessThan(3 * (total.burst + (address.burst * address.tokenMs) / total.tokenMs))
    guess(limiter, ['192.0.2.1'], 400_000, 460_000)
    for (let other = 0; other < 20_000; other++) limiter.waitMs(at(`2001:db8:${other.toString(16)}::1`), 460_000)
    expect(limiter.waitMs(at('192.0.2.1'), 459_900)).toBeGreaterThan(0)
  })

  it('never lets more wrong passwords through than its rates allow, whoever succeeds in between, and keeps nobody for longer', () => {
    const rates = {
      address: { burst: 2, tokenMs: 100 },
      site: { burst: 3, tokenMs: 50 },
      network: { burst: 4, tokenMs: 30 },
      total: { burst: 5, tokenMs: 20 },
    }
    const step = fc.record({
      address: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8:0:1::1', '2001:db8:0:100::1'),
      passMs: fc.nat(60),
      isRight: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const limiter = new LoginRateLimiter(0, rates)
        const failures: { address: string; atMs: number }[] = []
        let nowMs = 0
        for (const { address, passMs, isRight } of steps) {
          nowMs += passMs
          expect(limiter.waitMs(at(address), nowMs)).toBeLessThanOrEqual(100)
          if (limiter.waitMs(at(address), nowMs) > 0) continue
          limiter.answered(at(address), nowMs)
          if (isRight) limiter.succeeded(at(address), nowMs)
          else failures.push({ address, atMs: nowMs })
        }
        for (const { atMs } of failures) {
          const since = failures.filter((other) => other.atMs >= atMs)
          expect(since.length).toBeLessThanOrEqual(5 + (nowMs - atMs) / 20)
          const here = since.filter((other) => other.address === since[0]?.address)
          expect(here.length).toBeLessThanOrEqual(2 + (nowMs - atMs) / 100)
        }
      }),
    )
  })
})
