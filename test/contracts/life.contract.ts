import { inspect } from 'node:util'
import { ConnectTimeoutError, Endpoint, LinkError, UsageError } from 'objectrelay'
import { afterEach, describe, expect, it } from 'vitest'
import { codeOf, failureOf } from '../support/failures.ts'
import { endpointEvent, host, Network, password, relayEvent, take } from '../support/network.ts'
import { freePort } from '../support/ports.ts'
import { eventually, watch, within } from '../support/waiting.ts'

/** Connecting, waiting for the relay, stopping. */
export function lifeContract(io: 'thread' | 'inline'): void {
  describe('connects and stops', () => {
    const network = new Network(io)
    afterEach(() => network.end())
    const reconnect = { initialDelayMs: 20, maxDelayMs: 50 }

    it('may be older than its relay: what it sent and asked meanwhile is done in order', async () => {
      const port = await freePort()
      const events: string[] = []
      const on = { connecting: ({ attempt }: { attempt: number }) => events.push(`attempt ${attempt}`) }
      const early = network.begin({ port }, { groups: 'early', reconnect, on })
      const accepted = [1, 2, 3].map((number) => early.produce(number, 'early'))
      await early.notify({ early: 3 })
      const failed = await endpointEvent(early, 'connecting', ({ error }) => error !== undefined)
      expect(failed.error?.code).toBe('CONNECT_FAILED')
      const connected = endpointEvent(early, 'connected')
      await network.relay({ port })
      expect((await connected).resumed).toBe(false)
      expect(await Promise.all(accepted)).toEqual([1, 2, 3].map(() => ({ members: { early: 1 } })))
      expect(await take(early, 3)).toEqual([1, 2, 3])
      expect(events).toContain('attempt 1')
    })

    it('Endpoint.connect waits for a relay that starts later, with an event for each attempt', async () => {
      const port = await freePort()
      const attempts: number[] = []
      let second: () => void = () => undefined
      const twice = new Promise<void>((resolve) => {
        second = resolve
      })
      const connecting = network.connect(
        { port },
        {
          reconnect,
          on: {
            connecting: ({ attempt }) => {
              attempts.push(attempt)
              if (attempt === 2) second()
            },
          },
        },
      )
      await within(twice, 'the second attempt')
      await network.relay({ port })
      const endpoint = await within(connecting, 'the connection')
      expect(attempts.slice(0, 2)).toEqual([1, 2])
      expect((await endpoint.stats()).state).toBe('connected')
    })

    it('Endpoint.connect gives up after connectTimeoutMs with the last cause', async () => {
      const failure = await failureOf(async () =>
        network.connect({ port: await freePort() }, { connectTimeoutMs: 150, reconnect }),
      )
      expect(failure).toBeInstanceOf(ConnectTimeoutError)
      expect(failure).toBeInstanceOf(LinkError)
      expect(failure).toMatchObject({ code: 'CONNECT_TIMEOUT', retryable: true, cause: { code: 'CONNECT_FAILED' } })
    })

    it('Endpoint.connect fails with an error that shows where the program called, and nothing of our inside', async () => {
      const failure = await failureOf(async () =>
        network.connect({ port: await freePort() }, { connectTimeoutMs: 100, reconnect }),
      )
      const printed = inspect(failure)
      expect(printed.split('\n').length, printed).toBeLessThan(30)
      expect(failure.stack).toContain('life.contract.ts')
      expect(printed).not.toMatch(/dist\/(endpoint|background|wire|transport)\//)
    })

    it('stop sends what was sent, gives back what was not taken, and says that all was delivered', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay, { groups: 'rest' })
      const left = relayEvent(relay, 'endpointLeft')
      const sent = Array.from({ length: 1_000 }, (_, index) => endpoint.produce(index, 'rest'))
      await endpoint.notify({ rest: 10 })
      expect(await endpoint.stop()).toEqual({ undelivered: [], deadlineReached: false })
      await Promise.all(sent)
      expect(await left).toMatchObject({ reason: 'stopped' })
      expect((await relay.stats()).groups.rest).toMatchObject({ waiting: 1_000, leased: 0 })
    })

    it('stop returns what could not be delivered until the deadline', async () => {
      const endpoint = network.begin({ port: await freePort() }, { reconnect })
      const sent = [
        endpoint.produce({ work: 1 }, 'nobody'),
        endpoint.broadcast(new Float32Array(50_000).fill(2), ['nobody', 'else']),
      ]
      const failures = Promise.all(sent.map((promise) => failureOf(() => promise)))
      const { undelivered, deadlineReached } = await endpoint.stop({ deadlineMs: 100 })
      expect(undelivered).toEqual([
        { object: { work: 1 }, groups: ['nobody'], kind: 'produce' },
        { object: new Float32Array(50_000).fill(2), groups: ['nobody', 'else'], kind: 'broadcast' },
      ])
      expect(typeof deadlineReached).toBe('boolean')
      for (const { category } of await failures) expect(category).toBe('link')
    })

    it('a second stop is harmless, and every call after a stop fails with STOPPED', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay, { groups: 'g' })
      const waiting = endpoint.pop({ blocking: true })
      const [first, second] = await Promise.all([endpoint.stop(), endpoint.stop()])
      expect(second).toEqual(first)
      expect(await endpoint.stop()).toEqual(first)
      expect(await within(waiting, 'the end of the waiting pop')).toEqual([])
      const calls: (() => unknown)[] = [
        () => endpoint.broadcast(1, 'g'),
        () => endpoint.produce(1, 'g'),
        () => endpoint.sendObject(1, { g: 2 }),
        () => endpoint.notify('g'),
        () => endpoint.pop(),
        () => endpoint.getLast(),
        () => endpoint.retrieveAll({ blocking: true }),
        () => endpoint.popSync(),
        () => endpoint.work('g', () => undefined),
        () => endpoint.deliveries().next(),
      ]
      for (const call of calls) {
        const failure = await failureOf(call)
        expect(failure).toBeInstanceOf(UsageError)
        expect(failure.code).toBe('STOPPED')
      }
      expect((await endpoint.stats()).state).toBe('stopped')
    })

    it('stop waits for the handler of work that runs', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect<Record<string, unknown>>(relay, { groups: 'g' })
      let finish: () => void = () => undefined
      let begun = false
      endpoint.work('g', async () => {
        begun = true
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        await endpoint.produce('result', 'results')
      })
      await endpoint.produce('task', 'g')
      await eventually(
        () => begun,
        (value) => value,
      )
      const stopping = endpoint.stop()
      const state = watch(stopping)
      await relay.stats()
      expect(state.settled).toBe(false)
      finish()
      expect(await within(stopping, 'the stop')).toEqual({ undelivered: [], deadlineReached: false })
      const { groups, counts } = await relay.stats()
      expect(groups.results).toMatchObject({ waiting: 1 })
      expect(counts.acknowledged).toBe(1)
    })

    it('relay.stop says what could not be delivered; a second one gives the same', async () => {
      const relay = await network.relay()
      const sender = await network.connect(relay)
      const receiver = await network.connect(relay, { groups: 'asked' })
      for (const number of [1, 2, 3]) await sender.produce(number, 'unasked')
      await receiver.notify({ asked: 1 })
      await sender.produce('leased', 'asked')
      await sender.produce('waiting', 'asked')
      await eventually(
        async () => (await receiver.stats()).inbox.objects,
        (objects) => objects === 1,
      )
      const lost = endpointEvent(receiver, 'reconnecting')
      const result = await relay.stop({ deadlineMs: 2_000 })
      expect(result).toEqual({
        undelivered: { unasked: { waiting: 3, leased: 0 }, asked: { waiting: 1, leased: 1 } },
        deadlineReached: false,
      })
      expect(await relay.stop()).toEqual(result)
      expect(await codeOf(() => relay.stats())).toBe('STOPPED')
      expect((await lost).error.code).toBe('RELAY_STOPPED')
    })

    it('disposes of itself and of its relay at the end of a block', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay)
      await endpoint[Symbol.asyncDispose]()
      expect(await codeOf(() => endpoint.produce(1, 'g'))).toBe('STOPPED')
      await relay[Symbol.asyncDispose]()
      expect(await codeOf(() => relay.stats())).toBe('STOPPED')
    })

    it('gives snapshots of what is under way', async () => {
      const relay = await network.relay()
      const endpoint = await network.connect(relay, { groups: 'g' })
      await endpoint.notify({ g: 3 })
      await endpoint.produce('object', 'g')
      const stats = await eventually(
        () => endpoint.stats(),
        ({ inbox }) => inbox.objects === 1,
      )
      expect(stats).toMatchObject({
        state: 'connected',
        sending: { objects: 0, waitingObjects: 0 },
        sent: { objects: 1, accepted: 1, rejected: 0 },
        received: { objects: 1, skipped: 0, unreadable: 0 },
        linksLost: 0,
      })
      expect(stats.inbox.bytes).toBeGreaterThan(0)
      const { groups, endpoints, port, counts } = await relay.stats()
      expect(groups.g).toMatchObject({ members: 1, waiting: 0, leased: 1, demand: 2 })
      expect(endpoints).toEqual({ connected: 1, away: 0, refused: 0 })
      expect(port).toBe(relay.port)
      expect(counts).toMatchObject({ accepted: 1, delivered: 1 })
    })

    it('shares one process with twenty endpoints of two relays', async () => {
      const relays = [await network.relay(), await network.relay()]
      const endpoints = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const relay = relays[index % 2]
          if (relay === undefined) throw new Error('There are two relays.')
          return Endpoint.connect<Record<string, unknown>>({
            host,
            port: relay.port,
            password,
            groups: [`g${index}`, 'all'],
            io,
          })
        }),
      )
      for (const [index, endpoint] of endpoints.entries()) await endpoint.notify(`g${index}`)
      // Each sends to the next one of the same relay.
      const sent = endpoints.map((endpoint, index) => endpoint.produce(index, `g${(index + 2) % 20}`))
      for (const receipt of await Promise.all(sent)) expect(Object.values(receipt.members)).toEqual([1])
      for (const [index, endpoint] of endpoints.entries()) {
        expect(await take(endpoint, 1)).toEqual([(index + 18) % 20])
      }
      expect(await endpoints[0]?.broadcast('to the even ones', 'all')).toEqual({ members: { all: 10 } })
      for (const [index, endpoint] of endpoints.entries()) {
        if (index % 2 === 0) expect(await take(endpoint, 1)).toEqual(['to the even ones'])
      }
      expect(await endpoints[1]?.retrieveAll()).toEqual([])
      await Promise.all(endpoints.map((endpoint) => endpoint.stop()))
      for (const relay of relays) expect((await relay.stats()).endpoints.connected).toBe(0)
    })
  })
}
