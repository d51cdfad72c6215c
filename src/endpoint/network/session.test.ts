import { describe, expect, it } from 'vitest'
import {
  objectFrame,
  ProgramEnd,
  RawEndpoint,
  RawRelay,
  RelayWorld,
  settle,
  sharedAuthenticator,
} from '../../../test/support/relayWorld.ts'
import { FakeClock } from '../../clock.fixture.ts'
import { createError } from '../../errors.ts'
import { relayLimitDefaults } from '../../limits.ts'
import { makeSessionSecret } from '../../security/endpointId.ts'
import { createMemoryLink } from '../../transport/memoryTransport.ts'
import { encodeConfirm, encodeJson, encodeText, readJson } from '../../wire/controlFrames.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { LeaseAction } from '../records.ts'

describe('A session between an endpoint and a relay', () => {
  it('carries what one endpoint produces to another that asked', async () => {
    const world = await RelayWorld.create()
    const [producer, consumer] = [world.open(), world.open({ groups: ['g'] })]
    consumer.notify('g', 2)
    for (const body of ['one', 'two', 'three']) producer.send('produce', 'g', body)
    await world.settle()
    expect(producer.log).toEqual(['accepted 0', 'accepted 1', 'accepted 2'])
    expect(consumer.sequences).toEqual([0, 1])
  })

  it('goes on over a new link: nothing is lost, nothing comes twice', async () => {
    const world = await RelayWorld.create()
    const [producer, consumer] = [world.open(), world.open({ groups: ['g'] })]
    await world.settle()
    consumer.notify('g', 100)
    for (let round = 0; round < 20; round++) {
      for (let index = 0; index < 5; index++) producer.send('produce', 'g', 'x'.repeat(100 * index))
      for (let step = 0; step < round; step++) world.clock.step()
      for (const link of world.links) link.cut()
      await world.advance(round % 3 === 0 ? 200 : 20)
    }
    await world.advance(3_000)
    expect(consumer.sequences).toEqual(Array.from({ length: 100 }, (_, index) => index))
    expect(new Set(producer.log).size).toBe(100)
    expect(producer.log).toHaveLength(100)
    expect(consumer.states.filter(({ state }) => state === 'connected').every(({ epoch }) => epoch === 1)).toBe(true)
  })

  it('begins anew with a relay that was restarted: what was not accepted is sent, what was asked is asked again', async () => {
    const world = await RelayWorld.create({ acceptedGroups: { g: { maxConsumables: 1 } } })
    const [producer, consumer] = [world.open(), world.open({ groups: ['g'] })]
    await world.settle()
    for (const body of ['one', 'two', 'three']) producer.send('produce', 'g', body)
    await world.settle()
    expect(producer.log).toEqual(['accepted 0'])
    world.restart()
    await world.advance(2_000)
    expect(producer.log).toEqual(['accepted 0', 'accepted 1'])
    consumer.notify('g', 2)
    await world.settle()
    expect(consumer.sequences).toEqual([1, 2])
    consumer.notify('g', 5)
    await world.settle()
    world.restart()
    await world.advance(2_000)
    producer.send('produce', 'g', 'four')
    await world.settle()
    expect(producer.log).toEqual(['accepted 0', 'accepted 1', 'accepted 2', 'accepted 3'])
    expect(consumer.sequences).toEqual([1, 2, 3])
    expect(consumer.states.at(-1)).toMatchObject({ state: 'connected', epoch: 3, resumed: false })
  })

  it('gives what was on lease to another member when its endpoint does not come back', async () => {
    const world = await RelayWorld.create({ limits: { sessionGraceMs: 1_000 } })
    const raw = new RawEndpoint(world.link().near)
    raw.begin()
    await world.settle()
    raw.hello()
    await world.settle()
    const other = world.open({ groups: ['g'] })
    raw.transport.write(Buffer.concat([encodeConfirm(0, 1_000_000), encodeNotifyFor('g')]))
    other.send('produce', 'g', 'work')
    await world.settle()
    expect(raw.types()).toContain(FrameType.OBJECT)
    raw.transport.destroy()
    other.notify('g', 1)
    await world.advance(900)
    expect(other.sequences).toEqual([])
    await world.advance(200)
    expect(other.sequences).toEqual([0])
  })

  it('ends with a goodbye, and what is said behind it does no harm', async () => {
    const world = await RelayWorld.create()
    const endpoint = world.open({ groups: ['g'] })
    endpoint.notify('g', 1)
    endpoint.send('produce', 'g', 'one')
    await world.settle()
    endpoint.stop(5_000)
    endpoint.settleLeases(LeaseAction.ACKNOWLEDGE, 0, 0)
    endpoint.taken(30)
    await world.settle()
    expect(endpoint.stopped).toEqual({ returned: 0, deadlineReached: false })
    expect(endpoint.states).toHaveLength(1)
    expect(world.server.stats().endpoints).toMatchObject({ connected: 0, away: 0 })
  })

  it('comes back to say goodbye when its link broke with nothing left to send', async () => {
    const world = await RelayWorld.create()
    const endpoint = world.open({ groups: ['g'] })
    await world.settle()
    for (const link of world.links) link.cut()
    await world.settle()
    endpoint.stop(5_000)
    await world.settle()
    expect(endpoint.stopped).toBeUndefined()
    await world.advance(200)
    expect(endpoint.stopped).toEqual({ returned: 0, deadlineReached: false })
    expect(world.server.stats().endpoints).toMatchObject({ connected: 0, away: 0 })
  })

  it('owes no goodbye to a relay at whose address nothing answers, or that said that it stops', async () => {
    const world = await RelayWorld.create()
    const link = world.link()
    let isThere = true
    const connect = async () => {
      if (isThere) return link.near
      throw createError('CONNECT_FAILED', 'Nothing listens there.')
    }
    const [killed, told] = [new ProgramEnd(world.clock, connect, {}), world.open()]
    await world.settle()
    isThere = false
    link.cut()
    await world.settle()
    killed.stop(5_000)
    await world.settle()
    expect(killed.stopped).toBeUndefined()
    await world.advance(200)
    expect(killed.stopped).toEqual({ returned: 0, deadlineReached: false })
    void world.server.stop(0)
    await world.settle()
    told.stop(5_000)
    await world.settle()
    expect(told.stopped).toEqual({ returned: 0, deadlineReached: false })
  })

  it('ends at once when what was sent last is rejected', async () => {
    const world = await RelayWorld.create({ acceptedGroups: { g: {} } })
    const endpoint = world.open()
    endpoint.send('produce', 'unknown', 'one')
    endpoint.stop(5_000)
    await world.settle()
    expect(endpoint.log).toEqual(['rejected 0'])
    expect(endpoint.stopped).toEqual({ returned: 0, deadlineReached: false })
  })

  it('is refused for good when the relay does not accept a group', async () => {
    const world = await RelayWorld.create({ acceptedGroups: { g: {} } })
    const endpoint = world.open({ groups: ['other'] })
    await world.settle()
    expect(endpoint.state).toMatchObject({ state: 'disconnected', error: { code: 'GROUP_NOT_ACCEPTED' } })
  })

  it('is refused for a session that received more than was sent', async () => {
    const world = await RelayWorld.create()
    const first = new RawEndpoint(world.link().near)
    first.begin()
    await world.settle()
    first.hello()
    await world.settle()
    first.transport.write(encodeConfirm(0, 1_000_000))
    await world.settle()
    const second = new RawEndpoint(world.link().near)
    second.begin()
    await world.settle()
    second.hello({ received: 99 })
    await world.settle()
    expect(second.types()).toEqual([FrameType.REFUSED])
    expect(first.closed).toBe(false)
  })

  it('begins anew when the WELCOME to a new session was lost, whatever it received in the one before', async () => {
    const world = await RelayWorld.create()
    for (const received of [99, 0, 99]) {
      const raw = new RawEndpoint(world.link().near)
      raw.begin()
      await world.settle()
      raw.hello({ received })
      await world.settle()
      expect(raw.types()[0]).toBe(FrameType.WELCOME)
      const { bytes = Buffer.alloc(0) } = raw.frames[0] ?? {}
      expect(readJson(bytes, 0, bytes.length)).toMatchObject({ resumed: false })
      // No CONFIRM: the endpoint has not read it.
      raw.transport.destroy()
      await world.settle()
    }
  })

  it('goes on when the WELCOME came and nothing that was said after it, and not when it was lost', async () => {
    const world = await RelayWorld.create()
    const cases = [
      { received: null, epoch: 0, resumed: false },
      { received: 0, epoch: 1, resumed: true },
      { received: 0, epoch: 2, resumed: false },
    ]
    for (const { resumed, ...hello } of cases) {
      const raw = new RawEndpoint(world.link().near)
      raw.begin()
      await world.settle()
      raw.hello(hello)
      await world.settle()
      const { bytes = Buffer.alloc(0) } = raw.frames[0] ?? {}
      expect(readJson(bytes, 0, bytes.length)).toMatchObject({ resumed })
      raw.transport.destroy()
      await world.settle()
    }
  })

  it('is told of everything that a relay accepted before it was stopped, however short before', async () => {
    const world = await RelayWorld.create()
    const link = world.link()
    const raw = new RawEndpoint(link.near)
    raw.begin()
    await world.settle()
    raw.hello()
    await world.settle()
    link.far.onData(Buffer.concat([encodeConfirm(0, 1_000_000), objectFrame('produce', 'g', 0, 'work')]))
    // The answer is gathered, and would leave at the end of this tick.
    const stopped = world.server.stop(1_000)
    await world.settle()
    await world.advance(2_000)
    expect(await stopped).toMatchObject({ undelivered: { g: { waiting: 1, leased: 0 } } })
    expect(raw.types()).toContain(FrameType.ACCEPTED)
  })

  it('knows again what it accepted, also when the WELCOME to the next session was lost', async () => {
    const world = await RelayWorld.create({ limits: { sessionGraceMs: 1_000 } })
    for (const [received, isRead] of [
      [null, true],
      [3, false],
      [3, true],
    ]) {
      const raw = new RawEndpoint(world.link().near)
      raw.begin()
      await world.settle()
      raw.hello({ received })
      await world.settle()
      if (isRead === true) {
        raw.transport.write(Buffer.concat([encodeConfirm(0, 1_000_000), objectFrame('produce', 'g', 0, 'work')]))
        await world.settle()
        expect(raw.types()).toContain(FrameType.ACCEPTED)
      }
      raw.transport.destroy()
      await world.settle()
      // The first session ends because nobody comes back to it, the second one because somebody does.
      if (received === null) await world.advance(1_100)
    }
    expect(world.server.stats().groups.g).toMatchObject({ waiting: 1 })
  })

  it('knows again what it accepted, also when the endpoint found its place taken first', async () => {
    const world = await RelayWorld.create({ acceptedGroups: { g: { maxCount: 1 } }, limits: { sessionGraceMs: 1_000 } })
    const joinAs = async (session: string, hello: Record<string, unknown>) => {
      const raw = new RawEndpoint(world.link().near)
      raw.begin()
      await world.settle()
      raw.hello({ session, ...hello })
      await world.settle()
      return raw
    }
    const [mine, theirs] = [makeSessionSecret(), makeSessionSecret()]
    const before = await joinAs(mine, { received: null, epoch: 0 })
    before.transport.write(Buffer.concat([encodeConfirm(0, 1_000_000), objectFrame('produce', 'g', 0, 'work')]))
    await world.settle()
    before.transport.destroy()
    await world.advance(1_100)
    const other = await joinAs(theirs, { received: null })
    for (let attempt = 0; attempt < 2; attempt++)
      expect((await joinAs(mine, { received: 0, epoch: 1 })).types()).toEqual([FrameType.REFUSED])
    other.transport.write(Buffer.concat([encodeConfirm(0, 1_000_000), encodeText(FrameType.GOODBYE, '')]))
    await world.settle()
    const back = await joinAs(mine, { received: 0, epoch: 1 })
    back.transport.write(Buffer.concat([encodeConfirm(0, 1_000_000), objectFrame('produce', 'g', 0, 'work')]))
    await world.settle()
    expect(back.types()).toContain(FrameType.ACCEPTED)
    expect(world.server.stats().groups.g).toMatchObject({ waiting: 1 })
  })

  it.each([
    ['STOPPED', 'stopped'],
    ['PROTOCOL_VIOLATION', 'violation'],
    ['SOMETHING_NEW', 'violation'],
  ])('ends when the endpoint closes its connection with a word: %s', async (code, reason) => {
    const world = await RelayWorld.create()
    const raw = new RawEndpoint(world.link().near)
    raw.begin()
    await world.settle()
    // In the same bytes as HELLO: it gives up before it has seen a WELCOME.
    raw.hello()
    raw.transport.write(encodeJson(FrameType.CLOSE, { error: { code, message: 'No more.' } }))
    await world.settle()
    expect(raw.closed).toBe(true)
    expect(world.server.stats().endpoints).toMatchObject({ connected: 0, away: 0 })
    const left = world.events.filter(({ name }) => name === 'endpointLeft').map(({ value }) => value)
    expect(left).toMatchObject([{ name: 'raw', reason }])
  })

  it('leaves no place taken by an endpoint that gives up before its WELCOME has come', async () => {
    const world = await RelayWorld.create({ acceptedGroups: { g: { maxCount: 1 } } })
    const ghost = world.open({ groups: ['g'] })
    // Until the relay has taken HELLO in; what it answers is still on its way.
    while (world.server.stats().sessions.length === 0) {
      await new Promise((resolve) => setImmediate(resolve))
      world.clock.step()
    }
    expect(ghost.state).toBeUndefined()
    ghost.stop(0)
    await world.settle()
    expect(ghost.stopped).toMatchObject({ returned: 0 })
    expect(world.server.stats().sessions).toEqual([])
    const other = world.open({ groups: ['g'] })
    await world.settle()
    expect(other.state?.state).toBe('connected')
  })

  it('is taken up by who waits for a full group, as soon as the grace time of the member before is over', async () => {
    const world = await RelayWorld.create({ acceptedGroups: { g: { maxCount: 1 } } })
    const dead = new RawEndpoint(world.link().near)
    dead.begin()
    await world.settle()
    dead.hello()
    await world.settle()
    dead.transport.destroy()
    const reconnect = { initialDelayMs: 60_000, maxDelayMs: 60_000, factor: 1, jitter: 0 }
    const heir = world.open({ groups: ['g'], reconnect })
    await world.settle()
    expect(heir.state).toMatchObject({
      state: 'connecting',
      error: { code: 'GROUP_FULL', details: { group: 'g', retryAfterMs: relayLimitDefaults.sessionGraceMs } },
    })
    await world.advance(relayLimitDefaults.sessionGraceMs)
    await world.advance(100)
    expect(heir.state).toMatchObject({ state: 'connected', attempt: 2 })
  })

  it('stays in step when objects larger than the room come one by one', async () => {
    const world = await RelayWorld.create()
    const limits = {
      sendBytesMax: 1_000_000,
      sendWaitingBytesMax: 0,
      sendObjectsMax: 1_000,
      inboxBytesMax: 1_000,
      objectBytesMax: 1_000_000,
    }
    const [producer, consumer] = [world.open(), world.open({ groups: ['g'], limits })]
    await world.settle()
    consumer.notify('g', 10)
    for (let index = 0; index < 10; index++) producer.send('produce', 'g', 'x'.repeat(90_000))
    let takenBytes = 0
    for (let round = 0; round < 20; round++) {
      await world.advance(100)
      takenBytes = consumer.sequences.length * (90_000 + 24 + 2)
      consumer.taken(takenBytes)
    }
    expect(consumer.sequences).toHaveLength(10)
  })
})

