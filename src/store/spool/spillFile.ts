import { randomBytes } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createError } from '../../errors.ts'
import type { BodyFile, BodyFiles } from './bodyFiles.ts'
import { cutParts, readFully, writeFully } from './fileAccess.ts'
import { FreeExtents } from './freeExtents.ts'

/** Room is given to bodies in pieces of this size. */
const EXTENT_BYTES = 1024 * 1024
/** So much room that no body has any more is kept at the end of the file: to write what is in the system's cache already costs half. */
const SPARE_EXTENTS_MAX = 128

/**
 * All bodies of a relay that forgets them when it ends, in one temporary file: private to the user, without a name as soon as
 * it is open, so that it is gone with the process, however that ends. What one body leaves, the next one overwrites.
 */
export class SpillFile implements BodyFiles {
  readonly #folder: string
  readonly #extents = new FreeExtents(SPARE_EXTENTS_MAX)
  readonly #bodies = new Map<string, SpilledBody>()
  #handle: Promise<FileHandle> | undefined
  /** Set where an open file keeps its name. */
  #path: string | undefined
  #shrinking: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(folder: string) {
    this.#folder = folder
  }

  async create(name: string): Promise<BodyFile> {
    const body = new SpilledBody(await this.#open(), this.#extents, () => this.#shrinking)
    this.#bodies.set(name, body)
    return body
  }

  open(name: string): Promise<BodyFile> {
    const body = this.#bodies.get(name)
    if (body !== undefined) return Promise.resolve(body)
    return Promise.reject(createError('STORE_CORRUPT', `There is no temporary body "${name}".`))
  }

  async remove(name: string): Promise<void> {
    this.#bodies.get(name)?.free()
    this.#bodies.delete(name)
    await this.#shrink()
  }

  list(): Promise<ReadonlyMap<string, number>> {
    return Promise.resolve(new Map())
  }

  /** Ends it, and gives the room on the disk back. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#shrinking
    const handle = await this.#handle?.catch(() => undefined)
    await handle?.close()
    if (this.#path !== undefined) await unlink(this.#path)
  }

  async #open(): Promise<FileHandle> {
    if (this.#isClosed) throw createError('STOPPED', 'The relay was stopped.')
    this.#handle ??= this.#make()
    try {
      return await this.#handle
    } catch (cause) {
      // The folder may be there the next time.
      this.#handle = undefined
      throw cause
    }
  }

  async #make(): Promise<FileHandle> {
    const path = join(this.#folder, `objectrelay-${randomBytes(12).toString('hex')}.tmp`)
    const handle = await open(path, 'wx+', 0o600)
    try {
      await unlink(path)
    } catch {
      this.#path = path
    }
    return handle
  }

  /** Room at the end that is not needed soon goes back to the disk. */
  #shrink(): Promise<void> {
    const count = this.#extents.takeShrunkCount()
    if (count === undefined || this.#isClosed) return Promise.resolve()
    this.#shrinking = this.#shrinking.then(() => this.#truncate(count))
    return this.#shrinking
  }

  async #truncate(count: number): Promise<void> {
    // Something may have been written behind it since.
    if (this.#extents.count !== count) return
    try {
      await (await this.#handle)?.truncate(count * EXTENT_BYTES)
    } catch {
      // The room stays with the file, and is used again.
    }
  }
}

/** One body in the file. */
class SpilledBody implements BodyFile {
  readonly #handle: FileHandle
  readonly #free: FreeExtents
  /** What is cut off must not be written at the same time. */
  readonly #shrunk: () => Promise<void>
  #extents: number[] = []
  #writtenEnd = 0

  constructor(handle: FileHandle, free: FreeExtents, shrunk: () => Promise<void>) {
    this.#handle = handle
    this.#free = free
    this.#shrunk = shrunk
  }

  async write(offset: number, parts: readonly Buffer[]): Promise<void> {
    let at = offset
    for (const piece of cutParts(parts, EXTENT_BYTES - (offset % EXTENT_BYTES), EXTENT_BYTES)) {
      await this.#shrunk()
      at += await writeFully(this.#handle, this.#place(at), piece)
    }
    this.#writtenEnd = Math.max(this.#writtenEnd, at)
  }

  async read(offset: number, into: Buffer): Promise<void> {
    if (offset + into.length > this.#writtenEnd) throw new RangeError('Nothing was written there.')
    for (let at = 0; at < into.length; ) {
      const bytes = Math.min(into.length - at, EXTENT_BYTES - ((offset + at) % EXTENT_BYTES))
      await readFully(this.#handle, this.#place(offset + at), into.subarray(at, at + bytes))
      at += bytes
    }
  }

  /** Nobody will look for it after the relay has ended. */
  sync(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  free(): void {
    for (const extent of this.#extents) this.#free.give(extent)
    this.#extents = []
    this.#writtenEnd = 0
  }

  /** Where an offset of the body lies in the file. */
  #place(offset: number): number {
    const index = Math.floor(offset / EXTENT_BYTES)
    let extent = this.#extents[index]
    if (extent === undefined) {
      extent = this.#free.take()
      this.#extents[index] = extent
    }
    return extent * EXTENT_BYTES + (offset % EXTENT_BYTES)
  }
}
