import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SpillQueue } from './spillQueue.ts'

describe('What waits for room', () => {
  it('comes out in order and whole, however it goes in and out', () => {
    const action = fc.record({
      add: fc.boolean(),
      bytes: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 20_000, max: 400_000 })),
      endpoint: fc.nat({ max: 1 }),
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const spilled = new SpillQueue()
        const expected: { endpoint: number; record: Buffer }[] = []
        const removeFirst = () => {
          const run = spilled.first
          if (run === undefined) return
          for (let at = run.start; at < run.end; ) {
            const next = expected.shift()
            expect(next?.endpoint).toBe(run.endpoint)
            const bytes = next?.record.length ?? 0
            expect(next?.record.equals(run.buffer.subarray(at, at + bytes))).toBe(true)
            at += bytes
          }
          spilled.removeFirst()
        }
        for (const [index, { add, bytes, endpoint }] of actions.entries()) {
          if (!add) {
            removeFirst()
            continue
          }
          const record = Buffer.alloc(bytes, index + 1)
          spilled.add(endpoint, record, 0, bytes)
          expected.push({ endpoint, record })
        }
        expect(spilled.bytes).toBe(expected.reduce((sum, { record }) => sum + record.length, 0))
        while (!spilled.empty) removeFirst()
        expect(expected).toEqual([])
        expect(spilled.bytes).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('is passed on together where it is for one endpoint, up to 64 KiB', () => {
    const spilled = new SpillQueue()
    for (const endpoint of [1, 1, 1, 2, 1]) spilled.add(endpoint, Buffer.alloc(30_000), 0, 30_000)
    const runs: string[] = []
    for (let run = spilled.first; run !== undefined; run = spilled.first) {
      runs.push(`${run.endpoint}: ${run.end - run.start}`)
      spilled.removeFirst()
    }
    expect(runs).toEqual(['1: 60000', '1: 30000', '2: 30000', '1: 30000'])
  })

  it('lies in memory that was used before', () => {
    const spilled = new SpillQueue()
    const buffers = new Set<Buffer>()
    const record = Buffer.alloc(100_000)
    for (let round = 0; round < 20; round++) {
      for (let index = 0; index < 8; index++) spilled.add(1, record, 0, record.length)
      for (let run = spilled.first; run !== undefined; run = spilled.first) {
        buffers.add(run.buffer)
        spilled.removeFirst()
      }
    }
    expect(buffers.size).toBeLessThanOrEqual(4)
  })
})
