import { X509Certificate } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from './certificate.ts'
import { loadCertificateAuthority, loadKeys } from './keyFiles.ts'
import { loadOrMakeKeys, makeKeys } from './keyFolder.ts'

const isPosix = process.platform !== 'win32'
const nowMs = Date.UTC(2026, 5, 1)
const yearMs = 365 * 24 * 60 * 60 * 1000
const parent = await mkdtemp(join(tmpdir(), 'keys-'))
let folder: string
let count = 0

beforeEach(() => {
  count += 1
  folder = join(parent, `case ${count}`, 'keys')
})

afterAll(() => rm(parent, { recursive: true, force: true }))

/** To whom file modes matter, unlike to root. */
async function asOrdinaryUser<Result>(run: () => Promise<Result>): Promise<Result> {
  if (process.geteuid?.() !== 0) return run()
  process.seteuid?.(65_534)
  try {
    return await run()
  } finally {
    process.seteuid?.(0)
  }
}

async function put(name: string, text: string, mode = 0o600): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, name), text, { mode })
}

async function putPair(key: string = makePrivateKey(), keyOfCertificate: string = key): Promise<void> {
  await put('key.pem', key)
  await put('certificate.pem', makeCertificate({ key: keyOfCertificate, hostnames: ['localhost'], nowMs }))
}

describe('loading keys', () => {
  it('gives key, certificate and fingerprint', async () => {
    await putPair()
    const { key, certificate, fingerprint256 } = await loadKeys(folder, { nowMs })
    expect(new X509Certificate(certificate).fingerprint256).toBe(fingerprint256)
    expect(key).toContain('BEGIN PRIVATE KEY')
  })

  it('names the missing folder or file', async () => {
    await expect(loadKeys(folder)).rejects.toMatchObject({
      code: 'KEY_UNREADABLE',
      message: expect.stringContaining('key.pem'),
    })
    await put('key.pem', makePrivateKey())
    await expect(loadKeys(folder)).rejects.toMatchObject({
      code: 'KEY_UNREADABLE',
      message: expect.stringMatching(/certificate\.pem cannot be read: there is no such file/),
    })
  })

  it('says when a folder stands where the file should be', async () => {
    await mkdir(join(folder, 'key.pem'), { recursive: true })
    await expect(loadKeys(folder)).rejects.toMatchObject({ code: 'KEY_UNREADABLE' })
  })

  it.runIf(isPosix)('says when this user may not read it', async () => {
    await putPair()
    for (const path of [parent, join(folder, '..'), folder]) await chmod(path, 0o755)
    await chmod(join(folder, 'key.pem'), 0)
    const loading = asOrdinaryUser(() => loadKeys(folder))
    await expect(loading).rejects.toMatchObject({
      code: 'KEY_UNREADABLE',
      message: expect.stringContaining('not allowed'),
    })
  })

  it('says when a file holds something else, or far too much', async () => {
    await putPair()
    for (const text of [
      '',
      'garbage',
      '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
      'x'.repeat(70_000),
    ]) {
      await put('key.pem', text)
      await expect(loadKeys(folder, { nowMs })).rejects.toMatchObject({ code: 'KEY_INVALID' })
    }
    await putPair()
    for (const text of ['', 'garbage', 'x'.repeat(1_100_000)]) {
      await put('certificate.pem', text)
      await expect(loadKeys(folder, { nowMs })).rejects.toMatchObject({ code: 'KEY_INVALID' })
    }
  })

  it('says when key and certificate do not belong together', async () => {
    await putPair(makePrivateKey(), makePrivateKey())
    await expect(loadKeys(folder, { nowMs })).rejects.toMatchObject({ code: 'KEY_MISMATCH' })
  })

  it.skipIf(!isPosix)('refuses a key that others can read, and names the command that mends it', async () => {
    await putPair()
    for (const mode of [0o620, 0o604, 0o644]) {
      await chmod(join(folder, 'key.pem'), mode)
      await expect(loadKeys(folder, { nowMs })).rejects.toMatchObject({
        code: 'KEY_EXPOSED',
        message: expect.stringContaining(`chmod 600 '${join(folder, 'key.pem')}'`),
      })
    }
    await chmod(join(folder, 'key.pem'), 0o400)
    await expect(loadKeys(folder, { nowMs })).resolves.toBeDefined()
  })

  it.skipIf(!isPosix)('refuses a key that everybody can replace, and names the folder', async () => {
    await putPair()
    await chmod(folder, 0o777)
    await expect(loadKeys(folder, { nowMs })).rejects.toMatchObject({
      code: 'KEY_EXPOSED',
      message: expect.stringContaining(`chmod o-w '${folder}'`),
    })
    await chmod(folder, 0o1777)
    await expect(loadKeys(folder, { nowMs })).resolves.toBeDefined()
  })

  it.skipIf(!isPosix)('refuses a key behind a link to a folder where everybody can replace it', async () => {
    await putPair()
    const open = join(folder, 'open')
    await mkdir(open)
    await rename(join(folder, 'key.pem'), join(open, 'key.pem'))
    await symlink(join('open', 'key.pem'), join(folder, 'key.pem'))
    await expect(loadKeys(folder, { nowMs })).resolves.toBeDefined()
    await chmod(open, 0o777)
    await expect(loadKeys(folder, { nowMs })).rejects.toMatchObject({ code: 'KEY_EXPOSED' })
  })

  it.runIf(process.geteuid?.() === 0)(
    'takes a key of root that a group can read, and none of somebody else',
    async () => {
      await putPair()
      await chmod(join(folder, 'key.pem'), 0o440)
      await chown(join(folder, 'key.pem'), 0, 2_000)
      await expect(loadKeys(folder, { nowMs })).resolves.toBeDefined()
      await chown(join(folder, 'key.pem'), 65_534, 2_000)
      await expect(loadKeys(folder, { nowMs })).rejects.toMatchObject({ code: 'KEY_EXPOSED' })
    },
  )

  it('says until or from when a certificate is valid', async () => {
    await putPair()
    await expect(loadKeys(folder, { nowMs: nowMs + 11 * yearMs })).rejects.toMatchObject({
      code: 'CERTIFICATE_EXPIRED',
      message: expect.stringContaining('2036'),
    })
    await expect(loadKeys(folder, { nowMs: nowMs - yearMs })).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_YET_VALID',
      message: expect.stringContaining('2026'),
    })
  })
})

