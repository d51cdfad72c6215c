import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import { readBlockHead } from './blockFormat.ts'
import { type BlockBytes, COMMITS_MAX, type LogChange, type LogDisk, type RecoveredEnd } from './logDisk.ts'
import { segmentCorrupt } from './storeCorrupt.ts'

interface Waiting {
  readonly change: LogChange
  readonly resolve: () => void
  readonly reject: (error: ObjectRelayError) => void
}

/** When the commits of a {@link MemoryDisk} are complete. */
export interface DiskTiming {
  readonly clock: Clock
  /** How long the next commit takes. */
  commitMs(): number
}

/** For tests: a disk in memory, of which the owner may crash. A commit is complete when {@link MemoryDisk.complete} is called, or in time. */
export class MemoryDisk implements LogDisk {
  readonly key = 77
  readonly bodies: BodyFiles
  /** What is safe. */
  blocks: BlockBytes[]
  /** What {@link LogDisk.refusal} says. */
  full: ObjectRelayError | undefined
  isCramped = false
  isFull = false
  /** How often a segment was read. */
  reads = 0
  /** Commits that were asked for. */
  commits = 0
  isClosed = false
  /** Before a read is complete it waits for this. */
  beforeRead: Promise<void> | undefined
  readonly #timing: DiskTiming | undefined
  /** The commits that are under way. */
  readonly #waiting: Waiting[] = []
  #failure: ObjectRelayError | undefined

  constructor(bodies: BodyFiles, timing?: DiskTiming, blocks: readonly BlockBytes[] = []) {
    this.bodies = bodies
    this.#timing = timing
    this.blocks = blocks.map((block) => ({ ...block, bytes: Buffer.from(block.bytes) }))
  }

  /** The bytes of all segments, by their numbers. */
  get segments(): Map<number, Buffer> {
    const segments = new Map<number, Buffer>()
    for (const { segment, bytes } of this.blocks)
      segments.set(segment, Buffer.concat([segments.get(segment) ?? Buffer.alloc(0), bytes]))
    return segments
  }

  async recover(take: (block: BlockBytes) => void): Promise<RecoveredEnd | undefined> {
    let end: RecoveredEnd | undefined
    for (const block of this.blocks) {
      const head = readBlockHead(block.bytes, 0, this.key)
      if (head === undefined) throw segmentCorrupt(block.segment, 'was changed')
      take(block)
      end = head
    }
    return end
  }

  async read(segment: number, into: Buffer): Promise<void> {
    this.reads++
    await this.beforeRead
    const bytes = this.segments.get(segment)
    if (bytes === undefined || bytes.length < into.length) throw segmentCorrupt(segment, 'is missing')
    bytes.copy(into)
  }

  commit(change: LogChange): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#waiting.length === COMMITS_MAX) throw new Error(`There are ${COMMITS_MAX} commits under way already.`)
    this.commits++
    this.#timing?.clock.after(this.#timing.commitMs(), () => this.complete())
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
    })
  }

  refusal(): ObjectRelayError | undefined {
    return this.full
  }

  stopRetrying(): void {}

  async close(): Promise<void> {
    this.isClosed = true
    await this.bodies.close()
  }

  get isCommitting(): boolean {
    return this.#waiting.length > 0
  }

  /** Commits that are under way. */
  get commitsUnderWay(): number {
    return this.#waiting.length
  }

  /** The first commit that is under way is complete. */
  complete(): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) return
    this.#apply(waiting.change)
    waiting.resolve()
  }

  /** The commits under way fail, and so does every other. */
  fail(error: ObjectRelayError): void {
    this.#failure = error
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  /** What a new owner finds after a crash. `written`: so many of the commits under way had come to the disk, though nobody was told. */
  crash(written = 0, bodies: BodyFiles = this.bodies): MemoryDisk {
    const underWay = this.#waiting.splice(0)
    this.#failure = createError('STORE_FAILED', 'The machine of this disk has crashed.')
    const disk = new MemoryDisk(bodies, this.#timing, this.blocks)
    for (const { change } of underWay.slice(0, written)) disk.#apply(change)
    return disk
  }

  #apply({ blocks, first }: LogChange): void {
    for (const block of blocks) this.blocks.push({ ...block, bytes: Buffer.from(block.bytes) })
    this.blocks = this.blocks.filter(({ segment }) => segment >= first)
  }
}
