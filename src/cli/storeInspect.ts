import type { Command } from 'commander'
import { inspectStore, type StoreContent } from '../store/files/storeCommands.ts'
import type { StoredGroup } from '../store/storeView.ts'
import { addCommonFlags, outputOf } from './commandContext.ts'
import { printable } from './output.ts'
import { formatBytes } from './units.ts'

/** Defines `objectrelay store inspect`. */
export function defineStoreInspect(store: Command): void {
  const command = store
    .command('inspect <folder>')
    .description('tell what waits, who has what, what died, and what the files take')
  addCommonFlags(command)
    .addHelpText('after', '\nExample:\n  $ objectrelay store inspect relay-store --json')
    .action(async (folder: string, _flags, self: Command) => {
      const content = await inspectStore(folder)
      await outputOf(self).result(content, describe(content))
    })
}

function describe({ relay, isInUse, groups, files }: StoreContent): string {
  const rows = [['group', 'waiting', 'leased', 'bytes', 'oldest', 'retained broadcast']]
  for (const [name, group] of Object.entries(groups)) rows.push([printable(name), ...cellsOf(group)])
  return [
    `relay   ${relay ?? 'none yet'}${isInUse ? ', which runs now' : ''}`,
    `files   ${formatBytes(files.logBytes)} of log, ${files.bodies} large objects of ${formatBytes(files.bodyBytes)}`,
    ...(rows.length === 1 ? ['It is empty.'] : ['', ...columns(rows)]),
  ].join('\n')
}

function cellsOf({ waiting, leased, bytes, oldest, retained }: Readonly<StoredGroup>): readonly string[] {
  const kept = retained === undefined ? '' : `${retained.sentAt.toISOString()}, ${formatBytes(retained.bytes)}`
  return [String(waiting), String(leased), formatBytes(bytes), oldest?.toISOString() ?? '', kept]
}

function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
