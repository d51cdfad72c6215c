import { expect, test } from 'vitest'
import { parseHello } from './hello.ts'

const hello = {
  version: 1,
  session: 'ABCDEFGHIJKLMNOPQRSTUV',
  name: 'worker',
  received: null,
  groups: ['g'],
  broadcasts: 'every',
  inboxBytes: 1_000,
  objectBytesMax: 1_000,
}

test('an endpoint claims leases only if it says which session it means', () => {
  expect(parseHello({ ...hello, reclaims: true, epoch: 0 }).reclaims).toBe(true)
  expect(parseHello({ ...hello, reclaims: true }).reclaims).toBe(false)
  expect(parseHello({ ...hello, reclaims: true, epoch: 2 ** 48 }).reclaims).toBe(false)
  expect(parseHello({ ...hello, epoch: 1 }).reclaims).toBe(false)
})
