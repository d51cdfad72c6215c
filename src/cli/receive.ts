import { type Command, Option } from 'commander'
import type { Delivery, EndpointStats } from '../endpoint/program/endpointTypes.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import {
  addCommonFlags,
  addConfigFlag,
  addPasswordFlags,
  choiceFlag,
  countFlag,
  durationFlag,
  flagsOf,
  outputOf,
  textOf,
  usageError,
} from './commandContext.ts'
import { Credit, parseDemand } from './credit.ts'
import { Interrupt } from './interrupt.ts'
import { openEndpoint } from './openEndpoint.ts'
import { type Output, OutputClosed } from './output.ts'
import { asFileObject, OutputFolder } from './outputFolder.ts'
import { watchReader } from './pipeReader.ts'
import { type Progress, ProgressBar } from './progressBar.ts'
import { receiveObjects } from './receiveObjects.ts'
import { broadcastsSetting, endpointSettings } from './settingCatalogue.ts'
import { addSettings, type Flags } from './settings.ts'
import { toJsonValue } from './toJsonValue.ts'

const stopMs = 5_000
const standardOutput = 1
const settings = [...endpointSettings, broadcastsSetting]

const examples = `
Prints each object as one line of JSON. What JSON has no form for is an object with '$type', such as
{"$type":"Float32Array","base64":"AACAPw=="}; 'produce' reads that again. An object is acknowledged when it is written:
what was not, when the command ends or is killed, goes to another member.

Examples:
  Print what comes, broadcasts and queue, until Ctrl-C:
    $ objectrelay receive --port 3000 --group workers
  Take one object from the queue, wait at most half a minute for it:
    $ objectrelay receive -p 3000 -g workers --count 1 --timeout 30s
  Empty the queue, then end:
    $ objectrelay receive -p 3000 -g workers --notify all --timeout 2s
  Listen to broadcasts only, with what surrounds each object:
    $ objectrelay receive -p 3000 -g viewers --notify none --json
  Write the files that 'produce --file' sent into a folder:
    $ objectrelay receive -p 3000 -g frames --output-dir frames

--notify: a number asks for so many per group once, 'all' for all that wait now, 'continuous' (the default) for more
as objects are written, 'none' for nothing but broadcasts.
Exit codes: 0 count reached, or ended as asked, 2 usage, 3 refused, 4 no link or timeout before --count, 5 too large
to print, 130 or 143 by a signal before --count, 1 anything else.`

/** Defines `objectrelay receive`. */
export function defineReceive(program: Command): void {
  const command = program.command('receive').description('print or save the objects that come through a group')
  addSettings(command, settings)
  addPasswordFlags(command)
  addConfigFlag(command)
  command
    .option('-n, --count <number>', 'end after so many objects')
    .option('--timeout <duration>', "end when no object came for so long, such as '30s'")
    .option('--notify <number|all|continuous|none>', 'how many produced objects to ask for (default: continuous)')
    .addOption(
      new Option('--output <ndjson|raw>', "what to print: lines of JSON, or the objects' bytes (default: ndjson)"),
    )
    .option('--output-dir <folder>', 'write each object to a file there, and print the paths')
    .option('--force', 'overwrite files in --output-dir; without it, an equal name gets a number')
    .option('--no-progress', 'show no progress on the terminal')
  addCommonFlags(command)
    .addHelpText('after', examples)
    .action((_flags, self: Command) => runReceive(self))
}

