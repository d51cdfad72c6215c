import { randomInt } from 'node:crypto'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import type { Presence } from '../../transport/presence.ts'
import type { LogChange, LogDisk, SegmentBytes } from '../log/logDisk.ts'
import { segmentCorrupt } from '../log/storeCorrupt.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import type { StoreHost } from '../store.ts'
import { checkDataFile } from './checkDataFile.ts'
import { CommitQueue } from './commitQueue.ts'
import { CountedBodies } from './countedBodies.ts'
import { LogDatabase } from './database.ts'
import { DataFileRoom } from './dataFileRoom.ts'
import { DiskRoom } from './diskRoom.ts'
import { folderError, inUse } from './folderErrors.ts'
import type { OpenDatabase } from './loadLmdb.ts'
import { decodeEntry, encodeInEntry, encodePlace, type SegmentPlace } from './segmentEntry.ts'
import { SegmentFiles } from './segmentFiles.ts'
import { SegmentSizes } from './segmentSizes.ts'
import { claimFolder, folderNames, markUsed, syncFolder } from './storeFolder.ts'

/** What a relay's commits survive. */
export type Durability = 'synced' | 'written'

export interface LmdbDiskOptions {
  readonly dir: string
  readonly durability: Durability
  readonly bytesMax: number | undefined
}

const MiB = 1_048_576
const OWNER_MAX = 2 ** 48 - 1
/** A segment up to this size lies in the database; one write to the disk less. */
const IN_ENTRY_BYTES_MAX = 8_192
/** But all of them take no more: what LMDB does to find free pages grows with how much was ever in it. */
const ALL_IN_ENTRIES_BYTES_MAX = 32 * MiB
/** About what an entry takes in the database beside its bytes. */
const ENTRY_BYTES = 48
const FILE_BYTES_MIN = MiB
const FILE_BYTES_MAX = 64 * MiB
/** A file is at most this part of the room that there is, since a file is deleted as a whole. */
const FILE_PART = 1 / 16

/** A change of the log on its way to the disk. */
interface Change {
  readonly inEntries: readonly SegmentBytes[]
  readonly inFiles: readonly SegmentBytes[]
  /** Where those are, once they are written. */
  places: readonly SegmentPlace[] | undefined
  readonly dropped: readonly number[]
  readonly dropBefore: number
  readonly values: ReadonlyMap<string, Buffer | undefined>
}

/** What a disk is made of. */
interface Parts {
  readonly options: LmdbDiskOptions
  readonly database: LogDatabase
  readonly fileRoom: DataFileRoom
  readonly presence: Presence
  readonly owner: number
  readonly fileBytesMax: number
  readonly host: StoreHost
  readonly clock: Clock
}

/**
 * A log on a disk, in a folder that belongs to one relay at a time: its segments lie in files that are appended to; which are valid,
 * and the small ones, an LMDB database knows, which changes from one moment to the next as a whole.
 */
export class LmdbDisk implements LogDisk {
  readonly bodies: CountedBodies
  readonly #parts: Parts
  readonly #folder: string
  readonly #database: LogDatabase
  readonly #files: SegmentFiles
  /** What the entries of the segments take. */
  readonly #sizes = new SegmentSizes()
  readonly #room: DiskRoom
  readonly #queue: CommitQueue<Change>
  #isClosed = false

  /** Rejects with `STORE_READ_ONLY`, `STORE_FOREIGN`, `STORE_VERSION`, `STORE_IN_USE`, `STORE_CORRUPT`, `STORE_FULL` or `STORE_FAILED`. */
  static async open(
    openDatabase: OpenDatabase,
    options: LmdbDiskOptions,
    host: StoreHost,
    clock: Clock = systemClock,
  ): Promise<LmdbDisk> {
    const folder = options.dir
    const { presence, isNew } = await claimFolder(folder)
    let database: LogDatabase | undefined
    let fileRoom: DataFileRoom | undefined
    try {
      const dataFile = join(folder, folderNames.data)
      if (isNew) await rm(dataFile, { force: true })
      else checkDataFile(dataFile)
      const isSynced = options.durability === 'synced'
      database = LogDatabase.open(openDatabase, folder, { isReadOnly: false, isSynced })
      fileRoom = await DataFileRoom.open(dataFile)
      await fileRoom.make([])
      const owner = randomInt(1, OWNER_MAX)
      await database.own(owner)
      await syncFolder(folder)
      if (isNew) await markUsed(folder)
      const fileBytesMax = await fileBytesIn(options)
      const disk = new LmdbDisk({ options, database, fileRoom, presence, owner, fileBytesMax, host, clock })
      await disk.#adopt()
      return disk
    } catch (thrown) {
      await fileRoom?.close()
      await database?.close().catch(() => undefined)
      await presence.release()
      throw folderError(folder, 'opened', thrown)
    }
  }

