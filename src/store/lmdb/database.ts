import type { Database, Transaction } from 'lmdb'
import type { SegmentBytes } from '../log/logDisk.ts'
import { storeCorrupt } from '../log/storeCorrupt.ts'
import type { OpenDatabase } from './loadLmdb.ts'

/** How a database is opened. */
export interface DatabaseMode {
  readonly isReadOnly: boolean
  /** Whether a transaction is complete only when it is safe from a failure of the machine. */
  readonly isSynced: boolean
}

/** A change of a log: the entries of its segments, and the numbers of all that are dropped. */
export interface DatabaseChange {
  readonly entries: readonly SegmentBytes[]
  readonly dropped: readonly number[]
  readonly values: ReadonlyMap<string, Buffer | undefined>
}

/** Addresses, not memory: how far the file may grow before it is mapped anew. A process may not be allowed many more. */
const MAP_BYTES = 2 ** 30

const SEGMENT_KEY = 1
const VALUE_KEY = 2
const SEGMENT_KEY_BYTES = 7
const NAME_BYTES_MAX = 1_000
/** Says whose the store is: 8 bytes, the floating-point number that LMDB compares before it writes anything. */
const OWNER: Buffer = Buffer.from([3])

/** The segments and values of a log in one LMDB database; nothing else is in it. */
export class LogDatabase {
  readonly #database: Database<Buffer, Buffer>
  /** What is read is as of one moment, if given. */
  readonly #reading: { readonly transaction: Transaction } | undefined

  static open(open: OpenDatabase, folder: string, { isReadOnly, isSynced }: DatabaseMode): LogDatabase {
    const options = {
      path: folder,
      noSubdir: false,
      readOnly: isReadOnly,
      maxDbs: 1,
      encoding: 'binary',
      keyEncoding: 'binary',
      mapSize: MAP_BYTES,
      // One after the other, each on the disk before it is said to be complete: LMDB as it always was.
      overlappingSync: false,
      noSync: !isSynced,
      // We gather what belongs together, and begin at once.
      eventTurnBatching: false,
      permissionsMode: 0o600,
    } as const
    return new LogDatabase(open<Buffer, Buffer>(options))
  }

  private constructor(database: Database<Buffer, Buffer>, transaction?: Transaction) {
    this.#database = database
    this.#reading = transaction === undefined ? undefined : { transaction }
  }

  /** The same as it is at this moment. What it shows stays on the disk until `release` is called. */
  snapshot(): { readonly database: LogDatabase; release(): void } {
    const transaction = this.#database.useReadTransaction()
    return { database: new LogDatabase(this.#database, transaction), release: () => transaction.done() }
  }

  segmentNumbers(): readonly number[] {
    const numbers: number[] = []
    const range = { start: Buffer.from([SEGMENT_KEY]), end: Buffer.from([SEGMENT_KEY + 1]), ...this.#reading }
    for (const key of this.#database.getKeys(range)) {
      if (key.length !== SEGMENT_KEY_BYTES) throw storeCorrupt('The list of segments', 'has an entry that is none')
      numbers.push(key.readUIntBE(1, 6))
    }
    return numbers
  }

  /** The entry of a segment; see segmentEntry.ts. Valid until the next call. */
  readEntry(number: number): Buffer | undefined {
    return this.#read(segmentKey(number))
  }

  *values(): Generator<readonly [name: string, value: Buffer]> {
    const range = { start: Buffer.from([VALUE_KEY]), end: Buffer.from([VALUE_KEY + 1]), ...this.#reading }
    const keys = [...this.#database.getKeys(range)]
    for (const key of keys) yield [key.toString('utf8', 1), Buffer.from(this.#read(key) ?? [])]
  }

  /** Whoever had the store has it no more: none of their transactions will be complete from now on. */
  async own(owner: number): Promise<void> {
    const value = Buffer.alloc(8)
    value.writeDoubleLE(owner)
    await explained(this.#database.put(OWNER, value))
  }

  /** Makes all the changes true in one transaction; resolves to `false`, and changes nothing, if the store is another's. */
  async change(changes: readonly DatabaseChange[], owner: number): Promise<boolean> {
    return await explained(
      this.#database.ifVersion(OWNER, owner, () => {
        for (const change of changes) this.#put(change)
      }),
    )
  }

  /** Copies all of it, as it is at this moment, into another folder. */
  async copyTo(folder: string): Promise<void> {
    await this.#database.backup(folder, false)
  }

  async close(): Promise<void> {
    await this.#database.close()
  }

  #put({ entries, dropped, values }: DatabaseChange): void {
    const database = this.#database
    for (const { number, bytes } of entries) void database.put(segmentKey(number), bytes)
    for (const number of dropped) void database.remove(segmentKey(number))
    for (const [name, value] of values) {
      if (value === undefined) void database.remove(valueKey(name))
      else void database.put(valueKey(name), value)
    }
  }

  #read(key: Buffer): Buffer | undefined {
    const database = this.#database
    const reading = this.#reading
    const bytes = reading === undefined ? database.getBinaryFast(key) : database.get(key, reading)
    // LMDB returns the memory that it reads everything into, which may be longer.
    return bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }
}

function segmentKey(number: number): Buffer {
  const key = Buffer.allocUnsafe(SEGMENT_KEY_BYTES)
  key[0] = SEGMENT_KEY
  key.writeUIntBE(number, 1, 6)
  return key
}

function valueKey(name: string): Buffer {
  const key = Buffer.from(`\0${name}`)
  if (key.length > NAME_BYTES_MAX) throw new RangeError(`A name of ${key.length - 1} bytes is too long for a value.`)
  key[0] = VALUE_KEY
  return key
}

/** What LMDB says of a transaction that failed, which it tells in a second promise. */
async function explained(transaction: Promise<boolean>): Promise<boolean> {
  try {
    return await transaction
  } catch (thrown) {
    if (!(thrown instanceof Error && 'commitError' in thrown)) throw thrown
    // It has been rejected already, unless LMDB has nothing to add.
    const nothing = new Promise((resolve) => setImmediate(resolve))
    await Promise.race([thrown.commitError, nothing])
    throw thrown
  }
}
