import { describe, expect, it } from 'vitest'
import { parseAcceptedGroups } from './acceptFlags.ts'
import { describeLimits, parseLimit } from './limitFlags.ts'
import { formatBytes, formatSeconds, parseBytes, parseDurationMs } from './units.ts'

describe('quantities', () => {
  it.each([
    ['250', 250],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['24h', 86_400_000],
  ])('reads the duration %s', (text, milliseconds) => expect(parseDurationMs(text)).toBe(milliseconds))

  it.each([
    ['17', 17],
    ['64KiB', 65_536],
    ['64 MiB', 67_108_864],
    ['4GiB', 4_294_967_296],
    ['10MB', 10_000_000],
    ['0.1GiB', 107_374_182],
  ])('reads the size %s', (text, bytes) => expect(parseBytes(text)).toBe(bytes))

  it.each(['', '-1', '1x', 'abc', '1e3', '1 2', 'constructor', '1constructor', '99999999999GiB'])(
    'refuses %j as a size',
    (text) => expect(parseBytes(text)).toBeUndefined(),
  )

  it('are shown to people', () => {
    expect([formatBytes(0), formatBytes(1_536), formatBytes(5 * 2 ** 30)]).toEqual(['0 B', '1.50 KiB', '5.00 GiB'])
    expect([formatSeconds(5), formatSeconds(65), formatSeconds(3_723)]).toEqual(['0:05', '1:05', '1:02:03'])
  })
})

describe('limits', () => {
  const names = ['heartbeatMs', 'objectBytesMax', 'attemptsMax']

  it('take the units of their names', () => {
    expect(parseLimit('heartbeatMs=2s', names, '--limit')).toEqual(['heartbeatMs', 2_000])
    expect(parseLimit('objectBytesMax=1MiB', names, '--limit')).toEqual(['objectBytesMax', 1_048_576])
    expect(parseLimit('attemptsMax=7', names, '--limit')).toEqual(['attemptsMax', 7])
  })

  it('say who gave a wrong one and what there is', () => {
    expect(() => parseLimit('heartbeat=2s', names, '--limit')).toThrow(/"heartbeat=2s" from --limit.*heartbeatMs/)
    expect(() => parseLimit('heartbeatMs=2MiB', names, 'the variable X')).toThrow(/the variable X.*'30s'/)
  })

  it('are listed with their defaults', () => {
    expect(describeLimits({ heartbeatMs: 5_000, objectBytesMax: 2 ** 32, attemptsMax: 5, progressMs: 0 })).toBe(
      '  heartbeatMs     5s\n  objectBytesMax  4GiB\n  attemptsMax     5\n  progressMs      0',
    )
  })
})

describe('accepted groups', () => {
  it('have up to three bounds, each of which may be left out', () => {
    expect(parseAcceptedGroups(['a', 'b:2', 'c::100', 'd:1:0:reject'], '--accept')).toEqual({
      a: {},
      b: { maxCount: 2 },
      c: { maxConsumables: 100 },
      d: { maxCount: 1, maxConsumables: 0, overflow: 'reject' },
    })
  })

  it.each([[''], [':1'], ['a:x'], ['a:-1'], ['a:1:2:block:4']])('refuses %j', (text) => {
    expect(() => parseAcceptedGroups([text], '--accept')).toThrow(/from --accept must look like/)
  })

  it('are named once', () => expect(() => parseAcceptedGroups(['a', 'a:1'], '--accept')).toThrow(/twice/))
})
