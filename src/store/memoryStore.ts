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

/**
 * Frames are copied into 64 KiB arenas: a view on what the socket gave would keep 16 KiB alive for one small object
 * that waits.
 */
class MemoryStore implements Store {
  readonly #arena = new Slab()

  keep(buffer: Buffer, start: number, end: number): KeptFrame {
    const at = this.#arena.copy(buffer, start, end)
    return { bytes: end - start, buffer: this.#arena.buffer, start: at, end: at + end - start }
  }
}
