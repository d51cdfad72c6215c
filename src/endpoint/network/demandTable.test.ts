import { describe, expect, it } from 'vitest'
import { DemandTable } from './demandTable.ts'

describe('What an endpoint asked for', () => {
  it('is asked again as far as it was not served', () => {
    const demand = new DemandTable()
    demand.ask('a', 3)
    demand.ask('b', 1)
    demand.served('a')
    demand.served('b')
    expect(demand.questions()).toEqual([['a', 2]])
  })

  it('is owed again when a large object was not whole', () => {
    const demand = new DemandTable()
    demand.ask('a', 1)
    demand.served('a')
    demand.unserved('a')
    expect(demand.questions()).toEqual([['a', 1]])
  })

  it('counts what a drain stands for, also when the objects come before the answer', () => {
    const demand = new DemandTable()
    demand.ask('a', -1)
    demand.served('a')
    demand.served('a')
    demand.drained('a', 3)
    expect(demand.questions()).toEqual([['a', 1]])
  })

  it('is drained again when the answer did not come', () => {
    const demand = new DemandTable()
    demand.ask('a', -1)
    demand.ask('a', -1)
    demand.served('a')
    expect(demand.questions()).toEqual([['a', -1]])
    demand.drained('a', 0)
    expect(demand.questions()).toEqual([])
  })

  it('does not grow by objects that nobody asked for', () => {
    const demand = new DemandTable()
    demand.served('a')
    demand.ask('a', 1)
    expect(demand.questions()).toEqual([['a', 1]])
  })
})
