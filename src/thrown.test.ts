import { describe, expect, it, test } from 'vitest'
import { oddThrown } from '../test/support/oddThrown.ts'
import { createError, isObjectRelayError, toObjectRelayError, toPlainError } from './errors.ts'
import { checkNames, describeValue } from './options.ts'
import { messageOf } from './thrown.ts'

describe.each(Object.entries(oddThrown))('thrown: %s', (_what, make) => {
  it('is described by a text that is not long', () => {
    const text = messageOf(make())
    expect(text.length).toBeGreaterThan(0)
    expect(text.length).toBeLessThanOrEqual(2_000)
  })

  it('becomes an error of this library, which can travel, with what was thrown as its cause', () => {
    const thrown = make()
    const error = toObjectRelayError(thrown, 'HANDLER_FAILED')
    expect(error.code).toBe('HANDLER_FAILED')
    expect(error.cause === thrown).toBe(true)
    expect(JSON.stringify(toPlainError(error)).length).toBeLessThan(10_000)
  })

  it('can be shown where it is given as an argument or as options', () => {
    expect(describeValue(make()).length).toBeGreaterThan(0)
    try {
      checkNames(make(), ['known'], { where: 'a call', code: 'INVALID_ARGUMENT' })
    } catch (error) {
      expect(isObjectRelayError(error)).toBe(true)
    }
  })
})

test('an error without a message is described by its name', () => {
  expect(messageOf(new TypeError())).toBe('TypeError')
})

test('what only looks like an error of this library is none', () => {
  const error = createError('STOPPED', 'It was stopped.')
  expect(isObjectRelayError(error)).toBe(true)
  expect(isObjectRelayError(new Proxy(error, {}))).toBe(false)
  expect(isObjectRelayError(Object.create(error))).toBe(false)
})
