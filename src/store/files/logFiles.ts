import { segmentCorrupt } from '../log/storeCorrupt.ts'
import type { BodyFile, BodyFiles } from '../spool/bodyFiles.ts'

const OPEN_FILES_MAX = 64
const NAME = /^([0-9]{15})-([0-9a-f]{12})\.log$/

/** One file of the log. */
export interface LogFile {
  readonly name: string
  readonly first: number
  /** Where each of its segments begins, from `first` on. */
  readonly starts: number[]
  /** Of all blocks in it that count, or are to be written. */
  bytes: number
  /** Whether it exists. */
  exists: boolean
  handle: Promise<BodyFile> | undefined
  reads: number
  isDropped: boolean
}

/** A name that no other owner gives. */
export function logFileName(first: number, owner: string): string {
  return `${String(first).padStart(15, '0')}-${owner}.log`
}

/** The first segment of a file, by its name; `undefined` if it is not one of the log. */
export function firstSegmentOf(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/**
 * The files of a log, in the order of their segments. They are only ever appended to, and deleted as a whole when nothing in them is
 * needed. A segment lies in one file.
 */
export class LogFiles {
  readonly #files: BodyFiles
  readonly #all: LogFile[] = []
  /** Files that are open only to be read; the one that was used last comes last. */
  readonly #reading = new Set<LogFile>()
  #bytes = 0

  constructor(files: BodyFiles) {
    this.#files = files
  }

  /** Of all files. */
  get bytes(): number {
    return this.#bytes
  }

  /** The one that is appended to. */
  get last(): Readonly<LogFile> | undefined {
    return this.#all.at(-1)
  }

  /** Adds a file that an earlier owner has written. */
  add(name: string, starts: readonly number[], bytes: number): void {
    this.#all.push({ ...emptyFile(name), starts: [...starts], bytes })
    this.#bytes += bytes
  }

  /** The next file begins. It exists when something was written there. */
  begin(name: string): void {
    // The one before is read only, from now on.
    const before = this.#all.at(-1)
    if (before !== undefined) this.#used(before)
    this.#all.push({ ...emptyFile(name), exists: false })
  }

  /** The next block, which begins at `offset` of a segment, goes to the end of the last file. */
  append(segment: number, offset: number, bytes: number): { readonly file: LogFile; readonly at: number } {
    const file = this.#last()
    const at = file.bytes
    if (offset === 0) file.starts[segment - file.first] = at
    file.bytes += bytes
    this.#bytes += bytes
    return { file, at }
  }

  /** Writes into a file. It may be done again. */
  async write(file: LogFile, at: number, parts: readonly Buffer[]): Promise<void> {
    await (await this.#handleOf(file)).write(at, parts)
  }

  /** Makes a file safe, with its name. */
  async sync(file: LogFile): Promise<void> {
    await (await this.#handleOf(file)).sync()
  }

  /** The same of the one that is appended to. */
  syncLast(): Promise<void> {
    return this.sync(this.#last())
  }

  /** Fills `into` with a segment, from its beginning on. */
  async read(segment: number, into: Buffer): Promise<void> {
    const file = this.#find(segment)
    const start = file?.starts[segment - file.first]
    if (file === undefined || start === undefined) throw segmentCorrupt(segment, 'is missing')
    file.reads++
    try {
      const handle = await this.#handleOf(file)
      if (file !== this.#all.at(-1)) this.#used(file)
      await handle.read(start, into)
    } finally {
      if (--file.reads === 0 && file.isDropped) this.#close(file)
    }
  }

  /** Removes the files of which all segments come before this one; not the last, which is appended to. */
  dropBefore(segment: number): void {
    while (this.#all.length > 1 && (this.#all[1]?.first ?? segment) <= segment) {
      const file = this.#all.shift()
      if (file === undefined) return
      this.#bytes -= file.bytes
      file.isDropped = true
      if (file.reads === 0) this.#close(file)
      // One that stays, for whatever reason, goes when the store is opened again.
      ignoreFailure(this.#files.remove(file.name))
    }
  }

  #find(segment: number): LogFile | undefined {
    let low = 0
    let high = this.#all.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#all[middle]?.first ?? segment) <= segment) low = middle + 1
      else high = middle
    }
    return this.#all[low - 1]
  }

  #last(): LogFile {
    const last = this.#all.at(-1)
    if (last === undefined) throw new Error('The log has no file yet.')
    return last
  }

  #handleOf(file: LogFile): Promise<BodyFile> {
    file.handle ??= file.exists ? this.#files.open(file.name) : this.#create(file)
    return file.handle
  }

  async #create(file: LogFile): Promise<BodyFile> {
    try {
      const handle = await this.#files.create(file.name)
      file.exists = true
      return handle
    } catch (thrown) {
      file.handle = undefined
      throw thrown
    }
  }

  /** The files that were not used for longest are closed. */
  #used(file: LogFile): void {
    this.#reading.delete(file)
    this.#reading.add(file)
    for (const oldest of this.#reading) {
      if (this.#reading.size <= OPEN_FILES_MAX) return
      this.#reading.delete(oldest)
      if (oldest.reads === 0) this.#close(oldest)
    }
  }

  #close(file: LogFile): void {
    const { handle } = file
    file.handle = undefined
    this.#reading.delete(file)
    if (handle !== undefined) ignoreFailure(handle.then((open) => open.close()))
  }
}

/** Nothing depends on it. */
function ignoreFailure(ending: Promise<unknown>): void {
  ending.catch(() => undefined)
}

function emptyFile(name: string): LogFile {
  return {
    name,
    first: firstSegmentOf(name) ?? 0,
    starts: [],
    bytes: 0,
    exists: true,
    handle: undefined,
    reads: 0,
    isDropped: false,
  }
}
