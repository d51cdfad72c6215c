import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { Endpoint, Relay, RelayEvents } from 'objectrelay'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { loadPasswordProof, startLogin } from '../../src/security/passwordLogin.ts'
import { proofMessageTypes } from '../../src/security/proofMessages.ts'
import { applicationProtocol } from '../../src/security/tlsOptions.ts'
import { encodeJson } from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'
import { useDataFolder } from '../support/folders.ts'
import { host, Network, relayEvent, take } from '../support/network.ts'
import { endPrograms, Program } from '../support/programs.ts'
import { helloOf, RawPeer } from '../support/rawPeer.ts'
import { eventually, within } from '../support/waiting.ts'

useDataFolder()
const handshakeMs = 600
/** What a busy machine may add. */
const slackMs = 1_500
const network = new Network()
let relay: Relay
let sender: Endpoint
let receiver: Endpoint
const sockets: Socket[] = []

beforeAll(async () => {
  await loadPasswordProof()
  relay = await network.relay({ limits: { handshakeMs } })
  sender = await network.connect(relay)
  receiver = await network.connect(relay, { groups: 'g' })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await eventually(
    async () => (await relay.stats()).unauthenticated,
    (count) => count === 0,
  )
})
afterAll(async () => {
  await endPrograms()
  await network.end()
})

function tcp(): Socket {
  const socket = connectTcp({ host, port: relay.port })
  socket.on('error', () => undefined)
  sockets.push(socket)
  return socket
}

function tls(options: ConnectionOptions = { ALPNProtocols: [applicationProtocol] }): Socket {
  const socket = connectTls({ host, port: relay.port, rejectUnauthorized: false, ...options })
  socket.on('error', () => undefined)
  sockets.push(socket)
  return socket
}

/** Unlike `once` of node:events it does not mind an error before. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

/** Others are served while a stranger is at the door; how long the longest of them took. */
async function serveMeanwhile(until: Promise<unknown>): Promise<number> {
  let over = false
  void until.then(() => {
    over = true
  })
  let longestMs = 0
  for (let count = 0; !over; count++) {
    const before = performance.now()
    await sender.broadcast(count, 'g')
    expect(await take(receiver, 1)).toEqual([count])
    longestMs = Math.max(longestMs, performance.now() - before)
    await pause(10)
  }
  return longestMs
}

/** Lets a stranger act; the relay must end the connection in time and say why, and nobody else may notice. */
async function turnedAway(socket: Socket, act: (socket: Socket) => unknown): Promise<RelayEvents['endpointRefused']> {
  socket.resume()
  const beganMs = performance.now()
  const refused = relayEvent(relay, 'endpointRefused')
  const closed = within(closeOf(socket), 'the end of the connection', handshakeMs + slackMs)
  await act(socket)
  const [longestMs] = await Promise.all([serveMeanwhile(closed), closed])
  expect(performance.now() - beganMs).toBeLessThan(handshakeMs + slackMs)
  expect(longestMs).toBeLessThan(500)
  return await refused
}

/** Writes one byte after the other, slowly, for as long as it is let. */
async function drip(socket: Socket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) {
    if (socket.destroyed) return
    socket.write(Buffer.of(byte))
    await pause(50)
  }
}