function encodeNotifyFor(group: string): Buffer {
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, 0x34, 0, 0, 0, 1, 0, 0, 0]), Buffer.from(group)])
  frame.writeUInt32LE(frame.length)
  return frame
}

/** An endpoint whose relay is played by the test. */
async function withRawRelay(options: Parameters<RelayWorld['open']>[0] = {}) {
  const clock = new FakeClock()
  const authenticator = await sharedAuthenticator()
  const relays: RawRelay[] = []
  const endpoint = new ProgramEnd(
    clock,
    async () => {
      const { near, far } = createMemoryLink({ schedule: (run) => clock.soon(run) })
      relays.push(new RawRelay(far, authenticator))
      return near
    },
    options,
  )
  await settle(clock)
  const [relay] = relays
  if (relay === undefined) throw new Error('The endpoint did not connect.')
  return { clock, endpoint, relay, relays }
}

describe('An endpoint', () => {
  it('takes in what lies behind WELCOME in the same bytes', async () => {
    const { clock, endpoint, relay } = await withRawRelay({ groups: ['g'] })
    const bytes = [relay.welcome(), encodeConfirm(0, 8_388_608), objectFrame('broadcast', 'g', 5, 'x')]
    relay.transport.write(Buffer.concat(bytes))
    await settle(clock)
    expect(endpoint.state?.state).toBe('connected')
    expect(endpoint.sequences).toEqual([5])
  })

  it('sends a CONFIRM first, and a heartbeat when there is nothing to say', async () => {
    const { clock, relay } = await withRawRelay()
    relay.transport.write(relay.welcome())
    await settle(clock)
    expect(relay.types()).toEqual([FrameType.HELLO, FrameType.CONFIRM])
    clock.advance(5_000)
    expect(relay.types().slice(2)).toEqual([FrameType.CONFIRM])
  })

  it.each([
    ['another version', { version: 2 }, 'INCOMPATIBLE_VERSION'],
    ['no limits', { limits: null }, 'PROTOCOL_VIOLATION'],
    ['room for less than one frame', { limits: { sendWindowBytes: 1_000 } }, 'PROTOCOL_VIOLATION'],
    ['a count that is none', { received: -1 }, 'PROTOCOL_VIOLATION'],
    ['an answer that is neither yes nor no', { keepsLeases: 1 }, 'PROTOCOL_VIOLATION'],
    ['claims that are neither due nor not', { reclaims: null }, 'PROTOCOL_VIOLATION'],
    ['claims without what had its effect', { reclaims: true }, 'PROTOCOL_VIOLATION'],
    ['frames that it never sent', { received: 3 }, 'PROTOCOL_VIOLATION'],
  ])('gives up when WELCOME holds %s', async (_, fields, code) => {
    const { clock, endpoint, relay } = await withRawRelay()
    relay.transport.write(relay.welcome(fields))
    await settle(clock)
    expect(endpoint.state).toMatchObject({ state: 'disconnected', error: { code } })
  })

  it('comes back after a relay that stops, and not after one that found fault with it', async () => {
    for (const [code, state] of [
      ['RELAY_STOPPED', 'reconnecting'],
      ['NOT_A_MEMBER', 'disconnected'],
      ['SOMETHING_NEW', 'disconnected'],
    ] as const) {
      const { clock, endpoint, relay } = await withRawRelay()
      relay.transport.write(relay.welcome())
      await settle(clock)
      relay.transport.write(encodeJson(FrameType.CLOSE, { error: { code, message: 'No more.' } }))
      await settle(clock)
      expect(endpoint.state?.state).toBe(state)
    }
  })

  it('does not believe a refusal of somebody who has not proven the password', async () => {
    const clock = new FakeClock()
    const link = createMemoryLink({ schedule: (run) => clock.soon(run) })
    const endpoint = new ProgramEnd(clock, async () => link.near, {})
    link.far.write(encodeJson(FrameType.REFUSED, { error: { code: 'WRONG_PASSWORD', message: 'Tell me another.' } }))
    await settle(clock)
    expect(endpoint.state).toMatchObject({ error: { code: 'PROTOCOL_VIOLATION' } })
  })

  it('tries again when the connection broke before the proof could begin', async () => {
    const clock = new FakeClock()
    let attempts = 0
    const endpoint = new ProgramEnd(
      clock,
      async () => {
        attempts++
        const link = createMemoryLink({ schedule: (run) => clock.soon(run) })
        link.cut()
        return link.near
      },
      {},
    )
    await settle(clock)
    expect(endpoint.state).toMatchObject({ state: 'connecting', error: { code: 'LINK_LOST' } })
    clock.advance(100)
    await settle(clock)
    expect(attempts).toBe(2)
  })

  it('finds fault with an answer to what it never asked', async () => {
    for (const frame of [
      encodeText(FrameType.HELLO, '{}'),
      Buffer.from([0x0d, 0, 0, 0, FrameType.DEMAND, 0, 0, 0, 1, 0, 0, 0, 0x67]),
      Buffer.from([5, 0, 0, 0, 0x7f]),
    ]) {
      const { clock, endpoint, relay } = await withRawRelay()
      relay.transport.write(Buffer.concat([relay.welcome(), encodeConfirm(0, 8_388_608), frame]))
      await settle(clock)
      expect(endpoint.state).toMatchObject({ state: 'disconnected', error: { code: 'PROTOCOL_VIOLATION' } })
      expect(relay.types()).toContain(FrameType.CLOSE)
    }
  })
})
