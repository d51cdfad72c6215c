import { type FileHandle, open } from 'node:fs/promises'
import type { DatabaseChange } from './database.ts'
import { readLastMeta } from './metaPages.ts'
import { PAGE_HEADER_BYTES, PageFile } from './pageFile.ts'

const MiB = 1_048_576
/** What a transaction may need beside its values: the pages of the two trees that it changes, and lists of free pages. */
const PAGES_BESIDE = 256
/** The same for each entry that it changes. */
const PAGES_PER_ENTRY = 2
const zeros: Buffer = Buffer.alloc(MiB)

/**
 * Makes the data file as long as the next transaction may need it, before that is written: LMDB does not survive a disk that is
 * full in the middle of a transaction (its message about it is longer than the memory it takes for that, and the process ends).
 * What is written here is in nobody's way: LMDB knows by its meta pages how far the file is in use, and overwrites it.
 */
export class DataFileRoom {
  readonly #file: FileHandle
  readonly #pageBytes: number
  #fileBytes: number
  /** The file is in use at most up to here. */
  #usedBytesMax: number

  static async open(path: string): Promise<DataFileRoom> {
    const file = await open(path, 'r+')
    try {
      const { size } = await file.stat()
      const pages = new PageFile(file.fd, size)
      const { lastPage } = readLastMeta(pages)
      return new DataFileRoom(file, { fileBytes: size, pageBytes: pages.pageBytes, lastPage })
    } catch (thrown) {
      await file.close()
      throw thrown
    }
  }

  private constructor(
    file: FileHandle,
    { fileBytes, pageBytes, lastPage }: { fileBytes: number; pageBytes: number; lastPage: number },
  ) {
    this.#file = file
    this.#fileBytes = fileBytes
    this.#pageBytes = pageBytes
    this.#usedBytesMax = (lastPage + 1) * pageBytes
  }

  /** Resolves when there is room for all of the changes in one transaction. No other is under way. */
  async make(changes: readonly DatabaseChange[]): Promise<void> {
    const neededBytes = this.#pageBytes * changes.reduce((pages, change) => pages + this.#pagesOf(change), PAGES_BESIDE)
    if (this.#usedBytesMax + neededBytes > this.#fileBytes) {
      // Most of what was needed was probably found in the middle of the file.
      const { lastPage } = readLastMeta(new PageFile(this.#file.fd, this.#fileBytes))
      this.#usedBytesMax = (lastPage + 1) * this.#pageBytes
    }
    this.#usedBytesMax += neededBytes
    while (this.#fileBytes < this.#usedBytesMax) {
      const { bytesWritten } = await this.#file.write(zeros, 0, zeros.length, this.#fileBytes)
      this.#fileBytes += bytesWritten
    }
  }

  /** What was written is safe from a failure of the machine. */
  async sync(): Promise<void> {
    await this.#file.datasync()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  #pagesOf({ entries, dropped, values }: DatabaseChange): number {
    let pages = PAGES_PER_ENTRY * (entries.length + dropped.length + values.size)
    for (const { bytes } of entries) pages += this.#pagesFor(bytes.length)
    for (const value of values.values()) if (value !== undefined) pages += this.#pagesFor(value.length)
    return pages
  }

  #pagesFor(bytes: number): number {
    return Math.ceil((bytes + PAGE_HEADER_BYTES) / this.#pageBytes)
  }
}
