import type { Command } from 'commander'
import { addSendFlags, runSend } from './sendCommand.ts'

const examples = `
Each object goes to every member of the group; a member that joins later gets the last one, unless --no-retain is given.

Examples:
  Tell everyone:
    $ objectrelay broadcast --port 3000 --group workers --no-retain '{"stop":true}'
  Broadcast a file; it arrives as { name, data } with data a Uint8Array:
    $ objectrelay broadcast -p 3000 -g actors --file weights.bin
  Broadcast what another program prints, line by line:
    $ node simulate.js | objectrelay broadcast -p 3000 -g viewers

The password comes from --password-file, OBJECTRELAY_PASSWORD, --password-stdin or a prompt.
Exit codes: 0 all accepted, 2 usage or bad input, 3 refused, 4 no link or timeout, 5 full, 1 anything else.`

/** Defines `objectrelay broadcast`. */
export function defineBroadcast(program: Command): void {
  addSendFlags(program.command('broadcast').description('send objects to every member of a group'))
    .option('--no-retain', 'only to who is a member now: what later members get stays as it is')
    .addHelpText('after', examples)
    .action((values: string[], _flags, command: Command) => runSend('broadcast', values, command))
}
