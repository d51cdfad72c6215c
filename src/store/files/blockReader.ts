import {
  type BlockHead,
  blockBytesAt,
  blockMagic,
  checkLogVersion,
  readBlockHead,
  SEGMENT_BYTES_MAX,
} from '../log/blockFormat.ts'
import type { BodyFile } from '../spool/bodyFiles.ts'

const WINDOW_BYTES = 16 * SEGMENT_BYTES_MAX

/** A whole block that was found in a file; its bytes are valid until the next one is read. */
export interface FoundBlock {
  readonly head: BlockHead
  readonly bytes: Buffer
}

/** Reads the blocks of one file, one behind the other, in bounded memory. */
export class BlockReader {
  /** Where the next block begins. */
  at = 0
  readonly #file: Pick<BodyFile, 'read'>
  readonly #size: number
  readonly #key: number
  readonly #window: Buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #windowStart = 0
  #windowBytes = 0

  constructor(file: Pick<BodyFile, 'read'>, size: number, key: number) {
    this.#file = file
    this.#size = size
    this.#key = key
  }

  /** Rejects with `STORE_VERSION` if the file begins with a block of a later format. */
  async checkVersion(): Promise<void> {
    await this.#show(0, SEGMENT_BYTES_MAX)
    checkLogVersion(this.#window.subarray(0, this.#windowBytes))
  }

  /** The block that begins here, if there is a whole one, and passes it. */
  async next(): Promise<FoundBlock | undefined> {
    await this.#show(this.at, SEGMENT_BYTES_MAX)
    const start = this.at - this.#windowStart
    const shown = this.#window.subarray(0, this.#windowBytes)
    const head = readBlockHead(shown, start, this.#key)
    if (head === undefined) return undefined
    this.at += head.bytes
    return { head, bytes: shown.subarray(start, start + head.bytes) }
  }

  /**
   * Whether a whole block of the commit number `commit`, or of a later one, stands anywhere from here on. Of a commit that was written
   * as a whole it shows that all before it was safe.
   */
  async hasCommit(commit: number): Promise<boolean> {
    for (let at = this.at; at < this.#size; ) {
      await this.#show(at, SEGMENT_BYTES_MAX)
      const shown = this.#window.subarray(0, this.#windowBytes)
      let found = shown.indexOf(blockMagic, at - this.#windowStart)
      while (found >= 0 && this.#mayBeWhole(shown, found)) {
        const head = readBlockHead(shown, found, this.#key)
        if (head !== undefined && head.commit >= commit) return true
        found = shown.indexOf(blockMagic, found + 1)
      }
      const next = found < 0 ? this.#windowStart + this.#windowBytes - blockMagic.length + 1 : this.#windowStart + found
      at = next > at ? next : at + 1
    }
    return false
  }

  /** Whether all of the block is in the window, or never will be. */
  #mayBeWhole(shown: Buffer, at: number): boolean {
    const bytes = blockBytesAt(shown, at) ?? 0
    return at + bytes <= shown.length || at === 0
  }

  /** Reads until `bytes` from `at` on are in the window, or all that there is. */
  async #show(at: number, bytes: number): Promise<void> {
    const wanted = Math.min(this.#size - at, bytes)
    if (at >= this.#windowStart && at + wanted <= this.#windowStart + this.#windowBytes) return
    this.#windowBytes = 0
    const length = Math.max(0, Math.min(this.#size - at, WINDOW_BYTES))
    await this.#file.read(at, this.#window.subarray(0, length))
    this.#windowStart = at
    this.#windowBytes = length
  }
}
