import type { Command } from 'commander'
import { createError } from '../errors.ts'
import { TIMER_MS_MAX } from '../options.ts'
import { readConfig } from './config.ts'
import { Output } from './output.ts'
import { findPassword, type PasswordOptions } from './passwordSource.ts'
import type { Setting } from './settingCatalogue.ts'
import { type Config, type Flags, otherWays, type Resolved, resolveSettings } from './settings.ts'
import { COUNT_FORM, DURATION_FORM, parseCount, parseDurationMs } from './units.ts'

/** The values of a command's flags. */
export function flagsOf(command: Command): Flags {
  return command.opts<Record<string, unknown>>()
}

/** How the command should speak. */
export function outputOf(command: Command): Output {
  const flags = flagsOf(command)
  return new Output({ json: flags.json === true, verbose: flags.verbose === true })
}

/** The flags that every command has. */
export function addCommonFlags(command: Command): Command {
  return command
    .option('--json', 'results as JSON on standard output, errors and warnings as one line of JSON on standard error')
    .option('--verbose', 'show what caused an error')
}

/** The flags about the password; there is none that takes the password itself. */
export function addPasswordFlags(command: Command): Command {
  return command
    .option(
      '--password-file <file>',
      `file that holds the password ${otherWays('OBJECTRELAY_PASSWORD_FILE', 'passwordFile')}`,
    )
    .option('--password-stdin', 'read the password from the first line of standard input')
}

/** The flag for a config file. */
export function addConfigFlag(command: Command): Command {
  return command.option(
    '--config <file>',
    'JSON file with options by the names that stand behind them as config, such as { "port": 3000 }',
  )
}

/** Reads the config file, if there is one, and resolves the settings of the command. `extra` are further names that a config file may have. */
export async function resolveCommand(
  command: Command,
  settings: readonly Setting[],
  extra: readonly string[] = [],
): Promise<{ flags: Flags; config: Config | undefined; resolved: Resolved }> {
  const flags = flagsOf(command)
  const names = [...settings.map(({ name }) => name), ...extra]
  const config = typeof flags.config === 'string' ? await readConfig(flags.config, names) : undefined
  return { flags, config, resolved: resolveSettings(settings, { flags, environment: process.env, config }) }
}

/** The password of a command, wherever it is given. */
export function passwordOf(
  { flags, config }: { flags: Flags; config: Config | undefined },
  output: Output,
  kind: { readonly allowVerifier?: boolean; readonly confirm?: boolean } = {},
): Promise<PasswordOptions> {
  return findPassword({ flags, config, environment: process.env, warn: (message) => output.warn(message), ...kind })
}

/** The texts of a flag that may be given several times. */
export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []
}

/** The text of a flag; `undefined` if it was not given. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The milliseconds of a flag like `--timeout 30s`. */
export function durationFlag(flag: string, value: unknown): number | undefined {
  return quantityFlag(flag, value, (text) => within(parseDurationMs(text), TIMER_MS_MAX), DURATION_FORM)
}

/** The number of a flag like `--count 10`, from `min` on. */
export function countFlag(flag: string, value: unknown, min: number): number | undefined {
  const parse = (text: string): number | undefined => {
    const count = parseCount(text)
    return count !== undefined && count >= min ? count : undefined
  }
  return quantityFlag(flag, value, parse, `${COUNT_FORM} from ${min} on`)
}

/** One of the words that a flag takes. */
export function choiceFlag<Choice extends string>(
  flag: string,
  value: unknown,
  choices: readonly Choice[],
): Choice | undefined {
  if (value === undefined) return undefined
  const choice = choices.find((candidate) => candidate === value)
  if (choice !== undefined) return choice
  throw usageError(flag, `is ${JSON.stringify(value)}; it must be ${choices.map((one) => `'${one}'`).join(' or ')}`)
}

/** The error about a flag; `fault` completes "--flag ...". */
export function usageError(flag: string, fault: string): Error {
  return createError('INVALID_OPTION', `${flag} ${fault}.`, { details: { option: flag, source: flag } })
}

function within(value: number | undefined, max: number): number | undefined {
  return value !== undefined && value <= max ? value : undefined
}

function quantityFlag(
  flag: string,
  value: unknown,
  parse: (text: string) => number | undefined,
  form: string,
): number | undefined {
  if (typeof value !== 'string') return undefined
  const quantity = parse(value)
  if (quantity === undefined) throw usageError(flag, `is ${JSON.stringify(value)}; it must be ${form}`)
  return quantity
}
