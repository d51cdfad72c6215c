import { setTimeout as pause } from 'node:timers/promises'
import { type Delivery, type Endpoint, type ObjectRelayError, type Relay, UnrecoverableError } from 'objectrelay'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { endpointEvent, Network, relayEvent, take } from '../support/network.ts'
import { oddThrown } from '../support/oddThrown.ts'
import { tcpProxy } from '../support/proxies.ts'
import { eventually, watch, within } from '../support/waiting.ts'

/** What becomes of an object that a program cannot read, fails at, or does not finish. */
export function failuresContract(io: 'thread' | 'inline'): void {
  describe('loses no work that fails', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    let sender: Endpoint
    let group = ''
    let groups = 0
    beforeAll(async () => {
      relay = await centre.relay({ limits: { attemptsMax: 3, retryDelayMs: 10, sessionGraceMs: 50 } })
      sender = await centre.connect(relay)
    })
    beforeEach(() => {
      group = `failures-${groups++}`
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    const groupStats = async () => (await relay.stats()).groups[group]

    async function next(deliveries: AsyncGenerator<Delivery>): Promise<Delivery> {
      const { value, done } = await within(deliveries.next(), 'the next delivery')
      if (done === true) throw new Error('There are no more deliveries.')
      return value
    }

    /** The next dead letter of the group. */
    async function deadLetter(): Promise<Delivery> {
      const dead = `${group}.dead`
      const reader = await network.connect(relay, { groups: dead })
      await reader.notify(dead)
      const delivery = await next(reader.deliveries())
      delivery.ack()
      return delivery
    }

    it('whatever a handler throws: the object is tried again, and its dead letter says what can be said', async () => {
      const worker = await network.connect(relay, { groups: group })
      const errors: ObjectRelayError[] = []
      worker.on('error', (error) => errors.push(error))
      const makers = Object.values(oddThrown)
      worker.work(
        group,
        (index) => {
          throw makers[Number(index)]?.()
        },
        { retryDelayMs: 0, concurrency: 2 },
      )
      await Promise.all(makers.map((_, index) => sender.produce(index, group)))
      const total = makers.length
      await eventually(groupStats, (stats) => stats?.waiting === 0 && stats.leased === 0)
      const { waiting } = (await relay.stats()).groups[`${group}.dead`] ?? {}
      expect(waiting).toBe(total)
      await eventually(
        () => errors.length,
        (count) => count === 3 * total,
      )
      expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['HANDLER_FAILED']))
      const { deadLetter: record, object } = await deadLetter()
      expect(record).toMatchObject({ reason: 'failed', attempts: 3, name: worker.name, endpoint: worker.id })
      expect(record?.error?.message).toBeTruthy()
      expect(Number(object)).toBeLessThan(total)
    })

    it('an UnrecoverableError makes an object a dead letter at once', async () => {
      const worker = await network.connect(relay, { groups: group, name: 'the worker' })
      const failed = endpointEvent(worker, 'error')
      worker.work(group, () => {
        throw new UnrecoverableError('there is no such film')
      })
      await sender.produce('render', group)
      expect((await failed).message).toContain(`moved to the group "${group}.dead"`)
      const { deadLetter: record, object } = await deadLetter()
      expect(object).toBe('render')
      expect(record).toMatchObject({
        reason: 'failed',
        attempts: 1,
        name: 'the worker',
        error: { name: 'UnrecoverableError', message: 'there is no such film' },
      })
      expect(record?.error?.stack).toContain('failures.contract.ts')
      expect(Math.abs(Date.now() - (record?.diedAt.getTime() ?? 0))).toBeLessThan(60_000)
    })

    it('work() waits as long as it is told to before it tries again; other objects overtake', async () => {
      const worker = await network.connect(relay, { groups: group })
      const seen: unknown[] = []
      const failedMs: number[] = []
      worker.on('error', () => undefined)
      worker.work(
        group,
        (object, { attempt }) => {
          seen.push(`${object} ${attempt}`)
          if (object !== 'bad' || attempt > 2) return
          failedMs.push(performance.now())
          throw new Error('not yet')
        },
        { retryDelayMs: 150 },
      )
      for (const object of ['bad', 1, 2]) await sender.produce(object, group)
      await eventually(groupStats, (stats) => stats?.acknowledged === 3)
      expect(seen).toEqual(['bad 1', '1 1', '2 1', 'bad 2', 'bad 3'])
      const [first = 0, second = 0] = failedMs
      expect(second - first).toBeGreaterThanOrEqual(140)
      expect(performance.now() - second).toBeGreaterThanOrEqual(280)
    })

    it('release() with an error is an attempt that failed', async () => {
      const worker = await network.connect(relay, { groups: group })
      const deliveries = worker.deliveries()
      for (let attempt = 1; attempt <= 3; attempt++) {
        if (attempt === 1) await sender.produce('task', group)
        await worker.notify(group)
        const delivery = await next(deliveries)
        expect(delivery.attempt).toBe(attempt)
        delivery.release({ error: new RangeError(`no room, ${attempt}`), retryDelayMs: 0 })
      }
      const { deadLetter: record } = await deadLetter()
      expect(record).toMatchObject({ reason: 'released', error: { name: 'RangeError', message: 'no room, 3' } })
    })

    it('a worker with an outdated schema acknowledges nothing: all is done by one with the right schema, or a dead letter', async () => {
      const old = await network.connect<Record<string, unknown>>(relay, {
        groups: group,
        schemas: { [group]: z.object({ film: z.string() }) },
      })
      const reasons: string[] = []
      old.on('error', ({ code }) => reasons.push(code))
      let handledByOld = 0
      old.work(group, () => void handledByOld++, { concurrency: 4 })
      const count = 100
      const young = await network.connect(relay, { groups: group })
      const done = new Set<unknown>()
      young.work(group, (task) => void done.add(JSON.stringify(task)), { concurrency: 4 })
      await Promise.all(Array.from({ length: count }, (_, index) => sender.produce({ frame: index }, group)))
      const { acknowledged = 0, dead = 0 } =
        (await eventually(groupStats, (stats) => stats?.waiting === 0 && stats.leased === 0)) ?? {}
      expect({ handledByOld, done: done.size, all: acknowledged + dead }).toEqual({
        handledByOld: 0,
        done: acknowledged,
        all: count,
      })
      expect(acknowledged).toBeGreaterThan(count / 2)
      expect(reasons.length).toBeGreaterThan(0)
      expect(new Set(reasons)).toEqual(new Set(['SCHEMA_MISMATCH']))
    })

    const readers: Readonly<Record<string, (endpoint: Endpoint) => Promise<unknown[]>>> = {
      pop: (endpoint) => endpoint.pop({ blocking: true }),
      getLast: (endpoint) => endpoint.getLast({ blocking: true }),
      retrieveAll: (endpoint) => endpoint.retrieveAll({ blocking: true }),
      iterator: async (endpoint) => {
        for await (const object of endpoint) return [object]
        return []
      },
      deliveries: async (endpoint) => {
        const { object, ack } = await next(endpoint.deliveries())
        ack()
        return [object]
      },
    }
    it.each(Object.keys(readers))(
      'what nobody can decode ends as a dead letter that says so, and %s goes on with the next object',
      async (reader) => {
        const odd = await network.connect(relay, { serializer: { serialize: encode, deserialize: () => undefined } })
        const receiver = await network.connect(relay, { groups: group })
        const errors: ObjectRelayError[] = []
        receiver.on('error', (error) => errors.push(error))
        await receiver.notify({ [group]: 2 })
        await odd.produce('odd', group)
        const taken = readers[reader]?.(receiver)
        await eventually(
          () => errors.length,
          (count) => count === 3,
        )
        await sender.produce('good', group)
        expect(await within(taken ?? Promise.resolve([]), 'the good one')).toEqual(['good'])
        expect(errors.map(({ code }) => code)).toEqual([...Array(3)].map(() => 'NOT_DESERIALIZABLE'))
        expect(errors[2]?.message).toContain(`moved to the group "${group}.dead"`)
        expect((await relay.stats()).groups[`${group}.dead`]).toMatchObject({ waiting: 1 })
        await receiver.stop()
        const reads = { serialize: encode, deserialize: () => 'read' }
        const inspector = await network.connect(relay, { groups: `${group}.dead`, serializer: reads })
        await inspector.notify(`${group}.dead`)
        const { object, deadLetter: record } = await next(inspector.deliveries())
        expect(object).toBe('read')
        expect(record).toMatchObject({ reason: 'undecodable', attempts: 3, error: { code: 'NOT_DESERIALIZABLE' } })
      },
    )

    it('a broadcast that cannot be decoded is an event and nothing else', async () => {
      const odd = await network.connect(relay, { serializer: { serialize: encode, deserialize: () => undefined } })
      const receiver = await network.connect(relay, { groups: group })
      const failed = endpointEvent(receiver, 'error')
      await odd.broadcast('odd', group)
      await sender.broadcast('good', group)
      expect(await take(receiver, 1)).toEqual(['good'])
      expect((await failed).details).toMatchObject({ kind: 'broadcast', group })
      expect(await groupStats()).toMatchObject({ waiting: 0, leased: 0 })
    })

    it('a stop waits for a loop: nobody else gets the object while it is worked on', async () => {
      const leaver = await network.connect(relay, { groups: group })
      const heir = await network.connect(relay, { groups: group })
      await leaver.notify(group)
      await sender.produce('task', group)
      const deliveries = leaver.deliveries()
      const delivery = await next(deliveries)
      await heir.notify(group)
      const stopping = leaver.stop()
      const state = watch(stopping)
      await pause(100)
      expect([state.settled, await heir.pop()]).toEqual([false, []])
      delivery.ack()
      expect(await within(stopping, 'the stop')).toEqual({ undelivered: [], deadlineReached: false })
      expect((await deliveries.next()).done).toBe(true)
      await eventually(groupStats, (stats) => stats?.acknowledged === 1 && stats.leased === 0)
    })

    it('at the deadline of a stop, the next one gets the object with the attempt counted, and the late ack is reported', async () => {
      const leaver = await network.connect(relay, { groups: group })
      const heir = await network.connect(relay, { groups: group })
      await leaver.notify(group)
      await sender.produce('task', group)
      const delivery = await next(leaver.deliveries())
      await heir.notify(group)
      expect((await leaver.stop({ deadlineMs: 50 })).deadlineReached).toBe(true)
      const tooLate = endpointEvent(leaver, 'error')
      delivery.ack()
      expect(await tooLate).toMatchObject({ code: 'LEASE_LOST', details: { group, attempt: 1 } })
      const again = await next(heir.deliveries())
      expect(again).toMatchObject({ object: 'task', attempt: 2 })
      again.ack()
    })

    it('tells by the signal of a delivery that the relay has given the object to another member, and of the late end', async () => {
      const proxy = await tcpProxy(relay.port)
      try {
        // It is away for longer than the grace time.
        const reconnect = { initialDelayMs: 400, maxDelayMs: 400 }
        const worker = await network.connect({ port: proxy.port }, { groups: group, reconnect })
        const errors: ObjectRelayError[] = []
        worker.on('error', (error) => errors.push(error))
        const begun: Delivery[] = []
        worker.work(
          group,
          async (_object, delivery) => {
            begun.push(delivery)
            if (begun.length > 1) return
            await new Promise((resolve) => delivery.signal.addEventListener('abort', resolve))
          },
          { concurrency: 1 },
        )
        await sender.produce('task', group)
        await eventually(
          () => begun.length,
          (count) => count === 1,
        )
        const left = relayEvent(relay, 'endpointLeft')
        proxy.cut()
        await left
        const heir = await network.connect(relay, { groups: group })
        await heir.notify(group)
        expect((await next(heir.deliveries())).object).toBe('task')
        await eventually(
          () => errors,
          (list) => list.some(({ code }) => code === 'LEASE_LOST'),
        )
        expect(begun[0]?.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
      } finally {
        proxy.close()
      }
    })

    it('aborts the signals of its deliveries when it stops; handlers that end by that fail nothing', async () => {
      const worker = await network.connect(relay, { groups: group })
      const errors: ObjectRelayError[] = []
      worker.on('error', (error) => errors.push(error))
      let running = 0
      worker.work(
        group,
        async (_object, { signal }) => {
          running++
          await pause(60_000, undefined, { signal })
        },
        { concurrency: 2 },
      )
      await Promise.all([1, 2, 3].map((number) => sender.produce(number, group)))
      await eventually(
        () => running,
        (count) => count === 2,
      )
      expect(await within(worker.stop(), 'the stop')).toEqual({ undelivered: [], deadlineReached: false })
      expect(errors).toEqual([])
      const heir = await network.connect(relay, { groups: group })
      await heir.notify({ [group]: 3 })
      const deliveries = heir.deliveries()
      for (const object of [1, 2, 3]) expect(await next(deliveries)).toMatchObject({ object, attempt: 1 })
      await deliveries.return()
    })
  })
}

function encode(object: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(object))
}
