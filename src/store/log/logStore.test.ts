import { describe, expect, it } from 'vitest'
import { createError } from '../../errors.ts'
import { contentOf, frameOf, loaded, StoreWitness } from '../storeWitness.fixture.ts'
import { COMMITS_MAX } from './logDisk.ts'
import { committed, type OpenedLog, openLog, reopened } from './openLog.fixture.ts'

const MiB = 1024 * 1024

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

  it('keeps no segment of which nothing is needed, but for the one that is written', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let round = 0; round < 50; round++) {
      const ones = Array.from({ length: 20 }, () => witness.produce(20_000))
      await committed(log)
      for (const one of ones) witness.consume(one)
      if (round % 7 === 0) await committed(log)
      expect(log.disk.segments.size).toBeLessThan(25)
    }
    witness.answer('a session', [{ from: 1, to: 2, memberCounts: [3] }])
    await committed(log)
    await committed(log)
    expect(log.disk.segments.size).toBeLessThan(3)
    const { log: again, witness: after } = await reopened(log)
    expect(after.knowledge).toEqual(witness.knowledge)
    after.produce(100)
    await committed(again)
    expect((await reopened(again)).witness.knowledge).toEqual(after.knowledge)
  })

  it('keeps a run as one, tells of each of its objects, and gives them one by one when they were moved', async () => {
    const log = await openLog(undefined, undefined, 'the-relay', 10_000)
    const { store } = log
    const frames = Array.from({ length: 10 }, (_, id) => frameOf(1_000 + id, 1_000 + id))
    const run = store.keep(
      Buffer.concat(frames),
      0,
      frames.reduce((sum, { length }) => sum + length, 0),
      10,
    )
    expect(run.objects).toBe(10)
    store.journal.queued(run, 'g', 0, 101, 1)
    const [first, second] = [store.cut(run, 4), store.cut(run, 1)]
    expect([first, second, run].map(({ objects }) => objects)).toEqual([4, 1, 5])
    for (const [part, order] of [
      [first, 101],
      [second, 105],
    ] as const)
      store.journal.leased(part, 'g', 1, 's', order)
    store.journal.seen(first, 'g', 1, 's', 101)
    store.journal.acknowledged(first, 'g', 1, 's', true, 101)
    store.release(first)
    await committed(log)
    expect((await contentOf(run)).equals(Buffer.concat(frames.slice(5)))).toBe(true)
    // Much that comes and goes behind them.
    const witness = new StoreWitness(store)
    for (let round = 0; round < 1_000 && run.apart() === undefined; round++) {
      witness.consume(witness.produce(20_000))
      await committed(log)
    }
    const apart = await Promise.all((run.apart() ?? []).map(contentOf))
    expect(apart.map((content) => frames.findIndex((frame) => frame.equals(content)))).toEqual([5, 6, 7, 8, 9])
    const { witness: after } = await reopened(log)
    expect(after.objects.map(({ id }) => id)).toEqual([1_004, 1_005, 1_006, 1_007, 1_008, 1_009])
    expect(after.objects.flatMap(({ places }) => places.map(({ order, session }) => [order, session]))).toEqual([
      [105, 's'],
      ...[106, 107, 108, 109, 110].map((order) => [order, undefined]),
    ])
  })

  it('restores objects that wait one behind the other as runs, and dead letters one by one', async () => {
    const log = await openLog()
    const { store } = log
    const session = 'a-session'
    const kept = Array.from({ length: 400 }, (_, index) => store.keep(frameOf(index + 1, 200), 0, 200))
    for (const [index, object] of kept.entries()) {
      const order = index + 1
      store.journal.queued(object, 'g', 0, order, 1)
      // The middle one is on lease, and the last hundred are dead letters.
      if (index === 99 || index >= 300) store.journal.leased(object, 'g', 1, session, order)
      if (index >= 300) store.journal.deadLettered(object, 'g', 1, session, false, 'g.dead', order, order)
    }
    await committed(log)
    const again = await openLog(log.disk.crash(), log)
    const places: [group: string, order: number, objects: number, session: string | undefined][] = []
    again.store.recover({
      groupSet: () => undefined,
      place: ({ group, order, payload, session: lessee }) => places.push([group, order, payload.objects, lessee]),
      remembered: () => undefined,
    })
    expect(places.slice(0, 3)).toEqual([
      ['g', 1, 99, undefined],
      ['g', 100, 1, session],
      ['g', 101, 200, undefined],
    ])
    expect(places.slice(3)).toEqual(Array.from({ length: 100 }, (_, index) => ['g.dead', 301 + index, 1, undefined]))
  })

  it('reads what is not committed from memory, however much that is, and what waits for long from the disk', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    const ones = Array.from({ length: 400 }, () => witness.produce(30_000))
    const kept = log.store.commit()
    expect(log.store.memoryBytes).toBeGreaterThan(11 * MiB)
    for (const { object, content } of ones) expect((await contentOf(object)).equals(content)).toBe(true)
    expect(log.disk.reads).toBe(0)
    log.disk.complete()
    await kept
    expect(log.store.memoryBytes).toBeLessThan(5 * MiB)
    for (const { object, content } of ones) expect((await contentOf(object)).equals(content)).toBe(true)
    expect(log.disk.reads).toBeGreaterThan(20)
    expect(log.disk.reads, 'once for each segment').toBeLessThan(60)
  })

  it('keeps an object that comes while another commit is waiting together with what belongs to it', async () => {
    const log = await openLog()
    const { store, disk } = log
    const witness = new StoreWitness(store)
    let answer: (() => void) | undefined
    store.beforeCommit = () => {
      answer?.()
      answer = undefined
    }
    witness.produce(100)
    const first = store.commit()
    witness.produce(100)
    store.commit()
    witness.produce(100)
    const last = store.commit()
    expect(disk.commitsUnderWay).toBe(COMMITS_MAX)
    // It comes after the last was asked for, and its answer is to be told at the end of the turn.
    witness.produce(100)
    answer = () => {
      witness.answer('a session', [{ from: 3, to: 3, memberCounts: [1] }])
      void store.commit()
    }
    disk.complete()
    await first
    expect(answer, 'told before the last was sealed').toBeUndefined()
    disk.complete()
    disk.complete()
    await last
    expect(disk.isCommitting).toBe(false)
    const { witness: after } = await reopened(log)
    expect(after.objects).toHaveLength(4)
    expect(after.knowledge).toEqual(witness.knowledge)
  })

  it('reads from memory what is not committed while earlier commits are complete', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    witness.produce(100)
    const first = log.store.commit()
    for (let count = 0; count < 400; count++) witness.produce(30_000)
    const second = log.store.commit()
    log.disk.complete()
    await first
    for (const { object, content } of witness.objects) expect((await contentOf(object)).equals(content)).toBe(true)
    expect(log.disk.reads).toBe(0)
    log.disk.complete()
    await second
  })

  it('shows small objects that it reads in a row as neighbours, in memory that is not changed any more', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let count = 0; count < 100; count++) witness.produce(100)
    await committed(log)
    const { witness: after } = await reopened(log)
    const shown = await Promise.all(
      after.objects.map(async ({ object, content }) => ({ ...(object.find() ?? (await loaded(object))), content })),
    )
    for (const [index, { buffer, start }] of shown.entries()) {
      if (index > 0) expect(start).toBe(shown[index - 1]?.end)
      expect(buffer).toBe(shown[0]?.buffer)
    }
    for (const { buffer, start, end, content } of shown) expect(buffer.subarray(start, end).equals(content)).toBe(true)
  })

  it('moves what is needed together when one object stays of thousands, and needs the old places no more', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let count = 0; count < 3_000; count++) {
      const one = witness.produce(20_000)
      if (count % 100 === 0) await committed(log)
      if (count % 50 !== 7) witness.consume(one)
    }
    await idle(log)
    expect(bytesOf(log)).toBeLessThan(20 * MiB)
    expect(witness.objects).toHaveLength(60)
    for (const { object, content } of witness.objects) expect((await contentOf(object)).equals(content)).toBe(true)
    const { log: again, witness: after } = await reopened(log)
    expect(after.knowledge).toEqual(witness.knowledge)
    for (const one of [...after.objects]) after.consume(one)
    await idle(again)
    expect(again.disk.segments.size).toBeLessThan(3)
  })

  it('moves as much as is needed in the oldest segments, however much waits behind them', async () => {
    const log = await openLog()
    const witness = new StoreWitness(log.store)
    for (let count = 0; count < 200; count++) witness.produce(100_000)
    await idle(log)
    const [first] = log.disk.segments.keys()
    log.disk.isCramped = true
    for (const one of witness.objects.slice(0, 40)) if (one.id % 2 === 0) witness.consume(one)
    const { reads } = log.disk
    for (let turns = 0; turns < 40; turns++) await turn(log)
    const [next] = log.disk.segments.keys()
    expect(next).toBeGreaterThan(first ?? 0)
    expect(log.disk.reads - reads).toBeLessThan(60)
    expect((await reopened(log)).witness.knowledge).toEqual(witness.knowledge)
  })

  it('tells a frame by one number, which is good while it is not moved', async () => {
    const { store } = await openLog()
    const frame = store.keep(frameOf(5, 100), 0, 100)
    const packed = store.packing.pack(frame)
    const unpacked = store.packing.unpack(packed, 100)
    expect(!('begin' in unpacked) && (await contentOf(unpacked)).equals(frameOf(5, 100))).toBe(true)
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
    witness.produce(100)
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
    witness.produce(100)
    const closed = log.store.close()
    log.disk.complete()
    await closed
    expect(log.disk.isClosed).toBe(true)
    expect((await reopened(log)).witness.knowledge).toEqual(witness.knowledge)
  })
})

/** Lets the disk do what it was asked for, and what waits run. */
async function turn(log: OpenedLog): Promise<void> {
  void log.store.commit()?.catch(() => undefined)
  log.disk.complete()
  log.clock.advance(1)
  await new Promise((resolve) => setImmediate(resolve))
}

/** Lets everything happen that can. */
async function idle(log: OpenedLog): Promise<void> {
  for (let turns = 0; turns < 400; turns++) await turn(log)
}

function bytesOf({ disk }: OpenedLog): number {
  return [...disk.segments.values()].reduce((sum, { length }) => sum + length, 0)
}
