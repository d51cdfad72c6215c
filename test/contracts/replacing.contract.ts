import type { Endpoint, Receipt, SupersededReceipt } from 'objectrelay'
import { afterEach, describe, expect, expectTypeOf, it } from 'vitest'
import { failureOf } from '../support/failures.ts'
import { Network, take } from '../support/network.ts'
import { freePort } from '../support/ports.ts'
import { within } from '../support/waiting.ts'

/** 2 MB, as the weights of a small network. */
const weights = () => new Float32Array(500_000)
/**
 * Versions that are under way to one member at once: one that leaves the sender and one that waits behind it; in the relay 2 MiB and
 * one object that are on their way to the member, and the newest; one in the inbox.
 */
const UNDER_WAY_MAX = 6

interface Version {
  version: number
  weights: Float32Array
}

/** A newer broadcast takes the place of one that has not begun to be sent. */
export function replacingContract(io: 'thread' | 'inline'): void {
  describe('broadcasts with replace', () => {
    const network = new Network(io)
    afterEach(() => network.end())

    it.each([
      ['small', () => new Uint8Array(10)],
      ['large', weights],
    ])('sends only the newest of %s ones that wait, and says so', async (_, body) => {
      const port = await freePort()
      const sender = network.begin({ port })
      const errors: string[] = []
      sender.on('error', ({ code }) => errors.push(code))
      const options = { replace: true }
      const sent = [1, 2, 3, 4, 5].map((version) => sender.broadcast([version, body()], 'g', options))
      const plain = sender.broadcast('it stays', 'g')
      const relay = await network.relay({ port })
      const receipts = await within(Promise.all(sent), 'the receipts')
      expect(receipts.slice(0, 4)).toEqual([1, 2, 3, 4].map(() => ({ superseded: true })))
      expect(receipts[4]).toEqual({ members: { g: 0 } })
      expect(await plain).toEqual({ members: { g: 0 } })
      expect(sender.stats().sent).toEqual({ objects: 6, accepted: 2, rejected: 0, superseded: 4 })
      expect(sender.stats().sending).toEqual({ objects: 0, bytes: 0, waitingObjects: 0, waitingBytes: 0 })
      expect((await relay.stats()).groups.g).toMatchObject({ accepted: 2 })
      expect(errors).toEqual([])
    })

    it('replaces also what waits for room within sendBytesMax, and needs no room for both', async () => {
      const port = await freePort()
      const limits = { sendBytesMax: 1_000, sendWaitingBytesMax: 3_000_000 }
      const sender = network.begin({ port }, { limits })
      const first = sender.produce(weights(), 'queue')
      const sent = Array.from({ length: 20 }, (_, index) =>
        sender.broadcast({ version: index, weights: weights() }, 'g', { replace: true, transfer: index % 2 === 0 }),
      )
      const after = sender.produce('after', 'queue')
      expect(sender.stats().sending.waitingObjects).toBe(2)
      const relay = await network.relay({ port })
      await within(Promise.all([first, after]), 'the acceptance')
      const receipts = await Promise.all(sent)
      expect(receipts.map(({ superseded }) => superseded === true)).toEqual([...Array(19).fill(true), false])
      const late = await network.connect<{ g: Version; queue: unknown }>(relay, { groups: ['g', 'queue'] })
      expect(await take(late, 1)).toMatchObject([{ version: 19 }])
      await late.notify({ queue: 2 })
      expect(await take(late, 2)).toMatchObject([expect.any(Float32Array), 'after'])
    })

    it('replaces nothing of other groups, nothing that was sent without replace, and nothing produced', async () => {
      const port = await freePort()
      const sender = network.begin({ port })
      const replace = { replace: true }
      const sent = [
        sender.broadcast('plain', 'g'),
        sender.broadcast(1, 'g', replace),
        sender.broadcast(2, ['g', 'h'], replace),
        sender.broadcast(3, 'h', replace),
        sender.broadcast('plain again', 'g'),
        sender.broadcast(4, 'h', replace),
        sender.produce(5, 'g'),
        sender.broadcast(6, 'h', { replace: false }),
      ]
      await network.relay({ port })
      const receipts = await within(Promise.all(sent), 'the receipts')
      const superseded = receipts.map((receipt) => receipt.superseded === true)
      expect(superseded).toEqual([false, false, false, true, false, false, false, false])
      const refused = await failureOf(() => sender.produce(1, 'g', { replace: true } as object))
      expect(refused.code).toBe('INVALID_ARGUMENT')
      expect(await failureOf(() => sender.broadcast(1, 'g', { replace: 1 } as object))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        details: { argument: 'replace' },
      })
    })

    it('gives typed receipts', () => {
      const check = async (sender: Endpoint<{ g: number }>) => {
        expectTypeOf(sender.broadcast(1, 'g')).toEqualTypeOf<Promise<Receipt<'g'>>>()
        expectTypeOf(sender.broadcast(1, 'g', { transfer: true })).toEqualTypeOf<Promise<Receipt<'g'>>>()
        const receipt = await sender.broadcast(1, 'g', { replace: true })
        expectTypeOf(receipt).toEqualTypeOf<Receipt<'g'> | SupersededReceipt>()
        if (receipt.superseded !== true) expectTypeOf(receipt.members.g).toEqualTypeOf<number>()
      }
      expect(check).toBeTypeOf('function')
    })

    it('sends again only the newest after the relay was restarted, and gives back only that at a stop', async () => {
      const port = await freePort()
      const sender = network.begin({ port })
      const sent = [1, 2, 3].map((version) => sender.broadcast(version, 'g', { replace: true }))
      await within(Promise.all(sent.slice(0, 2)), 'the receipts of those that were replaced')
      void sent[2]?.catch(() => undefined)
      const { undelivered } = await sender.stop({ deadlineMs: 50 })
      expect(undelivered.map(({ object }) => object)).toEqual([3])
    })

    it('keeps members that want the latest within a few versions of weights that are sent too fast, and starves nobody', async () => {
      const relay = await network.relay()
      const trainer = await network.connect(relay)
      const learners = await Promise.all(
        [1, 2].map(() => network.connect<{ w: Version }>(relay, { groups: 'w', broadcasts: 'latest' })),
      )
      const versionsSent = 150
      let version = 0
      const ahead: number[][] = learners.map(() => [])
      const following = learners.map(async (learner, index) => {
        /** What had been sent when each version came. */
        const sentWhenCame: number[] = []
        for await (const { object } of learner.deliveries()) {
          // Those before it that came after it was sent were under way then, as this one was.
          ahead[index]?.push(sentWhenCame.filter((sent) => sent >= object.version).length)
          sentWhenCame.push(version)
          if (object.version === versionsSent) return
        }
      })
      const sent: Promise<Receipt | SupersededReceipt>[] = []
      const small: Promise<Receipt>[] = []
      while (version < versionsSent) {
        sent.push(trainer.broadcast({ version: ++version, weights: weights() }, 'w', { replace: true }))
        small.push(trainer.produce('small', 'others'))
        // Faster than any link.
        await new Promise((resolve) => setImmediate(resolve))
      }
      await within(Promise.all(following), 'the newest version at each learner', 30_000)
      for (const counts of ahead) {
        expect(counts.length).toBeGreaterThan(1)
        expect(Math.max(...counts)).toBeLessThanOrEqual(UNDER_WAY_MAX)
      }
      await within(Promise.all(small), 'the acceptance of what is small')
      const receipts = await within(Promise.all(sent), 'the receipts')
      const accepted = receipts.filter(({ superseded }) => superseded !== true)
      expect(accepted.at(-1)).toEqual({ members: { w: 2 } })
      expect(trainer.stats().sent).toMatchObject({ superseded: receipts.length - accepted.length, rejected: 0 })
    })

    it('brings large objects of several groups, those of each in their order', async () => {
      // With a link that carries a little at a time.
      const relay = await network.relay({ limits: { bulkWindowBytes: 65_536 } })
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: ['a', 'b'] })
      const names = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2']
      const sent = names.map((name) => sender.broadcast([name, weights()], name.slice(0, 1)))
      await within(Promise.all(sent), 'the acceptance', 30_000)
      const came = (await take(receiver, names.length)).map((object) => (Array.isArray(object) ? object[0] : object))
      for (const group of ['a', 'b'])
        expect(came.filter((name) => name.startsWith(group))).toEqual(names.filter((name) => name.startsWith(group)))
    })
  })
}
