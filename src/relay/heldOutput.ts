import type { LoadedFrame } from '../store/store.ts'
import type { Conversation } from '../wire/conversation.ts'
import { Slab } from '../wire/slab.ts'
import type { SlabPool } from '../wire/slabPool.ts'

/** Frames in a row. */
interface Frames {
  readonly buffer: Buffer
  readonly start: number
  end: number
  frames: number
}

/** A frame that is being read from a disk. */
interface ComingFrame {
  /** Set when it has come. */
  frame: LoadedFrame | undefined
}

/** What is held; or something to be done between frames. */
type Entry = Frames | ComingFrame | (() => void)

/**
 * What a relay has to say to one endpoint, and holds back until the store has kept what it speaks of: who was told of an
 * object, or gave up one, must find it so after a crash of the relay.
 */
export class HeldOutput {
  readonly #conversation: Conversation
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
  constructor(conversation: Conversation, slabs: SlabPool | undefined) {
    this.#conversation = conversation
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
    const last = this.#entries.length > this.#sealed ? this.#entries[this.#entries.length - 1] : undefined
    if (
      last !== undefined &&
      typeof last !== 'function' &&
      'frames' in last &&
      last.buffer === buffer &&
      last.end === start
    ) {
      last.end = end
      last.frames += frames
    } else {
      this.#slabs?.retain(buffer)
      this.#entries.push({ buffer, start, end, frames })
    }
  }

  /**
   * Sends a numbered frame when it has been read; what comes behind it waits for it. `loaded` is called when what waited for it and may
   * leave has left, `failed` if it cannot be read.
   */
  sendLoaded(loading: Promise<LoadedFrame>, loaded: () => void, failed: (thrown: unknown) => void): void {
    const entry: ComingFrame = { frame: undefined }
    this.#entries.push(entry)
    loading.then((frame) => {
      this.#slabs?.retain(frame.buffer)
      this.#bytes += frame.end - frame.start
      entry.frame = frame
      this.release(this.#limit)
      loaded()
    }, failed)
  }

  /** Does something when everything before has left, and before anything behind it does. */
  do(action: () => void): void {
    this.#entries.push(action)
  }

  /** Names all that is there now, for {@link HeldOutput.release}. */
  mark(): number {
    this.#sealed = this.#entries.length
    return this.#released + this.#entries.length - this.#head
  }

  /** Gives the conversation everything up to a mark; what is still being read, and all behind it, as soon as it has come. */
  release(mark: number): void {
    this.#limit = Math.max(this.#limit, mark)
    while (this.#released < this.#limit) {
      const entry = this.#entries[this.#head]
      if (entry === undefined) break
      const frames = typeof entry === 'function' || !('frame' in entry) ? entry : entry.frame
      if (frames === undefined) break
      this.#head++
      this.#released++
      if (typeof frames === 'function') frames()
      else this.#give(frames)
    }
    if (this.#head === this.#entries.length) this.#entries = []
    else if (this.#head > 1024 && this.#head * 2 > this.#entries.length) this.#entries.splice(0, this.#head)
    else return
    this.#sealed = Math.max(0, this.#sealed - this.#head)
    this.#head = 0
  }

  #give(frames: LoadedFrame | Frames): void {
    const { buffer, start, end } = frames
    this.#bytes -= end - start
    this.#conversation.sendKept(buffer, start, end, 'frames' in frames ? frames.frames : 1)
    this.#slabs?.release(buffer)
  }
}
