import { type Command, Option } from 'commander'
import { createError, ObjectRelayError } from '../errors.ts'
import { flagOf, inCommandWords, partOf } from './commandWords.ts'
import type { Setting } from './settingCatalogue.ts'

/** What a command was told, and by whom. */
export interface Resolved {
  readonly values: Readonly<Record<string, unknown>>
  /** `--port`, `OBJECTRELAY_PORT` or `the config file ...`, by the name of the option, `limits.heartbeatMs` included. */
  readonly sources: ReadonlyMap<string, string>
}

/** A config file after it was read. */
export interface Config {
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
}

/** The values of the flags, as commander has them. */
export type Flags = Readonly<Record<string, unknown>>

/** Declares the flags of the settings on a command. */
export function addSettings(command: Command, settings: readonly Setting[]): Command {
  for (const { name, flag, variable, help, repeated } of settings) {
    const option = new Option(flag, `${help} ${otherWays(variable, name)}`)
    if (repeated === true) option.argParser(collect)
    command.addOption(option)
  }
  return command
}

/** How an option may be given besides by its flag, as the help shows it. */
export function otherWays(variable: string, name: string): string {
  return `[env: ${variable}, config: ${name}]`
}

/** For a flag that may be given several times. */
export function collect(text: string, texts: readonly string[] | undefined): readonly string[] {
  return [...(texts ?? []), text]
}

/** Flag over variable over config file; the library knows the defaults. */
export function resolveSettings(
  settings: readonly Setting[],
  { flags, environment, config }: { flags: Flags; environment: NodeJS.ProcessEnv; config: Config | undefined },
): Resolved {
  const values: Record<string, unknown> = {}
  const sources = new Map<string, string>()
  const take = (setting: Setting, value: unknown, where: string): void => {
    const below = values[setting.name]
    const isOverlay = setting.merged === true && isPlain(value)
    values[setting.name] = isOverlay && isPlain(below) ? { ...below, ...value } : value
    sources.set(setting.name, where)
    if (isOverlay) for (const name of Object.keys(value)) sources.set(`${setting.name}.${name}`, where)
  }
  for (const setting of settings) {
    if (config !== undefined && Object.hasOwn(config.values, setting.name)) {
      const where = `the config file ${config.path}`
      const value = config.values[setting.name]
      take(setting, setting.readConfig === undefined ? value : setting.readConfig(value, where), where)
    }
    const variable = environment[setting.variable]
    if (variable !== undefined && variable !== '') {
      const where = `the variable ${setting.variable}`
      take(setting, setting.read(setting.repeated === true ? splitList(variable) : [variable], where), where)
    }
    const option = new Option(setting.flag)
    const texts = toTexts(flags[option.attributeName()])
    if (texts !== undefined) take(setting, setting.read(texts, `${option.long}`), `${option.long}`)
  }
  return { values, sources }
}

/** Runs what checks the values, and lets its complaint about one of them begin with who gave it. */
export async function explainingSources<Result>(
  { sources }: Resolved,
  settings: readonly Setting[],
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run()
  } catch (thrown) {
    if (!(thrown instanceof ObjectRelayError) || typeof thrown.details.option !== 'string') throw thrown
    const { option } = thrown.details
    if (typeof thrown.details.source === 'string') throw thrown
    const setting = settings.find(({ name }) => name === option.split('.', 1)[0])
    const source = sources.get(option) ?? sources.get(setting?.name ?? option)
    if (source === undefined && setting === undefined) throw thrown
    throw createError(thrown.code, explained(thrown.message, { option, source, setting }), {
      cause: thrown.cause,
      details: { ...thrown.details, ...(source === undefined ? {} : { source }) },
    })
  }
}

function explained(
  message: string,
  { option, source, setting }: { option: string; source: string | undefined; setting: Setting | undefined },
): string {
  if (source === undefined) {
    const ways = `Give ${new Option(setting?.flag ?? '').long}, ${setting?.variable}, or ${setting?.name} in a --config file.`
    return `${inCommandWords(message)} ${ways}`
  }
  const subject = subjectOf(option, source)
  const own = message.replace(`The option ${option} `, `${subject} `)
  return own === message ? `${inCommandWords(message)} It came from ${source}.` : own
}

/** Who says what the option says: `--limit heartbeatMs`, `heartbeatMs in OBJECTRELAY_LIMITS`, `limits.heartbeatMs in the config file c.json`. */
function subjectOf(option: string, source: string): string {
  if (option === 'password') return `The password from ${source}`
  if (source.startsWith('--')) return flagOf(option) ?? source
  if (source.includes('config file')) return source.startsWith(option) ? source : `${option} in ${source}`
  const part = partOf(option)
  return part === undefined ? source.replace(/^the/, 'The') : `${part} in ${source}`
}

function splitList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function toTexts(value: unknown): readonly string[] | undefined {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : undefined
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
