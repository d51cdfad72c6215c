import { expect, test } from 'vitest'
import { endpointLimitDefaults } from './limits.ts'
import {
  checkNames,
  durationOrInfinityOption,
  groupsOption,
  hostOption,
  portOption,
  validateEndpointLimits,
} from './options.ts'

function messageOf(check: () => unknown): string {
  try {
    check()
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_OPTION' })
    return error instanceof Error ? error.message : ''
  }
  throw new Error('nothing was thrown')
}

test('says which option, what it got and what is allowed', () => {
  expect(messageOf(() => portOption('80', 1))).toBe(
    'The option port is "80"; it must be a whole number from 1 to 65535.',
  )
  expect(messageOf(() => portOption(undefined, 0))).toBe(
    'The option port is missing; it must be a whole number from 0 to 65535.',
  )
  expect(messageOf(() => hostOption('x'.repeat(300)))).toContain(`"${'x'.repeat(40)}..."`)
  expect(portOption(0, 0)).toBe(0)
})

test('suggests the name that was probably meant, and lists all when none is near', () => {
  const names = ['initialDelayMs', 'factor']
  const check = (given: object) => () => checkNames(given, names, { where: 'reconnect', prefix: 'reconnect.' })
  expect(messageOf(check({ Factor: 1 }))).toContain('Did you mean reconnect.factor?')
  expect(messageOf(check({ initialDelay: 1 }))).toContain('Did you mean reconnect.initialDelayMs?')
  expect(messageOf(check({ colour: 1 }))).toContain('There are: initialDelayMs, factor.')
  expect(messageOf(check([]))).toContain('an empty list')
})

test('takes hosts of every kind, and no addresses with scheme, brackets or port', () => {
  for (const host of ['localhost', '127.0.0.1', '::1', 'relay.example', 'xn--bcher-kva.example'])
    expect(hostOption(host)).toBe(host)
  for (const host of ['127.0.0.1:3921', 'relay.example:3921', '[::1]:3921'])
    expect(messageOf(() => hostOption(host))).toContain('Give the port, 3921, in the option port.')
  for (const host of ['', 'a:', 'a b', 'tls://a', '[::1]', 'a/b', 'me@a', 5, null]) messageOf(() => hostOption(host))
})

test('takes one group or several, and refuses what could not be told to a relay', () => {
  expect(groupsOption('g')).toEqual(['g'])
  expect(groupsOption([])).toEqual([])
  expect(groupsOption(['a', '__proto__'])).toEqual(['a', '__proto__'])
  const many = Array.from({ length: 400 }, (_, index) => `${index}`.padStart(100, 'g'))
  expect(messageOf(() => groupsOption(many))).toContain('40000 bytes')
})

test('takes times up to what a timer can wait for, and Infinity', () => {
  expect(durationOrInfinityOption('t', Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY)
  expect(durationOrInfinityOption('t', 2 ** 31 - 1)).toBe(2 ** 31 - 1)
  for (const value of [2 ** 31, -1, Number.NaN, '5']) messageOf(() => durationOrInfinityOption('t', value))
})

test('completes the bounds of an endpoint with the defaults', () => {
  expect(validateEndpointLimits(undefined)).toEqual(endpointLimitDefaults)
  expect(validateEndpointLimits({ inboxBytesMax: 5, sendBytesMax: undefined })).toEqual({
    ...endpointLimitDefaults,
    inboxBytesMax: 5,
  })
  for (const sendBytesMax of [0, 1.5, -1, Number.POSITIVE_INFINITY, '1'])
    messageOf(() => validateEndpointLimits({ sendBytesMax }))
})
