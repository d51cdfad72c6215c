import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { SEGMENT_BYTES_MAX } from '../log/segmentFormat.ts'
import { segmentCorrupt } from '../log/storeCorrupt.ts'
import { isMissing } from './folderErrors.ts'
import type { SegmentPlace } from './segmentEntry.ts'

const OPEN_FILES_MAX = 64

/** Reads segments out of their files. The operating system has what was read lately in memory, so that this is a copy. */
export class SegmentReader {
  readonly #folder: string
  readonly #openFilesMax: number
  /** Those that were used last come last. */
  readonly #descriptors = new Map<string, number>()
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES_MAX)

  constructor(folder: string, openFilesMax: number = OPEN_FILES_MAX) {
    this.#folder = folder
    this.#openFilesMax = openFilesMax
  }

  /** Valid until the next call. Throws `STORE_CORRUPT` if it is not there. */
  read({ file, offset, bytes }: SegmentPlace, number: number): Buffer {
    const descriptor = this.open(file)
    if (descriptor === undefined) throw segmentCorrupt(number, `lies in the file ${file}, which is missing`)
    for (let at = 0; at < bytes; ) {
      const count = readSync(descriptor, this.#buffer, at, bytes - at, offset + at)
      if (count === 0) throw segmentCorrupt(number, `lies in the file ${file}, which ends before it`)
      at += count
    }
    return this.#buffer.subarray(0, bytes)
  }

  /** Opens a file, which can then be read though it be deleted; `undefined` if there is none. */
  open(file: string): number | undefined {
    let descriptor = this.#descriptors.get(file)
    if (descriptor === undefined) {
      try {
        descriptor = openSync(join(this.#folder, file), 'r')
      } catch (thrown) {
        if (isMissing(thrown)) return undefined
        throw thrown
      }
      for (const oldest of this.#descriptors.keys()) {
        if (this.#descriptors.size < this.#openFilesMax) break
        this.close(oldest)
      }
    } else this.#descriptors.delete(file)
    this.#descriptors.set(file, descriptor)
    return descriptor
  }

  close(file: string): void {
    const descriptor = this.#descriptors.get(file)
    if (descriptor === undefined) return
    this.#descriptors.delete(file)
    closeSync(descriptor)
  }

  closeAll(): void {
    for (const file of [...this.#descriptors.keys()]) this.close(file)
  }
}
