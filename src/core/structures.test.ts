import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Deque } from './deque.ts'
import { Heap } from './heap.ts'
import { LeaseTable } from './leaseTable.ts'
import { TombstoneQueue } from './tombstoneQueue.ts'

describe('a deque', () => {
  test('is a list from whose front one takes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 300 }), (changes) => {
        const deque = new Deque<number>()
        const list: number[] = []
        for (const [index, change] of changes.entries()) {
          for (let times = 0; times < Math.abs(change) * 10; times++) {
            if (change > 0) list.push(index)
            if (change > 0) deque.push(index)
            else expect(deque.shift()).toBe(list.shift())
          }
          expect([deque.length, deque.first(), deque.at(list.length - 1)]).toEqual([list.length, list[0], list.at(-1)])
        }
        deque.filter((entry) => entry % 2 === 0)
        expect(Array.from({ length: deque.length }, (_, index) => deque.at(index))).toEqual(
          list.filter((n) => n % 2 === 0),
        )
      }),
      { numRuns: 50 },
    )
  })
})

describe('a queue that entries may leave', () => {
  test('passes over what left it', () => {
    const queue = new TombstoneQueue<{ name: string; gone: boolean }>(({ gone }) => gone)
    const [one, two, three] = ['one', 'two', 'three'].map((name) => ({ name, gone: false }))
    for (const entry of [one, two, three]) if (entry !== undefined) queue.push(entry)
    for (const entry of [one, two]) {
      if (entry !== undefined) entry.gone = true
      queue.left()
    }
    expect(queue.length).toBe(1)
    expect([...queue]).toEqual([three])
    expect(queue.shift()).toBe(three)
    expect(queue.first()).toBe(undefined)
    expect(queue.shift()).toBe(undefined)
  })

  test('does not grow with what left it behind one that stays', () => {
    const queue = new TombstoneQueue<{ gone: boolean }>(({ gone }) => gone)
    queue.push({ gone: false })
    let kept = 0
    for (let count = 0; count < 10_000; count++) {
      const entry = { gone: false }
      queue.push(entry)
      entry.gone = true
      queue.left()
      kept = Math.max(kept, JSON.stringify(queue).length)
    }
    expect(queue.length).toBe(1)
    expect(kept).toBeLessThan(5_000)
  })
})

describe('a heap', () => {
  test('has the least first, wherever entries are changed and removed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(50), fc.nat(1000)), { maxLength: 200 }), (changes) => {
        const heap = new Heap<{ rank: number; index: number }>(
          (one, other) => one.rank < other.rank,
          (entry, index) => {
            entry.index = index
          },
        )
        for (const [what, which, rank] of changes) {
          const entry = heap.values()[which]
          if (entry === undefined || what < 2) heap.push({ rank, index: -1 })
          else if (what === 2) heap.removeAt(which)
          else {
            entry.rank = rank
            heap.update(entry.index)
          }
          expect(heap.first()?.rank).toBe(
            heap.size === 0 ? undefined : Math.min(...heap.values().map((one) => one.rank)),
          )
          expect(heap.values().every((one, index) => one.index === index)).toBe(true)
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('a table of leases', () => {
  test('counts from 0, and forgets what was taken out', () => {
    const table = new LeaseTable<string, number>()
    expect(table.get(0)).toBe(undefined)
    expect([table.add('a', 1), table.add('b', 2)]).toEqual([0, 1])
    expect([table.take(0), table.take(0), table.get(1), table.take(2)]).toEqual(['a', undefined, 'b', undefined])
    expect([...table]).toEqual([[1, 'b', 2]])
    expect([table.size, table.next]).toEqual([1, 2])
  })

  test('has several numbers in a row for one entry, in whatever parts they are taken out', () => {
    const table = new LeaseTable<{ name: string }, number>()
    const [one, run, part, last] = ['one', 'run', 'part', 'last'].map((name) => ({ name }))
    if (one === undefined || run === undefined || part === undefined || last === undefined) throw new Error('four')
    expect([table.add(one, 7), table.add(run, 8, 200), table.add(last, 9)]).toEqual([0, 1, 201])
    expect([table.size, table.next, table.firstOf(0), table.firstOf(150), table.firstOf(201)]).toEqual([
      202, 202, 0, 1, 201,
    ])
    table.replace(part, 1, 100)
    expect([...table]).toEqual([
      [0, one, 7],
      [1, part, 8],
      [101, run, 8],
      [201, last, 9],
    ])
    table.takeRun(101, 70)
    expect([table.firstOf(180), table.get(170), table.get(171), table.size]).toEqual([171, undefined, run, 132])
    table.takeRun(1, 100)
    table.takeRun(171, 30)
    expect([table.take(0), table.size]).toEqual([one, 1])
    expect([...table]).toEqual([[201, last, 9]])
    expect(table.pageCount).toBe(1)
  })

  test('does not grow while one lease is held beside a hundred thousand others', () => {
    const table = new LeaseTable<string, number>()
    const held = table.add('held', 1)
    for (let count = 0; count < 100_000; count++) {
      table.take(table.add('passing', 1))
    }
    expect(table.pageCount).toBe(2)
    expect(table.take(held)).toBe('held')
    expect(table.pageCount).toBe(1)
  })
})
