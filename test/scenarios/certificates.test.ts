import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { CertificateError, KeyFileError, Relay } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from '../../src/security/certificate.ts'
import { failureOf } from '../support/failures.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { host, Network, password, relayEvent, take } from '../support/network.ts'

useDataFolder()
const network = new Network()
afterEach(() => network.end())

const dayMs = 24 * 60 * 60 * 1000
const validMs = 3_650 * dayMs
const elevenYearsMs = 11 * 365 * dayMs

/** A folder with a key and a certificate; parts of it may be different. */
async function keysFolder({
  key = makePrivateKey(),
  certificate,
  hostnames = ['relay.example'],
  nowMs = Date.now(),
}: {
  key?: string
  certificate?: string
  hostnames?: string[]
  nowMs?: number
} = {}): Promise<string> {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'key.pem'), key, { mode: 0o600 })
  await writeFile(join(folder, 'certificate.pem'), certificate ?? makeCertificate({ key, hostnames, nowMs }))
  return folder
}

/** Another certificate in the place of the one that is there, for another key. */
async function replaceKeys(folder: string, files: { key?: string; certificate?: string } = {}): Promise<string> {
  const key = files.key ?? makePrivateKey()
  const certificate =
    files.certificate ?? makeCertificate({ key, hostnames: ['relay.example', host], nowMs: Date.now() })
  for (const [name, text] of Object.entries({ key, certificate })) {
    await writeFile(join(folder, `${name}.new`), text, { mode: 0o600 })
    await rename(join(folder, `${name}.new`), join(folder, `${name}.pem`))
  }
  return certificate
}

/** The fingerprint of what the relay shows a stranger, in a handshake of its own. */
function shownBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['objectrelay/1'] })
    socket.on('error', reject)
    socket.on('secureConnect', () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
  })
}

/** A folder as an endpoint has it: with the certificate only. */
async function certificateOf(keysDir: string): Promise<string> {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'certificate.pem'), await readFile(join(keysDir, 'certificate.pem')))
  return folder
}

describe('an endpoint with the certificate of its relay', () => {
  it('connects with keysDir and hostname, and with ca', async () => {
    const keysDir = await keysFolder()
    const relay = await network.relay({ keysDir })
    const own = await certificateOf(keysDir)
    const receiver = await network.connect(relay, { keysDir: own, hostname: 'relay.example', groups: 'g' })
    const ca = await readFile(join(keysDir, 'certificate.pem'))
    const sender = await network.connect(relay, { ca, hostname: 'relay.example' })
    await network.connect(relay, { ca: ca.toString(), hostname: 'relay.example' })
    await sender.broadcast('verified', 'g')
    expect(await take(receiver, 1)).toEqual(['verified'])
    expect(relay.fingerprint256).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
  })

  it('verifies the host that it connects to when no hostname is given', async () => {
    const keysDir = await keysFolder({ hostnames: [host] })
    const relay = await network.relay({ keysDir })
    await network.connect(relay, { keysDir: await certificateOf(keysDir) })
  })

  it('is refused for a wrong host name', async () => {
    const keysDir = await keysFolder()
    const relay = await network.relay({ keysDir })
    for (const options of [{ hostname: 'other.example' }, {}]) {
      const failure = await failureOf(() => network.connect(relay, { keysDir, ...options }))
      expect(failure).toBeInstanceOf(CertificateError)
      expect(failure).toMatchObject({ code: 'CERTIFICATE_WRONG_HOST', retryable: false })
      expect(failure.message).toContain('relay.example')
    }
  })

  it('is refused for a foreign certificate of the same name', async () => {
    const relay = await network.relay({ keysDir: await keysFolder() })
    const foreign = await certificateOf(await keysFolder())
    const failure = await failureOf(() => network.connect(relay, { keysDir: foreign, hostname: 'relay.example' }))
    expect(failure).toBeInstanceOf(CertificateError)
    expect(failure.code).toBe('CERTIFICATE_UNTRUSTED')
  })

  it('still has to prove the password', async () => {
    const keysDir = await keysFolder()
    const relay = await network.relay({ keysDir })
    const options = { keysDir, hostname: 'relay.example', password: 'Qn4-wrong-ferret-58-plum' }
    expect((await failureOf(() => network.connect(relay, options))).code).toBe('WRONG_PASSWORD')
  })

  it.each([
    ['a folder that is not there', 'KEY_UNREADABLE', async () => join(await temporaryFolder(), 'nowhere')],
    ['a folder without a certificate', 'KEY_UNREADABLE', () => temporaryFolder()],
    ['a certificate that is none', 'KEY_INVALID', () => keysFolder({ certificate: 'no certificate' })],
  ])('is told of %s', async (_, code, folder) => {
    const relay = await network.relay()
    const keysDir = await folder()
    const failure = await failureOf(() => network.connect(relay, { keysDir, hostname: 'relay.example' }))
    expect(failure).toBeInstanceOf(KeyFileError)
    expect(failure.code).toBe(code)
    expect(failure.message).toContain(keysDir)
  })
})

