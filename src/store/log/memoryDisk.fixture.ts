import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import { readBlockHead } from './blockFormat.ts'
import type { BlockBytes, LogChange, LogDisk, RecoveredEnd } from './logDisk.ts'
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
  #waiting: Waiting | undefined
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
    if (this.#waiting !== undefined) throw new Error('There is one commit at a time.')
    this.commits++
    this.#timing?.clock.after(this.#timing.commitMs(), () => this.complete())
    return new Promise((resolve, reject) => {
      this.#waiting = { change, resolve, reject }
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
    return this.#waiting !== undefined
  }

  /** The commit that is under way is complete. */
  complete(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) return
    this.#apply(waiting.change)
    waiting.resolve()
  }

  /** The commit under way fails, and so does every other. */
  fail(error: ObjectRelayError): void {
    this.#failure = error
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }

  /** What a new owner finds after a crash. `written`: whether the commit under way had come to the disk, though nobody was told. */
  crash(written = false, bodies: BodyFiles = this.bodies): MemoryDisk {
    const change = this.#waiting?.change
    this.#waiting = undefined
    this.#failure = createError('STORE_FAILED', 'The machine of this disk has crashed.')
    const disk = new MemoryDisk(bodies, this.#timing, this.blocks)
    if (written && change !== undefined) disk.#apply(change)
    return disk
  }

  #apply({ blocks, first }: LogChange): void {
    for (const block of blocks) this.blocks.push({ ...block, bytes: Buffer.from(block.bytes) })
    this.blocks = this.blocks.filter(({ segment }) => segment >= first)
  }
}