describe('making keys', () => {
  it('fills a new private folder, and never overwrites', async () => {
    const { fingerprint256 } = await makeKeys(folder, { hostnames: ['relay.example.org'] })
    expect((await readdir(folder)).sort()).toEqual(['certificate.pem', 'key.pem'])
    if (isPosix) {
      expect((await stat(folder)).mode & 0o777).toBe(0o700)
      expect((await stat(join(folder, 'key.pem'))).mode & 0o777).toBe(0o600)
      expect((await stat(join(folder, 'certificate.pem'))).mode & 0o777).toBe(0o644 & ~process.umask())
    }
    const { certificate } = await loadKeys(folder)
    expect(new X509Certificate(certificate).checkHost('relay.example.org')).toBe('relay.example.org')
    await expect(makeKeys(folder)).rejects.toMatchObject({ code: 'KEY_EXISTS' })
    await rm(join(folder, 'certificate.pem'))
    await expect(makeKeys(folder)).rejects.toMatchObject({ code: 'KEY_EXISTS' })
    await loadOrMakeKeys(folder)
    expect((await loadKeys(folder)).fingerprint256).not.toBe(fingerprint256)
  })

  it('gives the same keys to relays that start at the same moment', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => loadOrMakeKeys(folder)))
    expect(new Set(all.map(({ fingerprint256 }) => fingerprint256)).size).toBe(1)
    expect((await readdir(folder)).sort()).toEqual(['certificate.pem', 'key.pem'])
  })

  it('keeps what is there', async () => {
    const first = await loadOrMakeKeys(folder)
    expect(await loadOrMakeKeys(folder)).toEqual(first)
  })

  it('renews a certificate of our own making before its last day, for the same key', async () => {
    const first = await loadOrMakeKeys(folder, { nowMs })
    const later = nowMs + 9.95 * yearMs
    const second = await loadOrMakeKeys(folder, { nowMs: later })
    expect(second.fingerprint256).not.toBe(first.fingerprint256)
    expect(second.key).toBe(first.key)
    expect(Date.parse(new X509Certificate(second.certificate).validTo)).toBeGreaterThan(later + 9 * yearMs)
  })

  it('completes no pair that is not ours', async () => {
    await put('certificate.pem', makeCertificate({ key: makePrivateKey(), hostnames: ['localhost'], nowMs }))
    await expect(loadOrMakeKeys(folder, { nowMs })).rejects.toMatchObject({ code: 'KEY_UNREADABLE' })
    expect(await readdir(folder)).toEqual(['certificate.pem'])
  })

  it('says when the folder cannot be made', async () => {
    await mkdir(join(folder, '..'), { recursive: true })
    await writeFile(folder, 'a file where the folder should be')
    await expect(loadOrMakeKeys(folder)).rejects.toMatchObject({ code: 'KEY_UNWRITABLE' })
  })
})

describe('the certificate that an endpoint trusts', () => {
  it('is read from the folder without the key, from a path, or from the text', async () => {
    await putPair()
    await rm(join(folder, 'key.pem'))
    const file = join(folder, 'certificate.pem')
    const text = await readFile(file, 'utf8')
    expect(await loadCertificateAuthority({ keysDir: folder })).toBe(text)
    expect(await loadCertificateAuthority({ ca: file })).toBe(text)
    expect(await loadCertificateAuthority({ ca: text })).toBe(text)
    expect(await loadCertificateAuthority({ ca: Buffer.from(text) })).toBe(text)
  })

  it('is refused when it is missing or something else', async () => {
    await expect(loadCertificateAuthority({ keysDir: folder })).rejects.toMatchObject({ code: 'KEY_UNREADABLE' })
    await expect(loadCertificateAuthority({ ca: join(folder, 'none.pem') })).rejects.toMatchObject({
      code: 'KEY_UNREADABLE',
    })
    await expect(loadCertificateAuthority({ ca: Buffer.from('x') })).rejects.toMatchObject({ code: 'KEY_INVALID' })
    await expect(loadCertificateAuthority({ ca: '-----BEGIN nonsense' })).rejects.toMatchObject({ code: 'KEY_INVALID' })
  })
})