describe('a relay does not start', () => {
  const encryptedKey = () =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'a passphrase' })
      .toString()

  it.each<[string, string, () => Promise<string>]>([
    ['keys that are not there', 'KEY_UNREADABLE', () => temporaryFolder()],
    [
      'an encrypted key',
      'KEY_ENCRYPTED',
      () =>
        keysFolder({
          key: encryptedKey(),
          certificate: makeCertificate({ key: makePrivateKey(), hostnames: ['r'], nowMs: Date.now() }),
        }),
    ],
    [
      'a key that belongs to another certificate',
      'KEY_MISMATCH',
      () =>
        keysFolder({ certificate: makeCertificate({ key: makePrivateKey(), hostnames: ['r'], nowMs: Date.now() }) }),
    ],
    ['a certificate that is none', 'KEY_INVALID', () => keysFolder({ certificate: 'no certificate' })],
    ['an expired certificate', 'CERTIFICATE_EXPIRED', () => keysFolder({ nowMs: Date.now() - elevenYearsMs })],
    [
      'a certificate that is not valid yet',
      'CERTIFICATE_NOT_YET_VALID',
      () => keysFolder({ nowMs: Date.now() + 3 * dayMs }),
    ],
    [
      'a key that is a folder',
      'KEY_UNREADABLE',
      async () => {
        const folder = await temporaryFolder()
        await mkdir(join(folder, 'key.pem'))
        return folder
      },
    ],
    [
      'a key that others can read',
      'KEY_EXPOSED',
      async () => {
        const folder = await keysFolder()
        await chmod(join(folder, 'key.pem'), 0o644)
        return folder
      },
    ],
  ])('with %s, and says so', async (_, code, folder) => {
    const keysDir = await folder()
    const failure = await failureOf(() => Relay.start({ port: 0, host, password, keysDir }))
    expect(failure.code).toBe(code)
    expect(failure.message).toContain(keysDir)
    if (code.startsWith('KEY_')) expect(failure).toBeInstanceOf(KeyFileError)
    else expect(failure).toBeInstanceOf(CertificateError)
  })

  it('on a port that is taken', async () => {
    const { port } = await network.relay()
    const failure = await failureOf(() => Relay.start({ port, host, password }))
    expect(failure).toMatchObject({ code: 'PORT_IN_USE', name: 'ListenError', retryable: true })
    expect(failure.message).toContain(String(port))
  })

  it('with options that are wrong, which it names', async () => {
    const wrong: [string, object][] = [
      ['port', { port: -1 }],
      ['password', { password: '' }],
      ['acceptedGroups.g.overflow', { acceptedGroups: { g: { overflow: 'wait' } } }],
      ['acceptedGroups.g.maxCount', { acceptedGroups: { g: { maxCount: 1.5 } } }],
      ['limits.heartbeatMs', { limits: { heartbeatMs: 0 } }],
      ['limits.heartBeatMs', { limits: { heartBeatMs: 100 } }],
      ['security', { security: false }],
      ['store', { store: {} }],
    ]
    for (const [option, options] of wrong) {
      const failure = await failureOf(() => Relay.start({ port: 0, host, password, ...options }))
      expect(failure).toMatchObject({ code: 'INVALID_OPTION', details: { option } })
    }
  })
})

