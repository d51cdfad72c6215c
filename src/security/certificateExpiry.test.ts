import { describe, expect, it } from 'vitest'
import { ExpiryReminder, expiryState } from './certificateExpiry.ts'

const dayMs = 24 * 60 * 60 * 1000
const year = { fromMs: 0, toMs: 365 * dayMs }

describe('a certificate', () => {
  it('comes to its end a month before its last day', () => {
    expect(expiryState(year, 334 * dayMs)).toBe('valid')
    expect(expiryState(year, 335 * dayMs)).toBe('expiring')
    expect(expiryState(year, 365 * dayMs)).toBe('expiring')
    expect(expiryState(year, 365 * dayMs + 1)).toBe('expired')
  })

  it('that lives for a day only does so in its last third', () => {
    const day = { fromMs: 0, toMs: dayMs }
    expect([0.66, 0.67, 1.01].map((part) => expiryState(day, part * dayMs))).toEqual(['valid', 'expiring', 'expired'])
  })
})

describe('a reminder', () => {
  it('comes at once, then daily, at the end at once, and no more when there is a new certificate', () => {
    const reminder = new ExpiryReminder()
    const told: string[] = []
    for (let hour = 330 * 24; hour < 367 * 24; hour++) {
      const state = reminder.next(year, hour * (dayMs / 24) + 1)
      if (state !== undefined) told.push(`${state} ${hour / 24}`)
    }
    expect(told).toHaveLength(30 + 2)
    expect([told[0], told[1], told[29], told[30], told[31]]).toEqual([
      'expiring 335',
      'expiring 336',
      'expiring 364',
      'expired 365',
      'expired 366',
    ])
    expect(reminder.next({ fromMs: 0, toMs: 1_000 * dayMs }, 366 * dayMs)).toBeUndefined()
    expect(reminder.next(year, 366 * dayMs)).toBe('expired')
  })
})
