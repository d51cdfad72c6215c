import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import { type BrokerJournal, silentJournal } from '../core/journal.ts'
import { type Packing, packingDefaults } from '../core/ports.ts'
import { createError } from '../errors.ts'
import { copyBytes } from '../memoryCopy.ts'
import { readUint32 } from '../wire/integers.ts'
import { SlabPool } from '../wire/slabPool.ts'
import type { BodyFiles } from './spool/bodyFiles.ts'
import { SpillFile } from './spool/spillFile.ts'
import { Spool } from './spool/spool.ts'
import { SpooledBody } from './spool/spooledBody.ts'
import type { ColdFrame, KeptFrame, LargeBody, LoadedFrame, Store, StoredObject, StoreHost } from './store.ts'
import type { StoreDescriptor } from './storeDescriptor.ts'

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /**
   * The folder for a temporary file with what large objects the relay has: as they were sent, so encrypted only if their sender
   * did so; private to the user; gone when the relay ends. Default: the system's folder for temporary files. `null`: nothing is
   * ever written to a disk, and all of them stay in memory.
   */
  spillDir?: string | null
}

/** In place of the URL of a module, see {@link StoreDescriptor}. */
export const MEMORY_STORE = 'objectrelay:memoryStore'

/**
 * Keeps what waits until the relay ends: the default. Small objects stay in memory; of large ones that takes little, for
 * most of each lies in a temporary file.
 */
export function memoryStore({ spillDir = tmpdir() }: MemoryStoreOptions = {}): StoreDescriptor {
  if (spillDir !== null && (typeof spillDir !== 'string' || spillDir === '')) {
    const message = 'memoryStore: "spillDir" must be the path of a folder, or null for none.'
    throw createError('INVALID_OPTION', message, { details: { option: 'spillDir' } })
  }
  // The relay's thread may see another working directory.
  return { module: MEMORY_STORE, options: { spillDir: spillDir === null ? null : resolve(spillDir) } }
}

/**
 * Called by the relay's thread.
 * @internal
 */
export function openStore({ spillDir }: Readonly<Record<string, unknown>> = {}, host: StoreHost = silentHost): Store {
  const spill = typeof spillDir === 'string' ? new SpillFile(spillDir) : undefined
  return new MemoryStore({ files: spill, host, clock: systemClock })
}

const silentHost: StoreHost = { report() {} }

/**
 * What a memory store is made of.
 * @internal
 */
export interface MemoryStoreParts {
  /** Where large objects are put; `undefined`: in memory. */
  readonly files: BodyFiles | undefined
  readonly host: StoreHost
  readonly clock: Clock
  /** Default: one of its own. */
  readonly slabs?: SlabPool
}

/** So much memory may be taken by frames that are gone, beside what is kept, before it is worth the work. */
const WASTE_BYTES_MAX = 8 * 1024 * 1024

/** One slab of memory. */
class Arena {
  readonly number: number
  readonly buffer: Buffer
  /** Of the frames in it that are not gone. */
  liveBytes = 0

  constructor(number: number, buffer: Buffer) {
    this.number = number
    this.buffer = buffer
  }

  get bytes(): number {
    return this.buffer.length
  }
}

/** The start of a frame that is gone. */
const GONE = -1

/** The handle of one kept frame, or of a run of them. Many may wait: it has no field that can be done without. */
class StoredFrame implements KeptFrame, LoadedFrame {
  bytes: number
  objects: number
  arena: Arena
  start: number

  constructor(arena: Arena, start: number, bytes: number, objects: number) {
    this.arena = arena
    this.start = start
    this.bytes = bytes
    this.objects = objects
  }

  get buffer(): Buffer {
    return this.arena.buffer
  }

  get end(): number {
    return this.start + this.bytes
  }

  apart(): undefined {}

  find(): LoadedFrame {
    return this
  }

  load(): ColdFrame {
    return { reading: Promise.resolve(this.buffer), start: this.start, end: this.end }
  }
}

/**
 * Frames are copied into arenas, which are slabs that are used again: what the socket gave is overwritten. One that waits for long, while thousands beside it came and went, would keep a whole arena: once there are
 * many of those, they are moved together. The store does not know its frames, since a list of them would cost each object
 * more than all the rest.
 * @internal
 */
export class MemoryStore implements Store {
  readonly relayName: string = randomBytes(16).toString('base64url')
  readonly ticketKey: Uint8Array = new Uint8Array(randomBytes(32))
  readonly keepsLeases = false
  readonly journal: BrokerJournal<StoredObject> = silentJournal
  readonly slabs: SlabPool
  beforeCommit: () => void = () => undefined
  /** By number. */
  readonly #arenas = new Map<number, Arena>()
  #current = new Arena(0, Buffer.alloc(0))
  /** Where the next frame begins in it. */
  #end = 0
  #arenaBytes = 0
  #liveBytes = 0
  /** What the arenas took after the last time that frames were moved. */
  #movedAtBytes = 0
  #sources = 0
  #bodies = 0
  readonly #spool: Spool
  readonly #files: BodyFiles | undefined

