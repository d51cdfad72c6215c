import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeptPlace } from '../core/journal.ts'
import type { LargeBody, Store, StoredObject } from './store.ts'
import { beginOf, bodyOf, readBody, writeBody } from './storedBody.fixture.ts'
import { arbitrarySteps, happen } from './storeHistory.fixture.ts'
import { contentOf, frameOf, StoreWitness } from './storeWitness.fixture.ts'

/** A store under test, and the world around it. */
export interface StoreWorld {
  readonly store: Store
  /** Waits until the promise is settled, and lets happen meanwhile what that needs. */
  settle<T>(promise: Promise<T>): Promise<T>
  /** The relay is killed, and started again: another store, with what the first had committed. */
  restart(): Promise<Store>
  /** The test is over. */
  end(): Promise<void>
}

/** What a kind of store does. */
export interface StoreKind {
  /** Whether anything is left when the relay was killed. */
  readonly isDurable: boolean
  open(): Promise<StoreWorld>
  /** How many random histories a test may take. */
  readonly histories?: number
}

/** What every store must do. */
export function describeStore(name: string, kind: StoreKind): void {
  describe(name, () => {
    describeKeeping(kind)
    describeLargeBodies(kind)
    if (kind.isDurable) describeRestart(kind)
  })
}

/** Opens a world for each test. */
function useWorld({ open }: StoreKind): { world: StoreWorld; committed(): Promise<void> } {
  const used: { world: StoreWorld | undefined } = { world: undefined }
  beforeEach(async () => {
    used.world = await open()
  })
  afterEach(() => used.world?.end())
  return {
    get world() {
      if (used.world === undefined) throw new Error('No test is running.')
      return used.world
    },
    async committed() {
      const kept = this.world.store.commit()
      if (kept !== undefined) await this.world.settle(kept)
    },
  }
}

function describeKeeping(kind: StoreKind): void {
  const used = useWorld(kind)

  it('keeps frames as they came, though the bytes that they came in are used again', async () => {
    const witness = new StoreWitness(used.world.store)
    const ones = [24, 100, 1_000, 16_384, 131_072].flatMap((bytes) => [witness.keep(bytes), witness.keep(bytes)])
    for (const { object, content } of ones) expect(contentOf(object).equals(content)).toBe(true)
    await used.committed()
    for (const { object, content } of ones) {
      expect(object.bytes).toBe(content.length)
      expect(contentOf(object).equals(content)).toBe(true)
    }
  })

  it('keeps small frames that came in a row as neighbours in one piece of memory', () => {
    const { store } = used.world
    const frames = Array.from({ length: 50 }, (_, id) => store.keep(frameOf(id, 100), 0, 100))
    for (const [index, { buffer, start }] of frames.entries()) {
      const before = frames[index - 1]
      if (before === undefined) continue
      expect(buffer).toBe(before.buffer)
      expect(start).toBe(before.end)
    }
  })

  it('does not mind that something is released twice', async () => {
    const { store } = used.world
    const witness = new StoreWitness(store)
    const first = witness.keep(500)
    const second = witness.keep(500)
    for (let count = 0; count < 3; count++) store.release(first.object)
    await used.committed()
    expect(contentOf(second.object).equals(second.content)).toBe(true)
  })

  it('gives no two sessions the same number', async () => {
    const { store } = used.world
    const sources = Array.from({ length: 1_000 }, () => store.takeSource())
    expect(new Set(sources).size).toBe(1_000)
    for (const source of sources) expect(source).toBeLessThan(2 ** 32)
    await used.committed()
  })

  it('has kept everything when it has nothing to wait for', async () => {
    const { store } = used.world
    await used.committed()
    expect(store.commit()).toBeUndefined()
    expect(store.refusal(1_000)).toBeUndefined()
  })

  it('says that commits are kept in the order in which they were asked for', async () => {
    const { store, settle } = used.world
    const witness = new StoreWitness(store)
    const order: number[] = []
    const commits = Array.from({ length: 20 }, (_, index) => {
      witness.queue(witness.keep(200), 'g')
      return store.commit()?.then(() => void order.push(index))
    })
    await settle(Promise.all(commits))
    expect(order).toEqual(commits.flatMap((kept, index) => (kept === undefined ? [] : [index])))
  })

  it('keeps everything as it is when it is moved together, and what is being sent where it is', async () => {
    const witness = new StoreWitness(used.world.store)
    const ones = Array.from({ length: 200 }, (_, index) => witness.keep(index % 9 === 0 ? 60_000 : 300))
    for (const one of ones) witness.queue(one, 'g')
    await used.committed()
    for (const one of ones) one.isNeeded = false
    for (const [index, one] of ones.entries()) if (index % 4 !== 1) witness.drop(one, ...onlyPlaceOf(one.places))
    const { buffer, start, end } = witness.objects[0]?.object ?? { buffer: Buffer.alloc(0), start: 0, end: 0 }
    const underWay = buffer.subarray(start, end)
    const before = Buffer.from(underWay)
    witness.tidy()
    await used.committed()
    expect(underWay.equals(before)).toBe(true)
    for (const { object, content } of witness.objects) expect(contentOf(object).equals(content)).toBe(true)
  })

  it('gives its memory back', async () => {
    const { store } = used.world
    const witness = new StoreWitness(store)
    const ones = Array.from({ length: 300 }, () => witness.keep(50_000))
    for (const one of ones) witness.queue(one, 'g')
    await used.committed()
    for (const one of ones) {
      one.isNeeded = false
      witness.drop(one, ...onlyPlaceOf(one.places))
    }
    await used.committed()
    expect(store.memoryBytes).toBeLessThan(6 * 1024 * 1024)
  })
}

