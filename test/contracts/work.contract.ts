import { setTimeout as pause } from 'node:timers/promises'
import type { Endpoint, ObjectRelayError, Relay } from 'objectrelay'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Network, relayEvent, take } from '../support/network.ts'
import { eventually, watch, within } from '../support/waiting.ts'

/** Handlers that are given one object after the other. */
export function workContract(io: 'thread' | 'inline'): void {
  describe('works through a group', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    let sender: Endpoint
    let group = ''
    let groups = 0
    beforeAll(async () => {
      relay = await centre.relay({ limits: { attemptsMax: 3, retryDelayMs: 20 } })
      sender = await centre.connect(relay)
    })
    beforeEach(() => {
      group = `work-${groups++}`
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    async function produce(count: number): Promise<void> {
      await Promise.all(Array.from({ length: count }, (_, index) => sender.produce(index + 1, group)))
    }
    const groupStats = async () => (await relay.stats()).groups[group]

    it('runs the handler on each object, one after the other and in order, and acknowledges it', async () => {
      const worker = await network.connect(relay, { groups: group })
      const seen: unknown[] = []
      let running = 0
      worker.work(group, async (object, { kind, attempt }) => {
        expect([++running, kind, attempt]).toEqual([1, 'produce', 1])
        await pause(1)
        seen.push(object)
        running--
      })
      await produce(20)
      await eventually(
        () => seen.length,
        (length) => length === 20,
      )
      expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
      await eventually(groupStats, (stats) => stats?.acknowledged === 20 && stats.leased === 0)
    })

    it('runs as many handlers at once as concurrency says, and asks for no more objects', async () => {
      const worker = await network.connect(relay, { groups: group })
      const gates: (() => void)[] = []
      worker.work(group, () => new Promise<void>((resolve) => gates.push(resolve)), { concurrency: 3 })
      await produce(10)
      await eventually(
        () => gates.length,
        (length) => length === 3,
      )
      expect(await groupStats()).toMatchObject({ leased: 3, waiting: 7 })
      for (let done = 0; done < 10; done++) {
        await eventually(
          () => gates.length,
          (length) => length > done,
        )
        gates[done]?.()
      }
      await eventually(groupStats, (stats) => stats?.acknowledged === 10)
    })

    it('gives the object back when the handler throws, tells of it, and goes on', async () => {
      const worker = await network.connect(relay, { groups: group })
      const errors: ObjectRelayError[] = []
      worker.on('error', (error) => errors.push(error))
      const seen: [unknown, number][] = []
      worker.work(group, (object, { attempt }) => {
        seen.push([object, attempt])
        if (object === 1 && attempt < 3) throw new Error('not yet')
      })
      await produce(2)
      await eventually(groupStats, (stats) => stats?.acknowledged === 2)
      expect(seen).toEqual([
        [1, 1],
        // It overtakes what failed and waits for its next attempt.
        [2, 1],
        [1, 2],
        [1, 3],
      ])
      expect(errors.map(({ code }) => code)).toEqual(['HANDLER_FAILED', 'HANDLER_FAILED'])
      expect(errors[0]?.message).toContain('not yet')
      expect(errors[0]?.message).toContain(group)
    })

    it('moves an object to the dead letters after attemptsMax, where it is read like any other', async () => {
      const worker = await network.connect(relay, { groups: group })
      const dead = relayEvent(relay, 'objectDead')
      worker.work(group, () => {
        throw new Error('never')
      })
      await sender.produce({ poison: true }, group)
      expect(await dead).toMatchObject({ group, attempts: 3, count: 1 })
      const inspector = await network.connect(relay, { groups: `${group}.dead` })
      await inspector.notify({ [`${group}.dead`]: -1 })
      for await (const delivery of inspector.deliveries()) {
        expect(delivery).toMatchObject({ object: { poison: true }, group: `${group}.dead`, kind: 'produce' })
        break
      }
    })

    it('lets the handler itself give an object back or acknowledge it', async () => {
      const worker = await network.connect(relay, { groups: group })
      const seen: unknown[] = []
      worker.work(group, (object, delivery) => {
        seen.push(object)
        if (seen.length === 1) delivery.release()
        else delivery.ack()
      })
      await produce(1)
      await eventually(groupStats, (stats) => stats?.acknowledged === 1)
      expect(seen).toEqual([1, 1])
    })

    it('stop waits for the handler that runs, and what was asked for too much goes back', async () => {
      const worker = await network.connect(relay, { groups: group })
      let finish: () => void = () => undefined
      const seen: unknown[] = []
      const work = worker.work(group, (object) => {
        seen.push(object)
        return new Promise<void>((resolve) => {
          finish = resolve
        })
      })
      await produce(1)
      await eventually(
        () => seen.length,
        (length) => length === 1,
      )
      const stopped = work.stop()
      const state = watch(stopped)
      await produce(2)
      expect(state.settled).toBe(false)
      finish()
      await within(stopped, 'the stop')
      await eventually(groupStats, (stats) => stats?.acknowledged === 1 && stats.waiting === 2)
      expect(seen).toEqual([1])
      const other = await network.connect(relay, { groups: group })
      await other.notify({ [group]: 2 })
      expect(await take(other, 2)).toEqual([1, 2])
      await work.stop()
    })

    it('shares objects among the works of several endpoints', async () => {
      const workers = await Promise.all([1, 2].map(() => network.connect(relay, { groups: group })))
      const seen: number[] = [0, 0]
      for (const [index, worker] of workers.entries()) {
        worker.work(group, async () => {
          seen[index] = (seen[index] ?? 0) + 1
          await pause(2)
        })
      }
      await produce(40)
      await eventually(groupStats, (stats) => stats?.acknowledged === 40)
      expect(Math.min(...seen)).toBeGreaterThanOrEqual(10)
    })

    it('leaves broadcasts of its group in the inbox', async () => {
      const worker = await network.connect(relay, { groups: group })
      worker.work(group, () => undefined)
      await produce(1)
      await sender.broadcast('news', group)
      expect(await take(worker, 1)).toEqual(['news'])
    })
  })
}