describe('a stranger at the door of a relay with TLS', () => {
  it.each([
    ['bytes that are not TLS', randomBytes(512).fill(0x41, 0, 4), ['SECURITY_MISMATCH', 'HANDSHAKE_FAILED']],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: relay\r\n\r\n'), ['SECURITY_MISMATCH']],
    ['the preface of a link without TLS', Buffer.from('objectrelay/1\n'), ['SECURITY_MISMATCH']],
    ['an SSH greeting', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), ['SECURITY_MISMATCH', 'HANDSHAKE_FAILED']],
  ])('is turned away for %s', async (_, bytes, codes) => {
    const { error, peer } = await turnedAway(tcp(), (socket) => socket.write(bytes))
    expect(codes).toContain(error.code)
    expect(peer).toContain(host)
  })

  it.each<[string, ConnectionOptions, string[]]>([
    [
      'TLS 1.2',
      { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ALPNProtocols: [applicationProtocol] },
      ['INCOMPATIBLE_VERSION'],
    ],
    ['another protocol over TLS', { ALPNProtocols: ['h2'] }, ['INCOMPATIBLE_VERSION', 'NOT_A_RELAY']],
    ['TLS without naming a protocol', {}, ['NOT_A_RELAY']],
  ])('is turned away for %s', async (_, options, codes) => {
    const { error } = await turnedAway(tls(options), () => undefined)
    expect(codes).toContain(error.code)
  })

  it('is turned away after handshakeMs when it says nothing, before TLS or after it', async () => {
    expect((await turnedAway(tcp(), () => undefined)).error.code).toBe('HANDSHAKE_TIMEOUT')
    expect((await turnedAway(tls(), (socket) => once(socket, 'secureConnect'))).error.code).toBe('HANDSHAKE_TIMEOUT')
  })

  it('is turned away after handshakeMs when it speaks one byte after the other', async () => {
    const hello = Buffer.concat([Buffer.of(0x16, 3, 1, 2, 0, 1), Buffer.alloc(200)])
    expect((await turnedAway(tcp(), (socket) => void drip(socket, hello))).error.code).toBe('HANDSHAKE_TIMEOUT')
    const start = encodeProofFrame({ type: proofMessageTypes.LOGIN_START, body: randomBytes(96) })
    const slow = tls()
    await once(slow, 'secureConnect')
    expect((await turnedAway(slow, (socket) => void drip(socket, start))).error.code).toBe('HANDSHAKE_TIMEOUT')
  })

  it('is turned away at the first frame for a megabyte of garbage, of which the relay keeps nothing', async () => {
    const { residentBytes } = (await relay.stats()).memory
    for (let attempt = 0; attempt < 5; attempt++) {
      const socket = tls()
      await once(socket, 'secureConnect')
      const { error } = await turnedAway(socket, () => socket.write(randomBytes(1024 * 1024).fill(0xff, 0, 8)))
      expect(error.code).toBe('PROTOCOL_VIOLATION')
    }
    expect((await relay.stats()).memory.residentBytes - residentBytes).toBeLessThan(100 * 1024 * 1024)
  })

  it.each<[string, Buffer]>([
    ['a frame that is longer than any of the proof', Buffer.of(0xff, 0xff, 0, 0, 1)],
    ['a frame without a type', Buffer.of(4, 0, 0, 0, 0)],
    ['a proof of a wrong length', encodeProofFrame({ type: proofMessageTypes.LOGIN_START, body: randomBytes(95) })],
    [
      'a proof that is no point of the curve',
      encodeProofFrame({ type: proofMessageTypes.LOGIN_START, body: Buffer.alloc(96, 0xff) }),
    ],
    [
      'the end of a proof without its beginning',
      encodeProofFrame({ type: proofMessageTypes.LOGIN_FINISH, body: randomBytes(96) }),
    ],
    ['HELLO before the proof', encodeJson(FrameType.HELLO, helloOf({}))],
    ['an object before the proof', encodeJson(FrameType.OBJECT, {})],
  ])('is turned away for %s', async (_, bytes) => {
    const socket = tls()
    await once(socket, 'secureConnect')
    const { error } = await turnedAway(socket, () => socket.write(bytes))
    expect(error.code).toBe('PROTOCOL_VIOLATION')
  })

  it('gains nothing by a ticket that it made up, and may still prove the password', async () => {
    const peer = await RawPeer.connect(relay)
    peer.send(encodeProofFrame({ type: proofMessageTypes.TICKET_START, body: randomBytes(104) }))
    expect((await peer.next()).type).toBe(proofMessageTypes.TICKET_UNKNOWN)
    peer.socket.destroy()
  })

  it('is turned away when it says more while its login waits for its turn', async () => {
    const socket = tls()
    await once(socket, 'secureConnect')
    const start = encodeProofFrame({ type: proofMessageTypes.LOGIN_START, body: randomBytes(96) })
    const { error } = await turnedAway(socket, () => socket.write(Buffer.concat([start, start])))
    expect(error.code).toBe('PROTOCOL_VIOLATION')
  })
})

