import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EndpointProof } from './endpointProof.ts'
import { createPasswordVerifier, readPasswordVerifier, writePasswordVerifier } from './passwordVerifier.ts'
import { binding, runExchange } from './proofExchange.fixture.ts'
import { RelayAuthenticator } from './relayProof.ts'

const password = 'correct horse battery'
let folder: string
let text: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verifier-'))
  text = await createPasswordVerifier(password)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

async function isAccepted(passwordVerifier: string | object, tried: string): Promise<boolean> {
  const relay = await RelayAuthenticator.create({ passwordVerifier }, { ticketMs: 0, ticketKey: new Uint8Array(32) })
  const endpoint = new EndpointProof({ password: tried, channelBinding: binding(1) })
  const { endpoint: outcome } = runExchange(endpoint, relay.begin(binding(1)))
  return outcome !== undefined && 'authenticated' in outcome
}

describe('a password verifier', () => {
  it('lets a relay recognise the password that it does not hold, as text, as an object and as a file', async () => {
    const file = join(folder, 'good.json')
    await writePasswordVerifier(file, password)
    expect(await isAccepted(file, password)).toBe(true)
    expect(await isAccepted(text, password)).toBe(true)
    expect(await isAccepted(JSON.parse(text), 'wrong')).toBe(false)
    expect(text).not.toContain(password)
  })

  it('is written to a private file, and never over another', async () => {
    const file = join(folder, 'private.json')
    await writePasswordVerifier(file, password)
    if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o600)
    const before = await readFile(file, 'utf8')
    await expect(writePasswordVerifier(file, 'other')).rejects.toMatchObject({ code: 'KEY_EXISTS' })
    expect(await readFile(file, 'utf8')).toBe(before)
  })

  it.skipIf(process.platform === 'win32')(
    'is refused when other users can read it, with the command that mends it',
    async () => {
      const file = join(folder, 'exposed.json')
      await writeFile(file, text, { mode: 0o600 })
      await chmod(file, 0o644)
      await expect(readPasswordVerifier(file)).rejects.toMatchObject({
        code: 'KEY_EXPOSED',
        message: expect.stringContaining(`chmod 600 '${file}'`),
      })
    },
  )

  it('is refused when it is missing, too large, or not what it should be, without quoting it', async () => {
    await expect(readPasswordVerifier(join(folder, 'none'))).rejects.toMatchObject({ code: 'KEY_UNREADABLE' })
    await expect(readPasswordVerifier(folder)).rejects.toMatchObject({
      code: expect.stringMatching(/UNREADABLE|EXPOSED/),
    })
    const good = JSON.parse(text)
    const bad: unknown[] = [
      'x'.repeat(9_000),
      '{"secret"',
      'null',
      '[]',
      { ...good, extra: 1 },
      { ...good, version: 2 },
      { ...good, format: 'x' },
      { ...good, stretching: { ...good.stretching, iterations: 11 } },
      { ...good, stretching: { ...good.stretching, memoryKiB: '65536' } },
      { ...good, serverSetup: `${good.serverSetup}AA` },
      { ...good, serverSetup: 'A'.repeat(171) },
      { ...good, registrationRecord: good.registrationRecord.replace(/^./, '+') },
      { ...good, registrationRecord: Buffer.alloc(192, 255).toString('base64url') },
      Object.fromEntries(Object.entries(good).slice(1)),
    ]
    for (const [index, content] of bad.entries()) {
      const file = join(folder, `bad-${index}.json`)
      await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 })
      const attempt = RelayAuthenticator.create(
        { passwordVerifier: file },
        { ticketMs: 0, ticketKey: new Uint8Array(32) },
      )
      await expect(attempt, `case ${index}`).rejects.toMatchObject({ code: 'KEY_INVALID' })
      await expect(attempt).rejects.not.toThrow('secret')
    }
  })
})
