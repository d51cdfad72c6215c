import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createError } from '../../errors.ts'
import { isRecord } from '../../options.ts'
import { Presence } from '../../transport/presence.ts'
import { storeCorrupt, storeVersion } from '../log/storeCorrupt.ts'
import { folderError, inUse, isMissing } from './folderErrors.ts'

/** What is in the folder of a store. */
export const folderNames = {
  /** Says what the folder is, and in which format. */
  marker: 'objectrelay-store.json',
  data: 'data.mdb',
  /** LMDB's own, about who reads. */
  readers: 'lock.mdb',
  /** The relay's secret for its tickets. */
  ticketKey: 'ticket.key',
  /** Held by the relay as long as it lives. */
  presence: 'relay.socket',
  /** Files with segments of the log. */
  segments: 'segments',
  /** Bodies of large objects. */
  bodies: 'bodies',
} as const

const FORMAT = 1
const MARKER_BYTES_MAX = 4_096
const TEMPORARY_SUFFIX = '.tmp'
/** What file systems put into every folder at their root. */
const systemNames: ReadonlySet<string> = new Set(['lost+found'])
/** A relay that is just ending, or a command that looks in, is waited for. */
const CLAIM_ATTEMPTS = 10
const CLAIM_AGAIN_MS = 100

/** A folder that is ours until its presence is released. */
export interface ClaimedFolder {
  readonly presence: Presence
  /** Whether it was never used as a store: what is in it may be what a relay left that was killed when it began. */
  readonly isNew: boolean
}

/** Makes the folder, if it is not there, and makes sure that nobody else has it. */
export async function claimFolder(folder: string): Promise<ClaimedFolder> {
  try {
    await makeFolder(folder)
    await lookAt(folder)
    const presence = await claim(folder)
    try {
      // Whoever had it until now may have changed it.
      const state = await lookAt(folder)
      if (state === 'empty') await writeMarker(folder, { isNew: true })
      for (const name of [folderNames.segments, folderNames.bodies]) await makeFolder(join(folder, name))
      await syncFolder(folder)
      return { presence, isNew: state !== 'used' }
    } catch (thrown) {
      await presence.release()
      throw thrown
    }
  } catch (thrown) {
    throw folderError(folder, 'used', thrown)
  }
}

/**
 * Makes a folder with all above it, and makes their names safe. Node.js can do that too, but never comes to an end in some folders
 * that nothing can be made in, such as those of the kernel.
 */
export async function makeFolder(folder: string): Promise<void> {
  if (await madeIn(folder)) return
  const parent = dirname(folder)
  if (parent === folder) throw cannotBeMade(folder)
  await makeFolder(parent)
  if (!(await madeIn(folder))) throw cannotBeMade(folder)
}

/** Resolves to `false` if there is nothing to make it in. */
async function madeIn(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 })
    await syncFolder(dirname(folder))
  } catch (thrown) {
    if (isMissing(thrown)) return false
    // A root cannot be made, and says so in many ways.
    const isThere = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (!isThere) throw thrown
  }
  return true
}

function cannotBeMade(folder: string): Error {
  const message = `The folder ${folder} of the store cannot be made: the operating system lets nothing be made there. Name another one.`
  return createError('STORE_READ_ONLY', message, { details: { dir: folder } })
}

/** From now on what is in the folder must be whole. */
export async function markUsed(folder: string): Promise<void> {
  await writeMarker(folder, { isNew: false })
  await syncFolder(folder)
}

/** Throws if the folder is not a store of this format; changes nothing. */
export async function recogniseFolder(folder: string): Promise<void> {
  try {
    if ((await lookAt(folder)) === 'used') return
  } catch (thrown) {
    if (!isMissing(thrown)) throw folderError(folder, 'read', thrown)
  }
  const message = `There is no store in the folder ${folder}. Name the folder that a relay was given as its store.`
  throw createError('STORE_FOREIGN', message, { details: { dir: folder } })
}

/** Makes names in a folder safe. Windows has no such thing, and needs none. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

type FolderState = 'empty' | 'new' | 'used'

/** What is in the folder. Throws if it is something else than a store of this format. */
async function lookAt(folder: string): Promise<FolderState> {
  const names = await readdir(folder)
  if (names.includes(folderNames.marker)) return await readMarker(folder)
  const other = names.find((name) => !systemNames.has(name) && name !== folderNames.presence && !isTemporary(name))
  if (other === undefined) return 'empty'
  const message = `The folder ${folder} holds something that is not a store of a relay, such as "${other}". Name a folder that is empty, or is not there yet.`
  throw createError('STORE_FOREIGN', message, { details: { dir: folder } })
}

async function readMarker(folder: string): Promise<FolderState> {
  const path = join(folder, folderNames.marker)
  const damaged = (): Error => storeCorrupt(`The file ${folderNames.marker}`, 'does not say what it should')
  if ((await stat(path)).size > MARKER_BYTES_MAX) throw damaged()
  const text = await readFile(path, 'utf8')
  let marker: unknown
  try {
    marker = JSON.parse(text)
  } catch {
    throw damaged()
  }
  if (!isRecord(marker) || marker.store !== 'objectrelay' || typeof marker.format !== 'number') throw damaged()
  if (marker.format > FORMAT) throw storeVersion('The folder', marker.format, FORMAT)
  if (marker.format !== FORMAT || typeof marker.isNew !== 'boolean') throw damaged()
  return marker.isNew ? 'new' : 'used'
}

/** Whole or not at all, also if the machine stops meanwhile. */
async function writeMarker(folder: string, { isNew }: { isNew: boolean }): Promise<void> {
  const path = join(folder, folderNames.marker)
  const temporary = `${path}.${randomBytes(8).toString('hex')}${TEMPORARY_SUFFIX}`
  let handle: FileHandle | undefined
  try {
    handle = await open(temporary, 'wx', 0o600)
    await handle.writeFile(`${JSON.stringify({ store: 'objectrelay', format: FORMAT, isNew })}\n`)
    await handle.sync()
    await handle.close()
    await rename(temporary, path)
  } catch (thrown) {
    await handle?.close().catch(() => undefined)
    await rm(temporary, { force: true }).catch(() => undefined)
    throw thrown
  }
}

function isTemporary(name: string): boolean {
  return name.startsWith(`${folderNames.marker}.`) && name.endsWith(TEMPORARY_SUFFIX)
}

async function claim(folder: string): Promise<Presence> {
  for (let attempt = 0; attempt < CLAIM_ATTEMPTS; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, CLAIM_AGAIN_MS))
    const presence = await Presence.claim(folder, folderNames.presence)
    if (presence !== undefined) return presence
  }
  throw inUse(folder)
}
