import type { Command } from 'commander'
import { createError } from '../errors.ts'
import { BodyAssembler } from '../objects/bodyAssembler.ts'
import { ObjectDecoder } from '../objects/decoder.ts'
import { exportGroup } from '../store/files/storeCommands.ts'
import type { StoredCopy } from '../store/storeView.ts'
import { addCommonFlags, flagsOf, outputOf, textOf, usageError } from './commandContext.ts'
import { type Output, OutputClosed } from './output.ts'
import { OutputFolder } from './outputFolder.ts'
import type { Flags } from './settings.ts'
import { toJsonValue } from './toJsonValue.ts'

const help = `
Prints what a group keeps, the last broadcast first, then the queue in its order, each object as one line of JSON as
'receive' does; with --json with what surrounds it. Nothing is taken out: what the relay has it goes on to deliver.

Examples:
  $ objectrelay store export relay-store --group tasks.dead > dead.ndjson
  $ objectrelay store export relay-store --group frames --output-dir frames`

/** Defines `objectrelay store export`. */
export function defineStoreExport(store: Command): void {
  const command = store
    .command('export <folder>')
    .description('print or save the objects that a group keeps')
    .option('-g, --group <name>', 'group; its dead letters are the group with .dead at the end')
    .option('--output-dir <folder>', 'write each object to a file there, and print the paths')
    .option('--force', 'overwrite files in --output-dir; without it, an equal name gets a number')
  addCommonFlags(command)
    .addHelpText('after', help)
    .action((folder: string, _flags, self: Command) => runExport(folder, self))
}

async function runExport(folder: string, command: Command): Promise<void> {
  const flags = flagsOf(command)
  const output = outputOf(command)
  const group = textOf(flags.group)
  if (group === undefined) throw usageError('--group', 'is missing: it is the group whose objects to print')
  const write = await writerOf(flags, output)
  let unreadable = 0
  try {
    for await (const copy of exportGroup(folder, group)) {
      const read = await readObject(copy, output)
      if (read === 'unreadable') unreadable += 1
      else if (read !== 'gone') await write(copy, read.object)
    }
  } catch (thrown) {
    // Nobody has to read on.
    if (!(thrown instanceof OutputClosed)) throw thrown
  }
  if (unreadable > 0) {
    const message = `${unreadable} objects could not be read; each was reported. A program with their serializer may receive them.`
    throw createError('NOT_DESERIALIZABLE', message, { details: { unreadable } })
  }
}

/** What became of an object that was to be read; what cannot be read was warned of. */
type Read = { readonly object: unknown } | 'gone' | 'unreadable'

async function readObject(copy: StoredCopy, output: Output): Promise<Read> {
  try {
    const { bodyBytes } = copy
    const assembler = new BodyAssembler(bodyBytes, { objectBytesMax: Number.MAX_SAFE_INTEGER })
    let at = 0
    for await (const piece of copy.body()) {
      assembler.writeAt(at, piece)
      at += piece.length
    }
    if (!assembler.complete) {
      output.warn('A large object was taken by a member before it could be read.')
      return 'gone'
    }
    const decoder = new ObjectDecoder({ objectBytesMax: Number.MAX_SAFE_INTEGER })
    return { object: decoder.decodeParts(assembler.finish()) }
  } catch (thrown) {
    output.warn(`An object cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    return 'unreadable'
  }
}

type Write = (copy: StoredCopy, object: unknown) => Promise<void>

async function writerOf(flags: Flags, output: Output): Promise<Write> {
  const path = textOf(flags.outputDir)
  if (path === undefined) {
    if (flags.force === true) throw usageError('--force', 'needs --output-dir')
    return async (copy, object) => {
      const shown = toJsonValue(object)
      await output.write(`${JSON.stringify(output.json ? { object: shown, ...surroundings(copy) } : shown)}\n`)
    }
  }
  const folder = await OutputFolder.open(path, { overwrite: flags.force === true })
  return async (copy, object) => {
    const written = await folder.write(object)
    await output.result({ path: written, ...surroundings(copy) }, written)
  }
}

function surroundings({ group, kind, attempt, copies, isLeased, sentAt }: StoredCopy): object {
  return { group, kind, attempt, copies, isLeased, sentAt: sentAt.toISOString() }
}
