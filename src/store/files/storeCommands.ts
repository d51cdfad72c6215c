import { constants } from 'node:fs'
import { copyFile, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { KeptPlace } from '../../core/journal.ts'
import { createError } from '../../errors.ts'
import { checkBodyFiles } from '../log/logBodies.ts'
import { readLog } from '../log/readLog.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import type { Store, StoredObject } from '../store.ts'
import type { StoredCopy, StoredGroup } from '../storeView.ts'
import { folderError } from './folderErrors.ts'
import { askRelay } from './localService.ts'
import { firstSegmentOf, logFileName } from './logFiles.ts'
import { openFileStore } from './openFileStore.ts'
import { openStoreReader, visitRelay } from './readStore.ts'
import { recoverFiles } from './recoverFiles.ts'
import { folderNames, makeFolder, recogniseFolder, syncFolder, writeMarker } from './storeFolder.ts'

/** What {@link inspectStore} found. */
export interface StoreContent {
  /** The name of the relay that the store belongs to; `undefined` if none has kept anything yet. */
  readonly relay: string | undefined
  /** Whether a relay runs with it now. */
  readonly isInUse: boolean
  readonly groups: Readonly<Record<string, Readonly<StoredGroup>>>
  /** What the files take on the disk. */
  readonly files: { readonly logBytes: number; readonly bodyBytes: number; readonly bodies: number }
}

/** Tells what is in a store: with a relay that runs with it, or without one. Nothing is changed, and no relay is held up. */
export async function inspectStore(dir: string): Promise<StoreContent> {
  const folder = resolve(dir)
  const reader = await openStoreReader(folder)
  const { relay, groups } = await reader.groups()
  const logs = await new BodyFolder(join(folder, folderNames.log), { isSynced: false }).list()
  const bodies = await new BodyFolder(join(folder, folderNames.bodies), { isSynced: false }).list()
  return {
    relay,
    isInUse: reader.isInUse,
    // fromEntries defines own properties, so that a group may be called __proto__.
    groups: Object.fromEntries(groups),
    files: { logBytes: sumOf(logs), bodyBytes: sumOf(bodies), bodies: bodies.size },
  }
}

/**
 * What a store keeps of one group, in the order of the queue; the retained broadcast comes first. With a relay that runs with it, or
 * without one; what is taken while it is told is left out. Read each body before you go on to the next object.
 */
export async function* exportGroup(dir: string, group: string): AsyncGenerator<StoredCopy> {
  const reader = await openStoreReader(dir)
  yield* reader.copies(group)
}

/**
 * Copies a store into a folder that is empty or not there yet, with a relay that runs with it or without one: all that was
 * accepted until then, as of one moment. The copy is a store of its own, and was read as a whole and found right.
 */
export async function backupStore(dir: string, target: string): Promise<void> {
  const [from, to] = [resolve(dir), resolve(target)]
  const { key } = await recogniseFolder(from)
  await makeEmpty(to)
  try {
    for (const name of [folderNames.log, folderNames.bodies]) await mkdir(join(to, name), { mode: 0o700 })
    if (!(await copyRunning(from, to))) await copyStopped(from, to)
    await writeMarker(to, { key, end: undefined })
    await checkCopy(to, key)
  } catch (thrown) {
    for (const name of await readdir(to)) await rm(join(to, name), { recursive: true, force: true })
    throw folderError(to, 'written', thrown)
  }
}

/** Resolves to `false` if no relay has the store. */
async function copyRunning(from: string, to: string): Promise<boolean> {
  const socket = await visitRelay(from)
  if (socket === undefined) return false
  let path = ''
  let file: Awaited<ReturnType<typeof open>> | undefined
  const finish = async (): Promise<void> => {
    const finished = file
    file = undefined
    try {
      await finished?.sync()
    } finally {
      await finished?.close()
    }
  }
  try {
    for await (const message of askRelay(socket, { what: 'backup' })) {
      if ('bytes' in message) {
        await file?.write(message.bytes)
        continue
      }
      await finish()
      const { begin, body } = message.json
      if (typeof begin === 'number') {
        // What was copied until now is needed no more.
        if (path !== '') await rm(path)
        path = join(to, folderNames.log, logFileName(begin, '000000000000'))
        file = await open(path, 'wx', 0o600)
      } else if (typeof body === 'string' && /^\d+\.body$/.test(body))
        file = await open(join(to, folderNames.bodies, body), 'wx', 0o600)
    }
  } finally {
    await finish()
  }
  for (const name of [folderNames.log, folderNames.bodies]) await syncFolder(join(to, name))
  return true
}

async function copyStopped(from: string, to: string): Promise<void> {
  for (const folder of [folderNames.log, folderNames.bodies]) {
    for (const name of await readdir(join(from, folder))) {
      if (folder === folderNames.log && firstSegmentOf(name) === undefined) continue
      const copy = join(to, folder, name)
      await copyFile(join(from, folder, name), copy, constants.COPYFILE_FICLONE)
      const file = await open(copy, 'r+')
      try {
        await file.sync()
      } finally {
        await file.close()
      }
    }
    await syncFolder(join(to, folder))
  }
}

async function checkCopy(to: string, key: number): Promise<void> {
  const files = new BodyFolder(join(to, folderNames.log), { isSynced: false })
  const { index } = await readLog({ recover: async (take) => (await recoverFiles(files, key, undefined, take)).end })
  const bodies = new BodyFolder(join(to, folderNames.bodies), { isSynced: false })
  const { unknown } = await checkBodyFiles(bodies, index)
  for (const name of unknown) await bodies.remove(name)
}

/** What {@link purgeGroup} deleted. */
export interface Purged {
  readonly copies: number
  readonly bytes: number
}

/**
 * Deletes the queue of a group: what waits, what a member of an earlier run has and has not acknowledged, and the retained
 * broadcast. Rejects with `STORE_IN_USE` while a relay runs with the store.
 */
export async function purgeGroup(dir: string, group: string): Promise<Purged> {
  const folder = resolve(dir)
  await recogniseFolder(folder)
  const store = await openFileStore({ dir: folder, durability: 'synced', bytesMax: undefined }, { report() {} })
  try {
    return purge(store, group)
  } finally {
    await store.close()
  }
}

function purge(store: Store, group: string): Purged {
  const { places, shared } = findGroup(store, group)
  let copies = 0
  let bytes = 0
  for (const { payload, kind, attempt, session, isSeen, order, ...place } of places) {
    if (kind === 'broadcast') store.journal.cleared(payload, group, order)
    else if (session === undefined) store.journal.dropped(payload, group, attempt, place.copies, order)
    else store.journal.acknowledged(payload, group, attempt, session, isSeen, order)
    copies += place.copies
    bytes += payload.bytes
  }
  for (const payload of new Set(places.map((place) => place.payload))) if (!shared.has(payload)) store.release(payload)
  return { copies, bytes }
}

type Place = KeptPlace<StoredObject>

/** The places of a group, and which of the objects in them are somewhere else, too. */
function findGroup(store: Store, group: string): { places: readonly Place[]; shared: ReadonlySet<StoredObject> } {
  const places: Place[] = []
  const shared = new Set<StoredObject>()
  let elsewhere: StoredObject | undefined
  // The places of one object come one after the other.
  store.recover({
    groupSet: () => undefined,
    place: (place) => {
      const { payload } = place
      if (place.group === group) places.push(place)
      else elsewhere = payload
      if (elsewhere === payload && places.at(-1)?.payload === payload) shared.add(payload)
    },
    remembered: () => undefined,
  })
  return { places, shared }
}

async function makeEmpty(folder: string): Promise<void> {
  try {
    await makeFolder(folder)
    if ((await readdir(folder)).length === 0) return
  } catch (thrown) {
    throw folderError(folder, 'written', thrown)
  }
  const message = `The folder ${folder} is not empty. Name one that is, or is not there yet, for the copy of the store.`
  throw createError('STORE_FOREIGN', message, { details: { dir: folder } })
}

function sumOf(sizes: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const bytes of sizes.values()) sum += bytes
  return sum
}
