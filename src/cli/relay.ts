import type { Command } from 'commander'
import { createError, ObjectRelayError, toObjectRelayError, toPlainError } from '../errors.ts'
import { relayLimitDefaults } from '../limits.ts'
import { Relay } from '../relay/relay.ts'
import type { RelayOptions } from '../relay/relayOptions.ts'
import { type FileStoreOptions, fileStore } from '../store/fileStore.ts'
import type { StoreDescriptor } from '../store/storeDescriptor.ts'
import {
  addCommonFlags,
  addConfigFlag,
  addPasswordFlags,
  durationFlag,
  flagsOf,
  outputOf,
  passwordOf,
  resolveCommand,
  usageError,
} from './commandContext.ts'
import { onHangup } from './hangup.ts'
import { Interrupt } from './interrupt.ts'
import { describeLimits } from './limitFlags.ts'
import type { Output } from './output.ts'
import { RelayLog } from './relayLog.ts'
import { relaySettings } from './settingCatalogue.ts'
import { addSettings, explainingSources, otherWays } from './settings.ts'

const stopDeadlineDefaultMs = 10_000

const examples = `
Endpoints on any machine connect to it with the same password, which is all that they need: the relay makes its own
certificate, and the password proves to each side that the other is the right one.

Examples:
  Start a relay; the password is asked for on the terminal:
    $ objectrelay relay --port 3000
  The password in a file, two groups, one of them bounded to 16 members and 1000 waiting objects:
    $ objectrelay relay -p 3000 --password-file secret.txt --accept trainers:1 --accept workers:16:1000:reject
  Without knowing the password itself:
    $ objectrelay keys verifier --out relay.verifier
    $ objectrelay relay -p 3000 --password-verifier relay.verifier
  What waits outlives the relay and its machine:
    $ objectrelay relay -p 3000 --store relay-store
  Everything in a file, and a log for machines:
    $ objectrelay relay --config relay.json --json

In --accept, 'overflow' says what happens when the queue is full: 'block', 'reject' or 'drop-oldest'.
Ctrl-C, or SIGTERM, lets what is on its way arrive, says what remained, and ends with 0; a second one ends at once.
Replaced files in --keys-dir are used for new connections within seconds; SIGHUP makes the relay look at once.

Limits and their defaults, for --limit name=value:
${describeLimits(relayLimitDefaults)}`

/** Defines `objectrelay relay`. */
export function defineRelay(program: Command): void {
  const command = program.command('relay').description('run a relay, the centre that endpoints connect to')
  addSettings(command, relaySettings)
  addPasswordFlags(command)
  command
    .option(
      '--password-verifier <file>',
      `file made by 'keys verifier', instead of the password ${otherWays('OBJECTRELAY_PASSWORD_VERIFIER', 'passwordVerifier')}`,
    )
    .option('--stop-deadline <duration>', 'how long to let things arrive when it is stopped (default: 10s)')
  addConfigFlag(command)
  addCommonFlags(command)
    .addHelpText('after', examples)
    .action((_flags, self: Command) => runRelay(self))
}

async function runRelay(command: Command): Promise<void> {
  const output = outputOf(command)
  const interrupt = new Interrupt()
  const log = new RelayLog(output)
  try {
    const stopDeadlineMs = durationFlag('--stop-deadline', flagsOf(command).stopDeadline) ?? stopDeadlineDefaultMs
    const relay = await interrupt.race(startRelay(command, { output, log }))
    let isTerminalGone = false
    const ignoreHangup = onHangup({
      reload: () => void reloadKeys(relay, log),
      end: () => {
        isTerminalGone = true
        process.kill(process.pid, 'SIGTERM')
      },
    })
    try {
      log.listening(relay)
      await untilStopAsked(relay, interrupt)
    } finally {
      ignoreHangup()
    }
    log.stopping(stopDeadlineMs)
    log.stopped(await relay.stop({ deadlineMs: stopDeadlineMs }))
    // As if nobody had listened to the signal: Node.js 20 crashes where it wants to give a closed terminal back as it was.
    if (isTerminalGone) process.kill(process.pid, 'SIGHUP')
  } finally {
    interrupt.dispose()
  }
}

async function startRelay(command: Command, { output, log }: { output: Output; log: RelayLog }): Promise<Relay> {
  const { flags, config, resolved } = await resolveCommand(command, relaySettings, ['passwordVerifier'])
  if (resolved.values.port === undefined)
    throw usageError('--port', 'is missing: it is the port to listen on, or 0 for any')
  const { where, ...password } = await passwordOf({ flags, config }, output, { allowVerifier: true })
  const { store, durability, storeBytesMax, ...values } = resolved.values
  const options = { ...values, ...password, on: log.listeners }
  const sources = new Map(resolved.sources).set('password', where).set('passwordVerifier', where)
  return await explainingSources({ values: options, sources }, relaySettings, async () => {
    const kept = storeOf({ store, durability, storeBytesMax })
    // Relay.start checks each of the values, which come from outside.
    return await Relay.start({ ...options, ...kept } as unknown as RelayOptions)
  })
}

/** The store as the library takes it; it checks the values. */
function storeOf({ store, durability, storeBytesMax }: Readonly<Record<string, unknown>>): { store?: StoreDescriptor } {
  if (store === undefined) {
    if (durability !== undefined) throw usageError('--durability', 'needs --store')
    if (storeBytesMax !== undefined) throw usageError('--store-max', 'needs --store')
    return {}
  }
  const options = { dir: store, durability, bytesMax: storeBytesMax }
  try {
    return { store: fileStore(options as FileStoreOptions) } // checked there, whatever they are
  } catch (thrown) {
    throw renamed(thrown)
  }
}

/** Options have other names here than in the store, so that one can tell where they came from. */
function renamed(thrown: unknown): unknown {
  if (!(thrown instanceof ObjectRelayError)) return thrown
  const names: Readonly<Record<string, string>> = { dir: 'store', bytesMax: 'storeBytesMax' }
  const { option } = thrown.details
  const name = typeof option === 'string' ? names[option] : undefined
  return name === undefined
    ? thrown
    : createError(thrown.code, thrown.message.replace(`option ${option} `, `option ${name} `), {
        details: { option: name },
      })
}

async function reloadKeys(relay: Relay, log: RelayLog): Promise<void> {
  try {
    log.keysReloaded(await relay.reloadKeys())
  } catch (thrown) {
    log.listeners.warning?.(toPlainError(toObjectRelayError(thrown, 'KEY_INVALID')))
  }
}

/** Resolves at the first signal; rejects when the relay fails by itself. */
function untilStopAsked(relay: Relay, { signal }: Interrupt): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
    relay.on('error', () => {
      // The relay knows its own failure best, and tells it to whoever asks for something.
      relay.stats().catch(reject)
    })
  })
}
