import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Packing, Payload } from '../ports.ts'
import { FreshQueue } from './freshQueue.ts'
import { type QueueEntry, queueEntry } from './queueEntry.ts'

interface Numbered {
  readonly bytes: number
  readonly objects: number
  place: number
}

/** What is told by its place, unless the place is a multiple of seven. */
function packing(unpackedObjects: number, pageObjects: number): Packing<Numbered> {
  return {
    pack: ({ place }) => (place % 7 === 0 ? Number.NaN : place),
    unpack: (place, bytes) => ({ place, bytes, objects: 1 }),
    unpackedObjects,
    pageObjects,
  }
}

function itemOf(order: number, groupIndex = 0): QueueEntry {
  const payload: Numbered = { place: order, bytes: order * 3, objects: 1 }
  return queueEntry(payload, undefined, order, 1, 1, groupIndex)
}

function numbered(payload: Payload): Numbered {
  if (isNumbered(payload)) return payload
  throw new Error('The queue was not given this payload.')
}

function isNumbered(payload: Payload): payload is Numbered {
  return 'place' in payload
}

type Facts = [order: number, place: number, bytes: number, groupIndex: number]

function facts({ order, payload, groupIndex }: QueueEntry): Facts {
  return [order, numbered(payload).place, payload.bytes, groupIndex]
}

const someChanges = fc.array(fc.record({ what: fc.nat(9), count: fc.nat(12) }), { maxLength: 80 })

describe('a line of fresh objects', () => {
  test('is a list, from the middle of which some leave, however it is packed', () => {
    fc.assert(
      fc.property(someChanges, fc.nat(3), fc.integer({ min: 1, max: 4 }), (changes, unpackedObjects, pageObjects) => {
        const queue = new FreshQueue(packing(unpackedObjects, pageObjects))
        let list: QueueEntry[] = []
        let order = 1
        for (const { what, count } of changes) {
          if (what < 4) {
            for (let added = 0; added < count; added++, order += 1 + (what === 3 ? 2 ** 31 : 0)) {
              // Only what is not packed has an identity, and is ever taken out of the middle.
              const entry = itemOf(order, added % 3 === 0 ? 1 : 0)
              list.push(entry)
              queue.push(entry)
            }
          } else if (what < 6) {
            for (let taken = 0; taken < count; taken++) {
              const [entry, expected] = [queue.shift(), list.shift()]
              expect(entry && facts(entry)).toEqual(expected && facts(expected))
            }
          } else if (what < 8) {
            const leaving = list.filter(({ groupIndex }, index) => groupIndex === 1 && (index + count) % 2 === 0)
            for (const entry of leaving) queue.remove(entry)
            list = list.filter((entry) => !leaving.includes(entry))
          } else {
            // Half of what is read is moved; some of that cannot be packed any more.
            let read = 0
            for (const { payload } of queue) {
              if (read % 2 === 0) numbered(payload).place += 6
              const expected = list[read]?.payload
              if (read++ % 2 === 0 && expected !== undefined && expected !== payload) numbered(expected).place += 6
              if (read > count) break
            }
          }
          expect([...queue].map(facts)).toEqual(list.map(facts))
          if (count % 2 === 0)
            expect(queue.first() && facts(queue.first() ?? itemOf(0))).toEqual(list[0] && facts(list[0]))
        }
      }),
      { numRuns: 400 },
    )
  })

  test('takes 16 bytes for each object that waits far behind', () => {
    const queue = new FreshQueue(packing(4096, 1024))
    for (let order = 1; order <= 20_000; order++) queue.push(itemOf(order * 7 + 1))
    globalThis.gc?.()
    const before = process.memoryUsage()
    for (let order = 20_001; order <= 220_000; order++) queue.push(itemOf(order * 7 + 1))
    globalThis.gc?.()
    const after = process.memoryUsage()
    expect((after.arrayBuffers - before.arrayBuffers) / 200_000).toBeLessThan(17)
    expect(queue.first()?.order).toBe(8)
  })

  test('does not keep what left it behind one that stays', () => {
    const queue = new FreshQueue(packing(1, 4))
    queue.push(itemOf(1, 1))
    let kept = 0
    for (let order = 2; order < 10_000; order++) {
      const entry = itemOf(order, 1)
      queue.push(entry)
      queue.remove(entry)
      kept = Math.max(kept, JSON.stringify(queue).length)
    }
    expect([...queue]).toHaveLength(1)
    expect(kept).toBeLessThan(20_000)
  })
})
