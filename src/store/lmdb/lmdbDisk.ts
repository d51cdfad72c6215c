import { randomInt } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import type { Presence } from '../../transport/presence.ts'
import type { LogChange, LogDisk } from '../log/logDisk.ts'
import { segmentCorrupt } from '../log/storeCorrupt.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import type { StoreHost } from '../store.ts'
import { checkDataFile } from './checkDataFile.ts'
import { CommitQueue } from './commitQueue.ts'
import { CountedBodies } from './countedBodies.ts'
import { LogDatabase } from './database.ts'
import { DataFileRoom } from './dataFileRoom.ts'
import { DiskRoom } from './diskRoom.ts'
import type { Durability } from './durability.ts'
import { folderError, inUse } from './folderErrors.ts'
import type { OpenDatabase } from './loadLmdb.ts'
import { SegmentSizes } from './segmentSizes.ts'
import { claimFolder, folderNames, markUsed, syncFolder } from './storeFolder.ts'

export interface LmdbDiskOptions {
  readonly dir: string
  readonly durability: Durability
  readonly bytesMax: number | undefined
}

const OWNER_MAX = 2 ** 48 - 1
const PAGE_BYTES = 4_096
/** A value up to about this size shares a page with others. */
const SHARED_PAGE_BYTES = 2_000
const PAGE_HEADER_BYTES = 24

/** A log in an LMDB database, in a folder that belongs to one relay at a time. */
export class LmdbDisk implements LogDisk {
  readonly bodies: CountedBodies
  readonly #folder: string
  readonly #options: LmdbDiskOptions
  readonly #database: LogDatabase
  readonly #fileRoom: DataFileRoom
  readonly #presence: Presence
  readonly #sizes = new SegmentSizes()
  readonly #room: DiskRoom
  readonly #queue: CommitQueue
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
      database = LogDatabase.open(openDatabase, folder, {
        isReadOnly: false,
        isSynced: options.durability === 'synced',
      })
      fileRoom = await DataFileRoom.open(dataFile)
      await fileRoom.make([])
      const owner = randomInt(1, OWNER_MAX)
      await database.own(owner)
      await syncFolder(folder)
      if (isNew) await markUsed(folder)
      const disk = new LmdbDisk({ options, database, fileRoom, presence, owner, host, clock })
      await disk.bodies.list()
      await disk.#room.look()
      return disk
    } catch (thrown) {
      await fileRoom?.close()
      await database?.close().catch(() => undefined)
      await presence.release()
      throw folderError(folder, 'opened', thrown)
    }
  }

  private constructor(parts: {
    options: LmdbDiskOptions
    database: LogDatabase
    fileRoom: DataFileRoom
    presence: Presence
    owner: number
    host: StoreHost
    clock: Clock
  }) {
    const { options, database, fileRoom, presence, owner, host, clock } = parts
    this.#folder = options.dir
    this.#options = options
    this.#database = database
    this.#fileRoom = fileRoom
    this.#presence = presence
    const isSynced = options.durability === 'synced'
    this.bodies = new CountedBodies(new BodyFolder(join(this.#folder, folderNames.bodies), { isSynced }))
    for (const number of database.segmentNumbers()) this.#sizes.add(number, 0)
    this.#room = new DiskRoom({
      folder: this.#folder,
      bytesMax: options.bytesMax,
      clock,
      keptBytes: () => this.#sizes.bytes + this.bodies.bytes,
      report: (error) => host.report(error),
      lost: () => this.#queue.fail(this.#lost()),
    })
    this.#queue = new CommitQueue({
      clock,
      write: async (changes) => {
        await fileRoom.make(changes)
        if (!(await database.change(changes, owner))) throw inUse(this.#folder)
      },
      explain: (thrown) => folderError(this.#folder, 'written', thrown),
      report: (error) => host.report(error),
    })
  }

  segmentNumbers(): readonly number[] {
    return this.#database.segmentNumbers()
  }

  readSegment(number: number): Buffer {
    const bytes = this.#database.readSegment(number)
    if (bytes === undefined) throw segmentCorrupt(number, 'is missing')
    this.#sizes.set(number, roomOf(bytes.length))
    return bytes
  }

  values(): Iterable<readonly [name: string, value: Buffer]> {
    return this.#database.values()
  }

  async commit({ segments, dropBefore, values }: LogChange): Promise<void> {
    const dropped = this.#sizes.dropBefore(dropBefore)
    // One that was full and empty again between two commits is never written.
    const kept = segments.filter(({ number }) => number >= dropBefore)
    let bytes = 0
    for (const segment of kept) {
      this.#sizes.add(segment.number, roomOf(segment.bytes.length))
      bytes += segment.bytes.length
    }
    await this.#queue.add({ segments: kept, dropped, values }, bytes)
    this.#room.wrote(bytes)
  }

  refusal(bytes: number): ObjectRelayError | undefined {
    return this.#room.refusal(bytes)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#queue.ended()
    try {
      await this.#database.close()
      if (this.#options.durability === 'written') await this.#fileRoom.sync()
    } finally {
      await this.#fileRoom.close()
      await this.#presence.release()
    }
  }

  #lost(): ObjectRelayError {
    const message = `The data file in the folder ${this.#folder} of the store was removed or replaced while the relay ran. Stop the relay before you touch its files.`
    return createError('STORE_FAILED', message, { details: { dir: this.#folder } })
  }
}

/** What a value takes on the disk, about. */
function roomOf(bytes: number): number {
  if (bytes <= SHARED_PAGE_BYTES) return bytes + PAGE_HEADER_BYTES
  return Math.ceil((bytes + PAGE_HEADER_BYTES) / PAGE_BYTES) * PAGE_BYTES
}
