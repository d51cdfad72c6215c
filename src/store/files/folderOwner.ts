import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { readFile, rm, stat } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createError } from '../../errors.ts'
import { isRecord } from '../../options.ts'
import { inUse, isMissing } from './folderErrors.ts'
import { FolderLock } from './folderLock.ts'
import { folderNames, makeFolder, writeWhole } from './storeFolder.ts'

/** A relay that is just ending is waited for. */
const CLAIM_ATTEMPTS = 10
const CLAIM_AGAIN_MS = 100
const TEXT_BYTES_MAX = 4_096

/**
 * Who has the folder of a store. Two things say so:
 *
 * - a socket that listens, which the operating system closes with the process, however that ends. While it answers, the folder is taken.
 * - a small file that says who it is, for people; and that each owner replaces with one of its own **before** it reads the log. Whoever
 *   finds another file than its own behind a commit has been deposed, where no socket could show it: two machines that share a
 *   folder. A commit that was safe before the file was replaced is read by the next owner; of a later one nobody is told.
 */
export class FolderOwner {
  /** Part of the names of the files that this owner writes. */
  readonly id: string
  readonly #folder: string
  readonly #lock: FolderLock
  readonly #file: number
  /** Where it says who has the folder. */
  readonly #path: string

  /** `visited` is given the sockets of programs that look into the store. Rejects with `STORE_IN_USE`, or with what the operating system says. */
  static async claim(folder: string, visited?: (socket: Socket) => void): Promise<FolderOwner> {
    await makeFolder(folder)
    const lock = await claimLock(folder, visited)
    try {
      const id = randomBytes(6).toString('hex')
      const text = { owner: id, process: process.pid, host: hostname(), since: new Date().toISOString() }
      await writeWhole(folder, folderNames.owner, `${JSON.stringify(text)}\n`)
      const { ino } = await stat(join(folder, folderNames.owner))
      return new FolderOwner(folder, id, lock, ino)
    } catch (thrown) {
      await lock.release()
      throw thrown
    }
  }

  private constructor(folder: string, id: string, lock: FolderLock, file: number) {
    this.#folder = folder
    this.#path = join(folder, folderNames.owner)
    this.id = id
    this.#lock = lock
    this.#file = file
  }

  /** Rejects with `STORE_IN_USE` if somebody else has the folder now, and with `STORE_FAILED` if it is gone. */
  async confirm(): Promise<void> {
    let found: number
    try {
      // It is asked right behind a write to the same folder, and so from memory; a turn of the event loop would hold up each commit.
      found = statSync(this.#path).ino
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      const message = `The folder ${this.#folder} of the store was removed while the relay ran. Stop the relay before you touch its files.`
      throw createError('STORE_FAILED', message, { cause, details: { dir: this.#folder } })
    }
    if (found !== this.#file) throw inUse(this.#folder, await describeOwner(this.#folder))
  }

  async release(): Promise<void> {
    const isOurs = await this.confirm().then(
      () => true,
      () => false,
    )
    if (isOurs) await rm(this.#path, { force: true }).catch(() => undefined)
    await this.#lock.release()
  }
}

/** Who has the folder, in words, if its file says so. */
export async function describeOwner(folder: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(folder, folderNames.owner), 'utf8')
    const said: unknown = text.length > TEXT_BYTES_MAX ? undefined : JSON.parse(text)
    if (!isRecord(said)) return undefined
    return `process ${Number(said.process)} on ${JSON.stringify(said.host)}, since ${JSON.stringify(said.since)}`
  } catch {
    return undefined
  }
}

async function claimLock(folder: string, visited: ((socket: Socket) => void) | undefined): Promise<FolderLock> {
  for (let attempt = 0; attempt < CLAIM_ATTEMPTS; attempt++) {
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, CLAIM_AGAIN_MS))
    const lock = await FolderLock.claim(folder, folderNames.lock, visited)
    if (lock !== undefined) return lock
  }
  throw inUse(folder, await describeOwner(folder))
}