async function runReceive(command: Command): Promise<void> {
  const output = outputOf(command)
  const flags = flagsOf(command)
  const demand = parseDemand(textOf(flags.notify))
  const count = countFlag('--count', flags.count, 1)
  const timeoutMs = durationFlag('--timeout', flags.timeout)
  const progress = new ProgressBar(flags.progress !== false && !output.json)
  const write = await chooseWriter(flags, output, progress)
  const interrupt = new Interrupt()
  const closed = new AbortController()
  const unwatch = watchReader(standardOutput, () => closed.abort(new OutputClosed()))
  // An object that cannot be read concerns nobody else; every other error ends the command, and is reported then.
  const on = {
    error: (error: ObjectRelayError): void => {
      if (error.category === 'peer') output.warn(error.message)
    },
  }
  try {
    const { endpoint, groups } = await openEndpoint(command, { settings, joins: true, on }, { output, interrupt })
    const credit = new Credit((counts) => endpoint.notify(counts), count)
    const onTaken = async ({ kind, group }: Delivery, remaining: number): Promise<void> => {
      if (kind === 'produce') await credit.used(group, demand, remaining)
    }
    try {
      await credit.begin(groups, demand)
      progress.show(() => receiveProgress(endpoint.stats()))
      const signal = AbortSignal.any([interrupt.signal, closed.signal])
      await receiveObjects(endpoint.deliveries(), { write, onTaken }, { count, timeoutMs, signal })
    } catch (thrown) {
      if (!isAskedEnd(thrown, count, interrupt)) throw thrown
    } finally {
      await endpoint.stop({ deadlineMs: stopMs })
    }
  } finally {
    unwatch()
    progress.end()
    interrupt.dispose()
  }
}

/** A large object on its way; what has come, where that is not on the same terminal anyway. */
function receiveProgress({ received, underWay }: EndpointStats): Progress | undefined {
  const { arrivedBytes, arrivingBytes } = underWay
  const count = `${received.objects} received`
  if (arrivingBytes > 0) {
    return { doneBytes: arrivedBytes, totalBytes: arrivingBytes, verb: 'arriving', count, isDone: false }
  }
  if (process.stdout.isTTY) return undefined
  return { doneBytes: received.bytes, totalBytes: undefined, verb: 'arrived', count, isDone: false }
}

/** Without a count, a signal is how the command is ended; and nobody has to read on. */
function isAskedEnd(thrown: unknown, count: number | undefined, { signal }: Interrupt): boolean {
  return thrown instanceof OutputClosed || (count === undefined && signal.aborted && thrown === signal.reason)
}

type Write = (delivery: Delivery) => Promise<void>

async function chooseWriter(flags: Flags, output: Output, progress: ProgressBar): Promise<Write> {
  const write = await writerOf(flags, output)
  return async (delivery) => {
    // It may be the same terminal.
    if (process.stdout.isTTY) progress.wipe()
    await write(delivery)
  }
}

async function writerOf(flags: Flags, output: Output): Promise<Write> {
  const kind = choiceFlag('--output', flags.output, ['ndjson', 'raw']) ?? 'ndjson'
  const path = textOf(flags.outputDir)
  if (path === undefined && flags.force === true) throw usageError('--force', 'needs --output-dir')
  if (path === undefined)
    return kind === 'raw' ? (delivery) => output.write(rawBytes(delivery.object)) : jsonWriter(output)
  if (flags.output !== undefined) throw usageError('--output', 'and --output-dir exclude each other')
  const folder = await OutputFolder.open(path, { overwrite: flags.force === true })
  return async (delivery) => {
    const written = await folder.write(delivery.object)
    await output.result({ path: written, ...surroundings(delivery) }, written)
  }
}

/** The bare object, or with `--json` the object and what surrounds it. */
function jsonWriter(output: Output): Write {
  return (delivery) => {
    const object = toJsonValue(delivery.object)
    const shown = output.json ? { object, ...surroundings(delivery) } : object
    return output.write(`${JSON.stringify(shown)}\n`)
  }
}

function surroundings({ group, kind, attempt, skipped, sentAt }: Delivery): object {
  return { group, kind, attempt, skipped, sentAt: sentAt.toISOString() }
}

function rawBytes(object: unknown): Uint8Array | string {
  if (typeof object === 'string') return object
  const file = asFileObject(object)
  if (file !== undefined) return file.data
  throw createError(
    'INVALID_ARGUMENT',
    'An object came that has no bytes of its own, which --output raw needs: a string, a Uint8Array or { name, data }. Use --output ndjson.',
    { details: { argument: '--output' } },
  )
}
