import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect as connectPlain, createServer as createPlainServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ObjectRelayError } from '../errors.ts'
import { makeCertificate, makePrivateKey } from './certificate.ts'
import { channelBindingOf } from './channelProof.ts'
import { explainApplicationProtocol, explainTlsError } from './tlsErrors.ts'
import { applicationProtocol, tlsOptionsForEndpoint, tlsOptionsForRelay } from './tlsOptions.ts'

const key = makePrivateKey()
const hostnames = ['localhost', '127.0.0.1']
const certificate = makeCertificate({ key, hostnames, nowMs: Date.now() })
const dayMs = 24 * 60 * 60 * 1000
const host = '127.0.0.1'
const context = { host, port: 1 }
const servers: Server[] = []
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-'))
})
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function listen(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  // A server that listens on TCP has an address of this kind.
  return (server.address() as AddressInfo).port
}

interface Meeting {
  readonly endpoint: ObjectRelayError | TLSSocket
  readonly relay: Promise<ObjectRelayError | TLSSocket>
}

/** Lets a TLS relay and a TLS endpoint meet, and says what each makes of it. */
async function meet(relayOptions: TlsOptions, endpointOptions: ConnectionOptions): Promise<Meeting> {
  const server = createServer(relayOptions)
  const relay = new Promise<ObjectRelayError | TLSSocket>((resolve) => {
    server.on('tlsClientError', (error) => resolve(explainTlsError(error, { ...context, side: 'relay' })))
    server.on('secureConnection', (socket) => {
      // What happens after the handshake is another test's business.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
  const port = await listen(server)
  const endpoint = await new Promise<ObjectRelayError | TLSSocket>((resolve) => {
    const socket = connect({ ...endpointOptions, host, port })
    socket.once('secureConnect', () => resolve(socket))
    socket.on('error', (error) => resolve(explainTlsError(error, { host, port })))
    socket.once('close', () => resolve(explainTlsError(new Error('closed'), { host, port })))
  })
  return { endpoint, relay }
}

function codeOf(result: ObjectRelayError | TLSSocket): string {
  const code = 'category' in result ? result.code : 'connected'
  if (!('category' in result)) result.destroy()
  return code
}

describe('a TLS connection', () => {
  it('gives both ends the same name of the channel, and another one each time', async () => {
    const bindings = new Set<string>()
    for (let round = 0; round < 2; round += 1) {
      const { endpoint, relay } = await meet(
        tlsOptionsForRelay({ key, certificate }),
        await tlsOptionsForEndpoint({ host }),
      )
      const there = await relay
      if ('category' in endpoint || 'category' in there) throw new Error('They did not meet')
      expect(channelBindingOf(endpoint)).toEqual(channelBindingOf(there))
      const { type, bytes } = channelBindingOf(endpoint)
      expect([type, bytes.length]).toEqual(['tls-exporter', 32])
      bindings.add(Buffer.from(bytes).toString('hex'))
      expect([endpoint.alpnProtocol, endpoint.getProtocol()]).toEqual([applicationProtocol, 'TLSv1.3'])
      endpoint.destroy()
      there.destroy()
    }
    expect(bindings.size).toBe(2)
  })

  it('is verified against the given certificate, by the address or another of its names', async () => {
    for (const hostname of [undefined, 'localhost', '127.0.0.1']) {
      const options = await tlsOptionsForEndpoint({ host, ca: certificate, hostname })
      expect(codeOf((await meet(tlsOptionsForRelay({ key, certificate }), options)).endpoint)).toBe('connected')
    }
  })

  it('is refused when the certificate is another one, expired, or not valid yet', async () => {
    const options = (ca: string): Promise<ConnectionOptions> => tlsOptionsForEndpoint({ host, ca })
    const other = makeCertificate({ key: makePrivateKey(), hostnames, nowMs: Date.now() })
    expect(codeOf((await meet(tlsOptionsForRelay({ key, certificate }), await options(other))).endpoint)).toBe(
      'CERTIFICATE_UNTRUSTED',
    )
    for (const [nowMs, code] of [
      [Date.now() - 4_000 * dayMs, 'CERTIFICATE_EXPIRED'],
      [Date.now() + 100 * dayMs, 'CERTIFICATE_NOT_YET_VALID'],
    ] as const) {
      const old = makeCertificate({ key, hostnames, nowMs })
      const { endpoint } = await meet(tlsOptionsForRelay({ key, certificate: old }), await options(old))
      expect(codeOf(endpoint)).toBe(code)
    }
  })

  it('says on both sides when one is only able to speak TLS 1.2', async () => {
    const older = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
    const first = await meet(tlsOptionsForRelay({ key, certificate }), {
      ...(await tlsOptionsForEndpoint({ host })),
      ...older,
    })
    expect(codeOf(first.endpoint)).toBe('INCOMPATIBLE_VERSION')
    expect(codeOf(await first.relay)).toBe('INCOMPATIBLE_VERSION')
    const second = await meet(
      { ...tlsOptionsForRelay({ key, certificate }), ...older },
      await tlsOptionsForEndpoint({ host }),
    )
    expect(codeOf(second.endpoint)).toBe('INCOMPATIBLE_VERSION')
    expect(codeOf(await second.relay)).toBe('INCOMPATIBLE_VERSION')
  })

  it('says when the other side speaks another version of the protocol, or another protocol over TLS', async () => {
    const relay = tlsOptionsForRelay({ key, certificate })
    const endpoint = await tlsOptionsForEndpoint({ host })
    const { endpoint: refused } = await meet({ ...relay, ALPNProtocols: ['objectrelay/2'] }, endpoint)
    expect(codeOf(refused)).toBe('INCOMPATIBLE_VERSION')
    const { ALPNProtocols: _left, ...withoutProtocol } = relay
    const { endpoint: connected } = await meet(withoutProtocol, endpoint)
    if ('category' in connected) throw connected
    expect(explainApplicationProtocol(connected.alpnProtocol, context)).toMatchObject({ code: 'NOT_A_RELAY' })
    expect(explainApplicationProtocol(applicationProtocol, context)).toBeUndefined()
    connected.destroy()
  })
})

/** What a TLS relay makes of a peer that sends these bytes and no TLS. */
async function relayHears(bytes: string): Promise<string> {
  const server = createServer(tlsOptionsForRelay({ key, certificate }))
  const heard = new Promise<ObjectRelayError>((resolve) => {
    server.on('tlsClientError', (error) => resolve(explainTlsError(error, { ...context, side: 'relay' })))
  })
  const socket = connectPlain(await listen(server), host)
  socket.on('error', () => {})
  socket.end(bytes, 'latin1')
  const { code } = await heard
  socket.destroy()
  return code
}

describe('a peer without TLS', () => {
  it('is recognised by a TLS relay', async () => {
    expect(await relayHears('GET / HTTP/1.1\r\nHost: relay\r\n\r\n')).toBe('SECURITY_MISMATCH')
    expect(await relayHears('\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c')).toBe('SECURITY_MISMATCH')
    expect(await relayHears('')).toBe('LINK_LOST')
  })

  it('is recognised by a TLS endpoint', async () => {
    const port = await listen(
      createPlainServer((socket) => {
        socket.on('error', () => {})
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      }),
    )
    const options = await tlsOptionsForEndpoint({ host })
    const error = await new Promise<unknown>((resolve) => connect({ ...options, host, port }).on('error', resolve))
    expect(explainTlsError(error, { host, port })).toMatchObject({ code: 'SECURITY_MISMATCH', category: 'refused' })
  })
})

describe('an error of a socket', () => {
  it('of a port where nothing listens says so, and can be tried again', async () => {
    const server = createPlainServer()
    const port = await listen(server)
    await new Promise((resolve) => server.close(resolve))
    const error = await new Promise<unknown>((resolve) => connect({ host, port }).on('error', resolve))
    expect(explainTlsError(error, { host, port })).toMatchObject({
      code: 'CONNECT_FAILED',
      retryable: true,
      message: `The relay at 127.0.0.1:${port}: nothing listens there. Check host and port, and whether the relay runs.`,
      cause: error,
    })
  })

  it('of several addresses is explained by the first of them', () => {
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    expect(explainTlsError(new AggregateError([refused, refused]), context).code).toBe('CONNECT_FAILED')
  })

  it('that nobody knows, or that is none, is typed all the same', () => {
    const tls = Object.assign(new Error('odd'), { code: 'ERR_SSL_SOMETHING_NEW' })
    expect(explainTlsError(tls, context).code).toBe('HANDSHAKE_FAILED')
    expect(explainTlsError(Object.assign(new Error('odd'), { code: 'constructor' }), context).code).toBe('LINK_LOST')
    for (const odd of [undefined, null, 5, 'text', {}]) expect(explainTlsError(odd, context).code).toBe('LINK_LOST')
  })
})

describe('the options of an endpoint', () => {
  it('that contradict each other are refused', async () => {
    await writeFile(join(folder, 'ca.pem'), certificate)
    const invalid = { code: 'INVALID_OPTION' }
    await expect(tlsOptionsForEndpoint({ host, keysDir: folder, ca: certificate })).rejects.toMatchObject(invalid)
    await expect(tlsOptionsForEndpoint({ host, hostname: 'relay' })).rejects.toMatchObject(invalid)
    await expect(tlsOptionsForEndpoint({ host, ca: certificate, hostname: '' })).rejects.toMatchObject(invalid)
  })

  it('never send an address as the name of the server', async () => {
    expect((await tlsOptionsForEndpoint({ host: '127.0.0.1' })).servername).toBe('')
    expect((await tlsOptionsForEndpoint({ host: '::1' })).servername).toBe('')
    expect((await tlsOptionsForEndpoint({ host: 'localhost' })).servername).toBe('localhost')
  })
})
