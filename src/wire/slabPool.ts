const SLAB_BYTES = 256 * 1024

/** So much is kept for use again: what passes through a relay that keeps up with a few members. */
const SPARE_SLABS_MAX = 32

/** A slab that somebody refers to. */
class LentSlab {
  readonly memory: Buffer
  references = 1

  constructor(memory: Buffer) {
    this.memory = memory
  }
}

/**
 * Pieces of memory that are used again. Fresh memory for what only passes through costs more than all that is done with it:
 * its pages are cleared first, and V8 collects the garbage of the whole heap each time that some 25 MB of it were asked for.
 *
 * A slab is free again when everybody who had a reference to it has given that back. Whoever cannot know when it will be read
 * for the last time keeps the reference: the slab is then never used again, and the garbage collector has it in the end.
 */
export class SlabPool {
  /** By their memory, weakly: one whose references are never given back is not held on to. */
  readonly #lent = new WeakMap<ArrayBufferLike, LentSlab>()
  readonly #spare: Buffer[] = []
  readonly #freed: ((memory: Buffer) => void) | undefined
  /** Of each slab, unless more is asked for. Default 256 KiB: the largest frame fits twice. */
  readonly slabBytes: number

  /** `freed` is told of each slab that nobody may look at any more. */
  constructor({ slabBytes = SLAB_BYTES, freed }: { slabBytes?: number; freed?: (memory: Buffer) => void } = {}) {
    this.slabBytes = slabBytes
    this.#freed = freed
  }

  /** A slab that holds at least `bytes`, whose content is arbitrary, with one reference. */
  take(bytes = 1): Buffer {
    const spare = bytes <= this.slabBytes ? this.#spare.pop() : undefined
    const memory = spare ?? Buffer.allocUnsafeSlow(Math.max(this.slabBytes, bytes))
    this.#lent.set(memory.buffer, new LentSlab(memory))
    return memory
  }

  /** One reference more to the slab that `part` lies in. Other memory is nobody's concern. */
  retain(part: Buffer): void {
    const slab = this.#lent.get(part.buffer)
    if (slab !== undefined) slab.references++
  }

  /** Gives a reference back: whoever had it does not look at the slab any more. */
  release(part: Buffer): void {
    const slab = this.#lent.get(part.buffer)
    if (slab === undefined || --slab.references > 0) return
    this.#lent.delete(part.buffer)
    this.#freed?.(slab.memory)
    const isSpare = slab.memory.length === this.slabBytes && this.#spare.length < SPARE_SLABS_MAX
    if (isSpare) this.#spare.push(slab.memory)
  }
}
