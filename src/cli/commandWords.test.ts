import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checkEndpointOptions, takeConnectTimeoutMs } from '../endpoint/program/endpointOptions.ts'
import { checkRelayOptions } from '../relay/relayOptions.ts'
import { inCommandWords } from './commandWords.ts'
import { broadcastsSetting, endpointSettings, relaySettings, type Setting } from './settingCatalogue.ts'
import { explainingSources, resolveSettings } from './settings.ts'

const password = 'rope-lantern-quartz-91-violet'

/** What an unfit value of each option is called, by flag, by variable and in a config file. */
const unfit: Readonly<Record<string, readonly [given: string, inConfig: unknown]>> = {
  port: ['70000', 70_000],
  host: ['a b', 5],
  acceptedGroups: ['g:1:2:wait', { 'a.b': { maxCount: 1.5 } }],
  keysDir: ['', 5],
  security: ['SSL', true],
  limits: ['objectBytesMax=0', { objectBytesMax: 0 }],
  groups: ['a\u0007', ['']],
  hostname: ['a b', 5],
  name: ['two\nlines', 5],
  connectTimeoutMs: ['soon', 'soon'],
  io: ['both', 1],
  broadcasts: ['some', 1],
}

async function complaint(settings: readonly Setting[], setting: Setting, way: 'flag' | 'variable' | 'config') {
  const [given, inConfig] = unfit[setting.name] ?? ['', undefined]
  const flagName = /--([a-z-]+)/.exec(setting.flag)?.[1] ?? ''
  const attribute = flagName.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const values = { [setting.name]: inConfig, ...(setting.name === 'hostname' ? { keysDir: '/keys' } : {}) }
  const also = setting.name === 'hostname' ? { keysDir: '/keys' } : {}
  try {
    const resolved = resolveSettings(settings, {
      flags: way === 'flag' ? { ...also, [attribute]: setting.repeated === true ? [given] : given } : {},
      environment: way === 'variable' ? { OBJECTRELAY_KEYS_DIR: '/keys', [setting.variable]: given } : {},
      config: way === 'config' ? { path: 'c.json', values } : undefined,
    })
    await explainingSources(resolved, settings, async () => {
      const options = { port: 1, host: 'h', password, ...resolved.values }
      if (settings === relaySettings) return void checkRelayOptions(options)
      const { endpointOptions } = takeConnectTimeoutMs(options as never)
      checkEndpointOptions(endpointOptions)
    })
  } catch (thrown) {
    if (thrown instanceof Error) return thrown.message
  }
  return undefined
}

describe('an unfit option', () => {
  const all = [
    ...relaySettings.map((setting) => ['relay', setting.name, relaySettings, setting] as const),
    ...[...endpointSettings, broadcastsSetting].map(
      (setting) => ['endpoint', setting.name, [...endpointSettings, broadcastsSetting], setting] as const,
    ),
    // These go to the store, which has names of its own.
  ].filter(([, name]) => !['store', 'durability', 'storeBytesMax'].includes(name))

  it.each(all)(
    'of a command for the %s (%s) is called by its flag, its variable, or its name in the file',
    async (_, name, settings, setting) => {
      const flag = /--[a-z-]+/.exec(setting.flag)?.[0] ?? ''
      const [flagged, varied, configured] = [
        setting.name === 'keysDir' ? flag : await complaint(settings, setting, 'flag'),
        setting.name === 'keysDir' ? setting.variable : await complaint(settings, setting, 'variable'),
        await complaint(settings, setting, 'config'),
      ]
      expect(flagged).toContain(flag)
      expect(varied).toContain(setting.variable)
      expect(configured).toMatch(new RegExp(`${name}.* in the config file c\\.json`))
      for (const message of [flagged, varied, configured]) expect(message).not.toMatch(/option/i)
      for (const message of [flagged, varied]) expect(message).not.toMatch(/acceptedGroups|limits\.|Ms|keysDir|maxC/)
    },
  )

  it('within a group or a limit is called by its place', async () => {
    const setting = (name: string) => relaySettings.find((candidate) => candidate.name === name)
    const [groups, limits] = [setting('acceptedGroups'), setting('limits')]
    if (groups === undefined || limits === undefined) throw new Error('There are no such settings')
    expect(await complaint(relaySettings, groups, 'flag')).toMatch(/^overflow of the group "g" in --accept is "wait"; /)
    expect(await complaint(relaySettings, groups, 'config')).toMatch(
      /^acceptedGroups\.a\.b\.maxCount in the config file c\.json is 1\.5; /,
    )
    expect(await complaint(relaySettings, limits, 'flag')).toMatch(/^--limit objectBytesMax is 0; /)
    expect(await complaint(relaySettings, limits, 'variable')).toMatch(
      /^objectBytesMax in the variable OBJECTRELAY_LIMITS is 0; /,
    )
  })
})

describe('the words of the library', () => {
  it.each([
    ['Check the option hostname.', 'Check --hostname.'],
    ['Give both sides the same option security.', 'Give both sides the same --security.'],
    [
      'was not issued by the one in keysDir or ca. Copy',
      'was not issued by the one in --keys-dir or ca in the --config file. Copy',
    ],
    ["security is 'none': everything travels readable", '--security none: everything travels readable'],
    ['limits.unauthenticatedMax allows no more.', '--limit unauthenticatedMax allows no more.'],
    ['or raise connectTimeoutMs.', 'or raise --connect-timeout.'],
    ['Use one of its acceptedGroups, or add it there.', 'Use one of its --accept, or add it there.'],
    [
      'Consume from it, or raise maxConsumables or limits.groupBytesMax.',
      "Consume from it, or raise the group's bound in --accept or --limit groupBytesMax.",
    ],
  ])('are put into those of the command line: %s', (library, command) => {
    expect(inCommandWords(library)).toBe(command)
    expect(inCommandWords(command)).toBe(command)
  })

  it('are left alone where they are part of a path, a name or another word', () => {
    const texts = [
      '/home/keysDir/key.pem',
      'C:\\keysDir\\key.pem',
      'the group "keysDir" is full',
      'keysDirs',
      'no option at all',
      './keysDir',
    ]
    for (const text of texts) expect(inCommandWords(text)).toBe(text)
  })

  it('are all known: no message names an option that a command cannot put into its own', () => {
    const source = fileURLToPath(new URL('..', import.meta.url))
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && !/\.(test|fixture|contract)\.ts$/.test(file) && !file.startsWith('cli'),
    )
    const named = files.flatMap((file) => {
      const code = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').replaceAll(
        /^\s*(?:\/?\*|\/\/).*$/gm,
        '',
      )
      return [...code.matchAll(/[`'][^`'\n]*\b(?:[Tt]he|same) option ([a-z][a-zA-Z.]*)[^`'\n]*/g)].map(
        ([, name = '']) => name,
      )
    })
    expect(named.length).toBeGreaterThan(5)
    const ownOfPrograms = ['serializer']
    for (const name of new Set(named)) {
      if (!ownOfPrograms.includes(name))
        expect(inCommandWords(`the option ${name} is bad`), name).not.toContain('option')
    }
  })
})
