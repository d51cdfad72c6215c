import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../clock.fixture.ts'
import { createError } from '../../errors.ts'
import { ReconnectDelays } from './reconnectDelays.ts'

const lost = createError('LINK_LOST', 'The link is lost.')
const anybody = { fromRelay: false, waitMsMax: 60_000 }
const usual = { initialDelayMs: 100, maxDelayMs: 10_000, factor: 1.5, jitter: 0.1 }

/** The moments at which an endpoint dials, after all links were lost at 0. */
function moments(options: typeof usual, random: () => number, count: number): number[] {
  const delays = new ReconnectDelays(options, random)
  let nowMs = 0
  return Array.from({ length: count }, () => {
    nowMs += delays.next(lost, anybody)
    return nowMs
  })
}

describe('the pauses between attempts', () => {
  it('grow by the factor up to the longest one, and begin anew after a success', () => {
    const delays = new ReconnectDelays({ ...usual, jitter: 0 }, () => 0.5)
    const pauses = Array.from({ length: 14 }, () => delays.next(lost, anybody))
    expect(pauses.slice(0, 4)).toEqual([100, 150, 225, 338])
    expect(pauses.slice(12)).toEqual([10_000, 10_000])
    delays.reset()
    expect(delays.next(lost, anybody)).toBe(100)
  })

  it.each([0.1, 0.5, 1])('stay within the bounds with a jitter of %d', (jitter) => {
    const clock = new FakeClock()
    for (let endpoint = 0; endpoint < 200; endpoint++) {
      const delays = new ReconnectDelays({ ...usual, jitter }, () => clock.random())
      const pauses = Array.from({ length: 30 }, () => delays.next(lost, anybody))
      expect(pauses[0]).toBeGreaterThanOrEqual(Math.floor(100 * (1 - jitter)))
      expect(pauses[0]).toBeLessThanOrEqual(100 * (1 + jitter))
      expect(Math.max(...pauses)).toBeLessThanOrEqual(10_000)
    }
  })

  it('drift apart: a thousand endpoints that lost their links together are spread ever wider', () => {
    const clock = new FakeClock()
    const all = Array.from({ length: 1_000 }, () => moments(usual, () => clock.random(), 20))
    const deviation = (attempt: number) => {
      const at = all.map((one) => one[attempt] ?? 0)
      const mean = at.reduce((sum, value) => sum + value, 0) / at.length
      return Math.sqrt(at.reduce((sum, value) => sum + (value - mean) ** 2, 0) / at.length)
    }
    // Independent pauses around the same nominal ones would be 0.29 of the jitter apart at most, of the last pause.
    const independentMs = (attempt: number) => {
      let [nominalMs, variance] = [100, 0]
      for (let step = 0; step <= attempt; step++) {
        variance += (0.1 * nominalMs) ** 2 / 3
        nominalMs *= 1.5
      }
      return Math.sqrt(variance)
    }
    expect(deviation(10)).toBeGreaterThan(2 * independentMs(10))
    expect(deviation(19)).toBeGreaterThan(deviation(10))
  })

  it('end when a place becomes free, if the relay itself says so', () => {
    const full = createError('GROUP_FULL', 'Full.', { details: { group: 'g', retryAfterMs: 400 } })
    const delays = new ReconnectDelays({ ...usual, initialDelayMs: 5_000 }, () => 0.5)
    expect(delays.next(full, { ...anybody, fromRelay: true })).toBe(425)
    expect(delays.next(full, anybody)).toBeGreaterThan(4_000)
  })

  it('are as long as is asked for, within what is taken seriously', () => {
    const slow = createError('TOO_MANY_ATTEMPTS', 'Slow.', { details: { waitMs: 1e12 } })
    expect(new ReconnectDelays(usual, () => 0.5).next(slow, anybody)).toBe(60_000)
    const odd = createError('TOO_MANY_ATTEMPTS', 'Slow.', { details: { waitMs: Number.NaN, retryAfterMs: -1 } })
    expect(new ReconnectDelays(usual, () => 0.5).next(odd, { ...anybody, fromRelay: true })).toBe(100)
  })
})
