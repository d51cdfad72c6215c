import { copyBytes } from '../../memoryCopy.ts'
import { cutPieces } from '../../wire/outgoingStream.ts'
import type { SlabPool } from '../../wire/slabPool.ts'

/** The slab that bodies are copied into at the moment. Many share one: a body of which little has come must not take up a whole slab. */
export class BodyMemory {
  readonly slabs: SlabPool
  buffer: Buffer | undefined
  /** Where the next part begins in it. */
  end = 0

  constructor(slabs: SlabPool) {
    this.slabs = slabs
  }

  /** The present slab, which has room. */
  withRoom(): Buffer {
    if (this.buffer !== undefined && this.end < this.buffer.length) return this.buffer
    const full = this.buffer
    this.buffer = this.slabs.take()
    this.end = 0
    if (full !== undefined) this.slabs.release(full)
    return this.buffer
  }
}

/** The parts of a large object that are in memory: a contiguous piece of it. */
export class BodyParts {
  /** Where the first part begins. */
  start: number
  /** Where the last part ends. */
  end: number
  readonly #memory: BodyMemory
  /** Each lies in one slab, to which it has a reference. */
  #parts: Buffer[] = []
  #offsets: number[] = []
  /** Where in the present slab the last part ends, as long as it can grow. */
  #growsAt = -1

  /** Without parts at first; the first one will begin at `offset`. */
  constructor(memory: BodyMemory, offset = 0) {
    this.#memory = memory
    this.start = offset
    this.end = offset
  }

  /** Adds a copy of what follows. */
  add(part: Buffer): void {
    for (let at = 0; at < part.length; ) {
      const slab = this.#memory.withRoom()
      const from = this.#memory.end
      const length = Math.min(part.length - at, slab.length - from)
      copyBytes(slab, from, part, at, at + length)
      this.#memory.end += length
      this.#keep(slab, from, from + length)
      this.end += length
      at += length
    }
  }

  /** What lies right behind the last part becomes part of it: fewer pieces are written with fewer calls. */
  #keep(slab: Buffer, from: number, to: number): void {
    const index = this.#parts.length - 1
    const last = this.#parts[index]
    if (last !== undefined && last.buffer === slab.buffer && this.#growsAt === from) {
      this.#parts[index] = slab.subarray(from - last.length, to)
    } else {
      this.#memory.slabs.retain(slab)
      this.#parts.push(slab.subarray(from, to))
      this.#offsets.push(this.end)
    }
    this.#growsAt = to
  }

  /** Drops the parts that lie wholly before `offset`; tells how many bytes that were. */
  dropBefore(offset: number): number {
    let dropped = 0
    while (dropped < this.#parts.length && (this.#offsets[dropped + 1] ?? this.end) <= offset) dropped++
    if (dropped === 0) return 0
    const { start } = this
    this.start = this.#offsets[dropped] ?? this.end
    for (const part of this.#parts.splice(0, dropped)) this.#memory.slabs.release(part)
    this.#offsets.splice(0, dropped)
    return this.start - start
  }

  /** The bytes from `offset` on, `length` of them, which lie between `start` and `end`; as views. */
  pieces(offset: number, length: number): Buffer[] {
    return cutPieces(this.#parts, this.#offsets, offset, length)
  }
}
