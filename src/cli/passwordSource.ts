import { createError, type ObjectRelayError } from '../errors.ts'
import { readSmallFile } from './boundedFile.ts'
import { promptSecret } from './promptSecret.ts'
import type { Config, Flags } from './settings.ts'
import { readFirstLine } from './standardInput.ts'

const passwordFileBytesMax = 4_096

/** Where a password may come from; the kinds of one source exclude each other. */
type Kind = 'password' | 'file' | 'stdin' | 'verifier'

interface Given {
  readonly kind: Kind
  readonly value: unknown
  readonly where: string
}

/** What the library's option is to be: the password itself or, for a relay, what recognises it. */
export interface PasswordOptions {
  readonly password?: unknown
  readonly passwordVerifier?: unknown
  /** Who gave it, for messages. */
  readonly where: string
}

export interface PasswordSources {
  readonly flags: Flags
  readonly environment: NodeJS.ProcessEnv
  readonly config: Config | undefined
  /** Whether a verifier will do, as for a relay. */
  readonly allowVerifier?: boolean
  /** Whether to ask twice, for a new password. */
  readonly confirm?: boolean
  readonly warn: (message: string) => void
}

/** Finds the password: flags, then variables, then the config file, then a prompt. Never an argument of the program. */
export async function findPassword(sources: PasswordSources): Promise<PasswordOptions> {
  const { flags, environment, config } = sources
  const verifier = sources.allowVerifier === true
  const given =
    single([
      entry('file', flags.passwordFile, '--password-file'),
      entry('stdin', flags.passwordStdin === true ? true : undefined, '--password-stdin'),
      ...(verifier ? [entry('verifier', flags.passwordVerifier, '--password-verifier')] : []),
    ]) ??
    single(
      [
        entry('password', environment.OBJECTRELAY_PASSWORD, 'the variable OBJECTRELAY_PASSWORD'),
        entry('file', environment.OBJECTRELAY_PASSWORD_FILE, 'the variable OBJECTRELAY_PASSWORD_FILE'),
        ...(verifier
          ? [entry('verifier', environment.OBJECTRELAY_PASSWORD_VERIFIER, 'the variable OBJECTRELAY_PASSWORD_VERIFIER')]
          : []),
      ].map((found) => (found?.value === '' ? undefined : found)),
    ) ??
    (config === undefined ? undefined : inConfig(config, verifier))
  return given === undefined ? await prompt(sources) : await read(given, sources)
}

function inConfig({ path, values }: Config, verifier: boolean): Given | undefined {
  const where = `the config file ${path}`
  return single([
    entry('password', values.password, `password in ${where}`),
    entry('file', values.passwordFile, `passwordFile in ${where}`),
    ...(verifier ? [entry('verifier', values.passwordVerifier, `passwordVerifier in ${where}`)] : []),
  ])
}

function entry(kind: Kind, value: unknown, where: string): Given | undefined {
  return value === undefined ? undefined : { kind, value, where }
}

function single(candidates: readonly (Given | undefined)[]): Given | undefined {
  const given = candidates.filter((candidate) => candidate !== undefined)
  if (given.length < 2) return given[0]
  throw invalid(`The password is given by ${given.map(({ where }) => where).join(' and by ')}; give one of them.`)
}

async function read({ kind, value, where }: Given, { warn }: PasswordSources): Promise<PasswordOptions> {
  switch (kind) {
    case 'password':
      return { password: value, where }
    case 'verifier':
      return { passwordVerifier: value, where }
    case 'stdin':
      return { password: await readFirstLine(passwordFileBytesMax), where }
    case 'file': {
      if (typeof value !== 'string') throw invalid(`The path of the password file by ${where} must be a string.`)
      const { text, exposure } = await readSmallFile(value, 'password file', passwordFileBytesMax)
      // Container secrets are mounted readable for all; so this is a warning and no refusal.
      if (exposure !== undefined) warn(`The password file ${value} ${exposure.fault}. Run: ${exposure.remedy}`)
      const password = text.replace(/\r?\n$/, '')
      if (password === '') throw invalid(`The password file ${value} is empty.`)
      return { password, where }
    }
  }
}

async function prompt({ confirm, allowVerifier }: PasswordSources): Promise<PasswordOptions> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw invalid(
      `No password: give --password-file FILE, the variable OBJECTRELAY_PASSWORD or OBJECTRELAY_PASSWORD_FILE${
        allowVerifier === true ? ', --password-verifier FILE' : ''
      }, or run this on a terminal to be asked for it.`,
    )
  }
  const password = await promptSecret('Password: ')
  if (confirm === true && (await promptSecret('The same again: ')) !== password) {
    throw invalid('The two passwords differ.')
  }
  return { password, where: 'the terminal' }
}

function invalid(message: string): ObjectRelayError {
  return createError('INVALID_OPTION', message, { details: { option: 'password' } })
}

/** Refuses a password among the arguments, which every user of the machine could read. The message does not repeat it. */
export function refusePasswordArgument(programArguments: readonly string[]): void {
  const end = programArguments.indexOf('--')
  const flags = end === -1 ? programArguments : programArguments.slice(0, end)
  if (!flags.some((argument) => argument === '--password' || argument.startsWith('--password='))) return
  throw invalid(
    'There is no --password: every user of this machine could read it in the list of processes, and it would stay in ' +
      "the shell's history. Use --password-file FILE, the variable OBJECTRELAY_PASSWORD, --password-stdin, or be asked " +
      'for it on a terminal.',
  )
}
