import { resolve } from 'node:path'
import { checkNames, choiceOption, integerOption, textOption } from '../options.ts'
import { type Durability, type OpenFileStore, openFileStore } from './files/openFileStore.ts'
import type { Store, StoreHost } from './store.ts'
import type { StoreDescriptor } from './storeDescriptor.ts'

/** Options of {@link fileStore}. */
export interface FileStoreOptions {
  /** The folder. It is made, for this user only, if it is not there. One relay has it at a time. */
  dir: string
  /**
   * What an accepted object survives: `'synced'`: a failure of the machine; `'written'`: the end of the relay's process, however it
   * comes; after a failure of the machine what came last may be missing. Default `'synced'`.
   */
  durability?: Durability | undefined
  /** The most bytes that the store takes on the disk, at least 1 MiB. Default: as much as there is. */
  bytesMax?: number | undefined
}

const BYTES_MAX_MIN = 1024 * 1024

/** In place of the URL of a module, see {@link StoreDescriptor}. */
export const FILE_STORE = 'objectrelay:fileStore'

/** Keeps queues, leases and retained broadcasts in a folder, so that they outlive the relay and its machine. Throws `INVALID_OPTION`. */
export function fileStore(options: FileStoreOptions): StoreDescriptor {
  // The relay's thread may see another working directory.
  return { module: FILE_STORE, options: { ...checkOptions(options) } }
}

/**
 * Called by the relay's thread.
 * @internal
 */
export function openStore(options: Readonly<Record<string, unknown>>, host: StoreHost): Promise<Store> {
  return openFileStore(checkOptions(options), host)
}

function checkOptions(given: unknown): OpenFileStore {
  const options = checkNames(given, ['dir', 'durability', 'bytesMax'], { where: 'fileStore' })
  const { dir, durability, bytesMax } = options
  return {
    dir: resolve(textOption('dir', dir)),
    durability:
      durability === undefined ? 'synced' : choiceOption('durability', durability, ['synced', 'written'] as const),
    bytesMax:
      bytesMax === undefined ? undefined : integerOption('bytesMax', bytesMax, BYTES_MAX_MIN, Number.MAX_SAFE_INTEGER),
  }
}
