import { randomBytes, randomInt } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createError } from '../../errors.ts'
import { isRecord } from '../../options.ts'
import type { LogEnd } from '../log/logDisk.ts'
import { storeCorrupt, storeVersion } from '../log/storeCorrupt.ts'
import { folderError, isMissing } from './folderErrors.ts'

/** What is in the folder of a store. */
export const folderNames = {
  /** Says what the folder is, and in which format. */
  marker: 'objectrelay-store.json',
  /** The relay's secret for its tickets. */
  ticketKey: 'ticket.key',
  /** Says who has it; see folderOwner.ts. */
  owner: 'owner.json',
  /** Held by the relay as long as it lives. */
  lock: 'relay.socket',
  /** Files of the log. */
  log: 'log',
  /** Bodies of large objects. */
  bodies: 'bodies',
} as const

const FORMAT = 2
const MARKER_BYTES_MAX = 4_096
const TEMPORARY_SUFFIX = '.tmp'
/** What file systems put into every folder at their root. */
const systemNames: ReadonlySet<string> = new Set(['lost+found'])
const UINT32_MAX = 2 ** 32 - 1

/** What the marker of a store says. */
export interface StoreMarker {
  /** What the check of each block begins with: random, and told to nobody. */
  readonly key: number
  /** The log is safe up to there: where it ended when a relay stopped last. */
  readonly end: LogEnd | undefined
}

/** Makes the folder of a store, if it is not there, and what belongs into it. Throws if it holds something else. */
export async function prepareFolder(folder: string): Promise<StoreMarker> {
  await makeFolder(folder)
  let marker = await lookAt(folder)
  if (marker === undefined) {
    marker = { key: randomInt(0, UINT32_MAX), end: undefined }
    await writeMarker(folder, marker)
  }
  for (const name of [folderNames.log, folderNames.bodies]) await makeFolder(join(folder, name))
  return marker
}

/** The marker of a store that is there; throws if there is none of this format. Changes nothing. */
export async function recogniseFolder(folder: string): Promise<StoreMarker> {
  try {
    const marker = await lookAt(folder)
    if (marker !== undefined) return marker
  } catch (thrown) {
    if (!isMissing(thrown)) throw folderError(folder, 'read', thrown)
  }
  const message = `There is no store in the folder ${folder}. Name the folder that a relay was given as its store.`
  throw createError('STORE_FOREIGN', message, { details: { dir: folder } })
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

/** Writes a small file, whole or not at all, also if the machine stops meanwhile. */
export async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name)
  const temporary = `${path}.${randomBytes(8).toString('hex')}${TEMPORARY_SUFFIX}`
  let handle: FileHandle | undefined
  try {
    handle = await open(temporary, 'wx', 0o600)
    await handle.writeFile(text)
    await handle.sync()
    await handle.close()
    handle = undefined
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (thrown) {
    await handle?.close().catch(() => undefined)
    await rm(temporary, { force: true }).catch(() => undefined)
    throw thrown
  }
}

export async function writeMarker(folder: string, { key, end }: StoreMarker): Promise<void> {
  await writeWhole(
    folder,
    folderNames.marker,
    `${JSON.stringify({ store: 'objectrelay', format: FORMAT, key, end: end ?? null })}\n`,
  )
}

/** What the folder says it is; `undefined` if it is empty. Throws if it is something else than a store of this format. */
async function lookAt(folder: string): Promise<StoreMarker | undefined> {
  const names = await readdir(folder)
  if (names.includes(folderNames.marker)) return await readMarker(folder)
  const other = names.find((name) => !isOurs(name))
  if (other === undefined) return undefined
  const message = `The folder ${folder} holds something that is not a store of a relay, such as "${other}". Name a folder that is empty, or is not there yet.`
  throw createError('STORE_FOREIGN', message, { details: { dir: folder } })
}

/** What may be there before the marker is. */
function isOurs(name: string): boolean {
  return (
    systemNames.has(name) ||
    name === folderNames.lock ||
    name === folderNames.owner ||
    (name.endsWith(TEMPORARY_SUFFIX) && (name.startsWith(folderNames.marker) || name.startsWith(folderNames.owner)))
  )
}

async function readMarker(folder: string): Promise<StoreMarker> {
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
  const { format, key, end } = marker
  if (format !== FORMAT || !isUint32(key)) throw damaged()
  if (end === null) return { key, end: undefined }
  if (!isRecord(end) || !isUint32(end.check) || typeof end.commit !== 'number' || !Number.isSafeInteger(end.commit))
    throw damaged()
  return { key, end: { commit: end.commit, check: end.check } }
}

function isUint32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= UINT32_MAX
}
