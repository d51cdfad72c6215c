import { open, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createError } from '../../errors.ts'
import { Presence } from '../../transport/presence.ts'
import { bodyFileName } from '../log/logBodies.ts'
import type { LogDisk } from '../log/logDisk.ts'
import { type RecoveredLog, readLog } from '../log/readLog.ts'
import type { RecoveredObject } from '../log/recoveredObjects.ts'
import { segmentCorrupt } from '../log/storeCorrupt.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import { checkDataFile } from './checkDataFile.ts'
import { LogDatabase } from './database.ts'
import { folderError, isMissing } from './folderErrors.ts'
import { loadLmdb } from './loadLmdb.ts'
import { decodeEntry, isSegmentFileName, type SegmentPlace } from './segmentEntry.ts'
import { SegmentReader } from './segmentReader.ts'
import { folderNames, recogniseFolder } from './storeFolder.ts'

const PIECE_BYTES = 1_048_576

/** A file that came and went while the rest was opened cannot be read; then all is opened again. */
const OPEN_ATTEMPTS = 5

/**
 * A store as it was at one moment, beside a relay that runs with it or without one; nothing is changed. As long as it is open, the
 * room of what the relay deletes meanwhile is not used again.
 */
export class StoreReader {
  readonly folder: string
  /** Whether a relay runs with it. */
  readonly isInUse: boolean
  /** `undefined`: a relay began with it and was killed before it kept anything. */
  readonly log: RecoveredLog | undefined
  readonly #disk: SnapshotDisk
  readonly #close: () => Promise<void>

  /** Rejects with `STORE_FOREIGN`, `STORE_VERSION`, `STORE_CORRUPT`, `STORE_MISSING_PACKAGE` or `STORE_FAILED`. */
  static async open(dir: string): Promise<StoreReader> {
    const folder = resolve(dir)
    const openDatabase = await loadLmdb()
    await recogniseFolder(folder)
    // A relay that begins meanwhile would change the file while it is checked.
    const presence = await Presence.claim(folder, folderNames.presence).catch(() => undefined)
    let database: LogDatabase | undefined
    try {
      const isInUse = presence === undefined && (await Presence.isClaimed(folder, folderNames.presence))
      if (!isInUse) checkDataFile(join(folder, folderNames.data))
      database = LogDatabase.open(openDatabase, folder, { isReadOnly: true, isSynced: true })
      const disk = await SnapshotDisk.open(database, folder)
      const whole = database
      const close = async (): Promise<void> => {
        await disk.close()
        await whole.close()
        await presence?.release()
      }
      return new StoreReader(folder, { isInUse, disk, close })
    } catch (thrown) {
      await database?.close().catch(() => undefined)
      await presence?.release()
      throw folderError(folder, 'read', thrown)
    }
  }

  private constructor(
    folder: string,
    { isInUse, disk, close }: { isInUse: boolean; disk: SnapshotDisk; close: () => Promise<void> },
  ) {
    this.folder = folder
    this.isInUse = isInUse
    this.#disk = disk
    this.#close = close
    this.log = readLog(disk)
  }

  /** The OBJECT of an object, or the STREAM_BEGIN of a large one. */
  frame({ segment, offset, bytes }: RecoveredObject): Buffer {
    return Buffer.from(this.#disk.readSegment(segment).subarray(offset, offset + bytes))
  }

  /** The body of a large object; nothing if the relay has deleted it meanwhile, since it was taken. */
  async *body(number: number): AsyncGenerator<Buffer> {
    const file = await open(join(this.folder, folderNames.bodies, bodyFileName(number)), 'r').catch(
      (thrown: unknown) => {
        if (isMissing(thrown) && this.isInUse) return undefined
        throw folderError(this.folder, 'read', thrown)
      },
    )
    if (file === undefined) return
    try {
      for (let at = 0; ; ) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(PIECE_BYTES), 0, PIECE_BYTES, at)
        if (bytesRead === 0) return
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  async close(): Promise<void> {
    await this.#close()
  }
}

/** A log that can only be read. */
class SnapshotDisk implements LogDisk {
  readonly bodies: BodyFolder
  readonly #snapshot: { readonly database: LogDatabase; release(): void }
  readonly #files: SegmentReader

  /** What is open stays readable, though the relay deletes it. */
  static async open(database: LogDatabase, folder: string): Promise<SnapshotDisk> {
    for (let attempt = 1; ; attempt++) {
      const files = new SegmentReader(join(folder, folderNames.segments), Number.POSITIVE_INFINITY)
      await openAll(files, folder)
      const disk = new SnapshotDisk(database.snapshot(), files, folder)
      await openAll(files, folder)
      if (attempt === OPEN_ATTEMPTS || disk.#isWhole()) return disk
      await disk.close()
    }
  }

  private constructor(
    snapshot: { readonly database: LogDatabase; release(): void },
    files: SegmentReader,
    folder: string,
  ) {
    this.#snapshot = snapshot
    this.#files = files
    this.bodies = new BodyFolder(join(folder, folderNames.bodies), { isSynced: false })
  }

  segmentNumbers(): readonly number[] {
    return this.#snapshot.database.segmentNumbers()
  }

  readSegment(number: number): Buffer {
    const found = this.#find(number)
    return Buffer.isBuffer(found) ? found : this.#files.read(found, number)
  }

  values(): Iterable<readonly [name: string, value: Buffer]> {
    return this.#snapshot.database.values()
  }

  commit(): Promise<void> {
    return Promise.reject(createError('STORE_READ_ONLY', 'This store was opened to be read.'))
  }

  refusal(): undefined {
    return undefined
  }

  async close(): Promise<void> {
    this.#snapshot.release()
    this.#files.closeAll()
  }

  #isWhole(): boolean {
    return this.segmentNumbers().every((number) => {
      const found = this.#find(number)
      return Buffer.isBuffer(found) || this.#files.open(found.file) !== undefined
    })
  }

  #find(number: number): Buffer | SegmentPlace {
    const entry = this.#snapshot.database.readEntry(number)
    if (entry === undefined) throw segmentCorrupt(number, 'is missing')
    return decodeEntry(entry, number)
  }
}

async function openAll(files: SegmentReader, folder: string): Promise<void> {
  for (const name of await readdir(join(folder, folderNames.segments))) if (isSegmentFileName(name)) files.open(name)
}
