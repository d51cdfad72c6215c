import type { Delivery, Endpoint, Relay } from 'objectrelay'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Network, take } from '../support/network.ts'
import { eventually } from '../support/waiting.ts'

/** Objects with what surrounds them; acknowledging, giving back. */
export function deliveriesContract(io: 'thread' | 'inline'): void {
  describe('delivers objects with what surrounds them', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    let sender: Endpoint
    let group = ''
    let groups = 0
    beforeAll(async () => {
      relay = await centre.relay()
      sender = await centre.connect(relay)
    })
    beforeEach(() => {
      group = `deliveries-${groups++}`
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    async function next(deliveries: AsyncGenerator<Delivery>): Promise<Delivery> {
      const { value, done } = await deliveries.next()
      if (done === true) throw new Error('There are no more deliveries.')
      return value
    }

    /** What the relay has of the group now. */
    async function counts(): Promise<{ waiting: number; leased: number; acknowledged: number }> {
      const stats = (await relay.stats()).groups[group]
      return { waiting: stats?.waiting ?? 0, leased: stats?.leased ?? 0, acknowledged: stats?.acknowledged ?? 0 }
    }

    it('says group, kind, attempt and when it was sent', async () => {
      const receiver = await network.connect(relay, { groups: group })
      const deliveries = receiver.deliveries()
      const before = Date.now()
      await receiver.notify(group)
      await sender.produce('work', group)
      const produced = await next(deliveries)
      expect(produced).toMatchObject({ object: 'work', group, kind: 'produce', attempt: 1, skipped: 0 })
      expect(produced.sentAt.getTime()).toBeGreaterThanOrEqual(before - 1)
      expect(produced.sentAt.getTime()).toBeLessThanOrEqual(Date.now() + 1)
      await sender.broadcast('news', group)
      expect(await next(deliveries)).toMatchObject({ object: 'news', group, kind: 'broadcast', attempt: 1 })
      await deliveries.return()
    })

    it('keeps an object leased until ack, and only once', async () => {
      const receiver = await network.connect(relay, { groups: group })
      const deliveries = receiver.deliveries()
      await receiver.notify({ [group]: 2 })
      await sender.produce(1, group)
      await sender.produce(2, group)
      const first = await next(deliveries)
      expect(await eventually(counts, ({ leased }) => leased === 2)).toMatchObject({ acknowledged: 0 })
      first.ack()
      await eventually(counts, ({ acknowledged }) => acknowledged === 1)
      first.release()
      first.ack()
      const second = await next(deliveries)
      expect(second).toMatchObject({ object: 2, attempt: 1 })
      second.ack()
      expect(await eventually(counts, ({ acknowledged }) => acknowledged === 2)).toMatchObject({
        waiting: 0,
        leased: 0,
      })
      await deliveries.return()
    })

    it('gives an object back to the front of its queue with release, the attempt not counted', async () => {
      const receiver = await network.connect(relay, { groups: group })
      const other = await network.connect(relay, { groups: group })
      const deliveries = receiver.deliveries()
      await receiver.notify(group)
      for (const number of [1, 2, 3]) await sender.produce(number, group)
      const first = await next(deliveries)
      first.release()
      await eventually(counts, ({ waiting }) => waiting === 3)
      const others = other.deliveries()
      await other.notify({ [group]: 3 })
      expect(await next(others)).toMatchObject({ object: 1, attempt: 1 })
      expect(await next(others)).toMatchObject({ object: 2 })
      expect(await next(others)).toMatchObject({ object: 3 })
      await others.return()
      await deliveries.return()
    })

    it('acknowledges when the next one is asked for and when the loop is left', async () => {
      const receiver = await network.connect(relay, { groups: group })
      await receiver.notify({ [group]: 2 })
      await sender.produce(1, group)
      await sender.produce(2, group)
      for await (const { object } of receiver.deliveries()) {
        if (object === 2) {
          await eventually(counts, ({ acknowledged, leased }) => acknowledged === 1 && leased === 1)
          break
        }
      }
      await eventually(counts, ({ acknowledged }) => acknowledged === 2)
    })

    it('gives back what was in the inbox when its endpoint stops, in its old order', async () => {
      const leaver = await network.connect(relay, { groups: group })
      const stayer = await network.connect(relay, { groups: group })
      await leaver.notify({ [group]: 3 })
      for (const number of [1, 2, 3, 4]) await sender.produce(number, group)
      await eventually(
        async () => (await leaver.stats()).inbox.objects,
        (objects) => objects === 3,
      )
      expect(await take(leaver, 1)).toEqual([1])
      await leaver.stop()
      const deliveries = stayer.deliveries()
      await stayer.notify({ [group]: 3 })
      expect(await next(deliveries)).toMatchObject({ object: 2, attempt: 1 })
      expect(await next(deliveries)).toMatchObject({ object: 3, attempt: 1 })
      expect(await next(deliveries)).toMatchObject({ object: 4, attempt: 1 })
      await deliveries.return()
    })
  })
}
