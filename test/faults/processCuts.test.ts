import { afterEach, beforeEach, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import type { FaultyProxy, Silence } from './support/faultyProxy.ts'
import type { Party } from './support/party.ts'
import { countFor, creditUsual, flawless, noticedMs, Stage } from './support/stage.ts'

useDataFolder()

const cutCount = countFor('FAULTS_CUT_OBJECTS', 30_000)

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

interface Cast {
  readonly relay: Party
  readonly producer: Party
  readonly consumer: Party
  readonly proxy: FaultyProxy
}

async function cast(io: 'thread' | 'inline' = 'thread'): Promise<Cast> {
  const { relay, port } = await stage.relay()
  const proxy = await stage.proxy(port)
  const producer = await stage.endpoint('producer', { port: proxy.port, io })
  const consumer = await stage.endpoint('consumer', { port: proxy.port, groups: 'work', io })
  await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
  return { relay, producer, consumer, proxy }
}

it.for(['thread', 'inline'] as const)(
  `delivers ${cutCount} objects once and in order while all links are cut every 50 ms (io: %s)`,
  async (io) => {
    const { relay, producer, consumer, proxy } = await cast(io)
    const order = { name: 'producer', group: 'work', to: cutCount, outstandingMax: 500 }
    const cutter = setInterval(() => proxy.cut(), 50)
    try {
      const sent = await producer.send({ ...order, journal: stage.journal('producer') })
      expect(sent).toMatchObject({ accepted: cutCount, failed: {} })
      await stage.untilLines('consumer', cutCount)
    } finally {
      clearInterval(cutter)
    }
    expect(await stage.verdict(relay, 'work', { producer: cutCount })).toMatchObject({ ...flawless, arrived: cutCount })
    // What was asked and not served is known to the last object, however often the link was lost.
    expect((await relay.relayStats()).groups.work?.demand).toBe(creditUsual - cutCount)
    const { linksLost } = await producer.endpointStats('producer')
    const lostByConsumer = (await consumer.endpointStats('consumer')).linksLost
    expect(Math.min(linksLost, lostByConsumer)).toBeGreaterThan(5)
    expect(producer.count('sessionLost') + consumer.count('sessionLost')).toBe(0)
  },
)

it('delivers each broadcast once and in order while all links are cut every 50 ms', async () => {
  const { producer, proxy } = await cast()
  const count = 5_000
  const order = { name: 'producer', group: 'work', kind: 'broadcast', to: count, bytes: 1_000, outstandingMax: 50 }
  const cutter = setInterval(() => proxy.cut(), 50)
  try {
    const sent = await producer.send({ ...order, journal: stage.journal('producer') })
    expect(sent).toMatchObject({ accepted: count, failed: {} })
    await stage.untilLines('consumer', count)
  } finally {
    clearInterval(cutter)
  }
  const ledger = stage.ledger()
  expect(ledger.verdict({ producer: count })).toMatchObject({ ...flawless, arrived: count })
  expect(ledger.skipped).toBe(0)
}, 60_000)

it('delivers large objects whole and once while all links are cut every 50 ms', async () => {
  const { relay, producer, proxy } = await cast()
  const count = 12
  const order = { name: 'producer', group: 'work', to: count, bytes: 8 * 1024 * 1024, outstandingMax: 3 }
  const cutter = setInterval(() => proxy.cut(), 50)
  try {
    const sent = await producer.send({ ...order, journal: stage.journal('producer') })
    expect(sent).toMatchObject({ accepted: count, failed: {} })
    await stage.untilLines('consumer', count)
  } finally {
    clearInterval(cutter)
  }
  expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: count })
}, 60_000)

it.for(['toRelay', 'toEndpoint', 'both'] as const satisfies readonly Silence[])(
  'notices a half-open link by its heartbeats, and resumes: silence %s',
  async (silence) => {
    const { relay, producer, consumer, proxy } = await cast()
    const count = 20_000
    const order = {
      name: 'producer',
      group: 'work',
      to: count,
      outstandingMax: 200,
      journal: stage.journal('producer'),
    }
    const sent = producer.send(order)
    await stage.untilLines('consumer', 1_000)
    const silentMs = Date.now()
    proxy.fallSilent(silence)
    const lost = [producer.heard('reconnecting'), consumer.heard('reconnecting')]
    // The side that hears nothing notices; the other one learns it from the end of the connection, if that can reach it.
    for (const { atMs } of await Promise.all(lost)) expect(atMs - silentMs).toBeLessThan(noticedMs)
    proxy.fallSilent('none')
    await sent
    expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: count })
    expect(producer.count('sessionLost') + consumer.count('sessionLost')).toBe(0)
  },
)

it('queues nothing twice whose acceptance could not reach a producer that was away for longer than the grace time', async () => {
  const { relay, port } = await stage.relay({ limits: { sessionGraceMs: 500 } })
  const proxy = await stage.proxy(port)
  const producer = await stage.endpoint('producer', { port: proxy.port })
  const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
  await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
  // At a pace, so that it is not over before the cable is cut.
  const count = 10_000
  const order = {
    name: 'producer',
    group: 'work',
    to: count,
    outstandingMax: 200,
    ratePerSecond: 5_000,
    journal: stage.journal('producer'),
  }
  const sent = producer.send(order)
  await stage.untilLines('consumer', 2_000)
  proxy.fallSilent('toEndpoint')
  await relay.heard('endpointLeft', ({ value }) => value.reason === 'grace')
  const unknown = stage.ledger()
  expect(unknown.arrived).toBeGreaterThan(unknown.accepted.size)
  proxy.fallSilent('none')
  await producer.heard('sessionLost')
  expect(await sent).toMatchObject({ accepted: count, failed: {} })
  expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: count })
})

it('resumes from another address while the old connections still seem to stand', async () => {
  const { relay, producer, consumer, proxy } = await cast()
  const count = 10_000
  const order = {
    name: 'producer',
    group: 'work',
    to: count,
    outstandingMax: 200,
    ratePerSecond: 5_000,
    journal: stage.journal('producer'),
  }
  const sent = producer.send(order)
  await stage.untilLines('consumer', 1_000)
  proxy.move('127.0.0.2')
  await relay.heard('endpointConnected', ({ value }) => String(value.peer).startsWith('127.0.0.2'))
  await sent
  expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: count })
  expect(producer.count('sessionLost') + consumer.count('sessionLost')).toBe(0)
})
