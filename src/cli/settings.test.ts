import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createError } from '../errors.ts'
import { exitCodeOf, Interrupted } from './exitCodes.ts'
import { describeError } from './output.ts'
import { findPassword, refusePasswordArgument } from './passwordSource.ts'
import { endpointSettings, relaySettings } from './settingCatalogue.ts'
import { explainingSources, resolveSettings } from './settings.ts'

const nothing = { flags: {}, environment: {}, config: undefined }

describe('settings', () => {
  const config = { path: 'c.json', values: { port: 1, host: 'c', limits: { heartbeatMs: '3s', attemptsMax: 3 } } }

  it('take a flag before a variable before the config file', () => {
    const environment = { OBJECTRELAY_PORT: '2', OBJECTRELAY_SECURITY: 'none', OBJECTRELAY_HOST: '' }
    const { values, sources } = resolveSettings(relaySettings, { flags: { port: '3' }, environment, config })
    expect(values).toMatchObject({ port: 3, host: 'c', security: 'none' })
    expect(sources.get('port')).toBe('--port')
    expect(sources.get('security')).toBe('the variable OBJECTRELAY_SECURITY')
    expect(sources.get('host')).toBe('the config file c.json')
  })

  it('lay limits over each other one by one, with their units', () => {
    const { values, sources } = resolveSettings(relaySettings, {
      flags: { limit: ['attemptsMax=9'] },
      environment: { OBJECTRELAY_LIMITS: 'objectBytesMax=1MiB, attemptsMax=8' },
      config,
    })
    expect(values.limits).toEqual({ heartbeatMs: 3_000, attemptsMax: 9, objectBytesMax: 1_048_576 })
    expect(sources.get('limits.heartbeatMs')).toBe('the config file c.json')
    expect(sources.get('limits.attemptsMax')).toBe('--limit')
  })

  it('split a list in a variable at its commas', () => {
    const { values } = resolveSettings(endpointSettings, { ...nothing, environment: { OBJECTRELAY_GROUPS: 'a, b,' } })
    expect(values.groups).toEqual(['a', 'b'])
  })

  it('add to an error who gave the value, or how it can be given', async () => {
    const explain = (option: string, variables: Record<string, string>): Promise<never> =>
      explainingSources(
        resolveSettings(relaySettings, { ...nothing, environment: variables }),
        relaySettings,
        async () => {
          throw createError('INVALID_OPTION', 'It is bad.', { details: { option } })
        },
      )
    const limits = { OBJECTRELAY_LIMITS: 'heartbeatMs=1' }
    await expect(explain('limits.heartbeatMs', limits)).rejects.toThrow(
      /bad. It came from the variable OBJECTRELAY_LIMITS/,
    )
    await expect(explain('port', {})).rejects.toThrow(/Give --port, OBJECTRELAY_PORT, or port in a --config file/)
  })
})

describe('the password', () => {
  let folder: string
  const warnings: string[] = []
  const warn = (message: string): void => void warnings.push(message)
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'objectrelay-password-'))
    await writeFile(join(folder, 'secret'), 'from file \r\n', { mode: 0o644 })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('comes from a flag before a variable, as it stands in the file', async () => {
    const flags = { passwordFile: join(folder, 'secret') }
    const found = await findPassword({ ...nothing, flags, environment: { OBJECTRELAY_PASSWORD: 'other' }, warn })
    expect(found).toMatchObject({ password: 'from file ', where: '--password-file' })
    if (process.platform !== 'win32') expect(warnings.join()).toMatch(/is open to other users/)
  })

  it('is not given twice in one place', async () => {
    const environment = { OBJECTRELAY_PASSWORD: 'a', OBJECTRELAY_PASSWORD_FILE: 'b' }
    await expect(findPassword({ ...nothing, environment, warn })).rejects.toThrow(/PASSWORD and by .*PASSWORD_FILE/)
  })

  it('may be a verifier for a relay only', async () => {
    const environment = { OBJECTRELAY_PASSWORD_VERIFIER: 'v' }
    const config = { path: 'c', values: { password: 'p' } }
    const find = (allowVerifier: boolean) => findPassword({ flags: {}, environment, config, warn, allowVerifier })
    expect(await find(true)).toMatchObject({ passwordVerifier: 'v' })
    expect(await find(false)).toMatchObject({ password: 'p' })
  })

  it('is refused as an argument, without being repeated', () => {
    for (const given of [['--password', 'hunter2'], ['--password=hunter2']]) {
      expect(() => refusePasswordArgument(['relay', ...given])).toThrow(/^(?!.*hunter2).*--password-file/s)
    }
    expect(() => refusePasswordArgument(['produce', '--', '--password'])).not.toThrow()
  })
})

describe('errors', () => {
  const cause = new Error('why')
  const error = createError('GROUP_FULL', 'Full.', { cause, details: { group: 'g' } })

  it('are one line, with their causes when asked for, and no stack trace', () => {
    expect(describeError(error, { json: false, verbose: false })).toBe('error: Full. (GROUP_FULL)')
    expect(describeError(error, { json: false, verbose: true })).toBe(
      'error: Full. (GROUP_FULL)\n  caused by: Error: why',
    )
    expect(JSON.parse(describeError(error, { json: true, verbose: false }))).toEqual({
      error: { code: 'GROUP_FULL', category: 'refused', message: 'Full.', retryable: true, details: { group: 'g' } },
    })
    expect(describeError(cause, { json: false, verbose: false })).toMatch(/^unexpected error: why\n(?!.*\n\s+at )/s)
  })

  it('cannot write to the terminal what only looks like text', () => {
    const hostile = createError('LINK_LOST', 'a\u001b[2Jb')
    expect(describeError(hostile, { json: false, verbose: false })).toBe('error: a\uFFFD[2Jb (LINK_LOST)')
  })

  it('have exit codes by their consequence', () => {
    const codes = (
      ['INVALID_OPTION', 'WRONG_PASSWORD', 'CONNECT_FAILED', 'QUEUE_FULL', 'PROTOCOL_VIOLATION'] as const
    ).map((code) => exitCodeOf(createError(code, '')))
    expect(codes).toEqual([2, 3, 4, 5, 1])
    expect([exitCodeOf(new Error('x')), exitCodeOf(new Interrupted('SIGTERM'))]).toEqual([1, 143])
  })
})
