import { type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { SegmentBytes } from '../log/logDisk.ts'
import { segmentCorrupt } from '../log/storeCorrupt.ts'
import { writeFully } from '../spool/fileAccess.ts'
import { isMissing } from './folderErrors.ts'
import { isSegmentFileName, type SegmentPlace, segmentFileName } from './segmentEntry.ts'
import { SegmentReader } from './segmentReader.ts'
import { syncFolder } from './storeFolder.ts'

interface LogFile {
  readonly name: string
  /** The last segment in it that is, or was, in use. */
  last: number
  bytes: number
}

export interface SegmentFilesOptions {
  readonly folder: string
  /** Who writes; nobody else has that number. */
  readonly owner: number
  readonly isSynced: boolean
  /** From this size on a file is not continued. */
  readonly fileBytesMax: number
}

/**
 * Files that hold segments one behind the other. They are only ever appended to, and deleted as a whole once nothing in them is
 * needed: only the oldest segments ever go. Which segment lies where, the database knows; what it does not know is not there.
 */
export class SegmentFiles {
  readonly #options: SegmentFilesOptions
  readonly #reader: SegmentReader
  /** In the order of their segments. */
  readonly #files: LogFile[] = []
  #handle: FileHandle | undefined
  /** Files that are being closed or deleted. */
  readonly #ending = new Set<Promise<void>>()
  #bytes = 0

  constructor(options: SegmentFilesOptions) {
    this.#options = options
    this.#reader = new SegmentReader(options.folder)
  }

  /** Of all files. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes over what an earlier run left: checks that all places are there, and deletes what is in none. */
  async adopt(places: Iterable<readonly [number: number, place: SegmentPlace]>): Promise<void> {
    const sizes = await this.#sizes()
    for (const [number, { file, offset, bytes }] of places) {
      const size = sizes.get(file)
      if (size === undefined) throw segmentCorrupt(number, `lies in the file ${file}, which is missing`)
      if (offset + bytes > size) throw segmentCorrupt(number, `lies in the file ${file}, which ends before it`)
      const known = this.#files.at(-1)
      if (known?.name === file) known.last = number
      else this.#files.push({ name: file, last: number, bytes: size })
    }
    for (const { name, bytes } of this.#files) {
      sizes.delete(name)
      this.#bytes += bytes
    }
    for (const name of sizes.keys()) await unlink(join(this.#options.folder, name))
  }

  /** Resolves with the places when all is as safe as it has to be. After a failure it may be tried again. */
  async append(segments: readonly SegmentBytes[]): Promise<readonly SegmentPlace[]> {
    const [first] = segments
    if (first === undefined) return []
    const { handle, file } = await this.#current(first.number)
    let offset = file.bytes
    const places = segments.map(({ bytes }) => {
      const place = { file: file.name, offset, bytes: bytes.length }
      offset += bytes.length
      return place
    })
    await writeFully(
      handle,
      file.bytes,
      segments.map(({ bytes }) => bytes),
    )
    if (this.#options.isSynced) await handle.datasync()
    this.#bytes += offset - file.bytes
    file.bytes = offset
    file.last = segments.at(-1)?.number ?? file.last
    return places
  }

  /** Valid until the next call. */
  read(place: SegmentPlace, number: number): Buffer {
    return this.#reader.read(place, number)
  }

  /** Nothing before this segment is needed, and that is safe. */
  dropBefore(number: number): void {
    // The last one is being written to.
    while (this.#files.length > 1 && (this.#files[0]?.last ?? number) < number) {
      const file = this.#files.shift()
      if (file === undefined) return
      this.#bytes -= file.bytes
      this.#reader.close(file.name)
      // One that stays, for whatever reason, goes when the store is opened again.
      this.#await(unlink(join(this.#options.folder, file.name)))
    }
  }

  /** Ends, with all that was written safe from a failure of the machine. */
  async close(): Promise<void> {
    this.#reader.closeAll()
    await this.#handle?.close()
    this.#handle = undefined
    await Promise.all(this.#ending)
    if (this.#options.isSynced) return
    for (const { name } of this.#files) await syncFile(join(this.#options.folder, name))
    await syncFolder(this.#options.folder)
  }

  async #current(segment: number): Promise<{ handle: FileHandle; file: LogFile }> {
    const { folder, owner, isSynced, fileBytesMax } = this.#options
    const last = this.#files.at(-1)
    if (this.#handle !== undefined && last !== undefined && last.bytes < fileBytesMax)
      return { handle: this.#handle, file: last }
    const name = segmentFileName(segment, owner)
    // It is there already if making its name safe failed before.
    const handle = await open(join(folder, name), 'w', 0o600)
    try {
      if (isSynced) await syncFolder(folder)
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
    if (this.#handle !== undefined) this.#await(this.#handle.close())
    this.#handle = handle
    const file = { name, last: segment, bytes: 0 }
    this.#files.push(file)
    return { handle, file }
  }

  /** What becomes of it is no matter, but it is waited for at the end. */
  #await(ending: Promise<void>): void {
    const ended = ending
      .catch(() => undefined)
      .then(() => {
        this.#ending.delete(ended)
      })
    this.#ending.add(ended)
  }

  async #sizes(): Promise<Map<string, number>> {
    const { folder } = this.#options
    const sizes = new Map<string, number>()
    for (const name of await readdir(folder)) {
      if (!isSegmentFileName(name)) continue
      const found = await stat(join(folder, name)).catch((thrown: unknown) => {
        if (isMissing(thrown)) return undefined
        throw thrown
      })
      if (found !== undefined) sizes.set(name, found.size)
    }
    return sizes
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}
