import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Workshop } from '../scenarios/cliProcesses.ts'
import { useDataFolder } from '../support/folders.ts'
import { eventually, within } from '../support/waiting.ts'
import type { Ledger } from './support/ledger.ts'
import { creditUsual, flawless, Stage } from './support/stage.ts'

useDataFolder()

const count = 50_000

let stage: Stage
let workshop: Workshop
beforeEach(async () => {
  stage = await Stage.open()
  workshop = await Workshop.open()
})
afterEach(async () => {
  await stage.close()
  await workshop.close()
})

describe('an endpoint that is stopped under load', () => {
  it('flushes what was sent, and the rest fails; what failed never arrives', async () => {
    const { relay, port } = await stage.relay()
    const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
    await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
    const producer = await stage.endpoint('producer', { port })
    const order = { name: 'producer', group: 'work', to: count, journal: stage.journal('producer') }
    const sent = producer.send(order)
    await stage.untilLines('producer', 2_000)
    expect(await producer.stopEndpoint('producer', 10_000)).toEqual({ undelivered: [], deadlineReached: false })
    const { accepted, failed } = await sent
    expect(failed).toEqual({ STOPPED: count - accepted })
    expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: accepted })
  })

  it('flushes what was sent while its link is cut every 50 ms, and the relay hears its goodbye', async () => {
    const { relay, port } = await stage.relay({ limits: { sessionGraceMs: 60_000 } })
    const proxy = await stage.proxy(port)
    const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
    await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
    const producer = await stage.endpoint('producer', { port: proxy.port })
    const sent = producer.send({ name: 'producer', group: 'work', to: count, journal: stage.journal('producer') })
    await stage.untilLines('producer', 2_000)
    const cutter = setInterval(() => proxy.cut(), 50)
    try {
      expect(await producer.stopEndpoint('producer', 20_000)).toEqual({ undelivered: [], deadlineReached: false })
    } finally {
      clearInterval(cutter)
    }
    await relay.heard('endpointLeft', ({ value }) => value.reason === 'stopped')
    const { accepted } = await sent
    expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: accepted })
  })

  it('ends at its deadline when the relay takes nothing, and hands back exactly what was not accepted', async () => {
    const { relay, port } = await stage.relay({ acceptedGroups: { work: { maxConsumables: 100 } } })
    const producer = await stage.endpoint('producer', { port })
    const order = { name: 'producer', group: 'work', to: 1_000, journal: stage.journal('producer') }
    const sent = producer.send(order)
    await producer.heard('blocked')
    await stage.untilLines('producer', 100)
    const beganMs = performance.now()
    const { undelivered, deadlineReached } = await producer.stopEndpoint('producer', 300)
    expect(performance.now() - beganMs).toBeLessThan(300 + 2_000)
    expect(deadlineReached).toBe(true)
    expect(undelivered).toEqual(Array.from({ length: 900 }, (_, index) => 100 + index))
    expect(await sent).toMatchObject({ accepted: 100, failed: { DEADLINE: 900 } })
    const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
    await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
    expect(await stage.verdict(relay, 'work', { producer: 1_000 })).toMatchObject({ ...flawless, arrived: 100 })
  })

  it('ends at its deadline while the relay is frozen, and hands back what was not accepted', async () => {
    const { relay, port } = await stage.relay()
    const producer = await stage.endpoint('producer', { port })
    relay.signal('SIGSTOP')
    const order = { name: 'producer', group: 'work', to: 100, journal: stage.journal('producer') }
    const sent = producer.send(order)
    await eventually(
      async () => (await producer.endpointStats('producer')).sending.objects,
      (objects) => objects === 100,
    )
    const { undelivered, deadlineReached } = await within(producer.stopEndpoint('producer', 500), 'the stop', 5_000)
    relay.signal('SIGCONT')
    expect({ deadlineReached, count: undelivered.length }).toEqual({ deadlineReached: true, count: 100 })
    expect(await sent).toMatchObject({ accepted: 0, failed: { DEADLINE: 100 } })
  })

  it('gives what its program did not take back to the others at once, and counts an attempt only of what is in hand at the deadline', async () => {
    const { relay, port } = await stage.relay({ limits: { sessionGraceMs: 60_000 } })
    const producer = await stage.endpoint('producer', { port })
    const leaver = await stage.endpoint('leaver', { port, groups: 'work' })
    await leaver.ask('consume', { name: 'leaver', group: 'work', holdAfter: 50, journal: stage.journal('leaver') })
    await producer.send({ name: 'producer', group: 'work', to: 2_000, journal: stage.journal('producer') })
    await leaver.heard('holds')
    // Its loop holds an object, and never comes back.
    expect(await leaver.stopEndpoint('leaver', 300)).toEqual({ undelivered: [], deadlineReached: true })
    const stayer = await stage.endpoint('stayer', { port, groups: 'work' })
    await stayer.ask('consume', { name: 'stayer', group: 'work', journal: stage.journal('stayer') })
    const verdict = await stage.verdict(relay, 'work', { producer: 2_000 })
    expect(verdict).toMatchObject({ ...flawless, arrived: 2_000, duplicated: 1, redelivered: 1 })
  })
})

