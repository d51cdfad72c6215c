import type { Command } from 'commander'
import { backupStore } from '../store/files/storeCommands.ts'
import { addCommonFlags, outputOf } from './commandContext.ts'

const help = `
The copy has all that was accepted until then, as of one moment, beside a relay that runs or without one. It is a store of its
own, and was read as a whole and found right. A relay that is started with it delivers what is in it, again if need be.

Example:
  $ objectrelay store backup relay-store relay-store-copy`

/** Defines `objectrelay store backup`. */
export function defineStoreBackup(store: Command): void {
  const command = store
    .command('backup <folder> <copy>')
    .description('copy the store into a folder that is empty or not there yet')
  addCommonFlags(command)
    .addHelpText('after', help)
    .action(async (folder: string, copy: string, _flags, self: Command) => {
      await backupStore(folder, copy)
      await outputOf(self).result({ path: copy }, `copied to ${copy}`)
    })
}
