import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import type { BodyFiles } from '../spool/bodyFiles.ts'
import type { LogChange, LogDisk } from './logDisk.ts'

interface Waiting {
  readonly change: LogChange
  readonly resolve: () => void
  readonly reject: (error: ObjectRelayError) => void
}

/** When the commits of a {@link MemoryDisk} are complete. */
export interface DiskTiming {
  readonly clock: Clock
  /** How long the next commit takes; several that wait are done together. */
  commitMs(): number
}

/**
 * For tests and the simulation: a disk in memory, of which the owner may crash, and which may be damaged. A commit is complete
 * when {@link MemoryDisk.complete} is called, or after the time that `timing` says. What it reads is overwritten with its next
 * read and after what runs, and what it was given must not change before the commit is complete, as with a real one.
 */
export class MemoryDisk implements LogDisk {
  readonly bodies: BodyFiles
  readonly segments: Map<number, Buffer>
  readonly named: Map<string, Buffer>
  /** What {@link LogDisk.refusal} says. */
  full: ObjectRelayError | undefined
  /** How often a segment was read. */
  reads = 0
  /** Commits that were asked for. */
  commits = 0
  isClosed = false
  readonly #timing: DiskTiming | undefined
  #waiting: Waiting[] = []
  #isScheduled = false
  #failure: ObjectRelayError | undefined
  #shown: Buffer = Buffer.alloc(0)

  constructor(
    bodies: BodyFiles,
    timing?: DiskTiming,
    content: Pick<MemoryDisk, 'segments' | 'named'> | undefined = undefined,
  ) {
    this.bodies = bodies
    this.#timing = timing
    this.segments = new Map([...(content?.segments ?? [])].map(([number, bytes]) => [number, Buffer.from(bytes)]))
    this.named = new Map([...(content?.named ?? [])].map(([name, value]) => [name, Buffer.from(value)]))
  }

  segmentNumbers(): readonly number[] {
    return [...this.segments.keys()].sort((one, other) => one - other)
  }

  readSegment(number: number): Buffer {
    const bytes = this.segments.get(number)
    if (bytes === undefined) throw createError('STORE_CORRUPT', `The disk has no segment ${number}.`)
    this.reads++
    this.#shown.fill(0xee)
    const shown = Buffer.from(bytes)
    this.#shown = shown
    queueMicrotask(() => void shown.fill(0xee))
    return shown
  }

  values(): Iterable<readonly [name: string, value: Buffer]> {
    return this.named
  }

  commit(change: LogChange): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.commits++
    const promise = new Promise<void>((resolve, reject) => this.#waiting.push({ change, resolve, reject }))
    this.#schedule()
    return promise
  }

  refusal(): ObjectRelayError | undefined {
    return this.full
  }

  async close(): Promise<void> {
    this.isClosed = true
    await this.bodies.close()
  }

  /** Commits that are under way. */
  get waitingCommits(): number {
    return this.#waiting.length
  }

  /** The next `count` commits are complete. */
  complete(count: number = this.#waiting.length): void {
    for (const { change, resolve } of this.#waiting.splice(0, count)) {
      this.#apply(change)
      resolve()
    }
  }

  /** All commits under way fail, and so does every other. */
  fail(error: ObjectRelayError): void {
    this.#failure = error
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  /**
   * What a new owner finds after a crash: of the commits that were under way, the first `written` had come so far, though nobody
   * was told. The old owner can write no more.
   */
  crash(written: number = 0, bodies: BodyFiles = this.bodies): MemoryDisk {
    const waiting = this.#waiting
    this.#waiting = []
    this.#failure = createError('STORE_FAILED', 'The machine of this disk has crashed.')
    const disk = new MemoryDisk(bodies, this.#timing, this)
    for (const { change } of waiting.slice(0, written)) disk.#apply(change)
    return disk
  }

  #schedule(): void {
    if (this.#timing === undefined || this.#isScheduled) return
    this.#isScheduled = true
    const { clock, commitMs } = this.#timing
    const count = this.#waiting.length
    clock.after(commitMs(), () => {
      this.#isScheduled = false
      this.complete(count)
      if (this.#waiting.length > 0) this.#schedule()
    })
  }

  #apply({ segments, dropBefore, values }: LogChange): void {
    for (const { number, bytes } of segments) this.segments.set(number, Buffer.from(bytes))
    for (const number of this.segments.keys()) if (number < dropBefore) this.segments.delete(number)
    for (const [name, value] of values) {
      if (value === undefined) this.named.delete(name)
      else this.named.set(name, Buffer.from(value))
    }
  }
}
