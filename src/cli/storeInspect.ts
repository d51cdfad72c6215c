import type { Command } from 'commander'
import { inspectStore, type StoreContent, type StoredGroup } from '../store/lmdb/lmdbStore.ts'
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
  const rows = [['group', 'waiting', 'leased', 'bytes', 'oldest', 'last broadcast']]
  for (const [name, group] of Object.entries(groups)) rows.push([printable(name), ...cellsOf(group)])
  return [
    `relay   ${relay ?? 'none yet'}${isInUse ? ', which runs now' : ''}`,
    `files   ${formatBytes(files.dataBytes)} of data, ${files.bodies} large objects of ${formatBytes(files.bodyBytes)}`,
    ...(rows.length === 1 ? ['It is empty.'] : ['', ...columns(rows)]),
  ].join('\n')
}

function cellsOf({ waiting, leased, bytes, oldest, lastBroadcast }: Readonly<StoredGroup>): readonly string[] {
  const last =
    lastBroadcast === undefined ? '' : `${lastBroadcast.sentAt.toISOString()}, ${formatBytes(lastBroadcast.bytes)}`
  return [String(waiting), String(leased), formatBytes(bytes), oldest?.toISOString() ?? '', last]
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