describe('many strangers', () => {
  it('find no more than unauthenticatedMax places, and give them up to whoever comes', async () => {
    const small = await network.relay({ limits: { handshakeMs, unauthenticatedMax: 4 } })
    const crowd: Socket[] = []
    for (let count = 0; count < 4; count++) {
      const socket = connectTcp({ host, port: small.port })
      socket.on('error', () => undefined)
      crowd.push(socket)
      sockets.push(socket)
    }
    await eventually(
      async () => (await small.stats()).unauthenticated,
      (count) => count === 4,
    )
    const refused = relayEvent(small, 'endpointRefused', ({ error }) => error.code === 'TOO_MANY_CONNECTIONS')
    const [oldest] = crowd
    const endpoint = await network.connect(small)
    expect(await endpoint.broadcast('in', 'g')).toEqual({ members: { g: 0 } })
    await refused
    expect(oldest?.closed).toBe(true)
    expect((await small.stats()).unauthenticated).toBeLessThanOrEqual(4)
    await eventually(
      async () => (await small.stats()).unauthenticated,
      (count) => count === 0,
    )
  })

  it('of 1 500 who say nothing and come again at once do not keep an endpoint out', async () => {
    const open = await network.relay()
    const flood = new Program(
      `import { connect } from 'node:net'
       let ended = 0
       const come = () => {
         const socket = connect({ host: settings.host, port: settings.port })
         socket.on('error', () => undefined)
         socket.on('close', () => {
           if (++ended === 2_000) say('crowded')
           setImmediate(come)
         })
       }
       for (let count = 0; count < 1_500; count++) come()`,
      { host, port: open.port },
    )
    await flood.heard('crowded')
    for (let attempt = 0; attempt < 3; attempt++) {
      const began = performance.now()
      const peer = await RawPeer.joined(open, ['g'])
      expect(performance.now() - began, 'an endpoint that speaks gets in').toBeLessThan(5_000)
      peer.socket.destroy()
    }
    const endpoint = await network.connect(open, { connectTimeoutMs: 10_000 })
    expect(await endpoint.broadcast('in', 'h')).toEqual({ members: { h: 0 } })
    expect((await open.stats()).unauthenticated).toBeLessThanOrEqual(2 * 1_024)
    flood.kill('SIGKILL')
    await flood.exited
  }, 60_000)

  it('who each show a login and then nothing leave room for others', async () => {
    const small = await network.relay({ limits: { unauthenticatedMax: 20 } })
    const crowd: RawPeer[] = []
    for (let count = 0; count < 40; count++) {
      const peer = await RawPeer.connect(small)
      const { ke1 } = startLogin('a wrong password')
      peer.send(encodeProofFrame({ type: proofMessageTypes.LOGIN_START, body: ke1 }))
      crowd.push(peer)
    }
    const { ticket } = await RawPeer.authenticated(relay)
    expect(ticket).toBeDefined()
    const peer = await RawPeer.connect(small)
    peer.send(encodeProofFrame({ type: proofMessageTypes.TICKET_START, body: randomBytes(104) }))
    expect((await peer.next()).type).toBe(proofMessageTypes.TICKET_UNKNOWN)
    expect((await small.stats()).unauthenticated).toBeLessThanOrEqual(41)
    for (const { socket } of [...crowd, peer]) socket.destroy()
  })

  it('do not flood the program with events: beyond some in a second they are counted', async () => {
    const events: RelayEvents['endpointRefused'][] = []
    const listener = (value: RelayEvents['endpointRefused']) => events.push(value)
    relay.on('endpointRefused', listener)
    const before = (await relay.stats()).endpoints.refused
    for (let count = 0; count < 200; count++) {
      const socket = tcp()
      socket.write('not TLS at all\r\n\r\n')
    }
    const { endpoints } = await eventually(
      () => relay.stats(),
      (stats) => stats.endpoints.refused >= before + 200,
    )
    expect(endpoints.connected).toBe(2)
    relay.off('endpointRefused', listener)
    expect(events.length).toBeLessThan(100)
    await sender.broadcast('still there', 'g')
    expect(await take(receiver, 1)).toEqual(['still there'])
  })
})

describe("a stranger at the door of a relay with security: 'none'", () => {
  it.each<[string, Buffer, string]>([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'NOT_A_RELAY'],
    ['random bytes', Buffer.alloc(100_000, 0x90), 'NOT_A_RELAY'],
    ['TLS', Buffer.from('16030100050100000100', 'hex'), 'SECURITY_MISMATCH'],
    ['half of the preface', Buffer.from('object'), 'HANDSHAKE_TIMEOUT'],
    ['nothing', Buffer.alloc(0), 'HANDSHAKE_TIMEOUT'],
    ['garbage after the preface', Buffer.from('objectrelay/1\n\xff\xff\xff\xff\xff', 'latin1'), 'PROTOCOL_VIOLATION'],
    ['silence after the preface', Buffer.from('objectrelay/1\n'), 'HANDSHAKE_TIMEOUT'],
  ])('is turned away for %s', async (_, bytes, code) => {
    const open = await network.relay({ security: 'none', limits: { handshakeMs } })
    const refused = relayEvent(open, 'endpointRefused')
    const socket = connectTcp({ host, port: open.port })
    socket.on('error', () => undefined).resume()
    socket.write(bytes)
    await within(closeOf(socket), 'the end of the connection', handshakeMs + slackMs)
    expect((await refused).error.code).toBe(code)
    await eventually(
      async () => (await open.stats()).unauthenticated,
      (count) => count === 0,
    )
  })
})