describe('a relay that is stopped under load', () => {
  it('delivers what is on its way, names what remains, and accepts nothing more', async () => {
    const { relay, port } = await stage.relay()
    const producer = await stage.endpoint('producer', { port })
    const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
    const journal = stage.journal('consumer')
    await consumer.ask('consume', { name: 'consumer', group: 'work', credit: 3_000, journal })
    const order = { name: 'producer', group: 'work', to: count, journal: stage.journal('producer') }
    producer.send(order).catch(() => undefined) // nobody accepts the rest
    await stage.untilLines('producer', 10_000)
    const { undelivered, deadlineReached } = await within(relay.stopRelay(5_000), 'the stop')
    expect(deadlineReached).toBe(false)
    await producer.heard('reconnecting')
    await stage.untilLines('consumer', 3_000)
    const { waiting = 0, leased = 0 } = undelivered.work ?? {}
    // Each accepted object was delivered, or is among those that the relay names.
    const ledger = await ledgerWithAccepted(3_000 + waiting)
    expect(ledger.arrived).toBe(3_000)
    expect(leased).toBeLessThanOrEqual(3_000)
    expect(ledger.verdict({ producer: count })).toMatchObject({ duplicated: 0, unexpected: 0, outOfOrder: 0 })
  })

  it('ends at its deadline although a member is frozen, and says so', async () => {
    const { relay, port } = await stage.relay({ limits: { heartbeatMs: 10_000 } })
    const producer = await stage.endpoint('producer', { port })
    const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
    await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
    await eventually(
      async () => (await relay.relayStats()).groups.work?.demand,
      (demand) => demand === creditUsual,
    )
    consumer.signal('SIGSTOP')
    await producer.send({ name: 'producer', group: 'work', to: 2_000, journal: stage.journal('producer') })
    const beganMs = performance.now()
    const result = await within(relay.stopRelay(500), 'the stop', 5_000)
    expect(performance.now() - beganMs).toBeLessThan(500 + 2_500)
    expect(result).toEqual({ undelivered: { work: { waiting: 0, leased: 2_000 } }, deadlineReached: true })
  })
})

it.for(['SIGTERM', 'SIGINT'] as const)('stops the relay of the command line in the same way by %s', async (signal) => {
  const command = await workshop.relay(['--limit', 'heartbeatMs=200'])
  const port = Number(command.port)
  const password = 'rope-lantern-quartz-91-violet'
  const producer = await stage.endpoint('producer', { port, password })
  const consumer = await stage.endpoint('consumer', { port, password, groups: 'work' })
  await consumer.ask('consume', { name: 'consumer', group: 'work', credit: 500, journal: stage.journal('consumer') })
  const order = { name: 'producer', group: 'work', to: count, journal: stage.journal('producer') }
  producer.send(order).catch(() => undefined) // nobody accepts the rest
  await stage.untilLines('producer', 2_000)
  command.child.kill(signal)
  const { code, stdout } = await within(command.outcome, 'the end of the relay')
  expect(code).toBe(0)
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '{}')
  await producer.heard('reconnecting')
  await stage.untilLines('consumer', 500)
  expect(last).toMatchObject({ event: 'stopped', deadlineReached: false })
  const { arrived } = await ledgerWithAccepted(500 + last.undelivered.work.waiting)
  expect(arrived).toBe(500)
})

/** The ledger, once the producer has written down what it was told: that so many objects were accepted. */
async function ledgerWithAccepted(count: number): Promise<Ledger> {
  await eventually(
    () => stage.ledger().accepted.size,
    (size) => size >= count,
  )
  const ledger = stage.ledger()
  expect(ledger.accepted.size).toBe(count)
  return ledger
}
