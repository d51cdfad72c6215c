import type { Clock } from '../../clock.ts'
import type { ObjectRelayError } from '../../errors.ts'
import type { BlockBytes, LogChange, LogDisk, LogEnd, RecoveredEnd, RoomNeeded } from '../log/logDisk.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import { isFull } from './folderErrors.ts'
import { type LogFile, LogFiles, logFileName } from './logFiles.ts'
import { recoverFiles } from './recoverFiles.ts'
import type { StoreMarker } from './storeFolder.ts'
import type { StoreRoom } from './storeRoom.ts'

/** After a full disk it is tried again after so long, and then less and less often. */
const AGAIN_MS = 50
const AGAIN_MS_MAX = 2_000

/** What a {@link FileDisk} is made of. */
export interface FileDiskParts {
  /** Where the files of the log are. */
  readonly files: BodyFiles
  readonly bodies: BodyFiles
  /** Whether a commit waits until it would outlive a failure of the machine. */
  readonly isSynced: boolean
  readonly marker: StoreMarker
  readonly owner: { readonly id: string; confirm(): Promise<void>; release(): Promise<void> }
  readonly clock: Clock
  /** An error of the operating system as one of ours. */
  explain(thrown: unknown): ObjectRelayError
  report(error: ObjectRelayError): void
  /** Notes that the log is safe up to there. */
  mark(end: LogEnd): Promise<void>
  /** What there is room for; it asks how much there is. */
  room(logFiles: LogFiles): StoreRoom
}

/** A log in files, in a folder that belongs to one relay at a time. A commit is one append to a file, and one sync. */
export class FileDisk implements LogDisk {
  readonly key: number
  readonly bodies: BodyFiles
  readonly #parts: FileDiskParts
  readonly #files: LogFiles
  readonly #room: StoreRoom
  /** Whether the last file is one of ours. */
  #hasOwnFile = false
  #failure: ObjectRelayError | undefined
  #isClosed = false
  #isEnding = false
  /** End the waits for a disk that is full. */
  readonly #waits = new Set<() => void>()
  /** The last commit that was begun, and whether it begins a file. */
  #writing: Promise<void> = Promise.resolve()
  #beginsFile = false

  constructor(parts: FileDiskParts) {
    this.#parts = parts
    this.key = parts.marker.key
    this.bodies = parts.bodies
    this.#files = new LogFiles(parts.files)
    this.#room = parts.room(this.#files)
  }

  async recover(take: (block: BlockBytes) => void): Promise<RecoveredEnd | undefined> {
    const { files, marker, report, explain } = this.#parts
    const { end, files: found, unneeded } = await recoverFiles(files, this.key, marker.end, take)
    for (const { name, starts, bytes } of found) this.#files.add(name, starts, bytes)
    for (const name of unneeded) files.remove(name).catch((cause: unknown) => report(explain(cause)))
    if (end !== undefined) this.#files.dropBefore(end.first)
    await this.bodies.list()
    await this.#room.look()
    return end
  }

  read(segment: number, into: Buffer): Promise<void> {
    return this.#files.read(segment, into)
  }

  async commit(change: LogChange): Promise<void> {
    const bytes = change.blocks.reduce((sum, block) => sum + block.bytes.length, 0)
    const parts = this.#place(change.blocks)
    const before = this.#writing
    const begins = parts.some(({ isFirst }) => isFirst)
    // Two commits are written at once only into one file: a file that begins says that what comes before it is safe.
    const start = begins || this.#beginsFile ? before : undefined
    this.#beginsFile = begins
    this.#writing = this.#writeAll(parts, before, start)
    await this.#writing
    this.#files.dropBefore(change.first)
    this.#room.wrote(bytes)
  }

  refusal(needed: RoomNeeded): ObjectRelayError | undefined {
    return this.#room.refusal(needed)
  }

  get isCramped(): boolean {
    return this.#room.isCramped
  }

  get isFull(): boolean {
    return this.#room.isFull
  }

  stopRetrying(): void {
    this.#isEnding = true
    for (const end of this.#waits) end()
  }

  async close(end: LogEnd): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.stopRetrying()
    const { isSynced, owner, mark } = this.#parts
    try {
      const isSafe = await this.#writing.then(
        () => this.#failure === undefined,
        () => false,
      )
      if (isSafe && this.#hasOwnFile) {
        if (!isSynced) await this.#files.syncLast()
        await mark(end)
      }
    } finally {
      await Promise.all([this.#parts.files.close(), this.bodies.close()])
      await owner.release()
    }
  }

  /** Where blocks go. */
  #place(blocks: readonly BlockBytes[]): Part[] {
    const parts: Part[] = []
    for (const { segment, offset, bytes } of blocks) {
      const isFirst = this.#needsFile(offset)
      if (isFirst) this.#files.begin(logFileName(segment, this.#parts.owner.id))
      this.#hasOwnFile = true
      const { file, at } = this.#files.append(segment, offset, bytes.length)
      const last = parts.at(-1)
      if (last === undefined || isFirst) parts.push({ file, at, isFirst, bytes: [bytes] })
      else last.bytes.push(bytes)
    }
    return parts
  }

  /** A file begins with a segment. */
  #needsFile(offset: number): boolean {
    const { bytes = 0 } = this.#files.last ?? {}
    return !this.#hasOwnFile || (offset === 0 && bytes >= this.#room.fileBytesMax)
  }

  /**
   * Makes the parts of a commit safe, behind the commit `before`. A full disk is tried again, what was written already excepted; after any
   * other failure nothing is written any more.
   */
  async #writeAll(parts: Part[], before: Promise<void>, start: Promise<void> | undefined): Promise<void> {
    try {
      await start
      if (this.#failure !== undefined) throw this.#failure
      for (let againMs = AGAIN_MS; ; againMs = Math.min(againMs * 2, AGAIN_MS_MAX)) {
        try {
          await this.#write(parts)
          break
        } catch (thrown) {
          if (!isFull(thrown) || thrown instanceof SyncFailed || this.#isEnding) throw thrown
          if (againMs === AGAIN_MS) this.#parts.report(this.#parts.explain(thrown))
          await this.#wait(againMs)
        }
      }
      await before
      await this.#parts.owner.confirm()
    } catch (thrown) {
      this.#failure ??= this.#parts.explain(thrown instanceof SyncFailed ? thrown.cause : thrown)
      throw this.#failure
    }
  }

  /** Writes the parts of a commit one after the other, and takes those that are safe out of `parts`. */
  async #write(parts: Part[]): Promise<void> {
    for (let [part] = parts; part !== undefined; [part] = parts) {
      await this.#files.write(part.file, part.at, part.bytes)
      if (this.#parts.isSynced) await this.#sync(part.file)
      parts.shift()
    }
  }

  /** A sync that failed says that what was written may be lost, and another one would not know of it. */
  async #sync(file: LogFile): Promise<void> {
    try {
      await this.#files.sync(file)
    } catch (cause) {
      throw new SyncFailed('A sync failed.', { cause })
    }
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        this.#waits.delete(end)
        resolve()
      }
      const timer = this.#parts.clock.after(waitMs, end)
      this.#waits.add(end)
    })
  }
}

/** What a commit writes into one file. */
interface Part {
  readonly file: LogFile
  readonly at: number
  /** Whether the file begins with it. */
  readonly isFirst: boolean
  readonly bytes: Buffer[]
}

class SyncFailed extends Error {}
