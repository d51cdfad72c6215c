import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createError } from '../../errors.ts'
import type { BodyFile, BodyFiles } from './bodyFiles.ts'
import { readFully, writeFully } from './fileAccess.ts'

/**
 * With it, a write is complete when it is safe: one call of the operating system in place of two, and no turn of the event loop between
 * them. Elsewhere it means less than a sync does: on macOS not that the disk has written what it was given.
 */
const SAFE_WRITES = process.platform === 'linux' ? constants.O_DSYNC : 0

/** What a name of a body looks like. */
const NAME = /^[a-z0-9]+(?:[.-][a-z0-9]+)*$/

/** Bodies that survive the relay: a folder, private to the user, with a file for each. */
export class BodyFolder implements BodyFiles {
  readonly #folder: string
  readonly #isSynced: boolean
  readonly #hasSafeWrites: boolean
  readonly #flags: string
  /** Files that are open, and those that are just being opened. */
  readonly #open = new Set<FolderFile>()
  readonly #opening = new Set<Promise<unknown>>()
  #isClosed = false

  /**
   * `isSynced`: whether a file must survive a failure of the machine, not only the end of the process. `isReadOnly`: whether files
   * are opened only to be read. `isLog`: whether each write is followed by a sync.
   */
  constructor(
    folder: string,
    { isSynced, isLog = false, isReadOnly = false }: { isSynced: boolean; isLog?: boolean; isReadOnly?: boolean },
  ) {
    this.#folder = folder
    this.#isSynced = isSynced
    this.#hasSafeWrites = isSynced && isLog && SAFE_WRITES !== 0
    this.#flags = isReadOnly ? 'r' : 'r+'
  }

  create(name: string): Promise<BodyFile> {
    return this.#opened(async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      const { O_CREAT, O_EXCL, O_RDWR } = constants
      const flags = O_CREAT | O_EXCL | O_RDWR | (this.#hasSafeWrites ? SAFE_WRITES : 0)
      const handle = await open(this.#path(name), flags, 0o600)
      return new FolderFile(handle, this.#isSynced, this.#folder, this.#hasSafeWrites)
    })
  }

  open(name: string): Promise<BodyFile> {
    return this.#opened(
      async () => new FolderFile(await open(this.#path(name), this.#flags), this.#isSynced, undefined),
    )
  }

  async remove(name: string): Promise<void> {
    try {
      await unlink(this.#path(name))
    } catch (cause) {
      if (!isMissing(cause)) throw cause
    }
  }

  async list(): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>()
    for (const name of await this.#names()) {
      if (NAME.test(name)) sizes.set(name, (await stat(join(this.#folder, name))).size)
    }
    return sizes
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#opening)
    await Promise.all([...this.#open].map((file) => file.close()))
  }

  async #opened(make: () => Promise<FolderFile>): Promise<BodyFile> {
    if (this.#isClosed) throw createError('STOPPED', 'The store was closed.')
    const opening = make()
    this.#opening.add(opening)
    try {
      const file = await opening
      this.#open.add(file)
      file.onClose = () => this.#open.delete(file)
      return file
    } finally {
      this.#opening.delete(opening)
    }
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#folder)
    } catch (cause) {
      if (isMissing(cause)) return []
      throw cause
    }
  }

  #path(name: string): string {
    if (!NAME.test(name)) throw new RangeError(`"${name}" is no name of a body.`)
    return join(this.#folder, name)
  }
}

class FolderFile implements BodyFile {
  onClose: () => void = () => undefined
  readonly #handle: FileHandle
  /** The folder that its name must be made safe in. */
  #syncedFolder: string | undefined
  readonly #isSynced: boolean
  readonly #hasSafeWrites: boolean

  constructor(handle: FileHandle, isSynced: boolean, newIn: string | undefined, hasSafeWrites = false) {
    this.#handle = handle
    this.#isSynced = isSynced
    this.#hasSafeWrites = hasSafeWrites
    this.#syncedFolder = isSynced ? newIn : undefined
  }

  async write(offset: number, parts: readonly Buffer[]): Promise<void> {
    await writeFully(this.#handle, offset, parts)
  }

  read(offset: number, into: Buffer): Promise<void> {
    return readFully(this.#handle, offset, into)
  }

  async sync(): Promise<void> {
    if (!this.#isSynced) return
    if (!this.#hasSafeWrites) await this.#handle.datasync()
    if (this.#syncedFolder === undefined) return
    await syncFolder(this.#syncedFolder)
    this.#syncedFolder = undefined
  }

  async close(): Promise<void> {
    await this.#handle.close()
    this.onClose()
  }
}

/** Makes the names in a folder safe. Windows has no such thing and needs none: it does so with the file. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isMissing(cause: unknown): boolean {
  return typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'ENOENT'
}
