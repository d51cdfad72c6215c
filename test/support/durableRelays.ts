import { join } from 'node:path'
import { fileStore } from 'objectrelay'
import { beforeAll } from 'vitest'
import { temporaryFolder } from './folders.ts'
import { Network } from './network.ts'

/** Gives each relay of this file's networks a durable store of its own, unless the test chooses one; call it behind `useDataFolder`. */
export function useDurableRelays(): void {
  beforeAll(() => {
    Network.relayDefaults = async () => ({ store: fileStore({ dir: join(await temporaryFolder(), 'store') }) })
  })
}
