import { randomBytes } from 'node:crypto'
import type { Endpoint, Relay, RelayEvents } from 'objectrelay'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  encodeAccepted,
  encodeAcknowledge,
  encodeChunkHead,
  encodeConfirm,
  encodeDemand,
  encodeJson,
  encodeNotify,
  encodeRelease,
  encodeStreamOffset,
  encodeText,
} from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { encodeRoute, encodeStreamBegin } from '../../src/wire/objectHeader.ts'
import { useDataFolder } from '../support/folders.ts'
import { frameOf, objectFrame } from '../support/frames.ts'
import { host, Network, password, relayEvent, take } from '../support/network.ts'
import { endPrograms, Program } from '../support/programs.ts'
import { helloOf, RawPeer } from '../support/rawPeer.ts'
import { eventually } from '../support/waiting.ts'

useDataFolder()
const MiB = 1024 * 1024
const network = new Network()
let relay: Relay
let sender: Endpoint
let receiver: Endpoint
const lost: RelayEvents['endpointLost'][] = []
const healthy = new Set<string>()

beforeAll(async () => {
  relay = await network.relay({
    limits: { handshakeMs: 600, heartbeatMs: 2_000, memberBacklogBytesMax: MiB, sendWindowBytes: 262_144 },
    acceptedGroups: { g: {}, full: { maxConsumables: 1 }, other: {}, served: {} },
  })
  relay.on('endpointConnected', ({ endpoint, agent }) => {
    if (agent !== 'a raw peer') healthy.add(endpoint)
  })
  relay.on('endpointLost', (event) => lost.push(event))
  sender = await network.connect(relay)
  receiver = await network.connect(relay, { groups: 'served' })
})
afterAll(async () => {
  expect(lost.filter(({ endpoint }) => healthy.has(endpoint))).toEqual([])
  await network.end()
  await endPrograms()
})

/** Nobody else notices. */
async function othersAreServed(): Promise<void> {
  const token = randomBytes(8).toString('hex')
  await sender.broadcast(token, 'served')
  await receiver.notify('served')
  await sender.produce(token, 'served')
  expect(await take(receiver, 2)).toEqual([token, token])
}

