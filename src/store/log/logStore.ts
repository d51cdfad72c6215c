import type { Clock } from '../../clock.ts'
import type { BrokerJournal } from '../../core/journal.ts'
import type { GroupSetting, Packing } from '../../core/ports.ts'
import { type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { readUint32 } from '../../wire/integers.ts'
import { readSequence, readSource } from '../../wire/objectHeader.ts'
import { SlabPool } from '../../wire/slabPool.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import { Spool } from '../spool/spool.ts'
import type {
  KeptFrame,
  LargeBody,
  Recovery,
  RememberedSession,
  Sender,
  SessionChange,
  Store,
  StoredObject,
  StoreHost,
} from '../store.ts'
import { StoreView } from '../storeView.ts'
import { BlockWriter } from './blockWriter.ts'
import { Compactor } from './compactor.ts'
import { FrameFinder } from './frameFinder.ts'
import { framePacking } from './framePacking.ts'
import { FrameTable } from './frameTable.ts'
import { readGroups } from './groupValues.ts'
import { checkBodyFiles, LogBodies, removeBodyFiles } from './logBodies.ts'
import { type CopiedPart, copyLog } from './logCopy.ts'
import { type BlockBytes, COMMITS_MAX, type LogDisk, type LogEnd } from './logDisk.ts'
import { LogFrame, RELEASED } from './logFrame.ts'
import { LogIdentity } from './logIdentity.ts'
import { LogJournal } from './logJournal.ts'
import { LogValues } from './logValues.ts'
import type { IndexedObject, ObjectIndex } from './objectIndex.ts'
import { type RecoveredLog, readLog } from './readLog.ts'
import type { FrameLocation } from './recordWriter.ts'
import { SegmentMemory } from './segmentMemory.ts'
import { SegmentTable } from './segmentTable.ts'
import { SessionValues } from './sessionValues.ts'

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
  /** So much of the log may be needed no more before it is worth the work to move things together. Default 16 MiB. */
  readonly wasteBytesMax?: number
}

/** What each copy of an object may still have to be told of it, until it is gone: that it is lent, and that it is acknowledged. */
const RECORD_BYTES_PER_COPY = 64

const WASTE_BYTES_MAX = 16 * 1024 * 1024

/** So much may wait for the disk before nothing more is read from endpoints. */
const PENDING_BYTES_MAX = 16 * 1024 * 1024

/** A commit that the disk was given. */
interface UnderWay {
  readonly kept: Deferred
  readonly bytes: number
  /** The segment of its first block. */
  readonly first: number
}

