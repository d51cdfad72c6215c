import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { Relay } from 'objectrelay'
import { fileStore } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificate, makePrivateKey } from '../../src/security/certificate.ts'
import { endpointIdOf } from '../../src/security/endpointId.ts'
import { encodeAcknowledge, encodeJson, encodeNotify } from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { failureOf } from '../support/failures.ts'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import { endpointEvent, host, Network, password, relayEvent, take } from '../support/network.ts'
import { freePort, listenOn } from '../support/ports.ts'
import { helloOf, RawPeer } from '../support/rawPeer.ts'
import { objectFrame } from '../support/relayWorld.ts'
import { eventually } from '../support/waiting.ts'
import { Witness } from '../support/witness.ts'
import { Workshop } from './cliProcesses.ts'

useDataFolder()
const network = new Network()
afterEach(() => network.end())

function newSecret(): string {
  return randomBytes(16).toString('base64url')
}

async function joinAs(relay: { readonly port: number }, fields: object): Promise<RawPeer> {
  const peer = await RawPeer.authenticated(relay)
  peer.send(encodeJson(FrameType.HELLO, helloOf(fields)))
  return peer
}

describe('the public id of an endpoint', () => {
  it('is the same in its program, in events and in stats, beside its name, over all its connections', async () => {
    const relay = await network.relay()
    const connected = relayEvent(relay, 'endpointConnected')
    const left = relayEvent(relay, 'endpointLeft')
    const endpoint = await network.connect(relay, { groups: 'g', name: 'tokenizer 7 (rack ä)' })
    const who = { endpoint: endpoint.id, name: 'tokenizer 7 (rack ä)' }
    expect(endpoint.name).toBe(who.name)
    expect(endpoint.id).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(await connected).toMatchObject(who)
    expect((await relay.stats()).sessions).toMatchObject([{ ...who, groups: ['g'] }])
    await endpoint.stop()
    expect(await left).toEqual({ ...who, reason: 'stopped' })
  })

  it('comes with a name that says which machine and process it is, unless the program gives one', async () => {
    const relay = await network.relay()
    const endpoint = await network.connect(relay)
    expect(endpoint.name).toBe(`${hostname()}:${process.pid}`)
    expect((await relay.stats()).sessions).toMatchObject([{ endpoint: endpoint.id, name: endpoint.name }])
  })

  it('is in the event of a refusal, if the endpoint has proven the password', async () => {
    const relay = await network.relay({ acceptedGroups: {} })
    const refused = relayEvent(relay, 'endpointRefused')
    const failure = await failureOf(() => network.connect(relay, { groups: 'g', name: 'lost' }))
    expect(failure.code).toBe('GROUP_NOT_ACCEPTED')
    expect(await refused).toMatchObject({ name: 'lost', endpoint: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/) })
  })

  it('is in the lines of the relay command', async () => {
    const workshop = await Workshop.open()
    try {
      const port = await freePort()
      const environment = { OBJECTRELAY_PASSWORD: password }
      const relay = workshop.start(['relay', '--port', String(port), '--host', host], environment)
      const endpoint = await network.connect({ port }, { name: 'worker-3' })
      await relay.untilSaid(new RegExp(`worker-3 \\(${endpoint.id}\\) connected from 127.0.0.1`))
      await endpoint.stop()
      await relay.untilSaid(new RegExp(`worker-3 \\(${endpoint.id}\\) left: stopped`))
      const sent = ['produce', '-p', String(port), '-g', 'g', '--endpoint-name', 'nightly import', '1']
      expect((await workshop.run(sent, { environment })).code).toBe(0)
      await relay.untilSaid(/nightly import \([\w-]{22}\) connected/)
    } finally {
      await workshop.close()
    }
  })
})

describe('the address of a peer', () => {
  it('is shown as people write it, whatever the relay listens on', async () => {
    const relay = await network.relay({ host: '::' })
    const connected = relayEvent(relay, 'endpointConnected')
    await network.connect(relay)
    expect((await connected).peer).toMatch(/^127\.0\.0\.1:\d+$/)
    const overIpv6 = relayEvent(relay, 'endpointConnected')
    await network.connect(relay, { host: '::1' })
    expect((await overIpv6).peer).toMatch(/^\[::1\]:\d+$/)
  })

  it('is known of one that refuses the certificate of the relay', async () => {
    const relay = await network.relay()
    const key = makePrivateKey()
    const ca = makeCertificate({ key, hostnames: [host], nowMs: Date.now() })
    const refused = relayEvent(relay, 'endpointRefused')
    const failure = await failureOf(() => network.connect(relay, { ca, hostname: host }))
    expect(failure.code).toBe('CERTIFICATE_UNTRUSTED')
    expect((await refused).peer).toMatch(/^127\.0\.0\.1:\d+$/)
  })
})

