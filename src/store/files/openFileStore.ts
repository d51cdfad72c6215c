import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../clock.ts'
import { createError } from '../../errors.ts'
import { LogStore } from '../log/logStore.ts'
import { BodyFolder } from '../spool/bodyFolder.ts'
import type { StoreHost } from '../store.ts'
import { answerVisitor } from './answerVisitor.ts'
import { CountedBodies } from './countedBodies.ts'
import { FileDisk } from './fileDisk.ts'
import { folderError } from './folderErrors.ts'
import { FolderOwner } from './folderOwner.ts'
import { LocalService } from './localService.ts'
import { folderNames, prepareFolder, writeMarker } from './storeFolder.ts'
import { StoreRoom } from './storeRoom.ts'
import { loadTicketKey } from './ticketKeyFile.ts'

/** What a relay's commits survive: a failure of the machine, or only the end of the process. */
export type Durability = 'synced' | 'written'

/**
 * What a file store is opened with.
 * @internal
 */
export interface OpenFileStore {
  readonly dir: string
  readonly durability: Durability
  readonly bytesMax: number | undefined
}

/**
 * Rejects with `STORE_READ_ONLY`, `STORE_FOREIGN`, `STORE_VERSION`, `STORE_IN_USE`, `STORE_CORRUPT`, `STORE_FULL` or `STORE_FAILED`.
 * @internal
 */
export async function openFileStore(
  { dir, durability, bytesMax }: OpenFileStore,
  host: StoreHost,
  clock: Clock = systemClock,
): Promise<LogStore> {
  let owner: FolderOwner | undefined
  let store: LogStore | undefined
  const isSynced = durability === 'synced'
  const files = new BodyFolder(join(dir, folderNames.log), { isSynced: true, isLog: isSynced })
  const bodies = new CountedBodies(new BodyFolder(join(dir, folderNames.bodies), { isSynced }))
  const service = new LocalService((request) => {
    if (store === undefined) throw createError('STORE_FAILED', 'It is being opened. Ask again.')
    return answerVisitor(store, request)
  })
  try {
    owner = await FolderOwner.claim(dir, (socket) => service.visited(socket))
    const marker = await prepareFolder(dir)
    const claimed = owner
    const releaseAll = async (): Promise<void> => {
      service.close()
      await claimed.release()
    }
    const disk = new FileDisk({
      files,
      bodies,
      isSynced,
      marker,
      owner: { id: owner.id, confirm: () => claimed.confirm(), release: () => releaseAll() },
      clock,
      explain: (thrown) => folderError(dir, 'written', thrown),
      report: (error) => host.report(error),
      mark: (end) => writeMarker(dir, { key: marker.key, end }),
      room: (logFiles) =>
        new StoreRoom({
          folder: dir,
          bytesMax,
          clock,
          logBytes: () => logFiles.bytes,
          bodyBytes: () => bodies.bytes,
          report: (error) => host.report(error),
        }),
    })
    const newRelayName = randomBytes(16).toString('base64url')
    store = await LogStore.open(disk, { newRelayName, ticketKey: await loadTicketKey(dir), clock, host })
    return store
  } catch (thrown) {
    await Promise.all([files.close(), bodies.close()])
    await owner?.release()
    throw folderError(dir, 'opened', thrown)
  }
}
