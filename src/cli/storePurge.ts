import type { Command } from 'commander'
import { purgeGroup } from '../store/files/storeCommands.ts'
import { addCommonFlags, flagsOf, outputOf, textOf, usageError } from './commandContext.ts'
import { formatBytes } from './units.ts'

const help = `
Deletes all that waits in the queue of a group, what members had of it and did not acknowledge, and its retained
broadcast. It is refused while a relay runs with the store.

Example:
  $ objectrelay store purge relay-store --group tasks.dead --yes`

/** Defines `objectrelay store purge`. */
export function defineStorePurge(store: Command): void {
  const command = store
    .command('purge <folder>')
    .description('delete the queue of a group, while no relay runs')
    .option('-g, --group <name>', 'group; its dead letters are the group with .dead at the end')
    .option('--yes', 'delete: without it nothing is')
  addCommonFlags(command)
    .addHelpText('after', help)
    .action(async (folder: string, _flags, self: Command) => {
      const flags = flagsOf(self)
      const group = textOf(flags.group)
      if (group === undefined) throw usageError('--group', 'is missing: it is the group whose queue to delete')
      if (flags.yes !== true) throw usageError('--yes', 'is missing: what is deleted is gone for good')
      const { copies, bytes } = await purgeGroup(folder, group)
      await outputOf(self).result({ group, copies, bytes }, `deleted ${copies} objects of ${formatBytes(bytes)}`)
    })
}
