import { Option } from 'commander'
import { allSettings } from './settingCatalogue.ts'

/** The words of the command line for options of the library that have no flag of their own name. */
const otherWords: Readonly<Record<string, string>> = {
  passwordVerifier: '--password-verifier',
  password: 'the password',
  ca: 'ca in the --config file',
  reconnect: 'reconnect in the --config file',
}

/** The parts of `--accept name[:members[:waiting[:overflow]]]`. */
const acceptParts: Readonly<Record<string, string>> = {
  maxCount: 'members',
  maxConsumables: 'waiting',
  overflow: 'overflow',
}

const flags: ReadonlyMap<string, string> = new Map([
  ...allSettings.map(({ name, flag }): [string, string] => [name, new Option(flag).long ?? name]),
  ...Object.entries(otherWords),
])

/** Names that mean nothing in ordinary English, and so are options wherever they stand. */
const unmistakable = [...flags.keys()].filter((name) => /[A-Z]/.test(name))

// Not within a path, a quoted name or a longer word.
const alone = (pattern: string): RegExp => new RegExp(`(?<![\\w./\\\\"'-])(?:${pattern})(?![\\w/\\\\"'-])`, 'g')
const namedOption = /\b(?:the )?options? ([a-zA-Z]+(?:\.[^\s;,:]+)?)/gi
const limitName = alone('limits\\.([a-zA-Z]+)')
const unmistakableName = alone(unmistakable.join('|'))

/** The flag that says what the option says, such as `--limit heartbeatMs` for `limits.heartbeatMs`; `undefined` if there is none. */
export function flagOf(option: string): string | undefined {
  const [name = '', ...rest] = option.split('.')
  const flag = flags.get(name)
  if (flag === undefined || rest.length === 0) return flag
  if (name === 'acceptedGroups') return `${acceptPartOf(rest)} in ${flag}`
  return name === 'reconnect' ? `${option} in the --config file` : `${flag} ${rest.join('.')}`
}

/** The same within a source that is not a flag: `heartbeatMs in OBJECTRELAY_LIMITS`. */
export function partOf(option: string): string | undefined {
  const [name = '', ...rest] = option.split('.')
  if (rest.length === 0) return undefined
  return name === 'acceptedGroups' ? acceptPartOf(rest) : rest.join('.')
}

/** A group may have dots in its name; the part comes last. */
function acceptPartOf(rest: readonly string[]): string {
  const part = acceptParts[rest.at(-1) ?? '']
  return part === undefined ? `the group "${rest.join('.')}"` : `${part} of the group "${rest.slice(0, -1).join('.')}"`
}

/** What the library says, with its options called as they are called on the command line. */
export function inCommandWords(message: string): string {
  return message
    .replaceAll(/\bkeysDir or ca\b/g, `${flags.get('keysDir')} or ${otherWords.ca}`)
    .replaceAll(/\b(?:the option )?security(?: is|:) 'none'/g, '--security none')
    .replaceAll(namedOption, (found, option: string) => flagOf(option.replace(/\.$/, '')) ?? found)
    .replaceAll(limitName, '--limit $1')
    .replaceAll(/\bmaxConsumables\b/g, "the group's bound in --accept")
    .replaceAll(unmistakableName, (name) => flags.get(name) ?? name)
}
