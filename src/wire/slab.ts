import { copyBytes } from '../memoryCopy.ts'

const SLAB_BYTES = 64 * 1024

/**
 * Hands out room in 64 KiB slabs, one piece after the other, so that what is written in a row lies in a row and leaves
 * with one write. A full slab is not reused: who still needs a part of it keeps it alive.
 */
export class Slab {
  buffer: Buffer = Buffer.alloc(0)
  /** Where the next piece begins; the writer moves it. */
  end = 0

  /** Makes sure that `bytes` fit at `end` in `buffer`; a piece larger than a slab gets a buffer of its own. */
  reserve(bytes: number): void {
    if (this.buffer.length - this.end >= bytes) return
    this.buffer = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
    this.end = 0
  }

  /** Copies a piece in and returns where it lies in `buffer`. */
  copy(source: Buffer, start: number, end: number): number {
    this.reserve(end - start)
    const at = this.end
    copyBytes(this.buffer, at, source, start, end)
    this.end = at + (end - start)
    return at
  }
}
