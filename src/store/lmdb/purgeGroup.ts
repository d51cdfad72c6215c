import { resolve } from 'node:path'
import { systemClock } from '../../clock.ts'
import type { KeptPlace } from '../../core/journal.ts'
import { LogStore } from '../log/logStore.ts'
import type { StoredObject } from '../store.ts'
import { LmdbDisk } from './lmdbDisk.ts'
import { loadLmdb } from './loadLmdb.ts'
import { recogniseFolder } from './storeFolder.ts'

/** What {@link purgeGroup} deleted. */
export interface Purged {
  readonly copies: number
  readonly bytes: number
}

/**
 * Deletes the queue of a group: what waits, and what a member of an earlier run has and has not acknowledged. The group's last
 * broadcast stays. Rejects with `STORE_IN_USE` while a relay runs with the store.
 */
export async function purgeGroup(dir: string, group: string): Promise<Purged> {
  const folder = resolve(dir)
  await recogniseFolder(folder)
  const host = { report: (): void => undefined }
  const disk = await LmdbDisk.open(await loadLmdb(), { dir: folder, durability: 'synced', bytesMax: undefined }, host)
  try {
    const newRelayName = 'none'
    const store = await LogStore.open(disk, { newRelayName, ticketKey: new Uint8Array(32), clock: systemClock, host })
    const purged = purge(store, group)
    await store.commit()
    await store.close()
    return purged
  } finally {
    await disk.close()
  }
}

function purge(store: LogStore, group: string): Purged {
  const { places, shared } = findQueue(store, group)
  let copies = 0
  let bytes = 0
  for (const place of places) {
    const { payload, attempt, session, isSeen, order } = place
    if (session === undefined) store.journal.dropped(payload, group, attempt, place.copies, order)
    else store.journal.acknowledged(payload, group, attempt, session, isSeen, order)
    copies += place.copies
    bytes += payload.bytes
  }
  for (const payload of new Set(places.map((place) => place.payload))) if (!shared.has(payload)) store.release(payload)
  return { copies, bytes }
}

type Place = KeptPlace<StoredObject>

/** The places in the queue of a group, and which of the objects in them are somewhere else, too. */
function findQueue(store: LogStore, group: string): { places: readonly Place[]; shared: ReadonlySet<StoredObject> } {
  const places: Place[] = []
  const shared = new Set<StoredObject>()
  let elsewhere: StoredObject | undefined
  // The places of one object come one after the other.
  store.recover({
    place: (place) => {
      const { payload } = place
      const isMeant = place.group === group && place.kind === 'produce'
      if (isMeant) places.push(place)
      else elsewhere = payload
      if (elsewhere === payload && places.at(-1)?.payload === payload) shared.add(payload)
    },
    remembered: () => undefined,
  })
  return { places, shared }
}
