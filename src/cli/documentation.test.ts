import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { describe, expect, it } from 'vitest'
import { exitCodes } from './exitCodes.ts'
import { createProgram } from './program.ts'
import { allSettings, broadcastsSetting, endpointSettings, relaySettings } from './settingCatalogue.ts'

const program = createProgram()
const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')

/** Every command that can be run, by its full name. */
function leaves(command: Command, path: readonly string[] = []): readonly (readonly [string, Command])[] {
  const below = command.commands.filter((child) => child.name() !== 'help')
  if (below.length === 0) return [[path.join(' '), command]]
  return below.flatMap((child) => leaves(child, [...path, child.name()]))
}

const commands = new Map(leaves(program))

/** The words of a command line, quotes taken away; what stands in quotes is one word. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  )
}

/** The calls of this program in a text, each without what it is piped into. */
function callsIn(text: string): readonly string[] {
  return [...text.replaceAll('\\\n', ' ').matchAll(/(?:^|[|$] *)(?:npx )?objectrelay ([^\n|<>]+(?:'[^']*')?)/gm)].map(
    ([, call = '']) => call.trim(),
  )
}

function checkCall(call: string): void {
  const words = wordsOf(call)
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((candidate) => commands.has(candidate))
  if (name === undefined && words[0]?.startsWith('-')) return
  if (name === undefined && words[0] === 'help') return
  const command = commands.get(name ?? '')
  expect(command, `the command of: ${call}`).toBeDefined()
  const flags = command?.options.flatMap(({ short, long }) => [short, long]) ?? []
  for (const word of words.filter((candidate) => /^--?[a-z]/.test(candidate))) {
    expect(['-h', '--help', ...flags], `the flags of: ${call}`).toContain(word.split('=', 1)[0])
  }
}

describe('docs/cli.md', () => {
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(([, code = '']) => code)
  const calls = blocks.flatMap(callsIn)

  it.each(calls)('shows a call with flags that there are: %s', checkCall)

  it.each([...commands.keys()])('has an example of %s', (name) => {
    expect(calls.some((call) => call.startsWith(name))).toBe(true)
  })

  it.each([...commands])('names every flag of %s', (_name, command) => {
    for (const { long } of command.options) expect(page).toContain(`${long?.replace('--no-', '--no-')}`)
  })

  it('names every variable and every exit code', () => {
    for (const { variable } of [...relaySettings, ...endpointSettings, broadcastsSetting])
      expect(page).toContain(variable)
    for (const code of Object.values(exitCodes)) expect(page).toMatch(new RegExp(`^\\| ${code} \\|`, 'm'))
  })
})

describe('the help', () => {
  it.each([...commands])('of %s names a variable for those options that have one, and no others', (_name, command) => {
    const known = new Map(
      allSettings.map(({ name, flag, variable }) => [new Option(flag).long, `[env: ${variable}, config: ${name}]`]),
    )
    known.set('--password-file', '[env: OBJECTRELAY_PASSWORD_FILE, config: passwordFile]')
    known.set('--password-verifier', '[env: OBJECTRELAY_PASSWORD_VERIFIER, config: passwordVerifier]')
    for (const { long, description } of command.options) {
      const ways = /\[.*\]$/.exec(description)?.[0]
      // A name in the certificate that is made, a group in a store: they are about one call, and no setting.
      if (ways === undefined)
        expect(['--hostname', '--group'].includes(long ?? '') ? undefined : known.get(long ?? '')).toBeUndefined()
      else expect(ways).toBe(known.get(long ?? ''))
    }
    const hasOthers = command.options.some(({ description }) => description.endsWith(']'))
    expect(command.options.some(({ long }) => long === '--config')).toBe(hasOthers || command.name() === 'verifier')
  })

  it.each([...commands])('of %s teaches by examples with flags that there are', (_name, command) => {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) })
    command.outputHelp()
    const calls = callsIn(help.slice(help.indexOf('xample')))
    expect(calls.length).toBeGreaterThan(0)
    for (const call of calls) checkCall(call)
  })
})
