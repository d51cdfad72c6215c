import type { Relay } from 'objectrelay'
import { registerType, SchemaError, SerializationError } from 'objectrelay'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { sameBytes } from '../support/bytes.ts'
import { failureOf } from '../support/failures.ts'
import { endpointEvent, Network, take } from '../support/network.ts'
import { eventually } from '../support/waiting.ts'

class Episode {
  readonly reward: number
  readonly steps: readonly number[]
  constructor(reward: number, steps: readonly number[]) {
    this.reward = reward
    this.steps = steps
  }
}

class Unregistered {
  value = 1
}

interface Typed {
  trainers: { reward: number; tags?: string[] }
  workers: { weights: Float32Array }
}

/** What may be sent, and what becomes of it. */
export function objectsContract(io: 'thread' | 'inline'): void {
  describe('carries objects', () => {
    const centre = new Network(io)
    const network = new Network(io)
    let relay: Relay
    beforeAll(async () => {
      relay = await centre.relay()
      registerType(Episode, {
        name: 'Episode',
        encode: ({ reward, steps }) => ({ reward, steps: [...steps] }),
        decode: ({ reward, steps }) => new Episode(reward, steps),
      })
    })
    afterEach(() => network.end())
    afterAll(() => centre.end())

    it('of every kind, exactly', async () => {
      const shared = { shared: true }
      const cyclic: Record<string, unknown> = { name: 'cyclic' }
      cyclic.self = cyclic
      const objects: unknown[] = [
        null,
        undefined,
        -0,
        Number.NaN,
        Number.NEGATIVE_INFINITY,
        2n ** 70n,
        'text with \u0000 and 🐘',
        new Date('2024-02-29T12:00:00.123Z'),
        /relay+/giu,
        new Map<unknown, unknown>([
          [{ key: 1 }, [1, 2]],
          ['b', new Set(['c'])],
        ]),
        new Error('outer', { cause: new TypeError('inner') }),
        Float32Array.of(1.5, -0, Number.POSITIVE_INFINITY),
        new BigInt64Array([1n, -1n]),
        new Uint8Array([1, 2, 3]).buffer,
        Buffer.from('buffer'),
        { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
        { first: shared, second: shared },
        [],
        { constructor: 'harmless', nested: { toString: 1 } },
      ]
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'kinds' })
      await receiver.notify({ kinds: objects.length + 1 })
      for (const object of objects) void sender.produce(object, 'kinds')
      void sender.produce(cyclic, 'kinds')
      const received = await take(receiver, objects.length + 1)
      expect(received.slice(0, -1)).toEqual(objects)
      const [zero, pair, last] = [received[2], received[16], received.at(-1)]
      expect(Object.is(zero, -0)).toBe(true)
      expect(Buffer.isBuffer(received[14])).toBe(true)
      expect(pair).toSatisfy((value: { first: unknown; second: unknown }) => value.first === value.second)
      expect(last).toSatisfy((value: { self: unknown }) => value.self === value)
    })

    it('as they were at the call, whatever the program does to them afterwards', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'copied' })
      await receiver.notify({ copied: 2 })
      const small = { count: 1 }
      const large = new Float64Array(200_000).fill(1)
      const sent = [sender.produce(small, 'copied'), sender.produce({ large }, 'copied')]
      small.count = 2
      large.fill(2)
      await Promise.all(sent)
      const [first, second] = await take(receiver, 2)
      expect(first).toEqual({ count: 1 })
      expect(second).toSatisfy((object: { large: Float64Array }) =>
        sameBytes(object.large, new Float64Array(200_000).fill(1)),
      )
    })

    it('with { transfer: true } by giving their large arrays away', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'given' })
      await receiver.notify('given')
      const weights = new Float32Array(100_000).fill(0.25)
      await sender.produce({ weights, label: 'mine' }, 'given', { transfer: true })
      expect(weights.length).toBe(0)
      const [received] = await take(receiver, 1)
      expect(received).toMatchObject({ label: 'mine' })
      expect(received).toSatisfy((object: { weights: unknown }) =>
        sameBytes(object.weights, new Float32Array(100_000).fill(0.25)),
      )
    })

    it('of registered classes', async () => {
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'episodes' })
      await receiver.notify('episodes')
      await sender.produce([new Episode(1.5, [1, 2]), { inner: new Episode(-1, []) }], 'episodes')
      const [received] = await take(receiver, 1)
      expect(received).toEqual([new Episode(1.5, [1, 2]), { inner: new Episode(-1, []) }])
      expect(received).toSatisfy((list: unknown[]) => list[0] instanceof Episode)
    })

    it('but no functions, symbols or unregistered classes, whose path it names', async () => {
      const sender = await network.connect(relay)
      const cases: [unknown, string][] = [
        [{ policy: { layers: [0, 1, { activation: () => 1 }] } }, 'object.policy.layers[2].activation'],
        [[Symbol('s')], 'object[0]'],
        [{ deep: new Unregistered() }, 'object.deep'],
      ]
      for (const [object, path] of cases) {
        const reported = endpointEvent(sender, 'error')
        const failure = await failureOf(() => sender.produce(object, 'nowhere'))
        expect(failure).toBeInstanceOf(SerializationError)
        expect(failure.code).toBe('NOT_SERIALIZABLE')
        expect(failure.message).toContain(path)
        expect(await reported).toBe(failure)
      }
      expect(await sender.produce('still works', 'nowhere')).toEqual({ members: { nowhere: 0 } })
    })

    it('encoded by a serializer of the user', async () => {
      const serializer = {
        serialize: (object: unknown) => Buffer.from(JSON.stringify(object)),
        deserialize: (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString('utf8')),
      }
      const sender = await network.connect(relay, { serializer })
      const receiver = await network.connect(relay, { groups: 'own', serializer })
      await receiver.notify({ own: 2 })
      await sender.produce({ a: [1, 'two'] }, 'own')
      const long = { text: 'x'.repeat(300_000) }
      await sender.produce(long, 'own')
      expect(await take(receiver, 2)).toEqual([{ a: [1, 'two'] }, long])
    })

    it('with types for each group, checked by a schema where there is one', async () => {
      const schema = z.object({ reward: z.number(), tags: z.array(z.string()).default([]) })
      const sender = await network.connect<Typed>(relay)
      const receiver = await network.connect<Typed>(relay, {
        groups: ['trainers', 'workers'],
        schemas: { trainers: schema },
      })
      await receiver.notify({ trainers: 2, workers: 1 })
      const failed = endpointEvent(receiver, 'error')
      // What a program in another language, or an older version of this one, might send.
      const stranger = await network.connect(relay)
      await stranger.produce({ reward: 'high' }, 'trainers')
      await sender.produce({ reward: 1 }, 'trainers')
      await sender.produce({ weights: Float32Array.of(1) }, 'workers')
      expect(await take(receiver, 2)).toEqual([{ reward: 1, tags: [] }, { weights: Float32Array.of(1) }])
      const error = await failed
      expect(error).toBeInstanceOf(SchemaError)
      expect(error.message).toContain('reward')
      expect(error.details).toMatchObject({ group: 'trainers' })
      expect((await receiver.stats()).received.unreadable).toBe(1)
      // It is not lost: another member may know a schema that it fits.
      await eventually(
        async () => (await relay.stats()).groups.trainers,
        (stats) => stats?.acknowledged === 1 && stats.waiting + stats.leased === 1,
      )
    })

    it('checked by a schema that takes its time', async () => {
      const schema = z.number().refine(async (value) => Promise.resolve(value % 2 === 0), 'it must be even')
      const sender = await network.connect(relay)
      const receiver = await network.connect<Record<string, number>>(relay, {
        groups: 'even',
        schemas: { even: schema },
      })
      await receiver.notify({ even: 4 })
      await Promise.all([1, 2, 3, 4].map((number) => sender.produce(number, 'even')))
      expect(await take(receiver, 2)).toEqual([2, 4])
    })
  })
}
