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

test('an endpoint says in ranges what it will send again', () => {
  expect(parseHello(hello).unresolved).toBe(undefined)
  expect(parseHello({ ...hello, unresolved: [] }).unresolved).toEqual([])
  const unresolved = [
    [0, 3],
    [5, 5],
  ]
  expect(parseHello({ ...hello, unresolved }).unresolved).toEqual([
    { from: 0, to: 3 },
    { from: 5, to: 5 },
  ])
  const wrong = [
    null,
    {},
    [1],
    [[1]],
    [[2, 1]],
    [
      [0, 1],
      [1, 2],
    ],
    [[0, 1.5]],
    [['0', 1]],
    [[-1, 1]],
    [[0, 2 ** 60]],
  ]
  const tooMany = Array.from({ length: 101 }, (_, index) => [2 * index, 2 * index])
  for (const ranges of [...wrong, tooMany])
    expect(() => parseHello({ ...hello, unresolved: ranges })).toThrow('unresolved')
})
