import type { Clock } from '../../clock.ts'
import type { ObjectRelayError } from '../../errors.ts'
import type { LogEnd } from '../log/blockWriter.ts'
import type { BlockBytes, LogChange, LogDisk, RecoveredEnd, RoomNeeded } from '../log/logDisk.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import { isFull } from './folderErrors.ts'
import { LogFiles, logFileName } from './logFiles.ts'
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
  /** Ends the wait for a disk that is full. */
  #stopWaiting: () => void = () => undefined
  #writing: Promise<void> = Promise.resolve()

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
    const blocks = [...change.blocks]
    const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0)
    this.#writing = this.#writeAll(blocks)
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
    this.#stopWaiting()
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
        if (!isSynced) await this.#files.sync()
        await mark(end)
      }
    } finally {
      await Promise.all([this.#parts.files.close(), this.bodies.close()])
      await owner.release()
    }
  }

  /** A full disk is tried again, what was written already excepted; after any other failure nothing is written any more. */
  async #writeAll(blocks: BlockBytes[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      for (let againMs = AGAIN_MS; ; againMs = Math.min(againMs * 2, AGAIN_MS_MAX)) {
        try {
          await this.#write(blocks)
          break
        } catch (thrown) {
          if (!isFull(thrown) || thrown instanceof SyncFailed || this.#isEnding) throw thrown
          if (againMs === AGAIN_MS) this.#parts.report(this.#parts.explain(thrown))
          await this.#wait(againMs)
        }
      }
      await this.#parts.owner.confirm()
    } catch (thrown) {
      this.#failure = this.#parts.explain(thrown instanceof SyncFailed ? thrown.cause : thrown)
      throw this.#failure
    }
  }

  /** Writes blocks, and takes those that are safe out of `blocks`. */
  async #write(blocks: BlockBytes[]): Promise<void> {
    for (let [first] = blocks; first !== undefined; [first] = blocks) {
      if (this.#needsFile(first)) {
        await this.#files.create(logFileName(first.segment, this.#parts.owner.id))
        this.#hasOwnFile = true
      }
      const count = this.#countForFile(blocks)
      const written = blocks.slice(0, count)
      const { bytes = 0 } = this.#files.last ?? {}
      await this.#files.write(
        bytes,
        written.map((block) => block.bytes),
      )
      if (this.#parts.isSynced) await this.#sync()
      for (const block of written) this.#files.appended(block.segment, block.offset, block.bytes.length)
      blocks.splice(0, count)
    }
  }

  /** A sync that failed says that what was written may be lost, and another one would not know of it. */
  async #sync(): Promise<void> {
    try {
      await this.#files.sync()
    } catch (cause) {
      throw new SyncFailed('A sync failed.', { cause })
    }
  }

  /** A file begins with a segment. */
  #needsFile({ offset }: BlockBytes): boolean {
    const { bytes = 0 } = this.#files.last ?? {}
    if (!this.#hasOwnFile) return true
    return offset === 0 && bytes >= this.#room.fileBytesMax
  }

  /** How many of the blocks go to the present file. */
  #countForFile(blocks: readonly BlockBytes[]): number {
    let { bytes = 0 } = this.#files.last ?? {}
    let count = 0
    for (const block of blocks) {
      if (count > 0 && block.offset === 0 && bytes >= this.#room.fileBytesMax) break
      bytes += block.bytes.length
      count++
    }
    return count
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(waitMs, resolve)
      this.#stopWaiting = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}

class SyncFailed extends Error {}