function describeLargeBodies(kind: StoreKind): void {
  const used = useWorld(kind)
  const body = bodyOf(3, 3_000_000)

  it('keeps a large object that is read while it comes, and once more when it is there', async () => {
    const { store, settle } = used.world
    const begin = beginOf(9, body.length)
    const large = store.keepLarge(begin, body.length)
    expect(large.bytes).toBe(body.length)
    expect(large.begin.equals(begin)).toBe(true)
    const reading = readBody(large)
    await settle(writeBody(large, body))
    const finished = large.finish()
    if (finished !== undefined) await settle(finished)
    store.journal.queued(large, 'g', 0, 1, 2)
    await used.committed()
    large.releaseEnd()
    expect((await settle(reading)).equals(body)).toBe(true)
    expect((await settle(readBody(large))).equals(body)).toBe(true)
    store.journal.dropped(large, 'g', 1, 2, 1)
    store.release(large)
    store.release(large)
    await used.committed()
  })

  it('forgets a large object that never became whole', async () => {
    const { store, settle } = used.world
    const large = store.keepLarge(beginOf(9, body.length), body.length)
    await settle(writeBody(large, body.subarray(0, 1_000_000)))
    store.release(large)
    await used.committed()
  })

  it('moves large objects together with others', async () => {
    const { store, settle } = used.world
    const large = store.keepLarge(beginOf(9, body.length), body.length)
    await settle(writeBody(large, body))
    await settle(large.finish() ?? Promise.resolve())
    store.journal.queued(large, 'g', 0, 1, 2)
    large.releaseEnd()
    await used.committed()
    store.moveTogether([large], [placeOf(large, 2)])
    await used.committed()
    expect((await settle(readBody(large))).equals(body)).toBe(true)
    if (!kind.isDurable) return
    const places = await recovered(await used.world.restart())
    expect(places.map(({ payload, ...place }) => place)).toEqual([withoutPayload(placeOf(large, 2))])
    const [found] = places
    expect(
      found !== undefined && 'begin' in found.payload && (await settle(readBody(found.payload))).equals(body),
    ).toBe(true)
  })
}

