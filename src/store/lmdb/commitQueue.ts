import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import { isFull } from './folderErrors.ts'

export interface CommitQueueParts<Change> {
  readonly clock: Clock
  /** Makes all of it true, in one transaction. */
  write(changes: readonly Change[]): Promise<void>
  explain(thrown: unknown): ObjectRelayError
  report(error: ObjectRelayError): void
}

interface Waiting<Change> {
  readonly change: Change
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: ObjectRelayError) => void
}

/** One transaction holds about so much; LMDB has all of it in memory until it is written. */
const GROUP_BYTES_MAX = 64 * 1_048_576
/** After a full disk it is tried again after so long, and then less and less often. */
const AGAIN_MS = 100
const AGAIN_MS_MAX = 5_000

/**
 * Group commit: while one transaction is on its way to the disk, the changes that come are gathered, and are the next one. If the
 * disk is full, the same transaction is tried again until there is room: nothing is said to be kept before it is.
 */
export class CommitQueue<Change> {
  readonly #parts: CommitQueueParts<Change>
  #waiting: Waiting<Change>[] = []
  #writing: Promise<void> | undefined
  #failure: ObjectRelayError | undefined
  #isEnding = false

  constructor(parts: CommitQueueParts<Change>) {
    this.#parts = parts
  }

  /** Resolves when it is safe, in the order of the calls. */
  add(change: Change, bytes: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, bytes, resolve, reject })
      this.#writing ??= this.#writeAll().finally(() => {
        this.#writing = undefined
      })
    })
  }

  /** From now on nothing is kept any more. */
  fail(error: ObjectRelayError): void {
    this.#failure ??= error
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(this.#failure)
  }

  /** Resolves when all that was added is safe, or never will be. A disk that is full is not waited for any longer. */
  async ended(): Promise<void> {
    this.#isEnding = true
    await this.#writing
    this.fail(createError('STOPPED', 'The store is closed.'))
  }

  async #writeAll(): Promise<void> {
    // Several that are asked for in the same breath are one.
    await undefined
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#write(group.map(({ change }) => change))
      } catch (thrown) {
        this.fail(this.#parts.explain(thrown))
      }
      for (const { resolve, reject } of group) {
        if (this.#failure === undefined) resolve()
        else reject(this.#failure)
      }
    }
  }

  #takeGroup(): readonly Waiting<Change>[] {
    let bytes = 0
    const end = this.#waiting.findIndex((waiting) => {
      bytes += waiting.bytes
      return bytes > GROUP_BYTES_MAX
    })
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end))
  }

  async #write(changes: readonly Change[]): Promise<void> {
    for (let againMs = AGAIN_MS; ; againMs = Math.min(againMs * 2, AGAIN_MS_MAX)) {
      if (this.#failure !== undefined) throw this.#failure
      try {
        await this.#parts.write(changes)
        return
      } catch (thrown) {
        if (!isFull(thrown) || this.#isEnding) throw thrown
        if (againMs === AGAIN_MS) this.#parts.report(this.#parts.explain(thrown))
        await new Promise<void>((resolve) => this.#parts.clock.after(againMs, resolve))
      }
    }
  }
}
