import { constants } from 'node:fs'
import { copyFile, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createError } from '../../errors.ts'
import { checkBodyFiles } from '../log/logBodies.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import { LogDatabase } from './database.ts'
import { folderError, isMissing } from './folderErrors.ts'
import { loadLmdb } from './loadLmdb.ts'
import { folderNames, makeFolder, markUsed, recogniseFolder } from './storeFolder.ts'
import { StoreReader } from './storeReader.ts'

const copiedFolders = [folderNames.segments, folderNames.bodies] as const

/** A file that came and went while the rest was copied makes the copy incomplete; then it is made again. */
const ATTEMPTS = 5

/**
 * Copies a store into a folder that is empty or not there yet, beside a relay that runs with it or without one: all that was
 * accepted until then, as of one moment. The copy is a store of its own, and was read as a whole and found right.
 */
export async function backupStore(dir: string, target: string): Promise<void> {
  const [from, to] = [resolve(dir), resolve(target)]
  await recogniseFolder(from)
  await makeEmpty(to)
  for (let attempt = 1; ; attempt++) {
    try {
      await copyOnce(from, to)
      return
    } catch (thrown) {
      await removeCopy(to)
      // What is wrong with the store itself was found before anything was copied.
      if (attempt === ATTEMPTS) throw folderError(to, 'written', thrown)
    }
  }
}

async function copyOnce(from: string, to: string): Promise<void> {
  const reader = await StoreReader.open(from)
  try {
    for (const name of copiedFolders) await mkdir(join(to, name), { mode: 0o700 })
    const copied = new Map<string, number>()
    // What is in them is never changed, but more may be appended; and some may be gone before, some come after the database is copied.
    await copyFolders(from, to, copied)
    const database = LogDatabase.open(await loadLmdb(), from, { isReadOnly: true, isSynced: true })
    try {
      await database.copyTo(to)
    } finally {
      await database.close()
    }
    await syncFile(join(to, folderNames.data))
    await copyFolders(from, to, copied)
  } finally {
    await reader.close()
  }
  await markUsed(to)
  await checkCopy(to)
}

/** All files that were not copied yet, or are longer now. */
async function copyFolders(from: string, to: string, copied: Map<string, number>): Promise<void> {
  for (const folder of copiedFolders) {
    for (const name of await readdir(join(from, folder))) await copyOne(from, to, join(folder, name), copied)
  }
}

async function copyOne(from: string, to: string, name: string, copied: Map<string, number>): Promise<void> {
  try {
    const { size } = await stat(join(from, name))
    if (copied.get(name) === size) return
    await copyFile(join(from, name), join(to, name), constants.COPYFILE_FICLONE)
    await syncFile(join(to, name))
    copied.set(name, size)
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function checkCopy(to: string): Promise<void> {
  const reader = await StoreReader.open(to)
  try {
    const bodies = new BodyFolder(join(to, folderNames.bodies), { isSynced: false })
    const { unknown } = await checkBodyFiles(bodies, reader.log)
    for (const name of unknown) await bodies.remove(name)
  } finally {
    await reader.close()
  }
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

/** It was empty before. */
async function removeCopy(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true })
}