/** A promise, and who settles it. */
interface Deferred {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: ObjectRelayError): void
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
  beforeCommit: () => void = () => undefined
  readonly #disk: LogDisk
  readonly #table: SegmentTable
  readonly #index: ObjectIndex
  readonly #frames: FrameTable
  readonly #memory: SegmentMemory
  readonly #writer: BlockWriter
  readonly #finder: FrameFinder
  readonly #journal: LogJournal
  readonly #spool: Spool
  readonly #bodies: LogBodies
  readonly #values: LogValues
  readonly #sessions: SessionValues
  /** What an earlier run remembered of sessions, and what was set of groups, until the relay is told. */
  #remembered: ReadonlyMap<string, RememberedSession>
  #groups: ReadonlyMap<string, GroupSetting>
  readonly #identity: LogIdentity
  readonly #compactor: Compactor
  /** What an earlier run kept, until the relay has been told. */
  #recovered: { readonly log: RecoveredLog; readonly senders: ReadonlyMap<string, Sender> } | undefined
  /** Whether there is something to commit that is not in the journal. */
  #isChanged = false
  /** Up to where the log is safe. */
  #safeEnd: { readonly segment: number; readonly offset: number }
  #safe: LogEnd
  /** The commits that are under way, in their order, and the one that is gathered meanwhile. */
  readonly #underWay: UnderWay[] = []
  #next: Deferred | undefined
  #isSealing = false
  #failure: ObjectRelayError | undefined

  /** Reads what there is, and checks it. Rejects with `STORE_CORRUPT`, `STORE_FOREIGN` or `STORE_VERSION`. */
  static async open(disk: LogDisk, options: LogStoreOptions): Promise<LogStore> {
    const log = await readLog(disk)
    const { nextNumber, unknown } = await checkBodyFiles(disk.bodies, log.index)
    removeBodyFiles(disk.bodies, unknown, options.host)
    const store = new LogStore(disk, log, nextNumber, options)
    store.#recovered = { log, senders: await store.#readSenders(log.index) }
    return store
  }

  private constructor(disk: LogDisk, log: RecoveredLog, nextBody: number, options: LogStoreOptions) {
    const { clock, host, newRelayName, ticketKey, slabs = new SlabPool(), wasteBytesMax = WASTE_BYTES_MAX } = options
    const { end, index, segments, values } = log
    this.slabs = slabs
    this.ticketKey = ticketKey
    this.#disk = disk
    this.#index = index
    this.#table = new SegmentTable(segments[0]?.number ?? end?.first ?? 1)
    for (const { bytes, check } of segments) this.#table.add({ bytes, check, liveBytes: 0, buffer: undefined })
    this.#frames = new FrameTable(this.#table, index)
    this.#frames.restore()
    this.#memory = new SegmentMemory(disk, this.#table, slabs, disk.key)
    this.#writer = new BlockWriter({
      table: this.#table,
      memory: this.#memory,
      key: disk.key,
      end: end ?? { commit: 0, check: 0 },
      begun: (segment) => index.begin(segment),
    })
    this.#values = new LogValues(this.#table, this.#writer)
    this.#sessions = new SessionValues(this.#values)
    const recovered = [...values].map(([name, { value }]) => [name, value] as const)
    this.#remembered = this.#sessions.restore(recovered)
    this.#groups = readGroups(recovered)
    for (const [name, { value, segment }] of values) this.#values.restore(name, value, segment)
    this.#identity = new LogIdentity(this.#values, values, newRelayName)
    this.relayName = this.#identity.relayName
    this.#isChanged = end === undefined
    this.#safe = end ?? { commit: 0, check: 0 }
    const last = segments.at(-1)
    this.#safeEnd = { segment: last?.number ?? this.#table.first, offset: last?.bytes ?? 0 }
    this.#spool = new Spool({ files: disk.bodies, isTemporary: false, clock, host, slabs })
    this.#bodies = new LogBodies(this.#spool, this.#frames, this.#writer, nextBody)
    this.#finder = new FrameFinder(this.#frames, this.#memory)
    this.#journal = new LogJournal(this.#writer, this.#frames, this.#bodies, this.#values)
    this.journal = this.#journal
    this.packing = framePacking(this.#finder, this.#table.first)
    this.#compactor = new Compactor({
      table: this.#table,
      index,
      frames: this.#frames,
      memory: this.#memory,
      writer: this.#writer,
      values: this.#values,
      disk,
      clock,
      wasteBytesMax,
      commit: () => this.#commitMoved(),
    })
  }

  recover(recovery: Recovery): void {
    const recovered = this.#recovered
    if (recovered === undefined) return
    this.#recovered = undefined
    const { log, senders } = recovered
    let sender: Sender | undefined
    const restored = (object: IndexedObject): StoredObject => {
      sender = object.isLeased ? senders.get(nameOf(object)) : undefined
      return this.#restore(object)
    }
    for (const [group, setting] of this.#groups) recovery.groupSet(group, setting)
    for (const place of log.index.places(restored)) recovery.place(place, sender)
    for (const [session, { runs, received }] of this.#remembered) recovery.remembered(session, runs, received)
    this.#remembered = new Map()
    this.#groups = new Map()
  }

  takeSource(): number {
    const source = this.#identity.takeSource()
    this.#isChanged = true
    return source
  }

  refusal(bytes: number): ObjectRelayError | undefined {
    const liveBytes = this.#table.liveBytes + RECORD_BYTES_PER_COPY * this.#index.copies
    const needed = bytes + RECORD_BYTES_PER_COPY
    return this.#disk.refusal({ liveBytes, pendingBytes: this.pendingBytes, bytes: needed })
  }

  /** Bytes that were told and are not safe yet. */
  get pendingBytes(): number {
    let bytes = this.#writer.pendingBytes
    for (const commit of this.#underWay) bytes += commit.bytes
    return bytes
  }

  get isBehind(): boolean {
    return this.pendingBytes > PENDING_BYTES_MAX || this.#disk.isFull
  }

  unkept(): ReadonlyMap<string, number> {
    const { segment, offset } = this.#safeEnd
    return this.#index.countFrom({ segment, offset })
  }

  /** Of several frames that do not fit into one segment only the first. */
  keep(buffer: Buffer, start: number, end: number, objects = 1): KeptFrame {
    const writer = this.#writer
    if (objects > 1 && !writer.hasRoom(end - start)) return this.keep(buffer, start, start + readUint32(buffer, start))
    const bytes = end - start
    // The log finds its frames again by their own length.
    let framesEnd = start
    for (let count = 0; count < objects; count++) framesEnd += readUint32(buffer, framesEnd)
    if (framesEnd !== end) throw new Error(`Frames of ${bytes} bytes say that they have another length.`)
    const offset = writer.addFrame(buffer, start, end)
    const segment = writer.number
    this.#frames.add({ segment, offset }, bytes, objects, buffer, start)
    return new LogFrame(this.#finder, { segment, offset }, bytes, objects)
  }

  cut(run: StoredObject, objects: number): KeptFrame {
    if (!(run instanceof LogFrame) || run.objects <= objects)
      throw new Error(`There are no ${objects} frames to cut off.`)
    const { segment, offset } = run
    const bytes = this.#frames.bytesOf(run, objects)
    run.offset += bytes
    run.bytes -= bytes
    run.objects -= objects
    return new LogFrame(this.#finder, { segment, offset }, bytes, objects)
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
    this.#frames.release(object, object.objects)
    object.segment = RELEASED
  }

  rememberSession(session: string, memory: RememberedSession): void {
    this.#sessions.set(session, memory)
    this.#isChanged = true
  }

  changeSession(session: string, change: SessionChange): void {
    this.#sessions.change(session, change)
    this.#isChanged = true
  }

  commit(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (!this.#isChanged && !this.#journal.wasTold) return (this.#next ?? this.#underWay.at(-1)?.kept)?.promise
    this.#isChanged = false
    this.#journal.wasTold = false
    this.#next ??= deferred()
    const { promise } = this.#next
    this.#commitNext()
    return promise
  }

  /** Begins the commit that was gathered, if there is one, and the disk takes it. */
  #commitNext(): void {
    const kept = this.#next
    if (kept === undefined || this.#isSealing || this.#underWay.length >= COMMITS_MAX) return
    this.#isSealing = true
    // An object that came in the meantime is kept together with its answer, or not at all.
    this.beforeCommit()
    this.#isSealing = false
    this.#next = undefined
    const first = this.#dropDead()
    const blocks = this.#writer.seal(first)
    const { end } = this.#writer
    const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0)
    this.#underWay.push({ kept, bytes, first: blocks[0]?.segment ?? this.#writer.number })
    const removeBodies = this.#bodies.takeReleased()
    this.#disk.commit({ blocks, first }).then(
      () => {
        this.#underWay.shift()
        this.#noteSafe(blocks, end)
        removeBodies()
        kept.resolve()
        this.#commitNext()
        this.#compactor.start((thrown) => this.#fail(toObjectRelayError(thrown, 'STORE_FAILED')))
      },
      (thrown: unknown) => this.#fail(toObjectRelayError(thrown, 'STORE_FAILED')),
    )
  }

  /** The segments at the beginning of which nothing is needed are dropped with the next commit. Returns the first that is left. */
  #dropDead(): number {
    const table = this.#table
    // What is being written stays in memory until it is.
    const end = this.#underWay[0]?.first ?? this.#writer.number
    for (;;) {
      table.dropDead(end, (number, segment) => {
        this.#memory.dropped(number, segment)
        this.#index.segmentDropped(number)
      })
      const { first } = table
      // A few small values are not worth a segment.
      const bytes = first < end ? this.#values.bytesIn(first) : 0
      if (bytes === 0 || bytes !== table.get(first)?.liveBytes) return first
      this.#values.moveFrom(first)
    }
  }

  #noteSafe(blocks: readonly BlockBytes[], end: LogEnd): void {
    const last = blocks.at(-1)
    if (last !== undefined) this.#safeEnd = { segment: last.segment, offset: last.offset + last.bytes.length }
    this.#safe = end
    this.#memory.writtenBefore(last?.segment ?? 0)
  }

  #commitMoved(): Promise<void> {
    this.#isChanged = true
    return this.commit() ?? Promise.resolve()
  }

  #fail(error: ObjectRelayError): void {
    this.#failure ??= error
    for (const { kept } of this.#underWay.splice(0)) kept.reject(this.#failure)
    this.#next?.reject(this.#failure)
    this.#next = undefined
  }

  /** What there is to see in it. */
  get view(): StoreView {
    const { bodies } = this.#disk
    return new StoreView({ index: this.#index, bodies, read: (segment) => this.#readSegment(segment) })
  }

  get bodies(): BodyFiles {
    return this.#disk.bodies
  }

  /** A copy of the log as of one commit. */
  copy(): AsyncGenerator<CopiedPart> {
    return copyLog({ table: this.#table, memory: this.#memory, bodies: this.#bodies, safeEnd: () => this.#safeEnd })
  }

  async #readSegment(segment: number): Promise<Buffer> {
    return this.#memory.find(segment) ?? (await this.#memory.read(segment))
  }

  /** The log moves things together by itself. */
  get needsCompaction(): boolean {
    return false
  }

  compact(): void {}

  get memoryBytes(): number {
    return this.#memory.bytes + this.#spool.memoryBytes
  }

  async close(): Promise<void> {
    this.#bodies.close()
    const compacted = this.#compactor.stop()
    const kept = this.commit()
    this.#disk.stopRetrying()
    try {
      await kept
    } finally {
      await this.#disk.close(this.#safe)
      await compacted
    }
  }

  /** Ends as if the relay was killed: what was not committed never will be. */
  async abandon(): Promise<void> {
    await this.#compactor.stop()
    await this.#underWay.at(-1)?.kept.promise.catch(() => undefined)
    await this.#disk.close(this.#safe)
  }

  #restore({ segment, offset, bytes, objects, body, begin }: IndexedObject): StoredObject {
    if (body === undefined || begin === undefined)
      return new LogFrame(this.#finder, { segment, offset }, bytes, objects)
    return this.#bodies.restore(begin, { segment, offset }, body)
  }

  /** What an endpoint knows an object by that it claims, of all that is on lease. */
  async #readSenders(index: ObjectIndex): Promise<Map<string, Sender>> {
    const senders = new Map<string, Sender>()
    for (const { segment, offset } of index.leasedFrames()) {
      const bytes = await this.#readSegment(segment)
      senders.set(nameOf({ segment, offset }), {
        source: readSource(bytes, offset),
        sequence: readSequence(bytes, offset),
      })
    }
    return senders
  }
}

function nameOf({ segment, offset }: FrameLocation): string {
  return `${segment} ${offset}`
}

function deferred(): Deferred {
  let resolve: () => void = () => undefined
  let reject: (error: ObjectRelayError) => void = () => undefined
  const promise = new Promise<void>((onKept, onFailed) => {
    resolve = onKept
    reject = onFailed
  })
  // Whoever asked is told of a failure; so is each commit to come.
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}
