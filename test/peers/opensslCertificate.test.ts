import { execFile, execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type Server } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from '../../src/security/certificate.ts'
import { loadKeys, type RelayKeys } from '../../src/security/keyFiles.ts'
import { explainTlsError } from '../../src/security/tlsErrors.ts'
import { tlsOptionsForEndpoint, tlsOptionsForRelay } from '../../src/security/tlsOptions.ts'

const run = promisify(execFile)
let folder: string
let certificateFile: string
let server: Server
let port: number

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'certificate-'))
  certificateFile = join(folder, 'certificate.pem')
  const key = makePrivateKey()
  const certificate = makeCertificate({ key, hostnames: ['localhost', '127.0.0.1', '::1'], nowMs: Date.now() })
  await writeFile(certificateFile, certificate)
  server = createServer({ key, cert: certificate, minVersion: 'TLSv1.3' }, (socket) => socket.end('hello'))
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})

afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true, force: true })
})

function openssl(...options: string[]): Promise<{ stdout: string }> {
  return run('openssl', options, { cwd: folder })
}

const python = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
context.minimum_version = ssl.TLSVersion.TLSv1_3
with socket.create_connection(('127.0.0.1', int(sys.argv[2]))) as plain:
    with context.wrap_socket(plain, server_hostname=sys.argv[3]) as secure:
        print(secure.recv(10).decode())
`

function connectWithPython(name: string): Promise<{ stdout: string }> {
  return run('python3', ['-c', python, certificateFile, String(port), name])
}

describe('strict verifiers', () => {
  it('of openssl accept our certificate, for its names only', async () => {
    const verify = ['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslserver', '-CAfile', certificateFile]
    for (const name of [
      ['-verify_hostname', 'localhost'],
      ['-verify_ip', '127.0.0.1'],
      ['-verify_ip', '::1'],
    ]) {
      expect((await openssl(...verify, ...name, certificateFile)).stdout).toContain('OK')
    }
    await expect(openssl(...verify, '-verify_hostname', 'other.example', certificateFile)).rejects.toThrow()
  })

  it('of Python accept our certificate in a handshake, for its names only', async () => {
    expect((await connectWithPython('localhost')).stdout).toBe('hello\n')
    expect((await connectWithPython('127.0.0.1')).stdout).toBe('hello\n')
    await expect(connectWithPython('other.example')).rejects.toThrow(/certificate verify failed/i)
  })
})

/** Whether an endpoint with these options takes a relay with these keys, or why not. */
async function tryTo(options: { keysDir: string; hostname?: string }, keys: RelayKeys): Promise<string> {
  const relay = createServer(tlsOptionsForRelay(keys), (socket) => socket.end())
  relay.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const address = relay.address()
  const relayPort = typeof address === 'object' && address !== null ? address.port : 0
  const connection = await tlsOptionsForEndpoint({ host: '127.0.0.1', ...options })
  const result = await new Promise<string>((resolve) => {
    const socket = connect({ ...connection, host: '127.0.0.1', port: relayPort })
    socket.on('secureConnect', () => resolve('connected'))
    socket.on('error', (error) => resolve(explainTlsError(error, { host: '127.0.0.1', port: relayPort }).code))
    socket.resume()
  })
  relay.close()
  return result
}

describe('files made by openssl', () => {
  const command = 'req -newkey rsa:2048 -nodes -keyout key.pem -x509 -days 365 -out certificate.pem'

  it('with the command of the documentation are loaded as they are', async () => {
    const own = await mkdtemp(join(folder, 'own-'))
    execFileSync('openssl', [...command.split(' '), '-subj', '/CN=relay'], { cwd: own, stdio: 'ignore' })
    const keys = await loadKeys(own)
    expect(keys.fingerprint256).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
    const printed = execFileSync('openssl', ['x509', '-in', 'certificate.pem', '-noout', '-fingerprint', '-sha256'], {
      cwd: own,
    })
    expect(printed.toString()).toContain(keys.fingerprint256)
  })

  it('prove the relay by their common name, and by no other', async () => {
    for (const name of ['relay.example', 'default', 'My Relay']) {
      const own = await mkdtemp(join(folder, 'named-'))
      execFileSync('openssl', [...command.split(' '), '-subj', `/CN=${name}`], { cwd: own, stdio: 'ignore' })
      const keys = await loadKeys(own)
      expect(new X509Certificate(keys.certificate).subjectAltName).toBeUndefined()
      expect(await tryTo({ keysDir: own, hostname: name }, keys)).toBe('connected')
      expect(await tryTo({ keysDir: own, hostname: 'other.example' }, keys)).toBe('CERTIFICATE_WRONG_HOST')
      expect(await tryTo({ keysDir: own }, keys)).toBe('CERTIFICATE_WRONG_HOST')
    }
  })

  it('with a passphrase are refused as encrypted', async () => {
    const own = await mkdtemp(join(folder, 'encrypted-'))
    const encrypted = command.replace('-nodes', '-passout pass:test')
    execFileSync('openssl', [...encrypted.split(' '), '-subj', '/CN=relay'], { cwd: own, stdio: 'ignore' })
    await expect(loadKeys(own)).rejects.toMatchObject({ code: 'KEY_ENCRYPTED' })
    execFileSync(
      'openssl',
      [
        'rsa',
        '-in',
        'key.pem',
        '-passin',
        'pass:test',
        '-aes128',
        '-passout',
        'pass:test',
        '-traditional',
        '-out',
        'old.pem',
      ],
      { cwd: own, stdio: 'ignore' },
    )
    execFileSync('mv', ['old.pem', 'key.pem'], { cwd: own })
    await expect(loadKeys(own)).rejects.toMatchObject({ code: 'KEY_ENCRYPTED' })
  })

  it('for a day that has passed are refused with that day', async () => {
    const own = await mkdtemp(join(folder, 'expired-'))
    execFileSync('openssl', [...command.split(' '), '-subj', '/CN=relay'], { cwd: own, stdio: 'ignore' })
    const inTwoYears = Date.now() + 2 * 365 * 24 * 60 * 60 * 1000
    await expect(loadKeys(own, { nowMs: inTwoYears })).rejects.toMatchObject({ code: 'CERTIFICATE_EXPIRED' })
    await expect(loadKeys(own, { nowMs: 0 })).rejects.toMatchObject({ code: 'CERTIFICATE_NOT_YET_VALID' })
  })
})
