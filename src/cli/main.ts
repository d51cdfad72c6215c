#!/usr/bin/env node
import { CommanderError } from 'commander'
import { createError } from '../errors.ts'
import { exitCodeOf, exitCodes } from './exitCodes.ts'
import { Output } from './output.ts'
import { refusePasswordArgument } from './passwordSource.ts'
import { createProgram } from './program.ts'

const programArguments = process.argv.slice(2)
// Where parsing fails, there are no flags to ask.
const output = new Output({
  json: programArguments.includes('--json'),
  verbose: programArguments.includes('--verbose'),
})

async function run(): Promise<number> {
  try {
    refusePasswordArgument(programArguments)
    await createProgram().parseAsync(programArguments, { from: 'user' })
    return exitCodes.success
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return exitCodes.success
      // Without a command, its help was shown instead of an error.
      if (thrown.code === 'commander.help') return exitCodes.usage
      output.error(usageErrorOf(thrown))
      return exitCodes.usage
    }
    output.error(thrown)
    return exitCodeOf(thrown)
  }
}

function usageErrorOf({ message }: CommanderError): Error {
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ')
  return createError('INVALID_OPTION', `${text}${text.endsWith(')') ? '' : '.'} --help tells more.`)
}

/** Lets what was written go out before the process ends, which a pipe on Windows would lose. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) resolve()
    else stream.write('', () => resolve())
  })
}

const exitCode = await run()
await Promise.all([flushed(process.stdout), flushed(process.stderr)])
// A standard input that nobody has closed would keep the process alive.
process.exit(exitCode)
