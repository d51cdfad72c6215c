import type { Clock } from '../../clock.ts'
import type { Packing } from '../../core/contract.ts'
import type { BrokerJournal, KeptPlace } from '../../core/journal.ts'
import { type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { readUint32 } from '../../wire/integers.ts'
import { SlabPool } from '../../wire/slabPool.ts'
import { Spool } from '../spool/spool.ts'
import type {
  AcceptedRun,
  HeardFrames,
  KeptFrame,
  LargeBody,
  Recovery,
  Store,
  StoredObject,
  StoreHost,
} from '../store.ts'
import { framePacking } from './framePacking.ts'
import { FrameReader } from './frameReader.ts'
import { checkBodyFiles, LogBodies, removeBodyFiles } from './logBodies.ts'
import type { LogDisk } from './logDisk.ts'
import { LogFrame, RELEASED } from './logFrame.ts'
import { encodeIdentity, IDENTITY_VALUE, keyOf, type LogIdentity } from './logIdentity.ts'
import { LogJournal } from './logJournal.ts'
import { Mover } from './mover.ts'
import { type RecoveredLog, readLog } from './readLog.ts'
import type { RecoveredObject } from './recoveredObjects.ts'
import { RememberedSessions, SESSIONS_PREFIX } from './rememberedSessions.ts'
import { SegmentTable } from './segmentTable.ts'
import { SegmentWriter } from './segmentWriter.ts'
import { Tidying } from './tidying.ts'

/** How a store is opened. */
export interface LogStoreOptions {
  /** The name of the relay, if the store is new. */
  readonly newRelayName: string
  /** See {@link Store.ticketKey}; kept by whoever opens the store. */
  readonly ticketKey: Uint8Array
  readonly clock: Clock
  readonly host: StoreHost
  /** Default: one of its own. */
  readonly slabs?: SlabPool
}

/**
 * Keeps what a relay has to remember in a log: what the broker tells is written behind what was told before, and becomes
 * true on the disk commit by commit. Objects that wait lie on the disk; in memory is what came last, and what is on its way.
 */
export class LogStore implements Store {
  readonly relayName: string
  readonly ticketKey: Uint8Array
  readonly keepsLeases = true
  readonly journal: BrokerJournal<StoredObject>
  readonly packing: Packing<StoredObject>
  readonly slabs: SlabPool
  readonly #disk: LogDisk
  readonly #table: SegmentTable
  readonly #writer: SegmentWriter
  readonly #reader: FrameReader
  readonly #journal: LogJournal
  readonly #spool: Spool
  readonly #bodies: LogBodies
  readonly #mover: Mover
  readonly #tidying: Tidying
  readonly #remembered: RememberedSessions
  /** What an earlier run kept, until the relay has been told. */
  #recovered: RecoveredLog | undefined
  #nextSource: number
  /** Values to be written with the next commit. */
  #values = new Map<string, Buffer | undefined>()
  /** Whether there is something to commit that is not in the journal. */
  #isChanged = false
  /** The last commit, while it is under way. */
  #underWay: Promise<void> | undefined
  #failure: ObjectRelayError | undefined

  /** Reads what there is, and checks it. Throws `STORE_CORRUPT`, `STORE_FOREIGN` or `STORE_VERSION`. */
  static async open(
    disk: LogDisk,
    { newRelayName, ticketKey, clock, host, slabs = new SlabPool() }: LogStoreOptions,
  ): Promise<LogStore> {
    const recovered = readLog(disk)
    const { nextNumber, unknown } = await checkBodyFiles(disk.bodies, recovered)
    removeBodyFiles(disk.bodies, unknown, host)
    const identity = recovered?.identity ?? newIdentity(newRelayName)
    const spool = new Spool({ files: disk.bodies, isTemporary: false, clock, host, slabs })
    return new LogStore(disk, spool, recovered, { ...identity, nextBody: nextNumber }, ticketKey)
  }

  private constructor(
    disk: LogDisk,
    spool: Spool,
    recovered: RecoveredLog | undefined,
    identity: LogIdentity,
    ticketKey: Uint8Array,
  ) {
    const key = keyOf(identity.relayName)
    this.relayName = identity.relayName
    this.ticketKey = ticketKey
    this.slabs = spool.options.slabs
    this.#disk = disk
    this.#recovered = recovered
    this.#remembered = recovered?.remembered ?? new RememberedSessions()
    this.#nextSource = identity.nextSource
    this.#isChanged = recovered === undefined
    this.#table = new SegmentTable(identity.first)
    for (const segment of recovered?.objects.segments ?? []) this.#table.addRecovered(segment)
    this.#writer = new SegmentWriter(this.#table, this.slabs, key, identity.check)
    this.#reader = new FrameReader(disk, this.#table, key)
    this.#tidying = new Tidying(this.#table)
    this.#spool = spool
    this.#bodies = new LogBodies(spool, this.#table, this.#writer, identity.nextBody)
    this.#mover = new Mover(this.#table, this.#writer, this.#reader, this.#bodies)
    this.#journal = new LogJournal(this.#writer, this.#bodies)
    this.journal = this.#journal
    this.packing = framePacking(this.#reader, this.#table.first)
  }

  recover(recovery: Recovery): void {
    const recovered = this.#recovered
    if (recovered === undefined) return
    this.#recovered = undefined
    for (const place of recovered.objects.places((object) => this.#restore(object))) recovery.place(place)
    for (const [session, { runs, heard }] of recovered.sessions) recovery.remembered(session, runs, heard)
  }

  takeSource(): number {
    this.#isChanged = true
    return this.#nextSource++
  }

  refusal(bytes: number): ObjectRelayError | undefined {
    return this.#disk.refusal(bytes)
  }

  /** Of several frames only the first: each has a place of its own in the log. */
  keep(buffer: Buffer, start: number, end: number, objects = 1): KeptFrame {
    const bytes = objects === 1 ? end - start : readUint32(buffer, start)
    // The log finds its frames again by their own length.
    if (readUint32(buffer, start) !== bytes)
      throw new Error(`A frame of ${bytes} bytes says that it has another length.`)
    const writer = this.#writer
    const offset = writer.addFrame(buffer, start, start + bytes)
    this.#table.keep(writer.segment, bytes)
    return new LogFrame(this.#reader, writer.number, offset, bytes)
  }

  cut(): never {
    throw new Error('The log keeps each frame on its own: there is nothing to cut.')
  }

  keepLarge(begin: Buffer, bodyBytes: number): LargeBody {
    return this.#bodies.begin(begin, bodyBytes)
  }

  release(object: StoredObject): void {
    if (!(object instanceof LogFrame)) {
      if ('begin' in object) this.#bodies.release(object)
      return
    }
    if (object.segment === RELEASED) return
    this.#table.letGo(object.segment, object.bytes)
    object.segment = RELEASED
  }

  rememberSession(session: string, runs: readonly AcceptedRun[], heard: HeardFrames | undefined): void {
    if (runs.length === 0 && heard === undefined && !this.#remembered.has(session)) return
    this.#values.set(SESSIONS_PREFIX + session, this.#remembered.set(session, runs, heard))
    this.#isChanged = true
  }

  commit(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (!this.#isChanged && !this.#journal.wasTold) return this.#underWay
    this.#isChanged = false
    this.#journal.wasTold = false
    const kept = this.#commitAll()
    this.#underWay = kept
    const ended = () => {
      if (this.#underWay === kept) this.#underWay = undefined
    }
    // Whoever waits for it is told of a failure; so is each commit to come.
    kept.then(ended, ended)
    return kept
  }

  async #commitAll(): Promise<void> {
    const writer = this.#writer
    writer.seal()
    const last = writer.number - 1
    const first = this.#table.dropDead(writer.number)
    this.#tidying.dropped()
    const segments = writer.takeSealed().filter(({ number }) => number >= first)
    const values = this.#values
    this.#values = new Map()
    values.set(IDENTITY_VALUE, encodeIdentity(this.#identity(first, last)))
    const removeBodies = this.#bodies.takeReleased()
    try {
      await this.#disk.commit({ segments, dropBefore: first, values })
    } catch (thrown) {
      this.#failure ??= toObjectRelayError(thrown, 'STORE_FAILED')
      throw this.#failure
    }
    writer.recent.forget(last)
    removeBodies()
  }

  get isSparse(): boolean {
    return this.#tidying.isDue
  }

  moveTogether(kept: Iterable<StoredObject>, places: Iterable<KeptPlace<StoredObject>>): void {
    const writer = this.#writer
    writer.seal()
    const from = writer.number
    const end = this.#tidying.begin(from)
    this.#mover.move(kept, end)
    this.#mover.tell(places, from)
    this.#isChanged = true
  }

  get memoryBytes(): number {
    return this.#writer.recent.bytes + this.#reader.memoryBytes + this.#spool.memoryBytes
  }

  async close(): Promise<void> {
    this.#bodies.close()
    try {
      await this.commit()
    } finally {
      await this.#disk.close()
    }
  }

  #restore({ segment, offset, bytes, body }: RecoveredObject): StoredObject {
    const frame = new LogFrame(this.#reader, segment, offset, bytes)
    if (body === undefined) return frame
    const { buffer, start, end } = frame
    return this.#bodies.restore(Buffer.from(buffer.subarray(start, end)), frame, body)
  }

  #identity(first: number, last: number): LogIdentity {
    return {
      relayName: this.relayName,
      first,
      last,
      check: this.#writer.check,
      nextSource: this.#nextSource,
      nextBody: this.#bodies.nextNumber,
      sessionsCount: this.#remembered.count,
      sessionsCheck: this.#remembered.check,
    }
  }
}

/** Of a log in which nothing is yet. */
function newIdentity(relayName: string): LogIdentity {
  return { relayName, first: 1, last: 0, check: 0, nextSource: 1, nextBody: 1, sessionsCount: 0, sessionsCheck: 0 }
}
