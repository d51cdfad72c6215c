import { statfs } from 'node:fs/promises'
import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import type { RoomNeeded } from '../log/logDisk.ts'

const MiB = 1_048_576
/** What is left for what is told of objects, and for what is moved, so that a full store can be emptied. */
const RESERVE_BYTES_MAX = 64 * MiB
/** Of a small disk, or a small `bytesMax`, it is this part. */
const RESERVE_PART = 1 / 4
/** The disk is looked at after so much was written, or so long after the last time. */
const LOOK_BYTES = 16 * MiB
const LOOK_MS = 1_000
/** While objects are refused it is looked at so often, since room may have been made. */
const LOOK_AGAIN_MS = 100
/** The operator is told no oftener that the store is full. */
const REPORT_AGAIN_MS = 10_000

/** What a {@link StoreRoom} measures. */
export interface StoreRoomParts {
  readonly folder: string
  /** The most that the store may take; `undefined`: as much as there is. */
  readonly bytesMax: number | undefined
  readonly clock: Clock
  /** Of the files of the log, and of bodies, as they are now. */
  logBytes(): number
  bodyBytes(): number
  report(error: ObjectRelayError): void
  /** Bytes that are free on the disk. Default: what the operating system says. */
  readonly measure?: (folder: string) => Promise<number>
}

/**
 * Knows whether there is room for more. A quarter of the room, at most 64 MiB, is kept free of objects: half of it for what is told of
 * them (who has them, that they are gone), which always finds room so, and half for moving what is needed out of files that are
 * mostly not. It asks the operating system now and then, and counts in between; so an object costs a comparison.
 */
export class StoreRoom {
  readonly #parts: StoreRoomParts
  /** All that there is for this store, what it takes already included. */
  #bytes: number
  #lookedMs = Number.NEGATIVE_INFINITY
  #writtenBytes = 0
  #looking: Promise<void> | undefined
  #isRefusing = false
  #reportedMs = Number.NEGATIVE_INFINITY

  constructor(parts: StoreRoomParts) {
    this.#parts = parts
    this.#bytes = parts.bytesMax ?? Number.POSITIVE_INFINITY
  }

  /** Why an object cannot be taken now, if so. */
  refusal({ liveBytes, pendingBytes, bytes }: RoomNeeded): ObjectRelayError | undefined {
    const { logBytes, bodyBytes, clock } = this.#parts
    const reserve = this.#reserve
    const isNeeded = liveBytes + bodyBytes() + bytes <= this.#bytes - reserve
    const isThere = logBytes() + bodyBytes() + pendingBytes + bytes <= this.#bytes - reserve / 2
    if (isNeeded && isThere) {
      this.#isRefusing = false
      return undefined
    }
    if (clock.nowMs() - this.#lookedMs > LOOK_AGAIN_MS) void this.look()
    const error = this.#fullError(bytes)
    // At the edge, a smaller object may find room between two that do not.
    const isNew = !this.#isRefusing && clock.nowMs() - this.#reportedMs >= REPORT_AGAIN_MS
    this.#isRefusing = true
    if (isNew) {
      this.#reportedMs = clock.nowMs()
      this.#parts.report(error)
    }
    return error
  }

  /** Whether what is needed no more should be given back soon. */
  get isCramped(): boolean {
    return this.#parts.logBytes() + this.#parts.bodyBytes() > this.#bytes - 0.75 * this.#reserve
  }

  /** Whether what is kept free of objects is nearly used up. */
  get isFull(): boolean {
    return this.#parts.logBytes() + this.#parts.bodyBytes() > this.#bytes - 0.25 * this.#reserve
  }

  /** How large a file of the log may become, since it is deleted as a whole. */
  get fileBytesMax(): number {
    return Math.min(64 * MiB, Math.max(MiB / 4, this.#bytes / 32))
  }

  /** So much was written to the disk. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes
    if (this.#writtenBytes > LOOK_BYTES || this.#parts.clock.nowMs() - this.#lookedMs > LOOK_MS) void this.look()
  }

  /** Asks the operating system. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  get #reserve(): number {
    return Math.min(RESERVE_BYTES_MAX, this.#bytes * RESERVE_PART)
  }

  async #look(): Promise<void> {
    const { folder, clock, bytesMax, logBytes, bodyBytes, measure = freeBytesOf } = this.#parts
    this.#lookedMs = clock.nowMs()
    this.#writtenBytes = 0
    try {
      const freeBytes = await measure(folder)
      this.#bytes = Math.min(bytesMax ?? Number.POSITIVE_INFINITY, logBytes() + bodyBytes() + freeBytes)
    } catch {
      // Writing will tell.
    }
  }

  #fullError(bytes: number): ObjectRelayError {
    const { folder, bytesMax, logBytes, bodyBytes } = this.#parts
    const why =
      this.#bytes === bytesMax
        ? `its bytesMax is ${bytesMax}. Raise it, or consume.`
        : 'its disk is nearly full. Make room there, or consume.'
    const message = `The store in ${folder} takes ${logBytes() + bodyBytes()} bytes and has no room for ${bytes} more: ${why}`
    return createError('STORE_FULL', message, { details: { dir: folder } })
  }
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
