import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { endpointEvent, Network, relayEvent } from '../support/network.ts'
import { type LinkProxy, tcpProxy } from '../support/proxies.ts'
import { eventually, within } from '../support/waiting.ts'

useDataFolder()
const proxies: LinkProxy[] = []
let network = new Network()
afterEach(async () => {
  await network.end()
  for (const proxy of proxies.splice(0)) proxy.close()
})

async function proxyTo(port: number): Promise<LinkProxy> {
  const proxy = await tcpProxy(port)
  proxies.push(proxy)
  return proxy
}

const reconnect = { initialDelayMs: 5, maxDelayMs: 20 }
const objectsMax = 20_000
/** Now and then an object that travels in many parts. */
const isLarge = (index: number) => index % 1_000 === 500

describe.each(['thread', 'inline'] as const)("a link that is cut again and again, with io: '%s'", (io) => {
  it('loses nothing, doubles nothing, and keeps the order', { timeout: 60_000 }, async () => {
    network = new Network(io)
    const relay = await network.relay()
    const proxy = await proxyTo(relay.port)
    const producer = await network.connect(proxy, { reconnect })
    const consumer = await network.connect(proxy, { groups: 'g', reconnect })
    const sessionsLost: unknown[] = []
    for (const endpoint of [producer, consumer]) endpoint.on('sessionLost', (event) => sessionsLost.push(event))
    await consumer.notify({ g: objectsMax })

    let over = false
    const cutting = (async () => {
      for (let count = 0; !over; count++) {
        await pause(50 + ((count * 17) % 50))
        proxy.cut()
      }
    })()
    const receiving = (async () => {
      const seen: number[] = []
      while (seen.length < objectsMax) {
        const objects = await consumer.pop({ maxItems: 1_000, blocking: true, timeoutMs: 20_000 })
        if (objects.length === 0) break
        for (const object of objects) seen.push(object instanceof Uint32Array ? (object[0] ?? -1) : Number(object))
      }
      return seen
    })()
    const sent: Promise<unknown>[] = []
    for (let index = 0; index < objectsMax; index++) {
      sent.push(producer.produce(isLarge(index) ? new Uint32Array(100_000).fill(index) : index, 'g'))
      if (index % 200 === 0) await pause(20)
    }
    const seen = await receiving
    over = true
    await cutting
    await within(Promise.all(sent), 'the acceptance of all')
    expect(seen.length).toBe(objectsMax)
    expect(seen.findIndex((number, index) => number !== index)).toBe(-1)
    expect(sessionsLost).toEqual([])
    expect(producer.stats().linksLost).toBeGreaterThan(5)
    expect(consumer.stats().linksLost).toBeGreaterThan(5)
    const { groups, counts } = await eventually(
      () => relay.stats(),
      (stats) => stats.counts.acknowledged === objectsMax,
    )
    expect(groups.g).toMatchObject({ waiting: 0, leased: 0 })
    expect(counts).toMatchObject({ accepted: objectsMax, delivered: objectsMax, acknowledged: objectsMax })
  })
})

describe('an endpoint whose link is cut', () => {
  it('goes on with its session, and neither its leases nor its demand are lost', async () => {
    network = new Network()
    const relay = await network.relay()
    const proxy = await proxyTo(relay.port)
    const sender = await network.connect(relay)
    const worker = await network.connect(proxy, { groups: 'g', reconnect })
    await worker.notify({ g: 3 })
    await sender.produce(1, 'g')
    const deliveries = worker.deliveries()
    const { value: first } = await deliveries.next()
    const lost = relayEvent(relay, 'endpointLost')
    const reconnecting = endpointEvent(worker, 'reconnecting')
    const connected = endpointEvent(worker, 'connected')
    proxy.cut()
    expect((await lost).error.code).toBe('LINK_LOST')
    expect((await reconnecting).error.code).toBe('LINK_LOST')
    await sender.produce(2, 'g')
    expect(await connected).toMatchObject({ resumed: true })
    await sender.produce(3, 'g')
    expect((await relay.stats()).groups.g).toMatchObject({ waiting: 0, leased: 3 })
    first?.ack()
    expect((await deliveries.next()).value).toMatchObject({ object: 2, attempt: 1 })
    expect((await deliveries.next()).value).toMatchObject({ object: 3, attempt: 1 })
    await deliveries.return()
    await eventually(
      async () => (await relay.stats()).counts.acknowledged,
      (count) => count === 3,
    )
  })

  it('comes back as a new one when it was away for longer than sessionGraceMs', async () => {
    network = new Network()
    const relay = await network.relay({ limits: { sessionGraceMs: 50 } })
    const proxy = await proxyTo(relay.port)
    const sender = await network.connect(relay)
    const worker = await network.connect(proxy, { groups: 'g', reconnect: { initialDelayMs: 400, maxDelayMs: 400 } })
    await worker.notify({ g: 2 })
    await sender.produce(1, 'g')
    await eventually(
      () => worker.stats().inbox.objects,
      (objects) => objects === 1,
    )
    const lost = endpointEvent(worker, 'sessionLost')
    const left = relayEvent(relay, 'endpointLeft')
    proxy.cut()
    expect(await left).toMatchObject({ reason: 'grace' })
    // The relay has given back what it had, so that it is not in the inbox any more either; it is asked for again.
    expect(await lost).toMatchObject({ unacknowledged: 0, error: { code: 'SESSION_LOST' } })
    await sender.produce(2, 'g')
    const received: [unknown, number][] = []
    for await (const { object, attempt } of worker.deliveries()) {
      received.push([object, attempt])
      if (received.length === 2) break
    }
    // Nobody had seen it: that was no attempt.
    expect(received).toEqual([
      [1, 1],
      [2, 1],
    ])
  })
})