/** What a member may not do, and what it is told. */
const violations: [string, Buffer][] = [
  ['a frame of an unknown type', frameOf(0x7f, randomBytes(20))],
  ['a frame of an unknown type that is not numbered', frameOf(0x1f, randomBytes(20))],
  ['a length beyond every frame', Buffer.of(0xff, 0xff, 0xff, 0xff, 0x20)],
  ['a length of nothing', Buffer.of(0, 0, 0, 0, 0x20)],
  ['HELLO a second time', encodeJson(FrameType.HELLO, helloOf({}))],
  ['WELCOME, which only a relay says', encodeJson(FrameType.WELCOME, {})],
  ['ACCEPTED, which only a relay says', encodeAccepted(0, 0, [1])],
  ['DEMAND, which only a relay says', encodeDemand('g', 5)],
  ['BLOCKED, which only a relay says', encodeText(FrameType.BLOCKED, 'g')],
  ['an object that ends before its head', frameOf(FrameType.OBJECT, Buffer.alloc(4))],
  ['an object without destination', objectFrame({ count: 0, destinations: Buffer.alloc(0) })],
  ['an object of an unknown kind', objectFrame({ kind: 9 })],
  ['an object whose destination is cut', objectFrame({ destinations: Buffer.of(200, 0x67) })],
  ['a group name that is not UTF-8', objectFrame({ destinations: Buffer.of(2, 0xc3, 0x28) })],
  ['a group name with a control character', objectFrame({ destinations: Buffer.of(1, 7) })],
  ['a group twice', objectFrame({ count: 2, destinations: Buffer.from('\x01g\x01g') })],
  ['no copies of an object', objectFrame({ kind: 2, destinations: Buffer.from('\x01g\0\0\0\0', 'latin1') })],
  ['two million copies', objectFrame({ kind: 2, destinations: Buffer.from('\x01g\x80\x84\x1e\0', 'latin1') })],
  ['an acknowledgement of what it never got', encodeAcknowledge(0, 0)],
  ['an acknowledgement of very much', encodeAcknowledge(0, Number.MAX_SAFE_INTEGER)],
  ['a range of leases that ends before it begins', encodeAcknowledge(5, 2)],
  ['a release of what it never got', encodeRelease(3, 4, { attemptCounted: true })],
  ['a confirmation of frames that were never sent', encodeConfirm(1_000_000, 2_000_000)],
  ['room that it takes back', encodeConfirm(0, 5)],
  ['a confirmation that is cut', encodeConfirm(0, 1_000_000).subarray(0, -3)],
  ['to be given objects of a group that it is not in', encodeNotify('other', 1)],
  ['to be given no objects', encodeNotify('g', 0)],
  ['to be given minus two objects', encodeNotify('g', -2)],
  ['to be given two million objects', encodeNotify('g', 2_000_000)],
  ['a large object of no bytes', streamBegin(1, 0)],
  ['a large object of more bytes than can be counted', streamBegin(1, 2 ** 53 - 1, 0xff)],
  ['a part of a large object that it never began', chunk(77, 0, 10)],
  [
    'a part before the relay has given room',
    Buffer.concat([streamBegin(1, MiB, 0, 'full'), streamBegin(2, MiB, 0, 'full'), chunk(2, 0, 60_000)]),
  ],
  ['a part beyond the room', Buffer.concat([streamBegin(1, 100 * MiB), chunk(1, 99 * MiB, 100)])],
  ['the same stream twice', Buffer.concat([streamBegin(1, MiB), streamBegin(1, MiB)])],
  ['more streams than streamsMax', Buffer.concat(Array.from({ length: 17 }, (_, index) => streamBegin(index, MiB)))],
  ['a window that is cut', encodeStreamOffset(FrameType.STREAM_WINDOW, 1, 5).subarray(0, -1)],
]

function streamBegin(stream: number, bodyBytes: number, lastByte = 0, group = 'g'): Buffer {
  const route = encodeRoute({ kind: 'produce', groups: [group], copies: [1] })
  const frame = encodeStreamBegin(route, stream, Date.now(), stream, bodyBytes)
  if (lastByte > 0) frame[frame.length - 1] = lastByte
  return frame
}

function chunk(stream: number, offset: number, bytes: number): Buffer {
  return Buffer.concat([encodeChunkHead(stream, offset, bytes), Buffer.alloc(bytes)])
}

/** Frames whose length field was not set right by cutting them. */
function withTrueLength(bytes: Buffer): Buffer {
  const declared = bytes.readUInt32LE(0)
  if (bytes.length >= declared || declared > MiB) return bytes
  const frame = Buffer.from(bytes)
  frame.writeUInt32LE(bytes.length, 0)
  return frame
}

describe('a member that breaks the protocol', () => {
  it.each(violations)('by %s is told, disconnected and forgotten; nobody else notices', async (_, bytes) => {
    const peer = await RawPeer.joined(relay, ['g'])
    const left = relayEvent(relay, 'endpointLeft', ({ reason }) => reason === 'violation')
    peer.send(withTrueLength(bytes))
    expect(['PROTOCOL_VIOLATION', 'NOT_A_MEMBER', 'INVALID_ARGUMENT']).toContain(await peer.toldCode())
    await left
    await othersAreServed()
    expect((await relay.stats()).groups.g?.members ?? 0).toBe(0)
  })

  it('by sending without regard for the room that it was given is disconnected', async () => {
    const peer = await RawPeer.joined(relay, ['g'])
    const destinations = Buffer.from('\x04full')
    for (let sequence = 0; sequence < 40; sequence++) {
      peer.send(objectFrame({ sequence, destinations, body: Buffer.alloc(50_000) }))
    }
    expect(await peer.toldCode()).toBe('PROTOCOL_VIOLATION')
    await othersAreServed()
  })

  it('takes nobody an object: what it had goes to another one, also while it is large', async () => {
    const peer = await RawPeer.joined(relay, ['other'], 64 * MiB)
    peer.send(encodeNotify('other', 3))
    await eventually(
      async () => (await relay.stats()).groups.other?.demand,
      (demand) => demand === 3,
    )
    const large = new Uint8Array(3 * MiB).fill(9)
    await Promise.all([sender.produce(1, 'other'), sender.produce(large, 'other'), sender.produce(2, 'other')])
    const heir = await network.connect(relay, { groups: 'other' })
    peer.send(encodeAcknowledge(0, 99))
    await peer.closed
    await heir.notify({ other: 3 })
    const received: unknown[] = []
    for await (const { object, attempt } of heir.deliveries()) {
      received.push([object instanceof Uint8Array ? object.length : object, attempt])
      if (received.length === 3) break
    }
    // It never said that a program has seen them.
    expect(received).toEqual([
      [1, 1],
      [3 * MiB, 1],
      [2, 1],
    ])
  })
})

