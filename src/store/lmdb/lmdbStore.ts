import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { systemClock } from '../../clock.ts'
import { checkNames, choiceOption, integerOption, textOption } from '../../options.ts'
import { LogStore } from '../log/logStore.ts'
import type { Store, StoreDescriptor, StoreHost } from '../store.ts'
import type { Durability } from './durability.ts'
import { LmdbDisk, type LmdbDiskOptions } from './lmdbDisk.ts'
import { loadLmdb } from './loadLmdb.ts'
import { loadTicketKey } from './ticketKeyFile.ts'

export { backupStore } from './backupStore.ts'
export type { Durability } from './durability.ts'
export { exportGroup, type StoredCopy } from './exportGroup.ts'
export { inspectStore, type StoreContent, type StoredGroup } from './inspectStore.ts'
export { purgeGroup } from './purgeGroup.ts'

/** The options of {@link lmdbStore}. */
export interface LmdbStoreOptions {
  /** The folder that keeps everything: made if it is not there; one relay at a time. On a disk of this machine, not of another. */
  dir: string
  /**
   * What an accepted object survives: `'synced'`: also a failure of the machine; `'written'`: the end of the relay's process
   * however it comes, but not a failure of the machine, after which the store may be lost. Default `'synced'`.
   */
  durability?: Durability | undefined
  /** The most bytes that the store may keep, at least 1 MiB. Default: as much as the disk has, but for a reserve. */
  bytesMax?: number | undefined
}

const BYTES_MAX_MIN = 1_048_576

/** Keeps what waits on the disk, so that it outlives the relay. It needs the package `lmdb`. Throws `INVALID_OPTION`. */
export function lmdbStore(options: LmdbStoreOptions): StoreDescriptor {
  // The relay's thread may see another working directory.
  return { module: import.meta.url, options: { ...checkOptions(options) } }
}

/** Called by the relay's thread. */
export async function openStore(options: Readonly<Record<string, unknown>>, host: StoreHost): Promise<Store> {
  const checked = checkOptions(options)
  const disk = await LmdbDisk.open(await loadLmdb(), checked, host)
  try {
    const newRelayName = randomBytes(16).toString('base64url')
    const ticketKey = await loadTicketKey(checked.dir)
    return await LogStore.open(disk, { newRelayName, ticketKey, clock: systemClock, host })
  } catch (thrown) {
    await disk.close()
    throw thrown
  }
}

function checkOptions(given: unknown): LmdbDiskOptions {
  const options = checkNames(given, ['dir', 'durability', 'bytesMax'], { where: 'lmdbStore' })
  const { dir, durability, bytesMax } = options
  return {
    dir: resolve(textOption('dir', dir)),
    durability:
      durability === undefined ? 'synced' : choiceOption('durability', durability, ['synced', 'written'] as const),
    bytesMax:
      bytesMax === undefined ? undefined : integerOption('bytesMax', bytesMax, BYTES_MAX_MIN, Number.MAX_SAFE_INTEGER),
  }
}
