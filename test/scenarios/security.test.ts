import { createServer } from 'node:tls'
import { AuthenticationError, createPasswordVerifier, type Relay } from 'objectrelay'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from '../../src/security/certificate.ts'
import { proofMessageTypes } from '../../src/security/proofMessages.ts'
import { applicationProtocol } from '../../src/security/tlsOptions.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'
import { failureOf } from '../support/failures.ts'
import { useDataFolder } from '../support/folders.ts'
import { host, Network, password, relayEvent, take } from '../support/network.ts'
import { listenOn } from '../support/ports.ts'
import { endPrograms, Program } from '../support/programs.ts'
import { manInTheMiddle } from '../support/proxies.ts'
import { RawPeer } from '../support/rawPeer.ts'
import { Witness } from '../support/witness.ts'

useDataFolder()
const network = new Network()
const witness = new Witness()
const closing: { close(): void }[] = []
const wrongPassword = 'Qn4-wrong-ferret-58-plum'

afterEach(async () => {
  for (const server of closing.splice(0)) server.close()
  await endPrograms()
  await network.end()
})
afterAll(() => {
  expect(witness.texts.length).toBeGreaterThan(30)
  for (const secret of [password, wrongPassword]) {
    expect(witness.texts.filter((text) => text.includes(secret))).toEqual([])
  }
})

function ownKeys(): { key: string; certificate: string } {
  const key = makePrivateKey()
  return { key, certificate: makeCertificate({ key, hostnames: ['localhost', host], nowMs: Date.now() }) }
}

/** Why an endpoint was not accepted. */
async function refusal(to: { readonly port: number }, options = {}) {
  const failure = await failureOf(() => network.connect(to, { on: witness.listeners, ...options }))
  witness.error(failure)
  return failure
}

async function watchedRelay(options = {}): Promise<Relay> {
  return witness.relay(await network.relay(options))
}

describe('a man in the middle with a certificate of his own and the right client', () => {
  it('is refused by both ends, and learns nothing that he could use', async () => {
    const relay = await watchedRelay()
    const proxy = await manInTheMiddle(relay.port, ownKeys())
    closing.push(proxy)
    const refused = relayEvent(relay, 'endpointRefused')
    const failure = await refusal(proxy)
    expect(failure).toBeInstanceOf(AuthenticationError)
    expect(failure.code).toBe('RELAY_NOT_PROVEN')
    expect((await refused).error.code).toBe('CHANNEL_MISMATCH')

    const [heard] = proxy.overheard
    const fromEndpoint = Buffer.concat(heard?.fromEndpoint ?? [])
    const plaintext = Buffer.concat([fromEndpoint, ...(heard?.fromRelay ?? [])])
    expect(fromEndpoint.length).toBeGreaterThan(150)
    for (const form of ['utf8', 'utf16le', 'base64', 'hex'] as const) {
      const shown =
        form === 'utf8' || form === 'utf16le' ? Buffer.from(password, form) : Buffer.from(password).toString(form)
      expect(plaintext.includes(shown)).toBe(false)
    }
    const replay = await RawPeer.connect(relay)
    const replayRefused = relayEvent(relay, 'endpointRefused')
    replay.send(fromEndpoint)
    await replay.closed
    expect((await replayRefused).error.code).toBe('WRONG_PASSWORD')
  })

  it('is refused as well when the endpoint comes with a ticket, and locks nobody out', async () => {
    const relay = await watchedRelay()
    const direct = await network.connect(relay, { groups: 'g' })
    const proxy = await manInTheMiddle(relay.port, ownKeys())
    closing.push(proxy)
    for (let attempt = 0; attempt < 3; attempt++) expect((await refusal(proxy)).code).toBe('RELAY_NOT_PROVEN')
    const before = performance.now()
    const another = await network.connect(relay)
    expect(performance.now() - before).toBeLessThan(2_000)
    await another.broadcast('fine', 'g')
    expect(await take(direct, 1)).toEqual(['fine'])
  })
})

