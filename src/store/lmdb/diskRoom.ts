import { stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../clock.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import { folderNames } from './storeFolder.ts'

const MiB = 1_048_576
/** What is left for acknowledgements and for what is moved together, so that a full store can be emptied. */
const RESERVE_BYTES_MAX = 32 * MiB
/** Of a small disk, or a small `bytesMax`, it is this part. */
const RESERVE_PART = 1 / 8
/** On a disk at least so much: the data file is made longer before it is needed. */
const DISK_RESERVE_BYTES_MIN = 4 * MiB
/** The disk is looked at after so much was written, or so long after the last time. */
const LOOK_BYTES = 32 * MiB
const LOOK_MS = 1_000
/** While objects are refused it is looked at so often, since room may have been made. */
const LOOK_AGAIN_MS = 100

/** What a {@link DiskRoom} measures; the last one is for tests. */
export interface DiskRoomParts {
  readonly folder: string
  /** The most that the store may take; `undefined`: as much as there is. */
  readonly bytesMax: number | undefined
  readonly clock: Clock
  /** What is kept now, in segments and bodies. */
  keptBytes(): number
  report(error: ObjectRelayError): void
  /** The data file is not the one that was opened. */
  lost(): void
  readonly measure?: (folder: string) => Promise<DiskSpace>
}

/** What the operating system says. */
export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
  /** Which file it is; `undefined` if it is gone. */
  readonly dataFile: number | undefined
}

/**
 * Knows whether there is room for more. It asks the operating system now and then, and counts in between; so an object costs a
 * comparison.
 */
export class DiskRoom {
  readonly #parts: DiskRoomParts
  /** How much may be kept, all in all. */
  #keptBytesMax = Number.POSITIVE_INFINITY
  #lookedMs = Number.NEGATIVE_INFINITY
  #writtenBytes = 0
  #looking: Promise<void> | undefined
  #dataFile: number | undefined
  #isFull = false

  constructor(parts: DiskRoomParts) {
    this.#parts = parts
  }

  /** Why an object of so many bytes cannot be taken now, if so. */
  refusal(bytes: number): ObjectRelayError | undefined {
    const { keptBytes, clock } = this.#parts
    if (keptBytes() + bytes <= this.#keptBytesMax) return undefined
    if (clock.nowMs() - this.#lookedMs > LOOK_AGAIN_MS) void this.look()
    const error = this.#fullError(bytes)
    if (!this.#isFull) {
      this.#isFull = true
      this.#parts.report(error)
    }
    return error
  }

  /** So much was written to the disk. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes
    const { clock } = this.#parts
    if (this.#writtenBytes > LOOK_BYTES || clock.nowMs() - this.#lookedMs > LOOK_MS) void this.look()
  }

  /** Asks the operating system. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const { folder, clock, bytesMax = Number.POSITIVE_INFINITY, keptBytes, measure = measureDisk } = this.#parts
    this.#lookedMs = clock.nowMs()
    this.#writtenBytes = 0
    let space: DiskSpace
    try {
      space = await measure(folder)
    } catch {
      // Writing will tell.
      return
    }
    if (space.dataFile !== undefined) this.#dataFile ??= space.dataFile
    if (space.dataFile !== this.#dataFile) this.#parts.lost()
    const diskReserveBytes = Math.max(DISK_RESERVE_BYTES_MIN, reserveOf(space.totalBytes))
    const diskBytes = keptBytes() + space.freeBytes - diskReserveBytes
    this.#keptBytesMax = Math.min(diskBytes, bytesMax - reserveOf(bytesMax))
    if (this.#isFull && keptBytes() < this.#keptBytesMax - reserveOf(bytesMax) / 4) this.#isFull = false
  }

  #fullError(bytes: number): ObjectRelayError {
    const { folder, bytesMax, keptBytes } = this.#parts
    const isByChoice = bytesMax !== undefined && this.#keptBytesMax >= bytesMax - reserveOf(bytesMax)
    const why = isByChoice
      ? `its bytesMax is ${bytesMax}. Raise it, or take objects out.`
      : 'its disk is nearly full. Make room there, or take objects out.'
    const message = `The store in ${folder} keeps ${keptBytes()} bytes and has no room for ${bytes} more: ${why}`
    return createError('STORE_FULL', message, { details: { dir: folder } })
  }
}

function reserveOf(bytes: number): number {
  return Math.min(RESERVE_BYTES_MAX, bytes * RESERVE_PART)
}

async function measureDisk(folder: string): Promise<DiskSpace> {
  const { bavail, bsize, blocks } = await statfs(folder)
  const file = await stat(join(folder, folderNames.data)).catch(() => undefined)
  return {
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    dataFile: file?.ino,
  }
}
