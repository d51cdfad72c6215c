import { randomBytes } from 'node:crypto'
import { Slab } from '../wire/slab.ts'
import { silentJournal } from './silentJournal.ts'
import { SpooledBody } from './spool/spooledBody.ts'
import type { KeptFrame, LargeBody, Store, StoreDescriptor, StoredObject } from './store.ts'

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

/** One slab of memory. */
class Arena {
  readonly bytes: number
  /** Of the frames in it that are not gone. */
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
 * many of those, they are moved together. The store does not know its frames, since a list of them would cost each object
 * more than all the rest.
 */
class MemoryStore implements Store {
  readonly relayName: string = randomBytes(16).toString('base64url')
  readonly keepsLeases = false
  readonly journal = silentJournal
  readonly #slab = new Slab()
  readonly #arenas = new Set<Arena>()
  #current = new Arena(0)
  #arenaBytes = 0
  #liveBytes = 0
  /** What the arenas took after the last time that frames were moved. */
  #movedAtBytes = 0
  #sources = 0

  /** Nothing outlives the relay. */
  recover(): void {}

  takeSource(): number {
    return ++this.#sources
  }

  refusal(): undefined {}

  rememberAnswers(): void {}

  /** What is in memory is as safe as it will ever be. */
  commit(): undefined {}

  get memoryBytes(): number {
    return this.#arenaBytes
  }

  keep(buffer: Buffer, start: number, end: number): KeptFrame {
    const bytes = end - start
    const arena = this.#arenaFor(bytes)
    arena.liveBytes += bytes
    this.#liveBytes += bytes
    return new StoredFrame(this.#slab.buffer, this.#slab.copy(buffer, start, end), bytes, arena)
  }

  keepLarge(begin: Buffer, bodyBytes: number): LargeBody {
    return new SpooledBody(begin, bodyBytes)
  }

  release(object: StoredObject): void {
    if (!(object instanceof StoredFrame)) return
    const { arena, bytes } = object
    if (arena === undefined) return
    object.arena = undefined
    arena.liveBytes -= bytes
    this.#liveBytes -= bytes
    if (arena.liveBytes === 0 && arena !== this.#current) this.#forget(arena)
  }

  get isSparse(): boolean {
    const usefulBytes = Math.max(2 * this.#liveBytes, this.#movedAtBytes)
    return this.#arenaBytes > usefulBytes + WASTE_BYTES_MAX
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

  #forget(arena: Arena): void {
    if (this.#arenas.delete(arena)) this.#arenaBytes -= arena.bytes
  }

  moveTogether(kept: Iterable<StoredObject>): void {
    const sparse = new Set(
      [...this.#arenas].filter((arena) => arena !== this.#current && arena.liveBytes * 2 < arena.bytes),
    )
    for (const object of kept) {
      if (object instanceof StoredFrame && object.arena !== undefined && sparse.has(object.arena))
        this.#move(object, object.arena)
    }
    for (const arena of sparse) if (arena.liveBytes === 0) this.#forget(arena)
    this.#movedAtBytes = this.#arenaBytes
  }

  /** Whoever still sends from the old memory has a view of its own on it. */
  #move(frame: StoredFrame, from: Arena): void {
    const { buffer, start, end, bytes } = frame
    const arena = this.#arenaFor(bytes)
    frame.start = this.#slab.copy(buffer, start, end)
    frame.buffer = this.#slab.buffer
    frame.arena = arena
    from.liveBytes -= bytes
    arena.liveBytes += bytes
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
