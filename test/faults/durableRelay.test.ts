import { join } from 'node:path'
import { fileStore } from 'objectrelay'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { temporaryFolder, useDataFolder } from '../support/folders.ts'
import type { Party } from './support/party.ts'
import { countFor, flawless, heartbeatMs, Stage } from './support/stage.ts'

useDataFolder()

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

/** A relay that is killed and started again, at the same port and with the same store. */
class MortalRelay {
  readonly #options: object
  #party: Party | undefined
  port = 0
  /** How long each start took, in ms. */
  readonly startsMs: number[] = []

  constructor(options: object) {
    this.#options = options
  }

  get party(): Party {
    if (this.#party === undefined) throw new Error('The relay was not started.')
    return this.#party
  }

  async start(): Promise<void> {
    const party = stage.party()
    const beganMs = performance.now()
    this.port = await stage.startRelay(party, { ...this.#options, port: this.port })
    this.startsMs.push(performance.now() - beganMs)
    this.#party = party
  }

  async kill(): Promise<void> {
    await this.party.kill()
  }
}

async function durableRelay(limits: object = {}): Promise<MortalRelay> {
  const store = fileStore({ dir: join(await temporaryFolder(), 'store') })
  const relay = new MortalRelay({ store, limits: { heartbeatMs, sessionGraceMs: 30_000, ...limits } })
  await relay.start()
  return relay
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const kills = countFor('OBJECTRELAY_RELAY_KILLS', 12)

it('loses and doubles nothing when the relay is killed again and again under producers and consumers', {
  timeout: 60_000 + kills * 5_000,
}, async () => {
  const relay = await durableRelay()
  const { port } = relay
  const names = ['one', 'two']
  const producers = await stage.endpoint('one', { port })
  await stage.endpoint('two', { port, party: producers, io: 'inline' })
  for (const mode of ['deliveries', 'pop', 'work'] as const) {
    const consumer = await stage.endpoint(mode, { port, groups: 'work', io: mode === 'pop' ? 'inline' : 'thread' })
    await consumer.ask('consume', { name: mode, group: 'work', mode, journal: stage.journal(mode) })
  }
  const order = { group: 'work', to: 100_000_000, bytes: 200, untilStopped: true, outstandingMax: 500 }
  const sending = names.map((name) =>
    producers.send({ name, ...order, ratePerSecond: 1_000, journal: stage.journal(name) }),
  )
  for (let kill = 0; kill < kills; kill++) {
    // At any moment: of recovery, of the handshakes, of claims, or of full work.
    await pause(20 + Math.random() * 900)
    await relay.kill()
    await relay.start()
  }
  await stage.untilLines('two', stage.lines('two').length + 200)
  const stops = names.map((name) => producers.stopEndpoint(name, 30_000))
  const outcomes = await Promise.all(sending)
  expect((await Promise.all(stops)).map(({ undelivered }) => undelivered)).toEqual([[], []])
  for (const { accepted, failed } of outcomes) {
    expect(accepted).toBeGreaterThan(0)
    expect(Object.keys(failed).filter((code) => code !== 'STOPPED')).toEqual([])
  }
  const { outOfOrder, ...verdict } = await stage.verdict(relay.party, 'work', { one: 1e9, two: 1e9 }, 60_000)
  // What lay untaken in an inbox was given back, and comes again behind what came meanwhile.
  expect(outOfOrder).toBeGreaterThanOrEqual(0)
  const { outOfOrder: _, ...expected } = flawless
  expect(verdict).toMatchObject(expected)
  expect(verdict.arrived).toBe(verdict.accepted)
})

it('keeps large objects, dead letters, last broadcasts and attempts through a kill', async () => {
  const relay = await durableRelay({ attemptsMax: 1, sessionGraceMs: 1_000 })
  const { port } = relay
  const producer = await stage.endpoint('producer', { port })
  const journal = stage.journal('producer')
  const large = { group: 'large', to: 4, bytes: 8 * 1024 * 1024 }
  await producer.send({ name: 'producer', ...large, journal })
  await producer.send({ name: 'producer', group: 'news', kind: 'broadcast', from: 100, to: 103, journal })
  await producer.send({ name: 'producer', group: 'poison', from: 200, to: 201, journal })
  const victim = await stage.endpoint('victim', { port, groups: 'poison' })
  await victim.ask('consume', { name: 'victim', group: 'poison', holdAfter: 1, journal: stage.journal('victim') })
  await victim.heard('holds')
  // What the relay has accepted behind it tells that it knows what the victim holds.
  await victim.send({ name: 'victim', group: 'elsewhere', from: 300, to: 301, journal })
  await victim.kill()
  // The lease outlives the relay; its endpoint does not come back.
  await relay.kill()
  await relay.start()
  const reader = await stage.endpoint('reader', { port, groups: ['large', 'news', 'poison.dead'] })
  const consumed = stage.journal('reader')
  await reader.ask('consume', { name: 'reader', group: 'large', mode: 'deliveries', journal: consumed })
  await stage.untilLines('reader', 5)
  await reader.ask('consume', { name: 'reader', group: 'poison.dead', mode: 'pop', journal: stage.journal('grave') })
  await Promise.race([stage.untilLines('reader', 6), stage.untilLines('grave', 1)])
  const lines = [...stage.lines('reader'), ...stage.lines('grave')].sort()
  expect(lines.filter((line) => line.startsWith('came producer'))).toEqual([
    'came producer 0 1 0 produce',
    'came producer 1 1 0 produce',
    'came producer 102 1 0 broadcast',
    'came producer 2 1 0 produce',
    'came producer 200 1 0 produce',
    'came producer 3 1 0 produce',
  ])
})
