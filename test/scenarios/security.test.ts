import { join } from 'node:path'
import { createServer } from 'node:tls'
import { AuthenticationError, createPasswordVerifier, fileStore, type Relay } from 'objectrelay'

import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { makeCertificate, makePrivateKey } from '../../src/security/certificate.ts'
import { channelBindingOf } from '../../src/security/channelProof.ts'
import { EndpointProof } from '../../src/security/endpointProof.ts'
import { proofMessageTypes } from '../../src/security/proofMessages.ts'
import type { Ticket } from '../../src/security/tickets.ts'
import { applicationProtocol } from '../../src/security/tlsOptions.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'
import { failureOf } from '../support/failures.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { endpointEvent, host, Network, password, relayEvent, take } from '../support/network.ts'
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

/** Says again what an endpoint said, waiting for the answer to its login as that did; why the relay refuses it. */
async function replayed(relay: Relay, recorded: Buffer): Promise<string> {
  const refused = relayEvent(relay, 'endpointRefused')
  const replay = await RawPeer.connect(relay)
  const loginBytes = recorded.readUInt32LE()
  replay.send(recorded.subarray(0, loginBytes))
  expect((await replay.next()).type).toBe(proofMessageTypes.LOGIN_RESPONSE)
  replay.send(recorded.subarray(loginBytes))
  await replay.closed
  return (await refused).error.code
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
    expect(await replayed(relay, fromEndpoint)).toBe('WRONG_PASSWORD')
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
  it('is refused at once on both sides, and the right one still gets in', async () => {
    const relay = await watchedRelay()
    const refused = relayEvent(relay, 'endpointRefused')
    const failure = await refusal(relay, { password: wrongPassword })
    expect(failure).toBeInstanceOf(AuthenticationError)
    expect(failure).toMatchObject({ code: 'WRONG_PASSWORD', category: 'refused', retryable: false })
    expect((await refused).error.code).toBe('WRONG_PASSWORD')

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

describe('a process at the same address that guesses in a loop', () => {
  /** A program with an old password that is started again and again, over two connections at once. */
  async function guesser({ port }: { readonly port: number }): Promise<Program> {
    const program = new Program(
      `let count = 0
       const guess = async (_, loop) => {
         for (let round = 0; ; round++) {
           // Endpoints with the same password find out once for all that it is wrong.
           const password = settings.password + loop + '.' + round
           await Endpoint.connect({ ...settings, password, io: 'inline' }).catch((error) => {
             if (error.code !== 'WRONG_PASSWORD') return
             if (++count === 23) say('slowed down')
           })
           await new Promise((resolve) => setTimeout(resolve, 10))
         }
       }
       await Promise.all(Array.from({ length: 2 }, guess))`,
      { host, port, password: wrongPassword, connectTimeoutMs: 120_000 },
    )
    await program.heard('slowed down', 60_000)
    return program
  }

  /** Ten endpoints that each know the password and have no ticket: how long until the last of them was in. */
  async function tenLogins(relay: { readonly port: number }): Promise<number> {
    const began = performance.now()
    const peers = await Promise.all(Array.from({ length: 10 }, () => RawPeer.joined(relay, ['others'])))
    const tookMs = performance.now() - began
    for (const { socket } of peers) socket.destroy()
    return tookMs
  }

  it('does not keep those out who prove the password, now or after a restart of the relay, and gains nothing by them', async () => {
    const relay = await watchedRelay()
    const { port } = relay
    const staying = await network.connect(relay, { groups: 'g' })
    const program = await guesser(relay)
    expect(await tenLogins(relay), 'each guess that is before them takes two seconds').toBeLessThan(15_000)
    const guessesBefore = (await relay.stats()).endpoints.refused
    const sinceMs = performance.now()
    expect(await tenLogins(relay)).toBeLessThan(15_000)
    const guesses = (await relay.stats()).endpoints.refused - guessesBefore
    expect(guesses, 'one guess in two seconds').toBeLessThanOrEqual((performance.now() - sinceMs) / 2_000 + 2)

    await relay.stop({ deadlineMs: 0 })
    const returned = endpointEvent(staying, 'connected')
    const again = await watchedRelay({ port })
    await Promise.all([returned, tenLogins(again).then((tookMs) => expect(tookMs).toBeLessThan(15_000))])
    expect(await staying.produce('in', 'g')).toEqual({ members: { g: 1 } })
    program.kill('SIGKILL')
    await program.exited
  }, 120_000)

  it('does not slow down who has a ticket', async () => {
    const relay = await watchedRelay()
    const { ticket } = await RawPeer.authenticated(relay)
    const program = await guesser(relay)
    for (let attempt = 0; attempt < 3; attempt++) {
      const peer = await RawPeer.authenticated(relay, ticket)
      expect(peer.frames.map(({ type }) => type)).toEqual([proofMessageTypes.TICKET_PROOF])
      peer.socket.destroy()
    }
    program.kill('SIGKILL')
    await program.exited
  }, 60_000)
})

describe('a ticket', () => {
  async function firstAnswer(relay: Relay, ticket: Ticket | undefined): Promise<number | undefined> {
    const peer = await RawPeer.authenticated(relay, ticket)
    peer.socket.destroy()
    return peer.frames[0]?.type
  }

  it('outlives a relay that keeps its objects, and dies with the password', async () => {
    const store = fileStore({ dir: join(await temporaryFolder(), 'store') })
    const relay = await watchedRelay({ store })
    const { ticket } = await RawPeer.authenticated(relay)
    await relay.stop()
    const again = await watchedRelay({ store })
    expect(await firstAnswer(again, ticket)).toBe(proofMessageTypes.TICKET_PROOF)
    await again.stop()
    const changed = await watchedRelay({ store, password: `${password}, changed` })
    const peer = await RawPeer.connect(changed)
    const channelBinding = channelBindingOf(peer.socket)
    peer.send(encodeProofFrame(new EndpointProof({ password, channelBinding, ticket }).start()))
    expect((await peer.next()).type).toBe(proofMessageTypes.TICKET_UNKNOWN)
  })

  it('ends with a relay that keeps nothing', async () => {
    const relay = await watchedRelay()
    const { ticket } = await RawPeer.authenticated(relay)
    expect(await firstAnswer(relay, ticket)).toBe(proofMessageTypes.TICKET_PROOF)
    await relay.stop()
    expect(await firstAnswer(await watchedRelay(), ticket)).toBe(proofMessageTypes.TICKET_UNKNOWN)
  })
})

describe('the password stretching of a verifier', () => {
  it("does not block the program's thread, though all else of the endpoint runs there", async () => {
    const relay = await watchedRelay({
      password: undefined,
      passwordVerifier: JSON.parse(await createPasswordVerifier(password)),
    })
    const program = new Program(
      `let last = performance.now()
       let longestMs = 0
       setInterval(() => {
         longestMs = Math.max(longestMs, performance.now() - last)
         last = performance.now()
       }, 2).unref()
       await new Promise((resolve) => setTimeout(resolve, 100))
       longestMs = 0
       const began = performance.now()
       const endpoint = await Endpoint.connect(settings)
       say('connected', { tookMs: performance.now() - began, longestMs })
       await endpoint.stop()`,
      { host, port: relay.port, password, io: 'inline' },
    )
    const { tookMs, longestMs } = z
      .object({ tookMs: z.number(), longestMs: z.number() })
      .parse(await program.heard('connected'))
    expect(tookMs, 'it is heavy').toBeGreaterThan(150)
    expect(longestMs).toBeLessThan(tookMs / 2)
    // The thread that did it does not keep the program alive.
    expect(await program.exited).toEqual({ code: 0, signal: null })
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
    expect(await replayed(relay, recorded)).toBe('WRONG_PASSWORD')
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
