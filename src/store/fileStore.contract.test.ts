import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFileStore } from './files/openFileStore.ts'
import { describeStore } from './store.contract.ts'

const host = { report: () => undefined }

describeStore('A store in files', {
  isDurable: true,
  histories: 5,
  open: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'file-store-'))
    const open = () => openFileStore({ dir, durability: 'written', bytesMax: undefined }, host)
    let store = await open()
    return {
      get store() {
        return store
      },
      settle: (promise) => promise,
      restart: async () => {
        // What the store was told and did not commit, it never will.
        await store.abandon()
        store = await open()
        return store
      },
      end: async () => {
        await store.abandon()
        rmSync(dir, { recursive: true, force: true })
      },
    }
  },
})
