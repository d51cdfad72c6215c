import { Deque } from '../../core/deque.ts'
import { copyBytes } from '../../memoryCopy.ts'
import type { OutgoingLog } from '../../wire/outgoingLog.ts'

const SLAB_BYTES = 256 * 1024
/** What is used again is bounded: 8 MiB while objects are on their way, and 512 KiB while none are. */
const SLABS_MAX = 32
const IDLE_SLABS_MAX = 2

/** A piece of memory with frames one behind the other. */
export class SendSlab {
  readonly buffer: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  /** Where the next frames begin. */
  end = 0
  /** Runs that lie in it, of which the relay has not answered all objects. */
  runs = 0
  /** The number, in the log of the channel, of the last frame in it that was given to that. */
  lastFrame = 0

  restart(): void {
    this.runs = 0
    this.lastFrame = 0
  }

  isFree(log: OutgoingLog | undefined): boolean {
    return this.runs === 0 && (this.lastFrame === 0 || (log !== undefined && this.lastFrame <= log.confirmedFrames))
  }
}

/**
 * The memory in which an endpoint keeps what it sends. It is used again, in turn, once the relay has answered the objects
 * and confirmed the frames: fresh memory for each would cost page faults, and garbage collections that it is counted for.
 */
export class SendMemory {
  #slab: SendSlab | undefined
  /** Those that are full, oldest first. */
  readonly #full = new Deque<SendSlab>()

  /** Copies frames in; they end at the `end` of the slab. `log` is that of the channel that they will be given to. */
  copy(source: Buffer, start: number, end: number, log: OutgoingLog | undefined): SendSlab {
    const bytes = end - start
    let slab = this.#slab
    if (slab === undefined || slab.end + bytes > SLAB_BYTES) {
      slab = this.#next(slab, log)
      this.#slab = slab
    }
    copyBytes(slab.buffer, slab.end, source, start, end)
    slab.end += bytes
    return slab
  }

  #next(full: SendSlab | undefined, log: OutgoingLog | undefined): SendSlab {
    if (full !== undefined) this.#full.push(full)
    const oldest = this.#full.first()
    if (oldest?.isFree(log) === true) {
      this.#full.shift()
      oldest.end = 0
      oldest.lastFrame = 0
      return oldest
    }
    // The oldest may be needed for long: the garbage collector has it then.
    if (this.#full.length > SLABS_MAX) this.#full.shift()
    return new SendSlab()
  }

  /** A session begins: what was given to the channel before is not looked at any more, and all runs are added anew. */
  restart(): void {
    for (let index = 0; index < this.#full.length; index++) this.#full.at(index)?.restart()
    this.#slab?.restart()
  }

  /** Nothing is on its way. */
  idle(): void {
    while (this.#full.length > IDLE_SLABS_MAX) this.#full.shift()
  }
}