describe('a name of an endpoint', () => {
  const unfit = [
    '',
    'a\nb',
    'a\u0000',
    'tab\t',
    '\u2028',
    'x'.repeat(129),
    'ä'.repeat(65),
    '\ud800',
    '\u202eevil',
    7,
    null,
  ]

  it.each(unfit)('is refused by the endpoint if it is %j', async (name) => {
    const options = { name } as { name: string } // as a program without types may give it
    const failure = await failureOf(() => network.begin({ port: 1 }, options))
    expect(failure).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'name' } })
  })

  it.each(unfit)('is refused by the relay if it is %j', async (name) => {
    const relay = await network.relay()
    const peer = await joinAs(relay, { name })
    expect(await peer.toldCode()).toBe('PROTOCOL_VIOLATION')
  })
})

describe('the secret of a session', () => {
  /** What may be read by others than the endpoint and the relay's own code. */
  async function everythingVisible(relay: Relay, witness: Witness, folder: string): Promise<string> {
    const files = await readdir(folder, { recursive: true, withFileTypes: true })
    const contents = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
    )
    expect(contents.join('').length).toBeGreaterThan(100)
    return [...witness.texts, JSON.stringify(await relay.stats()), ...contents].join('\n')
  }

  it('is in no event, no stats, no error and no file of the store', async () => {
    const dir = join(await temporaryFolder(), 'store')
    const witness = new Witness()
    const relay = witness.relay(
      await network.relay({ store: fileStore({ dir }), acceptedGroups: { g: {}, one: { maxCount: 1 } } }),
    )
    const secrets = [newSecret(), newSecret(), newSecret()] as const
    const [first, second, third] = secrets

    // Works, and has work on lease: the journal tells whose.
    const worker = await joinAs(relay, { session: first, groups: ['g'] })
    worker.send(objectFrame('produce', 'g', 0, 'an object'))
    worker.send(encodeNotify('g', 1))
    await eventually(
      () => relay.stats(),
      ({ groups }) => groups.g?.leased === 1,
    )
    // Comes back on another connection; then breaks the rules.
    const returned = await joinAs(relay, { session: first, groups: ['g'], received: 0 })
    await worker.closed
    returned.send(encodeAcknowledge(77, 77))
    await returned.closed
    // One is refused, one vanishes.
    const holder = await joinAs(relay, { session: second, groups: ['one'] })
    await holder.next()
    const refused = await joinAs(relay, { session: third, groups: ['one'] })
    expect(await refused.toldCode()).toBe('GROUP_FULL')
    const lost = relayEvent(relay, 'endpointLost', ({ endpoint }) => endpoint === endpointIdOf(second))
    holder.socket.destroy()
    await lost

    const visible = await everythingVisible(relay, witness, dir)
    const told = [...worker.frames, ...returned.frames, ...holder.frames, ...refused.frames]
      .map(({ bytes }) => bytes.toString('latin1'))
      .join('\n')
    for (const secret of secrets) {
      expect(visible).toContain(endpointIdOf(secret))
      expect(visible).not.toContain(secret)
      expect(told).not.toContain(secret)
    }
  })

  it('is in nothing that the program of the endpoint can print', async () => {
    const relay = await network.relay({ security: 'none', acceptedGroups: { g: {} } })
    const heard: Buffer[] = []
    const wire = createServer((near) => {
      const far = connect({ host, port: relay.port })
      near.on('data', (bytes: Buffer) => heard.push(bytes)).on('error', () => undefined)
      far.on('error', () => near.destroy())
      near.pipe(far).pipe(near)
    })
    const port = await listenOn(wire)
    const witness = new Witness()
    const endpoint = await network.connect({ port }, { groups: 'g', security: 'none', on: witness.listeners })
    witness.error(await failureOf(() => endpoint.produce(1, 'other')))
    await relay.stop()
    await endpointEvent(endpoint, 'reconnecting', ({ attempt }) => attempt > 1)
    wire.close()
    const secret = /"session":"([^"]{22})"/.exec(Buffer.concat(heard).toString('latin1'))?.[1]
    expect(endpointIdOf(secret ?? '')).toBe(endpoint.id)
    const printed = inspect(endpoint, { depth: 20, showHidden: true })
    expect([...witness.texts, printed].join('\n')).not.toContain(secret)
  })

  it('cannot be replaced by the id: whoever knows that and the password takes nobody over', async () => {
    const relay = await network.relay()
    const victim = await network.connect(relay, { groups: 'g' })
    const disturbed: string[] = []
    victim.on('reconnecting', () => disturbed.push('reconnecting'))
    await victim.notify({ g: 1 })
    await victim.produce('mine', 'g')
    await eventually(
      () => victim.stats().inbox.objects,
      (objects) => objects === 1,
    )
    const thief = await joinAs(relay, { session: victim.id, name: victim.name, groups: ['g'], received: 0, epoch: 0 })
    expect((await thief.next()).type).toBe(FrameType.WELCOME)
    const { sessions, endpoints } = await relay.stats()
    expect(endpoints.connected).toBe(2)
    expect(sessions.map(({ endpoint, leased }) => [endpoint, leased])).toEqual([
      [victim.id, 1],
      [endpointIdOf(victim.id), 0],
    ])
    expect(await take(victim, 1)).toEqual(['mine'])
    await victim.produce('more', 'g')
    expect(disturbed).toEqual([])
  })
})
