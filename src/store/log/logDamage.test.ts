import { describe, expect, it } from 'vitest'
import { contentOf, StoreWitness } from '../storeWitness.fixture.ts'
import { committed, type OpenedLog, openLog, reopened } from './openLog.fixture.ts'

describe('A log that is damaged while a relay runs with it', () => {
  async function written(count = 300): Promise<{ log: OpenedLog; witness: StoreWitness }> {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let number = 0; number < count; number++) witness.produce(25_000)
    await committed(log)
    return { log, witness }
  }

  it('says so when what waits cannot be read back', async () => {
    const { log } = await written()
    const { log: again, witness } = await reopened(log)
    const [first] = witness.objects
    // Others that are read take its place in memory.
    for (const { object } of witness.objects) await contentOf(object)
    again.disk.blocks = again.disk.blocks.filter(({ segment }) => segment !== 1)
    if (first === undefined) throw new Error('There is one.')
    await expect(first.object.load().reading).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('notices that what it wrote was changed before it was read', async () => {
    const { log, witness } = await written(600)
    const block = log.disk.blocks.find(({ segment }) => segment === 1)
    if (block !== undefined) block.bytes[100] = (block.bytes[100] ?? 0) ^ 1
    const [first] = witness.objects
    if (first === undefined) throw new Error('There is one.')
    await expect(contentOf(first.object)).rejects.toThrow(/block at 0 of segment 1 of the store was changed/)
  })
})
