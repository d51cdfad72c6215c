import { FullError, GroupFullError, GroupNotAcceptedError, RefusedError, type Relay } from 'objectrelay'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { codeOf, failureOf } from '../support/failures.ts'
import { endpointEvent, Network, relayEvent, take } from '../support/network.ts'
import { eventually, watch, within } from '../support/waiting.ts'

/** A relay that takes certain groups only, with so many members and so many objects in each. */
export function acceptedGroupsContract(io: 'thread' | 'inline'): void {
  describe('keeps to the groups that the relay accepts', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    beforeAll(async () => {
      relay = await centre.relay({
        acceptedGroups: {
          open: {},
          pair: { maxCount: 2 },
          blocking: { maxConsumables: 2 },
          rejecting: { maxConsumables: 2, overflow: 'reject' },
          dropping: { maxConsumables: 2, overflow: 'drop-oldest' },
          direct: { maxConsumables: 0 },
          'direct-rejecting': { maxConsumables: 0, overflow: 'reject' },
          __proto__: {},
        },
      })
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    it('may join one that is accepted, and is refused at once by any other, on both sides', async () => {
      const refused = relayEvent(relay, 'endpointRefused')
      const failure = await failureOf(() => network.connect(relay, { groups: ['open', 'closed'] }))
      expect(failure).toBeInstanceOf(GroupNotAcceptedError)
      expect(failure).toBeInstanceOf(RefusedError)
      expect(failure.code).toBe('GROUP_NOT_ACCEPTED')
      expect(failure.message).toContain('closed')
      expect((await refused).error.code).toBe('GROUP_NOT_ACCEPTED')
      await network.connect(relay, { groups: 'open' })
    })

    it('gets an error for an object to a group that is not accepted, and may go on', async () => {
      const sender = await network.connect(relay)
      const errors: string[] = []
      sender.on('error', ({ code }) => errors.push(code))
      for (const method of ['produce', 'broadcast'] as const) {
        const failure = await failureOf(() => sender[method]('object', 'closed'))
        expect(failure).toBeInstanceOf(GroupNotAcceptedError)
      }
      expect(await codeOf(() => sender.produce('object', ['open', 'closed']))).toBe('GROUP_NOT_ACCEPTED')
      expect(errors).toEqual(['GROUP_NOT_ACCEPTED', 'GROUP_NOT_ACCEPTED', 'GROUP_NOT_ACCEPTED'])
      expect(await sender.produce('object', 'open')).toEqual({ members: { open: 0 } })
    })

    it('cannot send to the dead letters of a group, and may join and read them', async () => {
      const sender = await network.connect(relay, { groups: 'open.dead' })
      for (const method of ['produce', 'broadcast'] as const)
        expect(await codeOf(() => sender[method]('object', 'open.dead'))).toBe('GROUP_RESERVED')
      expect(await codeOf(() => sender.produce('object', ['open', 'open.dead']))).toBe('GROUP_RESERVED')
      expect(await codeOf(() => centre.relay({ acceptedGroups: { 'open.dead': {} } }))).toBe('INVALID_OPTION')
      expect((await relay.stats()).groups['open.dead']).toMatchObject({ waiting: 0, members: 1 })
    })

    it('waits for a place in a full group until connectTimeoutMs, and is taken when a member leaves', async () => {
      const reconnect = { initialDelayMs: 20, maxDelayMs: 50 }
      const first = await network.connect(relay, { groups: 'pair' })
      await network.connect(relay, { groups: 'pair' })
      const failure = await failureOf(() =>
        network.connect(relay, { groups: 'pair', reconnect, connectTimeoutMs: 1_000 }),
      )
      expect(failure.code).toBe('CONNECT_TIMEOUT')
      expect(failure.cause).toBeInstanceOf(GroupFullError)
      expect(failure.cause).toMatchObject({ code: 'GROUP_FULL', retryable: true, details: { group: 'pair' } })
      expect(failure.message).toContain('pair')
      const waiting = network.begin(relay, { groups: 'pair', reconnect })
      const refused = await endpointEvent(waiting, 'connecting', ({ error }) => error !== undefined)
      expect(refused.error).toBeInstanceOf(GroupFullError)
      const connected = endpointEvent(waiting, 'connected')
      await first.stop()
      expect(await connected).toMatchObject({ resumed: false })
    })

    it("waits while a queue is full with overflow 'block', and other groups go on", async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: ['blocking', 'open'] })
      const blocked = endpointEvent(sender, 'blocked')
      const sent = [1, 2, 3, 4].map((number) => sender.produce(number, 'blocking'))
      const [, second, third] = sent.map(watch)
      expect(await blocked).toEqual({ group: 'blocking' })
      await Promise.all(sent.slice(0, 2))
      await sender.broadcast('passes', 'open')
      expect(await take(receiver, 1)).toEqual(['passes'])
      expect([second?.settled, third?.settled]).toEqual([true, false])
      const unblocked = endpointEvent(sender, 'unblocked')
      await receiver.notify({ blocking: 4 })
      expect(await take(receiver, 4)).toEqual([1, 2, 3, 4])
      await within(Promise.all(sent), 'the acceptance of what was blocked')
      expect(await unblocked).toEqual({ group: 'blocking' })
    })

    it("gives an error when a queue is full with overflow 'reject'", async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'rejecting' })
      await sender.produce(1, 'rejecting')
      await sender.produce(2, 'rejecting')
      const failure = await failureOf(() => sender.produce(3, 'rejecting'))
      expect(failure).toBeInstanceOf(FullError)
      expect(failure).toMatchObject({ code: 'QUEUE_FULL', retryable: true })
      await receiver.notify({ rejecting: 5 })
      expect(await take(receiver, 2)).toEqual([1, 2])
      await sender.produce(4, 'rejecting')
      expect(await take(receiver, 1)).toEqual([4])
    })

    it("drops the oldest when a queue is full with overflow 'drop-oldest', counts and reports it", async () => {
      const sender = await network.connect(relay)
      let dropped = 0
      relay.on('objectDropped', ({ group, count }) => {
        if (group === 'dropping') dropped += count
      })
      for (const number of [1, 2, 3, 4, 5]) await sender.produce(number, 'dropping')
      const receiver = await network.connect(relay, { groups: 'dropping' })
      await receiver.notify({ dropping: 5 })
      expect(await take(receiver, 2)).toEqual([4, 5])
      await eventually(
        () => dropped,
        (count) => count === 3,
      )
      expect((await relay.stats()).groups.dropping).toMatchObject({ dropped: 3 })
    })

    it('accepts an object only when a member is waiting for one with maxConsumables 0', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: ['direct', 'direct-rejecting'] })
      expect(await codeOf(() => sender.produce(1, 'direct-rejecting'))).toBe('QUEUE_FULL')
      const blocked = endpointEvent(sender, 'blocked')
      const waiting = sender.produce(1, 'direct')
      const state = watch(waiting)
      await blocked
      expect(state.settled).toBe(false)
      await receiver.notify({ direct: 1 })
      await within(waiting, 'the acceptance once a member asks')
      expect(await take(receiver, 1)).toEqual([1])
      await receiver.notify({ 'direct-rejecting': 1 })
      await eventually(
        async () => (await relay.stats()).groups['direct-rejecting']?.demand,
        (demand) => demand === 1,
      )
      await sender.produce(2, 'direct-rejecting')
      expect(await codeOf(() => sender.produce(3, 'direct-rejecting'))).toBe('QUEUE_FULL')
      expect(await take(receiver, 1)).toEqual([2])
    })

    it('lets small objects of others in while a large one of somebody waits for room in the relay, and the large one in its turn', async () => {
      const MiB = 1024 * 1024
      const limits = { objectBytesMax: 40 * MiB, groupBytesMax: 40 * MiB, relayBytesMax: 48 * MiB }
      const narrow = await network.relay({ limits })
      const [parker, large, small] = [
        await network.connect(narrow),
        await network.connect(narrow),
        await network.connect(narrow),
      ]
      await parker.produce(new Uint8Array(30 * MiB), 'parked')
      const blocked = endpointEvent(large, 'blocked')
      const sent = large.produce(new Uint8Array(32 * MiB).fill(1), 'large')
      const waiting = watch(sent)
      await blocked
      const reader = await network.connect(narrow, { groups: ['small', 'parked', 'large'] })
      await Promise.all(Array.from({ length: 100 }, (_, index) => small.produce(index, 'small')))
      await reader.notify({ small: 100 })
      expect(await take(reader, 100)).toEqual(Array.from({ length: 100 }, (_, index) => index))
      expect(waiting.settled).toBe(false)
      await reader.notify('parked')
      expect(await take(reader, 1)).toHaveLength(1)
      expect(await sent).toEqual({ members: { large: 1 } })
    })

    it('lets no object larger than the relay takes reach anybody', async () => {
      const strict = await network.relay({ limits: { objectBytesMax: 100_000 } })
      const sender = await network.connect(strict)
      const failure = await failureOf(() => sender.produce(new Uint8Array(200_000), 'open'))
      expect(failure).toMatchObject({ code: 'OBJECT_TOO_LARGE', retryable: false })
      expect(failure.message).toContain('objectBytesMax')
      await sender.produce(new Uint8Array(90_000), 'open')
      expect((await strict.stats()).groups.open).toMatchObject({ waiting: 1 })
    })
  })
}
