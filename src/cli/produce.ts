import type { Command } from 'commander'
import { addSendFlags, runSend } from './sendCommand.ts'

const examples = `
Each object goes into the queue of the group; one member takes it. The command ends when the relay has accepted all.

Examples:
  Send one object:
    $ objectrelay produce --port 3000 --group workers '{"learningRate":0.1}'
  Send the lines of a file, each a JSON value, to two groups:
    $ objectrelay produce -p 3000 -g workers -g archive < tasks.ndjson
  Send files; each arrives as { name, data } with data a Uint8Array:
    $ objectrelay produce -p 3000 -g frames --file frame1.png --file frame2.png
  What 'receive' printed can be sent on, arrays, dates and all:
    $ objectrelay receive -p 3000 -g a --count 10 | objectrelay produce -p 3000 -g b

The password comes from --password-file, OBJECTRELAY_PASSWORD, --password-stdin or a prompt.
Exit codes: 0 all accepted, 2 usage or bad input, 3 refused, 4 no link or timeout, 5 full, 1 anything else.`

/** Defines `objectrelay produce`. */
export function defineProduce(program: Command): void {
  addSendFlags(program.command('produce').description('send objects into the queue of a group; one member takes each'))
    .addHelpText('after', examples)
    .action((values: string[], _flags, command: Command) => runSend('produce', values, command))
}