  constructor({ files, host, clock, slabs = new SlabPool() }: MemoryStoreParts) {
    this.slabs = slabs
    this.#spool = new Spool({ files, isTemporary: true, clock, host, slabs })
    this.#files = files
  }

  /** Tells frames by the number of their arena and their place in it; one that is larger than a slab lies at the beginning of its own. */
  readonly packing: Packing<StoredObject> = {
    ...packingDefaults,
    pack: (object) =>
      // A run is told by its one handle: that is less than 16 bytes for each of its objects.
      object instanceof StoredFrame && object.objects === 1
        ? object.arena.number * this.slabs.slabBytes + object.start
        : Number.NaN,
    unpack: (packed, bytes) => {
      const { slabBytes } = this.slabs
      const number = Math.floor(packed / slabBytes)
      const arena = this.#arenas.get(number)
      if (arena === undefined) throw new Error(`There is no arena ${number} any more, though something in it is kept.`)
      return new StoredFrame(arena, packed - number * slabBytes, bytes, 1)
    },
  }

  /** Nothing outlives the relay. */
  recover(): void {}

  takeSource(): number {
    return ++this.#sources
  }

  refusal(): undefined {}

  rememberSession(): void {}

  changeSession(): void {}

  /** What is in memory is as safe as it will ever be. */
  commit(): undefined {}

  readonly isBehind = false

  unkept(): ReadonlyMap<string, number> {
    return new Map()
  }

  get memoryBytes(): number {
    return this.#arenaBytes + this.#spool.memoryBytes
  }

  keep(buffer: Buffer, start: number, end: number, objects = 1): KeptFrame {
    const bytes = end - start
    // Parts of a run that is larger than a slab could not be told by numbers.
    if (objects > 1 && bytes > this.slabs.slabBytes) return this.keep(buffer, start, start + readUint32(buffer, start))
    const arena = this.#arenaFor(bytes)
    this.#liveBytes += bytes
    return new StoredFrame(arena, this.#copy(buffer, start, end), bytes, objects)
  }

  cut(run: StoredObject, objects: number): KeptFrame {
    if (!(run instanceof StoredFrame) || run.objects <= objects)
      throw new Error(`There are no ${objects} frames to cut off.`)
    const { arena, start, buffer } = run
    let end = start
    for (let count = 0; count < objects; count++) end += readUint32(buffer, end)
    run.start = end
    run.bytes -= end - start
    run.objects -= objects
    return new StoredFrame(arena, start, end - start, objects)
  }

  keepLarge(begin: Buffer, bodyBytes: number): LargeBody {
    return this.#spool.keep(begin, bodyBytes, `${++this.#bodies}`)
  }

  release(object: StoredObject): void {
    if (object instanceof SpooledBody) object.release()
    if (!(object instanceof StoredFrame)) return
    const { arena, bytes, start } = object
    if (start === GONE) return
    object.start = GONE
    arena.liveBytes -= bytes
    this.#liveBytes -= bytes
    if (arena.liveBytes === 0 && arena !== this.#current) this.#forget(arena)
  }

  get needsCompaction(): boolean {
    const usefulBytes = Math.max(2 * this.#liveBytes, this.#movedAtBytes)
    return this.#arenaBytes > usefulBytes + WASTE_BYTES_MAX
  }

  /** The arena that the next frame of so many bytes will lie in: the present one, or another if it is full. */
  #arenaFor(bytes: number): Arena {
    const full = this.#current
    if (full.bytes - this.#end >= bytes) return full
    this.#current = new Arena(full.number + 1, this.slabs.take(bytes))
    this.#end = 0
    this.#arenas.set(this.#current.number, this.#current)
    this.#arenaBytes += this.#current.bytes
    if (full.liveBytes === 0) this.#forget(full)
    return this.#current
  }

  /** Copies a frame into the present arena, where there is room for it; returns where it lies. */
  #copy(source: Buffer, start: number, end: number): number {
    const at = this.#end
    copyBytes(this.#current.buffer, at, source, start, end)
    this.#end = at + end - start
    this.#current.liveBytes += end - start
    return at
  }

  #forget(arena: Arena): void {
    if (!this.#arenas.delete(arena.number)) return
    this.#arenaBytes -= arena.bytes
    this.slabs.release(arena.buffer)
  }

  compact(kept: Iterable<StoredObject>): void {
    const sparse = new Set(
      [...this.#arenas.values()].filter((arena) => arena !== this.#current && arena.liveBytes * 2 < arena.bytes),
    )
    for (const object of kept) {
      if (object instanceof StoredFrame && object.start !== GONE && sparse.has(object.arena)) this.#move(object)
    }
    for (const arena of sparse) if (arena.liveBytes === 0) this.#forget(arena)
    this.#movedAtBytes = this.#arenaBytes
  }

  /** Whoever still sends from the old memory has a reference to it. */
  #move(frame: StoredFrame): void {
    const { buffer, start, end, bytes, arena: from } = frame
    frame.arena = this.#arenaFor(bytes)
    frame.start = this.#copy(buffer, start, end)
    from.liveBytes -= bytes
  }

  async close(): Promise<void> {
    await this.#files?.close()
  }
}
