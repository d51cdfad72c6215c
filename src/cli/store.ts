import type { Command } from 'commander'
import { defineStoreBackup } from './storeBackup.ts'
import { defineStoreExport } from './storeExport.ts'
import { defineStoreInspect } from './storeInspect.ts'
import { defineStorePurge } from './storePurge.ts'

const overview = `
The store is the folder that 'relay --store' was given. All but 'purge' work while a relay runs with it: it answers itself.

Examples:
  $ objectrelay store inspect relay-store
  $ objectrelay store export relay-store --group tasks.dead
  $ objectrelay store purge relay-store --group tasks.dead --yes
  $ objectrelay store backup relay-store relay-store-copy`

/** Defines `objectrelay store` and what is under it. */
export function defineStore(program: Command): void {
  const store = program
    .command('store')
    .description("look into a relay's store, take objects out of it, delete queues, copy it")
    .addHelpText('after', overview)
  defineStoreInspect(store)
  defineStoreExport(store)
  defineStorePurge(store)
  defineStoreBackup(store)
}
