import { describe, expect, it } from 'vitest'
import { CreditTable } from './creditTable.ts'

describe('What an endpoint asked for', () => {
  it('is asked again as far as it was not served', () => {
    const credit = new CreditTable()
    credit.request('a', 3)
    credit.request('b', 1)
    credit.served('a')
    credit.served('b')
    expect(credit.toRequest()).toEqual([['a', 2]])
  })

  it('is owed again when a large object was not whole', () => {
    const credit = new CreditTable()
    credit.request('a', 1)
    credit.served('a')
    credit.unserved('a')
    expect(credit.toRequest()).toEqual([['a', 1]])
  })

  it('counts what a drain stands for, also when the objects come before the answer', () => {
    const credit = new CreditTable()
    credit.request('a', -1)
    credit.served('a')
    credit.served('a')
    credit.drained('a', 3)
    expect(credit.toRequest()).toEqual([['a', 1]])
  })

  it('is drained again when the answer did not come', () => {
    const credit = new CreditTable()
    credit.request('a', -1)
    credit.request('a', -1)
    credit.served('a')
    expect(credit.toRequest()).toEqual([['a', -1]])
    credit.drained('a', 0)
    expect(credit.toRequest()).toEqual([])
  })

  it('does not grow by objects that nobody asked for', () => {
    const credit = new CreditTable()
    credit.served('a')
    credit.request('a', 1)
    expect(credit.toRequest()).toEqual([['a', 1]])
  })
})
