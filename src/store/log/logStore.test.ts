import { describe, expect, it } from 'vitest'
import { createError } from '../../errors.ts'
import { contentOf, frameOf, StoreWitness, type Witnessed } from '../storeWitness.fixture.ts'
import { MemoryDisk } from './memoryDisk.fixture.ts'
import { type OpenedLog, openLog } from './openLog.fixture.ts'

const MiB = 1024 * 1024

/** Commits, and waits until the disk has done so. */
async function committed({ store, disk }: OpenedLog): Promise<void> {
  const kept = store.commit()
  disk.complete()
  await kept
}

async function reopened(log: OpenedLog): Promise<{ log: OpenedLog; witness: StoreWitness }> {
  const again = await openLog(log.disk.crash(), log)
  return { log: again, witness: StoreWitness.recover(again.store) }
}

function produce(witness: StoreWitness, bytes: number, group = 'g'): Witnessed {
  const one = witness.keep(bytes)
  witness.queue(one, group)
  one.isNeeded = false
  return one
}

function consume(witness: StoreWitness, one: Witnessed, session = 'a session'): void {
  const [place] = one.places
  if (place === undefined) throw new Error('It is nowhere.')
  witness.lease(one, place, session)
  const [lease] = one.places
  if (lease !== undefined) witness.acknowledge(one, lease)
}

