import fc from 'fast-check'
import { expect, it } from 'vitest'
import { beginOf, bodyOf, readBody, writeBody } from './storedBody.fixture.ts'
import { arbitrarySteps, happen } from './storeHistory.fixture.ts'
import { placeAt, recoveredPlaces, StoreWitness } from './storeWitness.fixture.ts'
import { type StoreKind, useWorld } from './storeWorld.fixture.ts'

/** What every store must do that outlives its relay. */
export function describeRestart(kind: StoreKind): void {
  const used = useWorld(kind)

  it('is empty when it is new', async () => {
    expect(recoveredPlaces(used.world.store)).toEqual([])
    expect(used.world.store.keepsLeases).toBe(true)
  })

  it('tells after a restart whose it is, and gives sessions other numbers than before', async () => {
    const { store } = used.world
    const before = [store.takeSource(), store.takeSource()]
    await used.committed()
    const again = await used.world.restart()
    expect(again.relayName).toBe(store.relayName)
    expect(again.ticketKey).toEqual(store.ticketKey)
    expect(again.ticketKey).toHaveLength(32)
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
    witness.deadLetter(dead, ...placeAt(dead.places, 0))
    witness.broadcast(older, 'g')
    witness.broadcast(older, 'h', 1)
    witness.broadcast(last, 'g')
    witness.answer('session-1', [{ from: 3, to: 9, memberCounts: [1, 0] }])
    witness.answer('session-2', [{ from: 1, to: 1, memberCounts: [] }])
    witness.answer('session-2', [])
    await used.committed()
    const after = await StoreWitness.recover(await used.world.restart())
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
    expect(recoveredPlaces(await used.world.restart())).toEqual([])
  })

  it('has a large object after a restart, and nothing of one that was not whole', async () => {
    const { store, settle } = used.world
    const body = bodyOf(5, 2_500_000)
    const whole = store.keepLarge(beginOf(9, body.length), body.length)
    const part = store.keepLarge(beginOf(10, body.length), body.length)
    await settle(Promise.all([writeBody(whole, body), writeBody(part, body.subarray(0, 1_500_000))]))
    await settle(whole.finish() ?? Promise.resolve())
    store.journal.queued(whole, 'g', 0, 1, 1)
    store.journal.retained(whole, 'h', 1, 7)
    await used.committed()
    let places = recoveredPlaces(await used.world.restart())
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
      places = recoveredPlaces(await used.world.restart())
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
        expect((await StoreWitness.recover(await world.restart())).knowledge).toEqual(knowledge)
        await world.end()
      }),
      { numRuns: kind.histories ?? 20 },
    )
  })
}
