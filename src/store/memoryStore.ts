import { Slab } from '../wire/slab.ts'
import type { KeptFrame, Store, StoreDescriptor } from './store.ts'

/** Keeps everything in the relay's memory: the default. What waits is lost when the relay ends. */
export function memoryStore(): StoreDescriptor {
  return { module: import.meta.url, options: {} }
}

/** Called by the relay's thread. */
export function openStore(): Store {
  return new MemoryStore()
}

/** So much memory may be taken by frames that are gone, beside what is kept, before it is worth the work. */
const WASTE_BYTES_MAX = 8 * 1024 * 1024

/** One slab of memory, and the frames in it. */
class Arena {
  readonly bytes: number
  /** In the order in which they came; those that are gone too. */
  frames: StoredFrame[] = []
  liveBytes = 0

  constructor(bytes: number) {
    this.bytes = bytes
  }
}

class StoredFrame implements KeptFrame {
  readonly bytes: number
  buffer: Buffer
  start: number
  /** `undefined` once it is gone. */
  arena: Arena | undefined

  constructor(buffer: Buffer, start: number, bytes: number, arena: Arena) {
    this.buffer = buffer
    this.start = start
    this.bytes = bytes
    this.arena = arena
  }

  get end(): number {
    return this.start + this.bytes
  }
}

/**
 * Frames are copied into 64 KiB arenas: a view on what the socket gave would keep 16 KiB alive for one small object
 * that waits. One that waits for long, while thousands beside it came and went, would keep a whole arena: once there are
 * many of those, they are moved together.
 */
class MemoryStore implements Store {
  readonly #slab = new Slab()
  readonly #arenas = new Set<Arena>()
  #current = new Arena(0)
  #arenaBytes = 0
  #liveBytes = 0

  get memoryBytes(): number {
    return this.#arenaBytes
  }

  keep(buffer: Buffer, start: number, end: number): KeptFrame {
    const bytes = end - start
    const arena = this.#arenaFor(bytes)
    const frame = new StoredFrame(this.#slab.buffer, this.#slab.copy(buffer, start, end), bytes, arena)
    this.#add(frame, arena)
    return frame
  }

  release(frame: KeptFrame): void {
    if (!(frame instanceof StoredFrame)) return
    const { arena, bytes } = frame
    if (arena === undefined) return
    frame.arena = undefined
    arena.liveBytes -= bytes
    this.#liveBytes -= bytes
    if (arena.liveBytes === 0 && arena !== this.#current) this.#forget(arena)
    if (this.#arenaBytes > 2 * this.#liveBytes + WASTE_BYTES_MAX) this.#moveTogether()
  }

  /** The arena that the next frame of so many bytes will lie in, made if need be. */
  #arenaFor(bytes: number): Arena {
    const { buffer } = this.#slab
    this.#slab.reserve(bytes)
    if (this.#slab.buffer === buffer) return this.#current
    if (this.#current.liveBytes === 0) this.#forget(this.#current)
    this.#current = new Arena(this.#slab.buffer.length)
    this.#arenas.add(this.#current)
    this.#arenaBytes += this.#current.bytes
    return this.#current
  }

  #add(frame: StoredFrame, arena: Arena): void {
    arena.frames.push(frame)
    arena.liveBytes += frame.bytes
    this.#liveBytes += frame.bytes
  }

  #forget(arena: Arena): void {
    if (this.#arenas.delete(arena)) this.#arenaBytes -= arena.bytes
  }

  /**
   * Empties all arenas of which less than a half is in use; those that are left are at most twice what is kept. Whoever still
   * sends from the old memory has views of its own on it.
   */
  #moveTogether(): void {
    const sparse = [...this.#arenas].filter((arena) => arena !== this.#current && arena.liveBytes * 2 < arena.bytes)
    for (const arena of sparse) {
      for (const frame of arena.frames) if (frame.arena !== undefined) this.#move(frame)
      this.#forget(arena)
    }
  }

  #move(frame: StoredFrame): void {
    const { buffer, start, end, bytes } = frame
    const arena = this.#arenaFor(bytes)
    frame.start = this.#slab.copy(buffer, start, end)
    frame.buffer = this.#slab.buffer
    frame.arena = arena
    this.#liveBytes -= bytes
    this.#add(frame, arena)
  }
}