function describeRestart(kind: StoreKind): void {
  const used = useWorld(kind)

  it('is empty when it is new', async () => {
    expect(await recovered(used.world.store)).toEqual([])
    expect(used.world.store.keepsLeases).toBe(true)
  })

  it('tells after a restart whose it is, and gives sessions other numbers than before', async () => {
    const { store } = used.world
    const before = [store.takeSource(), store.takeSource()]
    await used.committed()
    const again = await used.world.restart()
    expect(again.relayName).toBe(store.relayName)
    expect(before).not.toContain(again.takeSource())
  })

  it('tells after a restart what waits, who has what, what died, and the last broadcasts', async () => {
    const witness = new StoreWitness(used.world.store)
    const [waits, copies, leased, back, dead, last, older] = Array.from({ length: 7 }, () => witness.keep(300))
    if (!waits || !copies || !leased || !back || !dead || !last || !older) throw new Error('There are seven.')
    witness.queue(waits, 'g')
    witness.queue(copies, 'g', 0, 5)
    witness.queue(copies, 'h', 1, 2)
    witness.lease(copies, ...placeAt(copies.places, 0), 'session-1')
    for (const one of [leased, back, dead]) {
      witness.queue(one, 'g')
      witness.lease(one, ...placeAt(one.places, 0), 'session-2')
    }
    witness.giveBack(back, ...placeAt(back.places, 0), 2)
    witness.bury(dead, ...placeAt(dead.places, 0))
    witness.broadcast(older, 'g')
    witness.broadcast(older, 'h', 1)
    witness.broadcast(last, 'g')
    witness.answer('session-1', [{ from: 3, to: 9, memberCounts: [1, 0] }])
    witness.answer('session-2', [{ from: 1, to: 1, memberCounts: [] }])
    witness.answer('session-2', [])
    await used.committed()
    const after = StoreWitness.recover(await used.world.restart())
    expect(after.knowledge).toEqual(witness.knowledge)
    expect(after.knowledge.places).toHaveLength(9)
  })

  it('tells after a restart nothing of what was never queued, or is gone', async () => {
    const { store } = used.world
    const witness = new StoreWitness(store)
    witness.keep(100)
    const gone = witness.keep(100)
    witness.queue(gone, 'g')
    await used.committed()
    witness.lease(gone, ...placeAt(gone.places, 0), 'session-1')
    witness.acknowledge(gone, ...placeAt(gone.places, 0))
    await used.committed()
    expect(await recovered(await used.world.restart())).toEqual([])
  })

  it('has a large object after a restart, and nothing of one that was not whole', async () => {
    const { store, settle } = used.world
    const body = bodyOf(5, 2_500_000)
    const whole = store.keepLarge(beginOf(9, body.length), body.length)
    const part = store.keepLarge(beginOf(10, body.length), body.length)
    await settle(Promise.all([writeBody(whole, body), writeBody(part, body.subarray(0, 1_500_000))]))
    await settle(whole.finish() ?? Promise.resolve())
    store.journal.queued(whole, 'g', 0, 1, 1)
    store.journal.lastBroadcast(whole, 'h', 1, 7)
    await used.committed()
    let places = await recovered(await used.world.restart())
    for (let restarts = 0; restarts < 2; restarts++) {
      const [payload, same] = places.map((place) => place.payload)
      expect(places.map(({ kind: of, group, order }) => [of, group, order])).toEqual([
        ['produce', 'g', 1],
        ['broadcast', 'h', 7],
      ])
      expect(payload).toBe(same)
      if (payload === undefined || !('begin' in payload)) throw new Error('It is no large object.')
      expect(payload.begin.equals(beginOf(9, body.length))).toBe(true)
      expect((await settle(readBody(payload))).equals(body)).toBe(true)
      places = await recovered(await used.world.restart())
    }
  })

  it('tells after a restart exactly what was told before the last commit, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrarySteps(150), fc.array(fc.nat(150), { maxLength: 6 }), async (steps, commits) => {
        const world = await kind.open()
        const witness = new StoreWitness(world.store)
        let knowledge = witness.knowledge
        for (const [index, step] of steps.entries()) {
          happen(witness, step)
          if (!commits.includes(index)) continue
          await world.settle(world.store.commit() ?? Promise.resolve())
          knowledge = witness.knowledge
        }
        expect(StoreWitness.recover(await world.restart()).knowledge).toEqual(knowledge)
        await world.end()
      }),
      { numRuns: kind.histories ?? 20 },
    )
  })
}

async function recovered(store: Store): Promise<KeptPlace<StoredObject>[]> {
  const places: KeptPlace<StoredObject>[] = []
  store.recover({ place: (place) => void places.push(place), answers: () => {} })
  return places
}

function placeOf(payload: LargeBody, copies: number): KeptPlace<StoredObject> {
  return { payload, kind: 'produce', group: 'g', groupIndex: 0, order: 1, attempt: 1, copies, session: undefined }
}

function withoutPayload({ payload, ...place }: KeptPlace<StoredObject>): Omit<KeptPlace<StoredObject>, 'payload'> {
  return place
}

function placeAt<T>(places: readonly T[], index: number): [T] {
  const place = places[index]
  if (place === undefined) throw new Error('It has no such place.')
  return [place]
}

function onlyPlaceOf<T extends { readonly copies: number }>(places: readonly T[]): [T, number] {
  const [place] = placeAt(places, 0)
  return [place, place.copies]
}
