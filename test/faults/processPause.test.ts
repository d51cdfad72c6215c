import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import type { Party } from './support/party.ts'
import { flawless, noticedMs, Stage } from './support/stage.ts'

useDataFolder()

const count = 20_000

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

interface Cast {
  readonly relay: Party
  readonly producer: Party
  readonly consumer: Party
  readonly sent: Promise<unknown>
}

/** A run that is under way: some of the objects have arrived. */
async function underWay(limits: { sessionGraceMs?: number } = {}): Promise<Cast> {
  const { relay, port } = await stage.relay({ limits })
  const producer = await stage.endpoint('producer', { port })
  const consumer = await stage.endpoint('consumer', { port, groups: 'work' })
  await consumer.ask('consume', { name: 'consumer', group: 'work', journal: stage.journal('consumer') })
  const order = { name: 'producer', group: 'work', to: count, outstandingMax: 200, journal: stage.journal('producer') }
  const sent = producer.send(order)
  await stage.untilLines('consumer', 1_000)
  return { relay, producer, consumer, sent }
}

describe('a process that is frozen for longer than two heartbeats', () => {
  it.for(['producer', 'consumer'] as const)(
    'is noticed by the relay, and resumes its session: the %s',
    async (name) => {
      const { relay, sent, ...parties } = await underWay()
      const frozenMs = Date.now()
      parties[name].signal('SIGSTOP')
      const lost = await relay.heard('endpointLost')
      parties[name].signal('SIGCONT')
      expect(lost.atMs - frozenMs).toBeLessThan(noticedMs)
      expect(lost.value).toMatchObject({ error: { code: 'PEER_SILENT' } })
      await relay.heard('endpointConnected', ({ value }) => value.resumed === true)
      await sent
      expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: count })
      expect(parties[name].count('sessionLost')).toBe(0)
    },
  )

  it('is noticed by all endpoints when it is the relay, and they resume when it goes on', async () => {
    const { relay, producer, consumer, sent } = await underWay()
    const frozenMs = Date.now()
    relay.signal('SIGSTOP')
    const noticed = await Promise.all([producer.heard('reconnecting'), consumer.heard('reconnecting')])
    for (const { atMs, value } of noticed) {
      expect(atMs - frozenMs).toBeLessThan(noticedMs)
      expect(value).toMatchObject({ error: { code: 'PEER_SILENT' } })
    }
    relay.signal('SIGCONT')
    for (const party of [producer, consumer])
      await party.heard('connected', ({ atMs, value }) => atMs > frozenMs && value.resumed === true)
    await sent
    expect(await stage.verdict(relay, 'work', { producer: count })).toMatchObject({ ...flawless, arrived: count })
  })
})

it('goes on by itself after the whole machine was suspended for longer than the grace time', async () => {
  const { relay, producer, consumer, sent } = await underWay({ sessionGraceMs: 500 })
  const all = [relay, producer, consumer]
  for (const party of all) party.signal('SIGSTOP')
  // A suspended machine does nothing that could be waited for.
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  for (const party of all) party.signal('SIGCONT')
  await sent
  const verdict = await stage.verdict(relay, 'work', { producer: count })
  expect(verdict).toMatchObject({ accepted: count, arrived: count, lost: 0, unexpected: 0 })
  expect(verdict.duplicated).toBe(0)
})

it('takes an endpoint back that was frozen for longer than the grace time, and tells it so', async () => {
  const { relay, consumer, sent } = await underWay({ sessionGraceMs: 500 })
  consumer.signal('SIGSTOP')
  await relay.heard('endpointLeft', ({ value }) => value.reason === 'grace')
  consumer.signal('SIGCONT')
  expect((await consumer.heard('sessionLost')).value).toMatchObject({ error: { code: 'SESSION_LOST' } })
  await sent
  const verdict = await stage.verdict(relay, 'work', { producer: count })
  expect(verdict).toMatchObject({ accepted: count, arrived: count, lost: 0, unexpected: 0 })
  // What its program took before it knew comes again: at most once more, and never all.
  expect(verdict.duplicated).toBeLessThan(count)
})
