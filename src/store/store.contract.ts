import { describe, expect, it } from 'vitest'
import type { KeptFrame } from './store.ts'
import { describeLargeBodies } from './storeBodies.contract.ts'
import { describeRestart } from './storeRestart.contract.ts'
import { contentOf, frameOf, onlyPlaceOf, StoreWitness } from './storeWitness.fixture.ts'
import { type StoreKind, useWorld } from './storeWorld.fixture.ts'

export type { StoreKind, StoreWorld } from './storeWorld.fixture.ts'

/** What every store must do. */
export function describeStore(name: string, kind: StoreKind): void {
  describe(name, () => {
    describeKeeping(kind)
    describeLargeBodies(kind)
    if (kind.isDurable) describeRestart(kind)
  })
}

function describeKeeping(kind: StoreKind): void {
  const used = useWorld(kind)

  it('keeps frames as they came, though the bytes that they came in are used again', async () => {
    const witness = new StoreWitness(used.world.store)
    const ones = [24, 100, 1_000, 16_384, 131_072].flatMap((bytes) => [witness.keep(bytes), witness.keep(bytes)])
    for (const { object, content } of ones) expect((await contentOf(object)).equals(content)).toBe(true)
    await used.committed()
    for (const { object, content } of ones) {
      expect(object.bytes).toBe(content.length)
      expect((await contentOf(object)).equals(content)).toBe(true)
    }
  })

  it('keeps small frames that came in a row as neighbours in one piece of memory', () => {
    const { store } = used.world
    const frames = Array.from({ length: 50 }, (_, id) => store.keep(frameOf(id, 100), 0, 100).find())
    for (const [index, frame] of frames.entries()) {
      const before = frames[index - 1]
      if (before === undefined) continue
      expect(frame?.buffer).toBe(before.buffer)
      expect(frame?.start).toBe(before.end)
    }
  })

  it('keeps frames that came in a row, as many as it likes together, and gives them up in any parts', async () => {
    const { store } = used.world
    const frames = Array.from({ length: 20 }, (_, id) => frameOf(id, 60 + id))
    const bytes = Buffer.concat(frames)
    const kept: KeptFrame[] = []
    for (let at = 0, count = 0; at < bytes.length; ) {
      const run = store.keep(bytes, at, bytes.length, frames.length - count)
      at += run.bytes
      count += run.objects
      while (run.objects > 3) kept.push(store.cut(run, 3))
      kept.push(run)
    }
    bytes.fill(0xdd)
    await used.committed()
    const contents = await Promise.all(kept.map(contentOf))
    expect(kept.reduce((sum, { objects }) => sum + objects, 0)).toBe(frames.length)
    expect(Buffer.concat(contents)).toEqual(Buffer.concat(frames))
    for (const run of kept.slice(1)) store.release(run)
    await used.committed()
    expect(kept[0] !== undefined && (await contentOf(kept[0]))).toEqual(contents[0])
  })

  it('does not mind that something is released twice', async () => {
    const { store } = used.world
    const witness = new StoreWitness(store)
    const first = witness.keep(500)
    const second = witness.keep(500)
    for (let count = 0; count < 3; count++) store.release(first.object)
    await used.committed()
    expect((await contentOf(second.object)).equals(second.content)).toBe(true)
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
    const { buffer, start, end } = witness.objects[0]?.object.find() ?? { buffer: Buffer.alloc(0), start: 0, end: 0 }
    const underWay = buffer.subarray(start, end)
    const before = Buffer.from(underWay)
    witness.compact()
    await used.committed()
    expect(underWay.equals(before)).toBe(true)
    for (const { object, content } of witness.objects) expect((await contentOf(object)).equals(content)).toBe(true)
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
