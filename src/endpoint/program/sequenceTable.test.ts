import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SequenceTable } from './sequenceTable.ts'

describe('A table by sequence', () => {
  it('gives values in any order and keeps nothing of what was taken', () => {
    const table = new SequenceTable<string>()
    for (let number = 7; number < 20_000; number++) table.push(number, `value ${number}`)
    expect(table.take(6)).toBeUndefined()
    expect(table.take(9)).toBe('value 9')
    expect(table.take(9)).toBeUndefined()
    for (let number = 7; number < 19_998; number++) table.take(number)
    expect([...table.values()]).toEqual(['value 19998', 'value 19999'])
    expect(table.size).toBe(2)
    expect(table.take(19_999)).toBe('value 19999')
    expect(table.take(19_998)).toBe('value 19998')
    table.push(20_005, 'after a pause')
    expect(table.take(20_005)).toBe('after a pause')
    expect(table.take(Number.NaN)).toBeUndefined()
  })

  it('has what a Map would have, whatever is taken in whatever order', () => {
    const step = fc.oneof(fc.constant('push' as const), fc.nat(200))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 500 }), fc.integer({ min: 0, max: 2 ** 40 }), (steps, first) => {
        const table = new SequenceTable<string>()
        const model = new Map<number, string>()
        let next = first
        for (const step of steps) {
          if (step === 'push') {
            model.set(next, `${next}`)
            table.push(next, `${next}`)
            next++
          } else {
            expect(table.take(next - step)).toBe(model.get(next - step))
            model.delete(next - step)
          }
          expect(table.size).toBe(model.size)
        }
        expect([...table.values()]).toEqual([...model.values()])
      }),
    )
  })
})