describe('A log', () => {
  it('has the same relay and other sources in each run', async () => {
    const log = await openLog()
    const sources = [log.store.takeSource(), log.store.takeSource()]
    await committed(log)
    const { log: again } = await reopened(log)
    sources.push(again.store.takeSource())
    expect(again.store.relayName).toBe('the-relay')
    expect(new Set(sources).size).toBe(3)
  })

  it('keeps no segment of which nothing is needed, and none at all when all was consumed', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let round = 0; round < 50; round++) {
      const ones = Array.from({ length: 20 }, () => produce(witness, 20_000))
      await committed(log)
      for (const one of ones) consume(witness, one)
      if (round % 7 === 0) await committed(log)
      expect(log.disk.segments.size).toBeLessThan(10)
    }
    witness.answer('a session', [{ from: 1, to: 2, memberCounts: [3] }])
    await committed(log)
    expect(log.disk.segments.size).toBe(0)
    const { log: again, witness: after } = await reopened(log)
    expect(after.knowledge).toEqual(witness.knowledge)
    produce(after, 100)
    await committed(again)
    expect((await reopened(again)).witness.knowledge).toEqual(after.knowledge)
  })

  it('writes nothing for what was consumed before it was committed', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let count = 0; count < 100; count++) consume(witness, produce(witness, 20_000))
    await committed(log)
    expect(log.disk.segments.size).toBe(0)
  })

  it('reads what is not committed from memory, however much that is, and what waits for long from the disk', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    const ones = Array.from({ length: 400 }, () => produce(witness, 30_000))
    const kept = log.store.commit()
    expect(log.store.memoryBytes).toBeGreaterThan(11 * MiB)
    for (const { object, content } of ones) expect(contentOf(object).equals(content)).toBe(true)
    expect(log.disk.reads).toBe(0)
    log.disk.complete()
    await kept
    expect(log.store.memoryBytes).toBeLessThan(5 * MiB)
    for (const { object, content } of ones) expect(contentOf(object).equals(content)).toBe(true)
    expect(log.disk.reads).toBeGreaterThan(20)
    expect(log.disk.reads, 'once for each segment').toBeLessThan(60)
  })

  it('shows small objects that it reads in a row as neighbours, in memory that is not changed any more', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let count = 0; count < 100; count++) produce(witness, 100)
    await committed(log)
    const { witness: after } = await reopened(log)
    const shown = after.objects.map(({ object, content }) => {
      const { buffer, start, end } = object
      return { buffer, start, end, content }
    })
    for (const [index, { buffer, start }] of shown.entries()) {
      if (index > 0) expect(start).toBe(shown[index - 1]?.end)
      expect(buffer).toBe(shown[0]?.buffer)
    }
    for (const { buffer, start, end, content } of shown) expect(buffer.subarray(start, end).equals(content)).toBe(true)
  })

  it('is not sparse while little lies unused, and is tidied when one object stays of thousands', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    let rounds = 0
    for (let count = 0; count < 3_000; count++) {
      const one = produce(witness, 20_000)
      if (count % 100 === 0) await committed(log)
      if (count % 50 !== 7) consume(witness, one)
      if (!log.store.isSparse) continue
      rounds++
      witness.tidy()
      expect(log.store.isSparse, 'before it is committed').toBe(false)
      await committed(log)
    }
    expect(rounds).toBeGreaterThan(1)
    expect(rounds).toBeLessThan(10)
    await committed(log)
    const diskBytes = [...log.disk.segments.values()].reduce((sum, { length }) => sum + length, 0)
    expect(diskBytes).toBeLessThan(20 * MiB)
    expect((await reopened(log)).witness.knowledge).toEqual(witness.knowledge)
  })

  it('moves a bounded amount at once', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let count = 0; count < 100; count++) produce(witness, 100_000)
    await committed(log)
    const [first = 0] = log.disk.segmentNumbers()
    witness.tidy()
    await committed(log)
    const bytes = [...log.disk.segments.values()].reduce((sum, { length }) => sum + length, 0)
    expect(log.disk.segmentNumbers()[0]).toBeGreaterThan(first)
    expect(log.disk.segmentNumbers()[0]).toBeLessThan(first + 25)
    expect(bytes).toBeLessThan(10.1 * MiB)
    expect((await reopened(log)).witness.knowledge).toEqual(witness.knowledge)
  })

  it('tells a frame by one number, which is good while it is not moved', async () => {
    const { store } = await openLog()
    const frame = store.keep(frameOf(5, 100), 0, 100)
    const packed = store.packing.pack(frame)
    const unpacked = store.packing.unpack(packed, 100)
    expect(!('begin' in unpacked) && contentOf(unpacked).equals(frameOf(5, 100))).toBe(true)
    store.release(frame)
    expect(store.packing.pack(frame)).toBeNaN()
  })

  it('refuses a frame that says that it has another length', async () => {
    const { store } = await openLog()
    expect(() => store.keep(frameOf(1, 100), 0, 99)).toThrow('another length')
  })

  it('refuses what the disk refuses', async () => {
    const { store, disk } = await openLog()
    expect(store.refusal(100)).toBeUndefined()
    disk.full = createError('STORE_FULL', 'There is no room.')
    expect(store.refusal(100)).toBe(disk.full)
  })

  it('says of every commit after one that failed that it failed', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    produce(witness, 100)
    const kept = log.store.commit()
    const failure = createError('STORE_FAILED', 'The disk is gone.')
    log.disk.fail(failure)
    await expect(kept).rejects.toBe(failure)
    await expect(log.store.commit()).rejects.toBe(failure)
    await expect(log.store.close()).rejects.toBe(failure)
    expect(log.disk.isClosed).toBe(true)
  })

  it('keeps what was told before it was closed', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    produce(witness, 100)
    const closed = log.store.close()
    log.disk.complete()
    await closed
    expect(log.disk.isClosed).toBe(true)
    expect((await reopened(log)).witness.knowledge).toEqual(witness.knowledge)
  })
})

describe('A log that was damaged', () => {
  async function written(count = 30): Promise<{ log: OpenedLog; witness: StoreWitness }> {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let number = 0; number < count; number++) produce(witness, 25_000)
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

  it('is not opened with a segment of another future of the same log', async () => {
    const { log } = await written()
    const one = await openLog(new MemoryDisk(log.files, undefined, log.disk))
    const other = await openLog(new MemoryDisk(log.files, undefined, log.disk))
    for (const [future, count] of [
      [one, 25],
      [other, 20],
    ] as const) {
      const witness = StoreWitness.recover(future.store)
      for (let number = 0; number < count; number++) produce(witness, 20_000 + count)
      await committed(future)
    }
    expect(one.disk.segmentNumbers()).toEqual(other.disk.segmentNumbers())
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
    for (let number = 0; number < 30; number++) produce(witness, 25_000)
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
