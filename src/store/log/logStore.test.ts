import { describe, expect, it } from 'vitest'
import { contentOf, StoreWitness } from '../storeWitness.fixture.ts'
import { openLog } from './openLog.fixture.ts'

describe('The log', () => {
  it('remembers', async () => {
    const { store, disk } = await openLog()
    const w = new StoreWitness(store)
    const a = w.keep(100)
    const b = w.keep(200)
    w.queue(a, 'g')
    w.queue(b, 'g')
    expect(contentOf(a.object).equals(a.content)).toBe(true)
    const kept = store.commit()
    disk.complete()
    await kept
    const again = await openLog(disk.crash())
    expect(StoreWitness.recover(again.store).knowledge).toEqual(w.knowledge)
  })
})
