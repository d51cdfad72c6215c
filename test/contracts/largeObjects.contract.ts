import { createHash, randomBytes } from 'node:crypto'
import type { Relay } from 'objectrelay'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sameBytes } from '../support/bytes.ts'
import { Network, take } from '../support/network.ts'
import { eventually } from '../support/waiting.ts'

const MiB = 1024 * 1024

function digest(bytes: unknown): string {
  if (!(bytes instanceof Uint8Array)) throw new Error('These are no bytes.')
  return createHash('sha256').update(bytes).digest('hex')
}

/** Objects that travel in many parts. */
export function largeObjectsContract(io: 'thread' | 'inline'): void {
  describe('carries large objects', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    beforeAll(async () => {
      relay = await centre.relay()
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    it.each([5, 64])('of %i MiB, produced and broadcast, bit by bit', async (size) => {
      const bytes = new Uint8Array(randomBytes(size * MiB))
      const sender = await network.connect(relay, { limits: { sendBytesMax: 256 * MiB } })
      const group = `large-${size}`
      const first = await network.connect(relay, { groups: group })
      const second = await network.connect(relay, { groups: group })
      await first.notify(group)
      await Promise.all([sender.produce({ bytes }, group), sender.broadcast(bytes, group)])
      const hash = digest(bytes)
      const received = await take(first, 2)
      const digests = received.map((object) =>
        digest(typeof object === 'object' && object !== null && 'bytes' in object ? object.bytes : object),
      )
      expect(digests).toEqual([hash, hash])
      expect((await take(second, 1)).map(digest)).toEqual([hash])
      const stats = await eventually(
        async () => (await relay.stats()).groups[group],
        (counts) => counts?.acknowledged === 1,
      )
      expect(stats).toMatchObject({ waiting: 0, leased: 0 })
    })

    it('of text and many small parts too', async () => {
      const object = { text: 'ü'.repeat(3 * MiB), rows: Array.from({ length: 50_000 }, (_, index) => ({ index })) }
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'nested' })
      await receiver.notify('nested')
      await sender.produce(object, 'nested')
      expect(await take(receiver, 1)).toEqual([object])
    })

    it('in order with small ones for the same group, while small ones for another group overtake them', async () => {
      const sender = await network.connect(relay, { limits: { sendBytesMax: 256 * MiB } })
      const receiver = await network.connect(relay, { groups: ['lane', 'fast'] })
      await receiver.notify({ lane: 4, fast: 1 })
      const bytes = new Uint8Array(48 * MiB).fill(3)
      const order: string[] = []
      const sent = [
        sender.produce('before', 'lane'),
        sender.produce(bytes, 'lane'),
        sender.produce('after', 'lane'),
        sender.produce(new Uint8Array(MiB).fill(4), 'lane'),
        sender.produce('overtakes', 'fast'),
      ]
      for await (const { object, group } of receiver.deliveries()) {
        order.push(`${group} ${object instanceof Uint8Array ? object.length / MiB : String(object)}`)
        if (order.length === 5) break
      }
      expect(order.filter((entry) => entry.startsWith('lane'))).toEqual([
        'lane before',
        'lane 48',
        'lane after',
        'lane 1',
      ])
      expect(order.indexOf('fast overtakes')).toBeLessThan(order.indexOf('lane 48'))
      await Promise.all(sent)
    })

    it('beyond the room of its inbox, when nothing else waits there', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'tight', limits: { inboxBytesMax: MiB } })
      await receiver.notify({ tight: 3 })
      const sent = [1, 2, 3].map((fill) => sender.produce(new Uint8Array(4 * MiB).fill(fill), 'tight'))
      for (const fill of [1, 2, 3]) {
        const [object] = await take(receiver, 1)
        expect(object).toSatisfy((bytes: unknown) => sameBytes(bytes, new Uint8Array(4 * MiB).fill(fill)))
      }
      await Promise.all(sent)
    })

    it('and tells a receiver to discard what its sender did not finish', async () => {
      const sender = await network.connect(relay, { limits: { sendBytesMax: 512 * MiB } })
      const receiver = await network.connect(relay, { groups: 'unfinished' })
      await receiver.notify({ unfinished: 2 })
      const lost = sender.produce(new Uint8Array(200 * MiB), 'unfinished')
      await eventually(
        async () => (await relay.stats()).sessions.some(({ largeObjects }) => largeObjects === 1),
        (begun) => begun,
      )
      const { undelivered } = await sender.stop({ deadlineMs: 0 })
      await expect(lost).rejects.toMatchObject({ category: 'link' })
      expect(undelivered).toHaveLength(1)
      expect(undelivered[0]).toMatchObject({ kind: 'produce', groups: ['unfinished'] })
      const other = await network.connect(relay)
      await other.produce('whole', 'unfinished')
      expect(await take(receiver, 1)).toEqual(['whole'])
    })
  })
}
