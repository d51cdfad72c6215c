import { Command } from 'commander'
import { AGENT } from '../agent.ts'
import { defineBroadcast } from './broadcast.ts'
import { defineKeys } from './keys.ts'
import { defineProduce } from './produce.ts'
import { defineReceive } from './receive.ts'
import { defineRelay } from './relay.ts'
import { defineStore } from './store.ts'

const overview = `
A relay is the centre; endpoints on any machine connect to it, each a member of one or more groups. An object is
broadcast to every member of a group, or produced into its queue, from where one member takes it.

Try it, in three terminals, with the same password in each:
  $ export OBJECTRELAY_PASSWORD='five random words or so'
  $ objectrelay relay --port 3000
  $ objectrelay receive --port 3000 --group workers
  $ objectrelay produce --port 3000 --group workers '{"hello":"world"}'

An option with brackets behind it can also be given by the environment variable, or by the name in a --config file, that
stand there; a flag goes before a variable, a variable before the file. The others are flags only. 'objectrelay help
produce' and the like tell more, with examples.
Exit codes: 0 success, 1 unexpected, 2 usage, 3 refused, 4 no link or timeout, 5 full, 130 and 143 by a signal.`

/** All commands with their flags; nothing is run before it is parsed. */
export function createProgram(): Command {
  const program = new Command('objectrelay')
    .description('Moves objects between machines, securely, through a relay.')
    .version(AGENT.slice(AGENT.indexOf('/') + 1), '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showSuggestionAfterError()
    // Errors are thrown, and printed in one place for all.
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', overview)
  defineRelay(program)
  defineProduce(program)
  defineBroadcast(program)
  defineReceive(program)
  defineKeys(program)
  defineStore(program)
  return program
}
