import { expect, it } from 'vitest'
import type { KeptPlace } from '../core/journal.ts'
import type { LargeBody, StoredObject } from './store.ts'
import { beginOf, bodyOf, readBody, writeBody } from './storedBody.fixture.ts'
import { recoveredPlaces } from './storeWitness.fixture.ts'
import { type StoreKind, useWorld } from './storeWorld.fixture.ts'

/** What every store must do with large objects. */
export function describeLargeBodies(kind: StoreKind): void {
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
    store.compact([large], [placeOf(large, 2)])
    await used.committed()
    expect((await settle(readBody(large))).equals(body)).toBe(true)
    if (!kind.isDurable) return
    const places = recoveredPlaces(await used.world.restart())
    expect(places.map(({ payload, ...place }) => place)).toEqual([withoutPayload(placeOf(large, 2))])
    const [found] = places
    expect(
      found !== undefined && 'begin' in found.payload && (await settle(readBody(found.payload))).equals(body),
    ).toBe(true)
  })
}

function placeOf(payload: LargeBody, copies: number): KeptPlace<StoredObject> {
  return {
    payload,
    kind: 'produce',
    group: 'g',
    groupIndex: 0,
    order: 1,
    attempt: 1,
    copies,
    session: undefined,
    isSeen: false,
    deadLetter: undefined,
  }
}

function withoutPayload({ payload, ...place }: KeptPlace<StoredObject>): Omit<KeptPlace<StoredObject>, 'payload'> {
  return place
}
