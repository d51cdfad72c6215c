import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open as openDatabase } from 'lmdb'
import { systemClock } from '../../clock.ts'
import { LogStore } from '../log/logStore.ts'
import { describeStore } from '../store.contract.ts'
import { LmdbDisk } from './lmdbDisk.ts'
import { loadTicketKey } from './ticketKeyFile.ts'

const host = { report: () => undefined }

describeStore('A store in an LMDB database', {
  isDurable: true,
  histories: 3,
  open: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'lmdb-store-'))
    const open = async (): Promise<{ disk: LmdbDisk; store: LogStore }> => {
      const disk = await LmdbDisk.open(openDatabase, { dir, durability: 'written', bytesMax: undefined }, host)
      const store = await LogStore.open(disk, {
        newRelayName: 'relay',
        ticketKey: await loadTicketKey(dir),
        clock: systemClock,
        host,
      })
      return { disk, store }
    }
    let { disk, store } = await open()
    return {
      store,
      settle: (promise) => promise,
      restart: async () => {
        // What the store was told and did not commit, it never will.
        await disk.close()
        const next = await open()
        disk = next.disk
        store = next.store
        return store
      },
      end: async () => {
        await store.close().catch(() => undefined)
        await disk.close()
        rmSync(dir, { recursive: true, force: true })
      },
    }
  },
})