describe('a peer that has proven the password', () => {
  it.each<[string, Buffer, string]>([
    ['a HELLO that is no JSON', frameOf(FrameType.HELLO, Buffer.from('{"version":')), 'PROTOCOL_VIOLATION'],
    ['a HELLO that is a list', encodeJson(FrameType.HELLO, [1]), 'PROTOCOL_VIOLATION'],
    ['a HELLO of another version', encodeJson(FrameType.HELLO, helloOf({ version: 2 })), 'INCOMPATIBLE_VERSION'],
    ['a HELLO without session', encodeJson(FrameType.HELLO, helloOf({ session: '../etc' })), 'PROTOCOL_VIOLATION'],
    ['a HELLO whose groups are no list', encodeJson(FrameType.HELLO, helloOf({ groups: 'g' })), 'PROTOCOL_VIOLATION'],
    ['a HELLO with numbers as groups', encodeJson(FrameType.HELLO, helloOf({ groups: [1] })), 'PROTOCOL_VIOLATION'],
    ['a HELLO with a bad group name', encodeJson(FrameType.HELLO, helloOf({ groups: ['a\nb'] })), ''],
    ['a HELLO with too many groups', encodeJson(FrameType.HELLO, helloOf({ groups: manyGroups(300) })), ''],
    [
      'a HELLO for a group that is not accepted',
      encodeJson(FrameType.HELLO, helloOf({ groups: ['x'] })),
      'GROUP_NOT_ACCEPTED',
    ],
    ['a HELLO with a negative inbox', encodeJson(FrameType.HELLO, helloOf({ inboxBytes: -1 })), 'PROTOCOL_VIOLATION'],
    [
      'a HELLO with an endless inbox',
      encodeJson(FrameType.HELLO, helloOf({ inboxBytes: 1e300 })),
      'PROTOCOL_VIOLATION',
    ],
    ['an object instead of HELLO', objectFrame({}), 'PROTOCOL_VIOLATION'],
    ['a large object instead of HELLO', streamBegin(1, MiB), 'PROTOCOL_VIOLATION'],
    ['garbage instead of HELLO', Buffer.alloc(100_000, 0xee), 'PROTOCOL_VIOLATION'],
  ])('is refused for %s, and told why', async (_, bytes, code) => {
    const peer = await RawPeer.authenticated(relay)
    const refused = relayEvent(relay, 'endpointRefused')
    peer.send(bytes)
    const told = await peer.toldCode()
    if (code !== '') expect(told).toBe(code)
    expect((await refused).error.code).toBe(told)
    await othersAreServed()
  })

  it('and then says nothing is turned away after handshakeMs', async () => {
    const peer = await RawPeer.authenticated(relay)
    const refused = relayEvent(relay, 'endpointRefused')
    await peer.closed
    expect((await refused).error.code).toBe('HANDSHAKE_TIMEOUT')
  })

  it('may claim the session of another, and then still gets none of its objects', async () => {
    const names = [...healthy]
    for (const session of names) {
      const peer = await RawPeer.authenticated(relay)
      peer.send(encodeJson(FrameType.HELLO, helloOf({ session, received: 1_000_000, groups: ['served'] })))
      await peer.closed
    }
    // The endpoints whose link was taken have come back by themselves.
    await othersAreServed()
    lost.length = 0
  })
})

