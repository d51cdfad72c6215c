import type { Endpoint, Relay } from 'objectrelay'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codeOf } from '../support/failures.ts'
import { Network } from '../support/network.ts'
import { eventually, watch, within } from '../support/waiting.ts'

/** How objects leave the inbox. */
export function takingContract(io: 'thread' | 'inline'): void {
  describe('takes objects out of its inbox', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    let sender: Endpoint
    let receiver: Endpoint
    let group = ''
    let groups = 0
    beforeAll(async () => {
      relay = await centre.relay()
      sender = await centre.connect(relay)
    })
    beforeEach(async () => {
      group = `taking-${groups++}`
      receiver = await network.connect(relay, { groups: group })
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    /** Produces numbers from 1 on and waits until all are in the inbox. */
    async function fill(count: number): Promise<void> {
      await receiver.notify({ [group]: count })
      await Promise.all(Array.from({ length: count }, (_, index) => sender.produce(index + 1, group)))
      await eventually(
        async () => (await receiver.stats()).inbox.objects,
        (objects) => objects === count,
      )
    }

    /** How many objects of the group the relay still has. */
    async function kept(): Promise<number> {
      const { waiting = 0, leased = 0 } = (await relay.stats()).groups[group] ?? {}
      return waiting + leased
    }

    it('gives an empty list when there is nothing', async () => {
      expect(await receiver.pop()).toEqual([])
      expect(await receiver.getLast({ maxItems: 3 })).toEqual([])
      expect(await receiver.retrieveAll()).toEqual([])
      expect(receiver.popSync()).toEqual([])
      expect(receiver.getLastSync()).toEqual([])
      expect(receiver.retrieveAllSync()).toEqual([])
    })

    it('pops the oldest first, one or up to maxItems', async () => {
      await fill(5)
      expect(await receiver.pop()).toEqual([1])
      expect(await receiver.pop({ maxItems: 2 })).toEqual([2, 3])
      expect(receiver.popSync({ maxItems: 1 })).toEqual([4])
      expect(await receiver.pop({ maxItems: 100 })).toEqual([5])
    })

    it('gets the newest, discards the rest, and both count as taken', async () => {
      await fill(5)
      expect(await receiver.getLast({ maxItems: 2 })).toEqual([4, 5])
      expect(await receiver.retrieveAll()).toEqual([])
      expect(await eventually(kept, (count) => count === 0)).toBe(0)
      await fill(3)
      expect(receiver.getLastSync()).toEqual([3])
      expect(await eventually(kept, (count) => count === 0)).toBe(0)
    })

    it('retrieves everything, and then the relay has none of it any more', async () => {
      await fill(4)
      expect(await receiver.retrieveAll()).toEqual([1, 2, 3, 4])
      expect(await eventually(kept, (count) => count === 0)).toBe(0)
      await fill(2)
      expect(receiver.retrieveAllSync()).toEqual([1, 2])
    })

    it('waits with blocking until there is one, and resolves then', async () => {
      const waiting = receiver.pop({ blocking: true, maxItems: 3 })
      const state = watch(waiting)
      await receiver.notify(group)
      expect(state.settled).toBe(false)
      await sender.produce('at last', group)
      expect(await within(waiting, 'the waiting pop')).toEqual(['at last'])
      const last = receiver.getLast({ blocking: true })
      const all = receiver.retrieveAll({ blocking: true })
      await receiver.notify({ [group]: 2 })
      await sender.produce('for the first', group)
      expect(await within(last, 'the waiting getLast')).toEqual(['for the first'])
      await sender.produce('for the second', group)
      expect(await within(all, 'the waiting retrieveAll')).toEqual(['for the second'])
    })

    it('waits no longer than timeoutMs', async () => {
      const before = performance.now()
      expect(await receiver.pop({ blocking: true, timeoutMs: 60 })).toEqual([])
      expect(performance.now() - before).toBeGreaterThanOrEqual(55)
      expect(await receiver.retrieveAll({ blocking: true, timeoutMs: 0 })).toEqual([])
    })

    it('ends the waiting with an AbortSignal, and takes nothing then', async () => {
      const controller = new AbortController()
      const waiting = receiver.pop({ blocking: true, signal: controller.signal })
      controller.abort(new Error('the user had enough'))
      await expect(waiting).rejects.toThrow('the user had enough')
      await expect(receiver.pop({ signal: controller.signal })).rejects.toThrow('the user had enough')
      await fill(1)
      expect(await receiver.pop()).toEqual([1])
    })

    it('iterates, and acknowledges each object when the next one is asked for', async () => {
      await fill(3)
      const seen: unknown[] = []
      const left: number[] = []
      for await (const object of receiver) {
        seen.push(object)
        left.push(await eventually(kept, (count) => count === 4 - seen.length))
        if (seen.length === 3) break
      }
      expect(seen).toEqual([1, 2, 3])
      expect(left).toEqual([3, 2, 1])
      expect(await eventually(kept, (count) => count === 0)).toBe(0)
    })

    it('ends the iteration when it is stopped', async () => {
      const seen: unknown[] = []
      const loop = (async () => {
        for await (const object of receiver) seen.push(object)
      })()
      await receiver.notify(group)
      await sender.produce('only', group)
      await eventually(
        () => seen.length,
        (count) => count === 1,
      )
      await receiver.stop()
      await within(loop, 'the end of the loop')
      expect(seen).toEqual(['only'])
    })

    if (io === 'thread') {
      it('blocks its thread with popSync until the timeout', () => {
        const before = performance.now()
        expect(receiver.popSync({ blocking: true, timeoutMs: 80 })).toEqual([])
        expect(performance.now() - before).toBeGreaterThanOrEqual(75)
      })

      it('wakes popSync when an object arrives that was sent by this very program', async () => {
        await receiver.notify({ [group]: 2 })
        void sender.produce('from before the block', group)
        expect(receiver.popSync({ blocking: true, timeoutMs: 10_000 })).toEqual(['from before the block'])
        void sender.produce('another', group)
        expect(receiver.retrieveAllSync({ blocking: true, timeoutMs: 10_000 })).toEqual(['another'])
      })
    } else {
      it('refuses to block the thread that its network runs on', async () => {
        expect(await codeOf(() => receiver.popSync({ blocking: true }))).toBe('INVALID_ARGUMENT')
        expect(await codeOf(() => receiver.retrieveAllSync({ blocking: true }))).toBe('INVALID_ARGUMENT')
      })
    }
  })
}
