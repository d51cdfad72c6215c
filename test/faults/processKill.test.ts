import { afterEach, beforeEach, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { eventually } from '../support/waiting.ts'
import { creditUsual, flawless, heartbeatMs, Stage } from './support/stage.ts'

useDataFolder()

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

it('delivers everything that a producer had accepted when it was killed', async () => {
  const { relay, port } = await stage.relay()
  const producer = await stage.endpoint('producer', { port })
  const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
  await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
  const order = { name: 'producer', group: 'work', to: 1_000_000, journal: stage.journal('producer') }
  producer.send(order).catch(() => undefined) // it is killed in the middle of it
  await stage.untilLines('producer', 5_000)
  await producer.kill()
  await relay.heard('endpointLost')
  const verdict = await stage.verdict(relay, 'work', { producer: 1_000_000 })
  expect(verdict).toMatchObject(flawless)
  expect(verdict.arrived).toBeGreaterThanOrEqual(verdict.accepted)
})

it('discards a large object whose producer was killed in the middle of it, and delivers what another one sent', async () => {
  const { relay, port } = await stage.relay({ limits: { sessionGraceMs: 300 } })
  const proxy = await stage.proxy(port)
  const producer = await stage.endpoint('producer', { port: proxy.port })
  const other = await stage.endpoint('other', { port })
  const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
  await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
  const order = { name: 'producer', group: 'work', to: 1, bytes: 64 * 1024 * 1024, journal: stage.journal('producer') }
  producer.send(order).catch(() => undefined) // it is killed in the middle of it
  await eventually(
    async () => (await relay.relayStats()).sessions.some(({ largeObjects }) => largeObjects > 0),
    (begun) => begun,
  )
  await producer.kill()
  await relay.heard('endpointLeft', ({ value }) => value.reason === 'grace')
  await other.send({ name: 'other', group: 'work', to: 10, journal: stage.journal('other') })
  const verdict = await stage.verdict(relay, 'work', { other: 10 })
  expect(verdict).toMatchObject({ ...flawless, arrived: 10 })
  const { groups, keptBytes } = await relay.relayStats()
  expect(keptBytes).toBe(0)
  expect(groups.work).toMatchObject({ waitingBytes: 0, leasedBytes: 0 })
})

it('gives what a killed consumer held to another one after the grace time, with the attempt counted of what its program had seen', async () => {
  const { relay, port } = await stage.relay({ limits: { sessionGraceMs: 500 } })
  const count = 2_000
  const producer = await stage.endpoint('producer', { port })
  const victim = await stage.endpoint('victim', { port, groups: 'work' })
  const victimJournal = stage.journal('victim')
  await victim.ask('consume', { name: 'victim', group: 'work', credit: 600, holdAfter: 100, journal: victimJournal })
  await producer.send({ name: 'producer', group: 'work', to: count, journal: stage.journal('producer') })
  await victim.heard('holds')
  // 99 were acknowledged when the next was asked for; the 100th was seen and is not acknowledged.
  await eventually(
    async () => (await relay.relayStats()).groups.work?.leased,
    (leased) => leased === 501,
  )
  const heir = await stage.endpoint('heir', { port, groups: 'work' })
  await victim.kill()
  const lost = await relay.heard('endpointLost')
  const left = await relay.heard('endpointLeft', ({ value }) => value.reason === 'grace')
  expect(left.atMs - lost.atMs).toBeGreaterThanOrEqual(450)
  await heir.ask('consume', { name: 'heir', group: 'work', journal: stage.journal('heir') })
  const verdict = await stage.verdict(relay, 'work', { producer: count })
  expect(verdict).toEqual({
    accepted: count,
    arrived: count,
    lost: 0,
    duplicated: 1,
    unexpected: 0,
    outOfOrder: 0,
    redelivered: 1,
  })
})

it('finishes the work of handlers whose process was killed, on the workers that live', async () => {
  const { relay, port } = await stage.relay({ limits: { sessionGraceMs: 300 } })
  const count = 400
  const workers = await Promise.all(
    ['first', 'second', 'third'].map((name) => stage.endpoint(name, { port, groups: 'work' })),
  )
  for (const [index, worker] of workers.entries()) {
    const name = ['first', 'second', 'third'][index] ?? ''
    await worker.ask('consume', { name, group: 'work', mode: 'work', workMs: 5, journal: stage.journal(name) })
  }
  const producer = await stage.endpoint('producer', { port })
  const sent = producer.send({ name: 'producer', group: 'work', to: count, journal: stage.journal('producer') })
  await stage.untilLines('first', 20)
  await workers[0]?.kill()
  await stage.untilLines('second', 40)
  await workers[1]?.kill()
  await sent
  const verdict = await stage.verdict(relay, 'work', { producer: count })
  // What had come to a worker and not to a handler yet comes again in its first attempt, behind later ones.
  expect(verdict).toMatchObject({ lost: 0, unexpected: 0 })
  // Four handlers ran in each that died; each may have been past its last line.
  expect(verdict.duplicated).toBeLessThanOrEqual(8)
})

it('sends to a relay that was killed and started anew what was not accepted, asks again, and says what may be lost', async () => {
  const { relay, port } = await stage.relay({ limits: { heartbeatMs } })
  const count = 20_000
  const producer = await stage.endpoint('producer', { port })
  const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
  await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
  const order = { name: 'producer', group: 'work', to: count, journal: stage.journal('producer') }
  const sent = producer.send(order)
  await stage.untilLines('consumer', 3_000)
  await relay.kill()
  await producer.heard('reconnecting')
  await consumer.heard('reconnecting')
  const acceptedBefore = stage.ledger().accepted
  const successor = stage.party()
  await stage.startRelay(successor, { port, limits: { heartbeatMs } })
  expect((await consumer.heard('sessionLost')).value).toMatchObject({ error: { code: 'SESSION_LOST' } })
  await producer.heard('sessionLost')
  expect(await sent).toMatchObject({ accepted: count, failed: {} })
  const verdict = await stage.verdict(successor, 'work', { producer: count })
  expect(verdict).toMatchObject({ accepted: count, unexpected: 0 })
  // In memory means: what the relay had accepted and not delivered is gone with it. Nothing else may be.
  for (const id of stage.ledger().lost) expect(acceptedBefore).toContain(id)
  expect((await consumer.endpointStats('consumer')).state).toBe('connected')
  expect((await successor.relayStats()).groups.work?.demand).toBe(creditUsual - stage.lines('consumer').length)
})
