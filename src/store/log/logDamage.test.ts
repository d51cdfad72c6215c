import { describe, expect, it } from 'vitest'
import { contentOf, StoreWitness } from '../storeWitness.fixture.ts'
import { MemoryDisk } from './memoryDisk.fixture.ts'
import { committed, type OpenedLog, openLog, reopened } from './openLog.fixture.ts'

describe('A log that was damaged', () => {
  async function written(count = 30): Promise<{ log: OpenedLog; witness: StoreWitness }> {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let number = 0; number < count; number++) witness.produce(25_000)
    await committed(log)
    return { log, witness }
  }

  it('names the segment, and what to do: STORE_CORRUPT', async () => {
    const { log } = await written()
    const bytes = log.disk.segments.get(2)
    if (bytes !== undefined) bytes[5_000] = (bytes[5_000] ?? 0) ^ 1
    await expect(openLog(log.disk)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringMatching(/^Segment 2 of the store was changed.*Put a backup/),
      details: { where: 'Segment 2' },
    })
  })

  it.each([
    ['the first segment is missing', (disk: MemoryDisk) => disk.segments.delete(1), /Segment 1 .* is missing/],
    ['one in the middle is missing', (disk: MemoryDisk) => disk.segments.delete(2), /Segment 2 .* is missing/],
    ['the last is missing', (disk: MemoryDisk) => disk.segments.delete(3), /Segment 3 .* is missing/],
    ['there is one too many', (disk: MemoryDisk) => disk.segments.set(4, Buffer.alloc(40)), /Segment 4 .* should not/],
    ['nobody knows whose it is', (disk: MemoryDisk) => disk.named.delete('relay'), /"relay" .* is missing/],
  ])('is not opened if %s', async (_, damage, message) => {
    const { log } = await written()
    expect(log.disk.segmentNumbers()).toEqual([1, 2, 3])
    damage(log.disk)
    await expect(openLog(log.disk)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringMatching(message),
    })
  })

  it.each([3, 25])('is not opened with a segment of another future of the same log, %i objects later', async (most) => {
    const { log } = await written()
    const one = await openLog(new MemoryDisk(log.files, undefined, log.disk))
    const other = await openLog(new MemoryDisk(log.files, undefined, log.disk))
    for (const [future, count] of [
      [one, most],
      [other, most - 1],
    ] as const) {
      const witness = StoreWitness.recover(future.store)
      for (let number = 0; number < count; number++) witness.produce(20_000 + count)
      await committed(future)
    }
    expect(one.disk.segmentNumbers()).toEqual(other.disk.segmentNumbers())
    expect(one.disk.segmentNumbers().length).toBeGreaterThan(3)
    for (const number of one.disk.segmentNumbers().slice(3)) {
      const disk = one.disk.crash()
      disk.segments.set(number, other.disk.segments.get(number) ?? Buffer.alloc(0))
      await expect(openLog(disk), `segment ${number}`).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    }
  })

  it('is not opened with a segment of another relay', async () => {
    const { log } = await written()
    const other = await openLog(new MemoryDisk(log.files), log, 'another-relay')
    const witness = new StoreWitness(other.store)
    for (let number = 0; number < 30; number++) witness.produce(25_000)
    await committed(other)
    log.disk.segments.set(2, other.disk.segments.get(2) ?? Buffer.alloc(0))
    await expect(openLog(log.disk)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('is not opened if it is of a newer format: STORE_VERSION; or of no relay: STORE_FOREIGN', async () => {
    const { log } = await written()
    const newer = log.disk.crash()
    newer.named.get('relay')?.writeUInt16LE(2, 4)
    await expect(openLog(newer)).rejects.toMatchObject({ code: 'STORE_VERSION', details: { version: 2, known: 1 } })
    const newerSegment = log.disk.crash()
    newerSegment.segments.get(1)?.writeUInt16LE(2, 4)
    await expect(openLog(newerSegment)).rejects.toMatchObject({ code: 'STORE_VERSION' })
    const foreign = log.disk.crash()
    foreign.named.set('relay', Buffer.from('the settings of some other program, which is not ours at all'))
    await expect(openLog(foreign)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
  })

  it('says so while it runs, when what waits cannot be read back', async () => {
    const { log } = await written()
    const { log: again, witness } = await reopened(log)
    const [first] = witness.objects
    again.disk.segments.delete(1)
    expect(() => first && contentOf(first.object)).toThrow(expect.objectContaining({ code: 'STORE_CORRUPT' }))
  })

  it('notices while it runs that what it wrote was changed before it was read', async () => {
    const { log, witness } = await written(600)
    const bytes = log.disk.segments.get(1)
    if (bytes !== undefined) bytes[100] = (bytes[100] ?? 0) ^ 1
    const [first] = witness.objects
    expect(() => first && contentOf(first.object)).toThrow(/Segment 1 of the store was changed/)
  })
})
