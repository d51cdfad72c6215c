import type { Relay } from 'objectrelay'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sameBytes } from '../support/bytes.ts'
import { endpointEvent, Network, relayEvent, take } from '../support/network.ts'
import { eventually } from '../support/waiting.ts'

/** The last broadcast of a group, and what an endpoint gets that is too slow for all of them. */
export function broadcastsContract(io: 'thread' | 'inline'): void {
  describe('receives broadcasts', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    beforeAll(async () => {
      relay = await centre.relay()
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    it('gets the last broadcast of each of its groups when it joins, and none before it', async () => {
      const sender = await network.connect(relay)
      for (const number of [1, 2, 3]) await sender.broadcast(number, 'late-1')
      await sender.broadcast('of another', 'late-2')
      await sender.broadcast('not for it', 'late-3')
      const late = await network.connect(relay, { groups: ['late-1', 'late-2'] })
      expect(await take(late, 2)).toEqual([3, 'of another'])
      await sender.broadcast(4, 'late-1')
      expect(await take(late, 1)).toEqual([4])
    })

    it('is given the last broadcast even after its sender has gone', async () => {
      const sender = await network.connect(relay)
      await sender.broadcast(new Float32Array(100_000).fill(0.5), 'weights')
      await sender.stop()
      const late = await network.connect(relay, { groups: 'weights' })
      const [weights] = await take(late, 1)
      expect(weights).toSatisfy((array) => array instanceof Float32Array && array.length === 100_000)
      expect(weights).toSatisfy((array: Float32Array) => array.every((weight) => weight === 0.5))
    })

    it('sends to who is there, and to nobody who joins later, what is not to be retained', async () => {
      const sender = await network.connect(relay)
      const worker = await network.connect(relay, { groups: 'stops' })
      await sender.broadcast('weights', 'stops')
      expect(await sender.broadcast('stop', 'stops', { retain: false })).toEqual({ members: { stops: 1 } })
      expect(await take(worker, 2)).toEqual(['weights', 'stop'])
      const large = new Float64Array(100_000).fill(7)
      await sender.broadcast(large, 'stops', { retain: false })
      expect(await take(worker, 1)).toSatisfy(([array]: Float64Array[]) => array?.length === 100_000)
      const late = await network.connect(relay, { groups: ['stops'] })
      await sender.broadcast('next', 'stops', { retain: false })
      expect(await take(late, 2)).toEqual(['weights', 'next'])
      // A kind of its own on the wire, and a broadcast like any other for who gets it.
      await sender.broadcast('last', 'stops', { retain: false })
      for await (const { kind, object } of late.deliveries()) {
        expect([kind, object]).toEqual(['broadcast', 'last'])
        break
      }
    })

    it('gives nothing to who joins after the retained broadcast was cleared, in the order of the calls', async () => {
      const sender = await network.connect(relay)
      void sender.broadcast('one', 'cleared')
      void sender.broadcast(new Float64Array(100_000), 'cleared')
      expect(await sender.clearRetained('cleared')).toBe(undefined)
      await sender.clearRetained(['cleared', 'never-used'])
      const late = await network.connect(relay, { groups: 'cleared' })
      await sender.broadcast('two', 'cleared')
      expect(await take(late, 1)).toEqual(['two'])
      expect((await relay.stats()).groups['never-used']).toBe(undefined)
      await sender.clearRetained('cleared')
      await late.stop()
      await eventually(
        async () => Object.keys((await relay.stats()).groups),
        (groups) => !groups.includes('cleared'),
      )
    })

    it('refuses to clear what is no group, and tells what was not cleared in time', async () => {
      const sender = await network.connect(relay)
      await expect(sender.clearRetained([])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(sender.broadcast(1, 'g', { retain: 'no' as never })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
      const lost = network.begin({ port: 1 })
      void lost.broadcast('stop', 'g', { retain: false })
      void lost.clearRetained('g')
      const { undelivered } = await lost.stop({ deadlineMs: 0 })
      expect(undelivered).toEqual([
        { object: 'stop', groups: ['g'], kind: 'broadcast', retain: false },
        { object: undefined, groups: ['g'], kind: 'clearRetained' },
      ])
      await expect(lost.clearRetained('g')).rejects.toMatchObject({ code: 'STOPPED' })
    })

    it('is not refused for the broadcasts of groups that nobody is in any more', async () => {
      const crowded = await centre.relay({
        limits: { groupsMax: 20, objectBytesMax: 1_000_000, groupBytesMax: 2_000_000, relayBytesMax: 8_000_000 },
      })
      const evicted = relayEvent(crowded, 'objectDropped')
      const sender = await network.connect(crowded)
      for (let job = 0; job < 100; job++) await sender.broadcast(job, `job-${job}`)
      expect(await evicted).toMatchObject({ kind: 'broadcast', reason: 'evicted' })
      for (let job = 0; job < 8; job++) await sender.broadcast(new Uint8Array(990_000).fill(job), `big-${job}`)
      expect(await sender.produce(new Uint8Array(900_000), 'tasks')).toEqual({ members: { tasks: 0 } })
      const worker = await network.connect(crowded, { groups: ['tasks', 'big-7'] })
      const [big] = await take(worker, 1)
      expect(big).toSatisfy((bytes: Uint8Array) => bytes.length === 990_000 && bytes.every((byte) => byte === 7))
      expect(Object.keys((await crowded.stats()).groups).length).toBeLessThanOrEqual(20)
    })

    it("keeps only the newest one of each group with broadcasts: 'latest', and says how many were skipped", async () => {
      const sender = await network.connect(relay)
      const actor = await network.connect(relay, { groups: ['a', 'b'], broadcasts: 'latest' })
      await Promise.all(Array.from({ length: 20 }, (_, index) => sender.broadcast(index, 'a')))
      await sender.broadcast('only', 'b')
      await eventually(
        async () => (await actor.stats()).received,
        ({ objects, skipped }) => objects >= 1 && objects + skipped >= 21 && objects <= 21,
      )
      const seen = new Map<string, { object: unknown; skipped: number }>()
      for await (const { group, object, skipped } of actor.deliveries()) {
        seen.set(group, { object, skipped })
        if (seen.size === 2) break
      }
      expect(seen.get('a')).toEqual({ object: 19, skipped: 19 })
      expect(seen.get('b')).toEqual({ object: 'only', skipped: 0 })
      expect((await actor.stats()).received.skipped).toBe(19)
    })

    it("never lets a produced object be skipped with broadcasts: 'latest'", async () => {
      const sender = await network.connect(relay)
      const actor = await network.connect(relay, { groups: 'both', broadcasts: 'latest' })
      await actor.notify({ both: 3 })
      for (const number of [1, 2, 3]) {
        await sender.produce(number, 'both')
        await sender.broadcast(`weights ${number}`, 'both')
      }
      // Also without the last one there are four objects in the inbox, for a moment.
      await eventually(
        async () => (await actor.stats()).received.skipped,
        (skipped) => skipped === 2,
      )
      expect(await actor.retrieveAll()).toEqual([1, 2, 3, 'weights 3'])
    })

    it('is told what it missed when its inbox was full for too long, and nobody else waits', async () => {
      const small = await network.relay({ limits: { memberBacklogBytesMax: 300_000 } })
      const sender = await network.connect(small)
      const slow = await network.connect(small, { groups: 'news', limits: { inboxBytesMax: 200_000 } })
      const quick = await network.connect(small, { groups: 'news' })
      const dropped = relayEvent(small, 'objectDropped', ({ reason }) => reason === 'backlog')
      const bytes = (index: number) => new Uint8Array(50_000).fill(index)
      for (let index = 0; index < 30; index++) {
        await sender.broadcast(bytes(index), 'news')
        expect(await take(quick, 1)).toSatisfy(([object]: unknown[]) => sameBytes(object, bytes(index)))
      }
      expect(await dropped).toMatchObject({ group: 'news', kind: 'broadcast' })
      let [received, skipped, last] = [0, 0, -1]
      for await (const delivery of slow.deliveries()) {
        const { object } = delivery
        if (!(object instanceof Uint8Array)) throw new Error('It is no Uint8Array.')
        expect(object[0]).toBeGreaterThan(last)
        last = object[0] ?? 0
        received++
        skipped += delivery.skipped
        if (last === 29) break
      }
      expect(received + skipped).toBe(30)
      expect(skipped).toBeGreaterThan(10)
      const { counts } = await small.stats()
      expect(counts.dropped).toBe(skipped)
    })

    it('lets a listener hear of an error in what a broadcast carries, and goes on', async () => {
      const own = { serialize: (object: unknown) => Buffer.from(String(object)), deserialize: () => ({}) }
      const sender = await network.connect(relay, { serializer: own })
      const receiver = await network.connect(relay, { groups: 'mixed-serializers' })
      const failed = endpointEvent(receiver, 'error')
      await sender.broadcast('\xff not CBOR', 'mixed-serializers')
      const waiting = receiver.pop({ blocking: true, timeoutMs: 10_000 })
      expect((await failed).code).toBe('NOT_DESERIALIZABLE')
      const other = await network.connect(relay)
      await other.broadcast('readable', 'mixed-serializers')
      expect(await waiting).toEqual(['readable'])
      expect((await receiver.stats()).received.unreadable).toBe(1)
    })
  })
}