  private constructor(parts: Parts) {
    const { options, database, owner, fileBytesMax, host, clock } = parts
    const folder = options.dir
    const isSynced = options.durability === 'synced'
    this.#parts = parts
    this.#folder = folder
    this.#database = database
    this.#files = new SegmentFiles({ folder: join(folder, folderNames.segments), owner, isSynced, fileBytesMax })
    this.bodies = new CountedBodies(new BodyFolder(join(folder, folderNames.bodies), { isSynced }))
    this.#room = new DiskRoom({
      folder,
      bytesMax: options.bytesMax,
      clock,
      keptBytes: () => this.#sizes.bytes + this.#files.bytes + this.bodies.bytes,
      report: (error) => host.report(error),
      lost: () => this.#queue.fail(this.#lost()),
    })
    this.#queue = new CommitQueue({
      clock,
      write: (changes) => this.#write(changes),
      explain: (thrown) => folderError(folder, 'written', thrown),
      report: (error) => host.report(error),
    })
  }

  segmentNumbers(): readonly number[] {
    return this.#database.segmentNumbers()
  }

  readSegment(number: number): Buffer {
    const found = this.#find(number)
    return Buffer.isBuffer(found) ? found : this.#files.read(found, number)
  }

  values(): Iterable<readonly [name: string, value: Buffer]> {
    return this.#database.values()
  }

  async commit({ segments, dropBefore, values }: LogChange): Promise<void> {
    const dropped = this.#sizes.dropBefore(dropBefore)
    const inEntries: SegmentBytes[] = []
    const inFiles: SegmentBytes[] = []
    let bytes = 0
    for (const segment of segments) {
      // One that was full and empty again between two commits is never written.
      if (segment.number < dropBefore) continue
      const { length } = segment.bytes
      const isSmall = length <= IN_ENTRY_BYTES_MAX && this.#sizes.bytes < ALL_IN_ENTRIES_BYTES_MAX
      if (isSmall) inEntries.push({ number: segment.number, bytes: encodeInEntry(segment.bytes) })
      else inFiles.push(segment)
      this.#sizes.add(segment.number, ENTRY_BYTES + (isSmall ? length : 0))
      bytes += length
    }
    await this.#queue.add({ inEntries, inFiles, places: undefined, dropped, dropBefore, values }, bytes)
    this.#room.wrote(bytes)
  }

  refusal(bytes: number): ObjectRelayError | undefined {
    return this.#room.refusal(bytes)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#queue.ended()
    const { fileRoom, presence, options } = this.#parts
    try {
      await this.bodies.close()
      await this.#files.close()
      await this.#database.close()
      if (options.durability === 'written') await fileRoom.sync()
    } finally {
      await fileRoom.close()
      await presence.release()
    }
  }

  /** Finds out what an earlier run left. */
  async #adopt(): Promise<void> {
    const places: (readonly [number: number, place: SegmentPlace])[] = []
    for (const number of this.#database.segmentNumbers()) {
      const found = this.#find(number)
      this.#sizes.add(number, ENTRY_BYTES + (Buffer.isBuffer(found) ? found.length : 0))
      if (!Buffer.isBuffer(found)) places.push([number, found])
    }
    await this.#files.adopt(places)
    await this.bodies.list()
    await this.#room.look()
  }

  #find(number: number): Buffer | SegmentPlace {
    const entry = this.#database.readEntry(number)
    if (entry === undefined) throw segmentCorrupt(number, 'is missing')
    return decodeEntry(entry, number)
  }

  /** Makes changes true: what lies in files first, and then, all at once, what says so. */
  async #write(changes: readonly Change[]): Promise<void> {
    await this.#append(changes.filter(({ places }) => places === undefined))
    const entered = changes.map(({ inEntries, inFiles, places = [], dropped, values }) => {
      const inPlaces = places.map((place, index) => ({
        number: inFiles[index]?.number ?? 0,
        bytes: encodePlace(place),
      }))
      return { entries: [...inEntries, ...inPlaces], dropped, values }
    })
    const { fileRoom, database, owner } = this.#parts
    await fileRoom.make(entered)
    if (!(await database.change(entered, owner))) throw inUse(this.#folder)
    this.#files.dropBefore(Math.max(...changes.map(({ dropBefore }) => dropBefore)))
  }

  /** With one write for all; what was written is not written again if the rest has to be tried again. */
  async #append(changes: readonly Change[]): Promise<void> {
    const places = await this.#files.append(changes.flatMap(({ inFiles }) => inFiles))
    let at = 0
    for (const change of changes) {
      change.places = places.slice(at, at + change.inFiles.length)
      at += change.inFiles.length
    }
  }

  #lost(): ObjectRelayError {
    const message = `The data file in the folder ${this.#folder} of the store was removed or replaced while the relay ran. Stop the relay before you touch its files.`
    return createError('STORE_FAILED', message, { details: { dir: this.#folder } })
  }
}

async function fileBytesIn({ dir, bytesMax }: LmdbDiskOptions): Promise<number> {
  const { blocks, bsize } = await statfs(dir)
  const bytes = Math.min(blocks * bsize, bytesMax ?? Number.POSITIVE_INFINITY) * FILE_PART
  return Math.min(FILE_BYTES_MAX, Math.max(FILE_BYTES_MIN, Math.floor(bytes)))
}