describe('a wrong password', () => {
  it('is refused at once on both sides, slowed down when it comes again, and the right one still gets in', async () => {
    const relay = await watchedRelay()
    const refused = relayEvent(relay, 'endpointRefused')
    const before = performance.now()
    const failure = await refusal(relay, { password: wrongPassword })
    expect(failure).toBeInstanceOf(AuthenticationError)
    expect(failure).toMatchObject({ code: 'WRONG_PASSWORD', category: 'refused', retryable: false })
    expect((await refused).error.code).toBe('WRONG_PASSWORD')

    const slowed = relayEvent(relay, 'endpointRefused', ({ error }) => error.code === 'TOO_MANY_ATTEMPTS')
    for (let attempt = 0; attempt < 3; attempt++) {
      expect((await refusal(relay, { password: wrongPassword })).code).toBe('WRONG_PASSWORD')
    }
    await slowed
    expect(performance.now() - before, 'the waits are 100, 200 and 400 ms').toBeGreaterThan(650)

    const program = new Program(
      `const endpoint = await Endpoint.connect(settings)
       await endpoint.broadcast('in', 'g')
       await endpoint.stop()`,
      { host, port: relay.port, password },
    )
    expect(await program.exited).toEqual({ code: 0, signal: null })
    expect((await relay.stats()).groups.g).toMatchObject({ accepted: 1 })
  })

  it('ends an endpoint in the background too, with an event, and fails its calls', async () => {
    const relay = await watchedRelay()
    const endpoint = network.begin(relay, { password: wrongPassword, on: witness.listeners })
    const sent = failureOf(() => endpoint.produce('object', 'g'))
    expect((await sent).code).toBe('WRONG_PASSWORD')
    expect((await failureOf(() => endpoint.produce('object', 'g'))).code).toBe('WRONG_PASSWORD')
    expect((await failureOf(() => endpoint.pop({ blocking: true }))).code).toBe('WRONG_PASSWORD')
    expect(endpoint.stats().state).toBe('disconnected')
  })

  it('is told from the right one by a relay that only has a verifier', async () => {
    const relay = await watchedRelay({
      password: undefined,
      passwordVerifier: JSON.parse(await createPasswordVerifier(password)),
    })
    expect((await refusal(relay, { password: wrongPassword })).code).toBe('WRONG_PASSWORD')
    const endpoint = await network.connect(relay)
    expect(await endpoint.broadcast('in', 'g')).toEqual({ members: { g: 0 } })
  })
})

describe('an impostor in the place of the relay', () => {
  it('is refused when it does not know the password', async () => {
    const impostor = await watchedRelay({ password: wrongPassword })
    expect((await refusal(impostor)).code).toBe('WRONG_PASSWORD')
  })

  /** A TLS server that answers whatever comes with the same bytes. */
  async function answering(answer: Buffer): Promise<{ port: number }> {
    const { key, certificate } = ownKeys()
    const server = createServer({ key, cert: certificate, ALPNProtocols: [applicationProtocol] }, (socket) => {
      socket.on('error', () => undefined)
      socket.on('data', () => socket.write(answer))
    })
    const port = await listenOn(server)
    closing.push(server)
    return { port }
  }

  it.each([
    ['LOGIN_PROOF', Buffer.alloc(52, 7)],
    ['TICKET_PROOF', Buffer.alloc(32, 7)],
    ['LOGIN_RESPONSE', Buffer.alloc(328, 7)],
  ] as const)('is refused when it pretends with a made-up %s', async (name, body) => {
    const impostor = await answering(encodeProofFrame({ type: proofMessageTypes[name], body }))
    const failure = await refusal(impostor, { connectTimeoutMs: 5_000 })
    expect(['PROTOCOL_VIOLATION', 'WRONG_PASSWORD', 'RELAY_NOT_PROVEN']).toContain(failure.code)
  })

  it('is refused when it speaks another protocol over TLS', async () => {
    const { key, certificate } = ownKeys()
    const server = createServer({ key, cert: certificate, ALPNProtocols: ['h2'] })
    const port = await listenOn(server)
    closing.push(server)
    const failure = await refusal({ port }, { connectTimeoutMs: 5_000 })
    expect(['NOT_A_RELAY', 'INCOMPATIBLE_VERSION']).toContain(failure.code)
    expect(failure.category).toBe('refused')
  })
})

describe('a proof that was recorded', () => {
  it('opens no second connection', async () => {
    const relay = await watchedRelay()
    const honest = await RawPeer.authenticated(relay)
    const recorded = Buffer.concat(honest.sent)
    const refused = relayEvent(relay, 'endpointRefused')
    const replay = await RawPeer.connect(relay)
    replay.send(recorded)
    await replay.closed
    expect((await refused).error.code).toBe('WRONG_PASSWORD')
    honest.socket.destroy()
  })
})

describe("security: 'none'", () => {
  it('works when both sides say so, and the relay warns', async () => {
    const warnings: string[] = []
    const relay = await watchedRelay({
      security: 'none',
      on: { warning: ({ message }: { message: string }) => warnings.push(message) },
    })
    const sender = await network.connect(relay, { security: 'none' })
    const receiver = await network.connect(relay, { security: 'none', groups: 'g' })
    await sender.broadcast('readable on the wire', 'g')
    expect(await take(receiver, 1)).toEqual(['readable on the wire'])
    expect(warnings.join()).toContain("security is 'none'")
    expect(relay.fingerprint256).toBeUndefined()
    expect((await refusal(relay, { security: 'none', password: wrongPassword })).code).toBe('WRONG_PASSWORD')
  })

  it.each([
    ['TLS', 'none'],
    ['none', 'TLS'],
  ] as const)(
    'of the endpoint (%s) differing from that of the relay (%s) is said clearly on both sides',
    async (own, other) => {
      const relay = await watchedRelay({ security: other })
      const refused = relayEvent(relay, 'endpointRefused')
      const failure = await refusal(relay, { security: own, connectTimeoutMs: 10_000 })
      expect(failure).toMatchObject({ code: 'SECURITY_MISMATCH', category: 'refused' })
      expect(failure.message).toContain('security')
      expect((await refused).error.code).toBe('SECURITY_MISMATCH')
    },
  )
})