describe('random bytes', () => {
  it('from members end their connections and nothing else', { timeout: 30_000 }, async () => {
    const seed = randomBytes(4).readUInt32LE()
    const random = generator(seed)
    for (let round = 0; round < 60; round++) {
      const peer = await RawPeer.joined(relay, ['g'])
      peer.send(Buffer.from(Array.from({ length: 1 + Math.floor(random() * 3_000) }, () => Math.floor(random() * 256))))
      peer.send(Buffer.alloc(140_000, 0xfe))
      expect(['PROTOCOL_VIOLATION', 'NOT_A_MEMBER', 'INVALID_ARGUMENT'], `seed ${seed}`).toContain(
        await peer.toldCode(),
      )
    }
    await othersAreServed()
  })

  it('in frames that were right before them harm nobody', { timeout: 30_000 }, async () => {
    const seed = randomBytes(4).readUInt32LE()
    const random = generator(seed)
    const frames = [
      objectFrame({}),
      streamBegin(1, 5_000),
      encodeNotify('g', 3),
      encodeConfirm(0, 1_000_000),
      chunk(1, 0, 99),
    ]
    for (let round = 0; round < 80; round++) {
      const peer = await RawPeer.joined(relay, ['g'])
      for (const frame of frames) {
        const mutated = Buffer.from(frame)
        // Not the length: that a frame never ends is another story.
        for (let count = 0; count < 1 + random() * 3; count++) {
          mutated[4 + Math.floor(random() * (frame.length - 4))] = Math.floor(random() * 256)
        }
        peer.send(mutated)
      }
      await new Promise<void>((resolve) => peer.socket.end(() => resolve()))
      peer.socket.destroy()
    }
    await othersAreServed()
    expect((await relay.stats()).endpoints.connected, `seed ${seed}`).toBeGreaterThanOrEqual(2)
  })
})

describe('a member that does not read', () => {
  it('while it claims a huge inbox does not make the relay grow, nor anybody wait', { timeout: 60_000 }, async () => {
    // In a process of its own, so that its memory is not that of the test.
    const program = new Program(
      `const relay = await Relay.start({ ...settings, port: 0, limits: { memberBacklogBytesMax: 4 * 2 ** 20 } })
       say('listens', relay.port)
       const idle = process.memoryUsage.rss()
       let grownBytes = 0
       setInterval(() => { grownBytes = Math.max(grownBytes, process.memoryUsage.rss() - idle) }, 20)
       relay.on('endpointLeft', async () => {
         say('end', { grownBytes, dropped: (await relay.stats()).counts.dropped })
       })`,
      { host, password },
    )
    const own = { port: Number(await program.heard('listens')) }
    const source = await network.connect(own)
    const reader = await network.connect(own, { groups: 'g' })
    const peer = await RawPeer.authenticated(own)
    peer.send(encodeJson(FrameType.HELLO, helloOf({ groups: ['g'], inboxBytes: 2 ** 50 })))
    await peer.next()
    peer.socket.pause()
    const bytes = new Uint8Array(50_000)
    for (let round = 0; round < 400; round++) {
      await Promise.all(Array.from({ length: 20 }, () => source.broadcast(bytes, 'g')))
      expect(await take(reader, 20)).toHaveLength(20)
    }
    await source.stop()
    const { grownBytes, dropped } = Object(await program.heard('end'))
    expect(grownBytes, 'of 400 MB that were broadcast').toBeLessThan(128 * MiB)
    expect(dropped).toBeGreaterThan(1_000)
    peer.socket.destroy()
  })
})

function manyGroups(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `g${index}`)
}

/** Random numbers from 0 up to 1 that are the same again for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
