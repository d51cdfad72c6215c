import type { ColdFrame } from '../store/store.ts'
import type { ReliableChannel } from '../wire/reliableChannel.ts'
import { Slab } from '../wire/slab.ts'
import type { SlabPool } from '../wire/slabPool.ts'

/** Frames in a row. */
interface Frames {
  readonly buffer: Buffer
  readonly start: number
  end: number
  frames: number
}

/** Frames in a row that are being read from a disk. */
interface ComingFrames {
  readonly reading: Promise<Buffer>
  /** Set when they have come. */
  buffer: Buffer | undefined
  readonly start: number
  end: number
  frames: number
}

/** What is held; or something to be done between frames. */
type Entry = Frames | ComingFrames | (() => void)

/**
 * What a relay has to say to one endpoint, and holds back until the store has kept what it speaks of: who was told of an
 * object, or gave up one, must find it so after a crash of the relay.
 */
export class PendingOutput {
  readonly #channel: ReliableChannel
  readonly #slabs: SlabPool | undefined
  readonly #slab = new Slab()
  #entries: Entry[] = []
  #head = 0
  #released = 0
  /** What may leave: up to this mark. */
  #limit = 0
  /** Nothing is added to entries before this: those may leave earlier. */
  #sealed = 0
  #bytes = 0

  /** `slabs`: where kept frames may lie. */
  constructor(channel: ReliableChannel, slabs: SlabPool | undefined) {
    this.#channel = channel
    this.#slabs = slabs
  }

  get isEmpty(): boolean {
    return this.#head === this.#entries.length
  }

  /** Bytes of the frames that are held. */
  get bytes(): number {
    return this.#bytes
  }

  /** Sends a numbered frame; its bytes are copied. */
  send(frame: Buffer): void {
    const at = this.#slab.copy(frame, 0, frame.length)
    this.sendKept(this.#slab.buffer, at, at + frame.length)
  }

  /**
   * Sends numbered frames that lie in `buffer`, one behind the other, which must not change any more: a reference to it is held, if it
   * is a slab.
   */
  sendKept(buffer: Buffer, start: number, end: number, frames = 1): void {
    this.#bytes += end - start
    const last = this.#lastFrames()
    if (last !== undefined && !('reading' in last) && last.buffer === buffer && last.end === start) {
      last.end = end
      last.frames += frames
    } else {
      this.#slabs?.retain(buffer)
      this.#entries.push({ buffer, start, end, frames })
    }
  }

  /**
   * Sends numbered frames, one behind the other, when they have been read; what comes behind them waits for them. `loaded` is called when
   * they have come, and what waited for them and may leave has left, `failed` if they cannot be read. What lies one behind the other and is
   * read together is one: only the callbacks of the first are called.
   */
  sendLoaded(
    { reading, start, end }: ColdFrame,
    frames: number,
    loaded: () => void,
    failed: (thrown: unknown) => void,
  ): void {
    const last = this.#lastFrames()
    if (
      last !== undefined &&
      'reading' in last &&
      last.buffer === undefined &&
      last.reading === reading &&
      last.end === start
    ) {
      last.end = end
      last.frames += frames
      return
    }
    const entry: ComingFrames = { reading, buffer: undefined, start, end, frames }
    this.#entries.push(entry)
    reading.then((buffer) => {
      this.#slabs?.retain(buffer)
      this.#bytes += entry.end - entry.start
      entry.buffer = buffer
      this.release(this.#limit)
      loaded()
    }, failed)
  }

  /** What stands last, if that are frames that others may join. */
  #lastFrames(): Frames | ComingFrames | undefined {
    const last = this.#entries.length > this.#sealed ? this.#entries[this.#entries.length - 1] : undefined
    return typeof last === 'function' ? undefined : last
  }

  /** Does something when everything before has left, and before anything behind it does. */
  do(action: () => void): void {
    this.#entries.push(action)
  }

  /** Names all that is there now, for {@link PendingOutput.release}. */
  mark(): number {
    this.#sealed = this.#entries.length
    return this.#released + this.#entries.length - this.#head
  }

  /** Gives the channel everything up to a mark; what is still being read, and all behind it, as soon as it has come. */
  release(mark: number): void {
    this.#limit = Math.max(this.#limit, mark)
    while (this.#released < this.#limit) {
      const entry = this.#entries[this.#head]
      if (entry === undefined) break
      if (typeof entry !== 'function' && entry.buffer === undefined) break
      this.#head++
      this.#released++
      if (typeof entry === 'function') entry()
      else this.#give(entry)
    }
    if (this.#head === this.#entries.length) this.#entries = []
    else if (this.#head > 1024 && this.#head * 2 > this.#entries.length) this.#entries.splice(0, this.#head)
    else return
    this.#sealed = Math.max(0, this.#sealed - this.#head)
    this.#head = 0
  }

  #give({ buffer, start, end, frames }: Frames | ComingFrames): void {
    if (buffer === undefined) return
    this.#bytes -= end - start
    this.#channel.sendKept(buffer, start, end, frames)
    this.#slabs?.release(buffer)
  }
}
