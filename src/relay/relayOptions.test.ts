import { describe, expect, it } from 'vitest'
import { relayLimitDefaults } from '../limits.ts'
import { checkRelayOptions } from './relayOptions.ts'

const password = 'a password for tests only'

function limitsOf(limits: Record<string, number>) {
  return checkRelayOptions({ port: 0, password, limits }).limits
}

function refusalOf(options: unknown): { code: unknown; option: unknown } {
  try {
    checkRelayOptions(options)
  } catch (error) {
    if (error instanceof Error && 'code' in error && 'details' in error) {
      return { code: error.code, option: (error.details as { option?: unknown }).option }
    }
  }
  return { code: undefined, option: undefined }
}

describe('the options of a relay', () => {
  it('gets the defaults for what is not given', () => {
    const checked = checkRelayOptions({ port: 3000, password })
    expect(checked).toMatchObject({ port: 3000, security: 'TLS', acceptedGroups: null, limits: relayLimitDefaults })
  })

  it('makes room for larger objects when only their bound is raised', () => {
    const objectBytesMax = 2 * relayLimitDefaults.relayBytesMax
    const limits = limitsOf({ objectBytesMax })
    expect(limits.groupBytesMax).toBe(objectBytesMax)
    expect(limits.relayBytesMax).toBe(objectBytesMax)
  })

  it('lowers the bounds within a smaller relay', () => {
    const limits = limitsOf({ relayBytesMax: 1_000_000 })
    expect(limits).toMatchObject({ objectBytesMax: 1_000_000, groupBytesMax: 1_000_000 })
  })

  it('refuses bounds that contradict each other', () => {
    const limits = { objectBytesMax: 1_000_000, relayBytesMax: 1_000 }
    expect(refusalOf({ port: 0, password, limits })).toEqual({ code: 'INVALID_OPTION', option: 'limits.relayBytesMax' })
  })

  it.each([
    ['a missing port', { password }, 'port'],
    ['a port beyond 65535', { port: 65_536, password }, 'port'],
    ['no password', { port: 0 }, 'password'],
    ['a password and a verifier', { port: 0, password, passwordVerifier: 'file' }, 'password'],
    ['an unknown option', { port: 0, password, passwrd: 'x' }, 'passwrd'],
    ['an unknown bound', { port: 0, password, limits: { heartbeat: 5 } }, 'limits.heartbeat'],
    ['a bound that is no whole number', { port: 0, password, limits: { heartbeatMs: 2.5 } }, 'limits.heartbeatMs'],
    [
      'a group name that is too long',
      { port: 0, password, acceptedGroups: { [`${'g'.repeat(200)}`]: {} } },
      'acceptedGroups',
    ],
    [
      'an unknown policy',
      { port: 0, password, acceptedGroups: { g: { overflow: 'drop' } } },
      'acceptedGroups.g.overflow',
    ],
    ['a store that is none', { port: 0, password, store: {} }, 'store'],
  ])('refuses %s and names the option', (_what, options, option) => {
    expect(refusalOf(options)).toEqual({ code: 'INVALID_OPTION', option })
  })

  it('takes a group called __proto__ as any other', () => {
    const { acceptedGroups } = checkRelayOptions({
      port: 0,
      password,
      acceptedGroups: JSON.parse('{ "__proto__": { "maxCount": 1 } }'),
    })
    expect(Object.keys(acceptedGroups ?? {})).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(acceptedGroups)).toBe(Object.prototype)
  })
})
