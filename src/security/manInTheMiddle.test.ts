import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from './certificate.ts'
import { channelBindingOf } from './channelProof.ts'
import { EndpointProof, type EndpointStep } from './endpointProof.ts'
import { receiveAtOnce } from './proofExchange.fixture.ts'
import type { ProofMessage, ReceivedMessage } from './proofMessages.ts'
import { RelayAuthenticator, type RelayStep } from './relayProof.ts'
import type { Ticket } from './tickets.ts'
import { tlsOptionsForEndpoint, tlsOptionsForRelay } from './tlsOptions.ts'

/** Real TLS on loopback: a relay, an endpoint, and a proxy with a certificate of its own that passes every byte on. */
const host = '127.0.0.1'
const password = 'correct horse battery'
const servers: Server[] = []
let relayPort = 0
let proxyPort = 0
let relayHeard: Promise<RelayStep['outcome']>
let passedOn: Buffer[] = []

function ownKeys(): { key: string; certificate: string } {
  const key = makePrivateKey()
  return { key, certificate: makeCertificate({ key, hostnames: ['localhost', host], nowMs: Date.now() }) }
}

async function listen(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  // A server that listens on TCP has an address of this kind.
  return (server.address() as AddressInfo).port
}

/** A frame for this test: type u8, length u16, body. The project's own frames belong to another room. */
function write(socket: TLSSocket, { type, body }: ProofMessage): void {
  socket.write(Buffer.concat([Uint8Array.of(type, body.length & 0xff, body.length >>> 8), body]))
}

function onFrame(socket: TLSSocket, take: (frame: ReceivedMessage) => void): void {
  let waiting = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    waiting = Buffer.concat([waiting, bytes])
    while (waiting.length >= 3 && waiting.length >= 3 + waiting.readUInt16LE(1)) {
      const end = 3 + waiting.readUInt16LE(1)
      take({ type: waiting.readUInt8(0), body: waiting.subarray(3, end) })
      waiting = waiting.subarray(end)
    }
  })
}

async function tryTo(port: number, ticket?: Ticket): Promise<EndpointStep['outcome']> {
  const socket = connect({ ...(await tlsOptionsForEndpoint({ host })), host, port })
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => resolve(undefined))
    socket.once('secureConnect', () => {
      const proof = new EndpointProof({ password, channelBinding: channelBindingOf(socket), ticket })
      onFrame(socket, (frame) => {
        const { send, outcome } = proof.receive(frame)
        if (send !== undefined) write(socket, send)
        if (outcome === undefined) return
        socket.end()
        resolve(outcome)
      })
      write(socket, proof.start())
    })
  })
}

beforeAll(async () => {
  const authenticator = await RelayAuthenticator.create(
    { password },
    { ticketMs: 60_000, ticketKey: new Uint8Array(32) },
  )
  let tell: (outcome: RelayStep['outcome']) => void = () => {}
  const relay = createServer(tlsOptionsForRelay(ownKeys()), (socket) => {
    const proof = authenticator.begin(channelBindingOf(socket))
    socket.on('error', () => {})
    onFrame(socket, (frame) => {
      const { send, outcome } = receiveAtOnce(proof, frame, Date.now())
      if (send !== undefined) write(socket, send)
      if (outcome !== undefined) tell(outcome)
    })
  })
  relay.on('connection', () => {
    relayHeard = new Promise((resolve) => {
      tell = resolve
    })
  })
  relayPort = await listen(relay)
  const onward = await tlsOptionsForEndpoint({ host })
  const proxy = createServer(tlsOptionsForRelay(ownKeys()), (near) => {
    const far = connect({ ...onward, host, port: relayPort })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (bytes) => passedOn.push(bytes))
      from.on('error', () => {})
      from.pipe(to)
    }
  })
  proxyPort = await listen(proxy)
})

afterAll(() => {
  for (const server of servers) server.close()
})

describe('a man in the middle with real TLS on both sides', () => {
  it('is refused by both ends, whether the password or a ticket is proven', async () => {
    const direct = await tryTo(relayPort)
    expect(direct).toMatchObject({ authenticated: true })
    if (direct === undefined || !('authenticated' in direct)) throw new Error('The direct login failed')

    expect(await tryTo(proxyPort)).toMatchObject({ refused: { code: 'RELAY_NOT_PROVEN' } })
    expect(await relayHeard).toMatchObject({ refused: { code: 'CHANNEL_MISMATCH' } })
    expect(await tryTo(proxyPort, direct.ticket)).toMatchObject({ refused: { code: 'RELAY_NOT_PROVEN' } })
    expect(await relayHeard).toMatchObject({ refused: { code: 'CHANNEL_MISMATCH' } })
    expect(await tryTo(relayPort, direct.ticket)).toMatchObject({ authenticated: true })
  })

  it('sees neither the password nor the key of a ticket', async () => {
    const direct = await tryTo(relayPort)
    if (direct === undefined || !('authenticated' in direct) || direct.ticket === undefined)
      throw new Error('No ticket')
    passedOn = []
    await tryTo(proxyPort)
    await tryTo(proxyPort, direct.ticket)
    const seen = Buffer.concat(passedOn)
    expect(seen.length).toBeGreaterThan(500)
    expect(seen.includes(password)).toBe(false)
    expect(seen.includes(Buffer.from(direct.ticket.key))).toBe(false)
  })
})