describe('a relay whose keys are replaced while it runs', () => {
  it('shows the new certificate to new connections, and leaves alone those that stand', async () => {
    const keysDir = await keysFolder({ hostnames: ['relay.example', host] })
    const relay = await network.relay({ keysDir })
    const before = relay.fingerprint256
    const receiver = await network.connect(relay, { groups: 'g' })
    const old = await readFile(join(keysDir, 'certificate.pem'), 'utf8')
    const certificate = await replaceKeys(keysDir)
    // What an endpoint is given beforehand: of the same name, and good for the one as for the other.
    const both = old + certificate
    await network.connect(relay, { ca: both, hostname: 'relay.example' })
    const fingerprint = new X509Certificate(certificate).fingerprint256
    expect(await relay.reloadKeys()).toBe(fingerprint)
    expect([await shownBy(relay.port), relay.fingerprint256]).toEqual([fingerprint, fingerprint])
    expect(fingerprint).not.toBe(before)
    const sender = await network.connect(relay, { ca: both, hostname: 'relay.example' })
    await sender.broadcast('by another certificate', 'g')
    expect(await take(receiver, 1)).toEqual(['by another certificate'])
    expect(receiver.stats().linksLost).toBe(0)
  })

  it('notices by itself, and tells it', async () => {
    const keysDir = await keysFolder()
    const relay = await network.relay({ keysDir })
    const changed = relayEvent(relay, 'certificateChanged')
    const fingerprint256 = new X509Certificate(await replaceKeys(keysDir)).fingerprint256
    expect(await changed).toMatchObject({ fingerprint256, validTo: expect.closeTo(Date.now() + validMs, -6) })
    expect(await shownBy(relay.port)).toBe(fingerprint256)
  })

  it('goes on with the old ones when the new ones are unfit, and says why', async () => {
    const keysDir = await keysFolder()
    const relay = await network.relay({ keysDir })
    const before = relay.fingerprint256
    const warned = relayEvent(relay, 'warning', ({ code }) => code === 'CERTIFICATE_EXPIRED')
    const key = makePrivateKey()
    const old = makeCertificate({ key, hostnames: ['relay.example'], nowMs: Date.now() - elevenYearsMs })
    await replaceKeys(keysDir, { key, certificate: old })
    await expect(relay.reloadKeys()).rejects.toMatchObject({ code: 'CERTIFICATE_EXPIRED', name: 'CertificateError' })
    expect((await warned).message).toContain(keysDir)
    expect(await shownBy(relay.port)).toBe(before)
    await replaceKeys(keysDir, { certificate: 'no certificate' })
    await expect(relay.reloadKeys()).rejects.toMatchObject({ code: 'KEY_INVALID' })
    expect(await shownBy(relay.port)).toBe(before)
  })

  it('warns before its certificate expires and when it does, and lets endpoints in that do not check it', async () => {
    const warnings: string[] = []
    const keysDir = await keysFolder({ nowMs: Date.now() - validMs + 4_000 })
    const relay = await network.relay({ keysDir, on: { warning: ({ code }) => warnings.push(code) } })
    const expired = relayEvent(relay, 'warning', ({ code }) => code === 'CERTIFICATE_EXPIRED')
    expect((await expired).message).toContain('without a restart')
    expect(warnings).toEqual(['CERTIFICATE_EXPIRES', 'CERTIFICATE_EXPIRED'])
    await network.connect(relay)
    const checked = { keysDir: await certificateOf(keysDir), hostname: 'relay.example', connectTimeoutMs: 2_000 }
    expect((await failureOf(() => network.connect(relay, checked))).code).toBe('CERTIFICATE_EXPIRED')
  })
})

describe('a relay without keysDir', () => {
  it('starts without a folder for its keys, keeps them in memory, and says how they can be kept', async () => {
    const before = process.env.XDG_DATA_HOME
    const folder = await temporaryFolder()
    // A file in the place of a folder stops root, too.
    await writeFile(join(folder, 'file'), '')
    process.env.XDG_DATA_HOME = join(folder, 'file')
    try {
      const warnings: { code: string; message: string }[] = []
      const relay = await network.relay({ on: { warning: (warning) => warnings.push(warning) } })
      const sender = await network.connect(relay)
      await sender.produce(1, 'g')
      expect(warnings).toEqual([{ code: 'KEY_UNWRITABLE', message: expect.stringMatching(/XDG_DATA_HOME.*keysDir/) }])
    } finally {
      process.env.XDG_DATA_HOME = before
    }
  })

  it('prints a warning that nobody listens to', async () => {
    const printed = new Promise<Error>((resolve) => process.once('warning', resolve))
    await network.relay({ password: 'hello1' })
    expect(await printed).toMatchObject({ name: 'ObjectRelayWarning', code: 'WEAK_PASSWORD' })
  })

  it('makes its keys on the first start, private to the user, and keeps them', async () => {
    const first = await network.relay()
    const second = await network.relay()
    expect(second.fingerprint256).toBe(first.fingerprint256)
    const dataFolder = process.env.XDG_DATA_HOME ?? ''
    const files = (await readdir(dataFolder, { recursive: true })).filter((file) => file.endsWith('key.pem'))
    expect(files).toHaveLength(1)
    for (const file of files) expect((await stat(join(dataFolder, file))).mode & 0o077).toBe(0)
  })

  it('warns about a weak password, without repeating it', async () => {
    const warnings: string[] = []
    await network.relay({ password: 'hello1', on: { warning: ({ message }) => warnings.push(message) } })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('weak')
    expect(warnings[0]).not.toContain('hello1')
  })
})
