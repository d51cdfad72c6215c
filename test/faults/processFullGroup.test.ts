import { afterEach, beforeEach, expect, it } from 'vitest'
import { useDataFolder } from '../support/folders.ts'
import { eventually } from '../support/waiting.ts'
import type { Party, SendOutcome } from './support/party.ts'
import { flawless, Stage } from './support/stage.ts'

useDataFolder()

const count = 3_000
const waitingMax = 100
const producers = ['first', 'second', 'third'] as const
const sent = { first: count, second: count, third: count }

let stage: Stage
beforeEach(async () => {
  stage = await Stage.open()
})
afterEach(() => stage.close())

interface Cast {
  readonly relay: Party
  readonly port: number
  readonly orders: Promise<SendOutcome>[]
}

/** Three producers who fill a group that nobody consumes yet. */
async function fill(overflow: 'block' | 'reject' | 'drop-oldest'): Promise<Cast> {
  const acceptedGroups = { full: { maxConsumables: waitingMax, overflow }, free: {} }
  const { relay, port } = await stage.relay({ acceptedGroups })
  const orders = await Promise.all(
    producers.map(async (name) => {
      const party = await stage.endpoint(name, { port })
      return { order: party.send({ name, group: 'full', to: count, journal: stage.journal(name) }), party }
    }),
  )
  return { relay, port, orders: orders.map(({ order }) => order) }
}

/** Waits until each of the producers holds something back. */
async function untilFull(relay: Party): Promise<void> {
  await eventually(
    async () => (await relay.relayStats()).groups.full,
    (group) => group?.waiting === waitingMax && group.blockedSenders === producers.length,
  )
}

async function consumeAll(port: number): Promise<void> {
  const consumer = await stage.endpoint('consumer', { port, groups: 'full' })
  await consumer.ask('consume', { name: 'consumer', group: 'full', journal: stage.journal('consumer') })
}

it("lets the producers of a full group wait with 'block', and loses nothing", async () => {
  const { relay, port, orders } = await fill('block')
  await untilFull(relay)
  await consumeAll(port)
  for (const outcome of await Promise.all(orders)) expect(outcome).toMatchObject({ accepted: count, failed: {} })
  expect(await stage.verdict(relay, 'full', sent)).toMatchObject({ ...flawless, arrived: 3 * count })
})

it('does not slow what a blocked producer sends to another group', async () => {
  const { relay, port } = await stage.relay({ acceptedGroups: { full: { maxConsumables: waitingMax }, free: {} } })
  const party = await stage.endpoint('first', { port })
  const blocked = party.send({ name: 'first', group: 'full', to: count, journal: stage.journal('first') })
  await party.heard('blocked')
  const consumer = await stage.endpoint('free', { port, groups: 'free' })
  await consumer.ask('consume', { name: 'free', group: 'free', journal: stage.journal('free') })
  const toFree = { name: 'first', group: 'free', from: count, to: 2 * count, journal: stage.journal('first.free') }
  const outcome = await party.send(toFree)
  expect(outcome).toMatchObject({ accepted: count, failed: {} })
  await stage.untilLines('free', count)
  expect((await relay.relayStats()).groups.full?.waiting).toBe(waitingMax)
  await consumeAll(port)
  expect(await blocked).toMatchObject({ accepted: count, failed: {} })
  expect(await stage.verdict(relay, 'full', { first: 2 * count })).toMatchObject({ ...flawless, arrived: 2 * count })
})

it("tells each producer what found no room with 'reject', and keeps what it accepted", async () => {
  const { relay, port, orders } = await fill('reject')
  const outcomes = await Promise.all(orders)
  const accepted = outcomes.reduce((sum, outcome) => sum + outcome.accepted, 0)
  const rejected = outcomes.reduce((sum, { failed }) => sum + (failed.QUEUE_FULL ?? 0), 0)
  expect({ accepted, rejected }).toEqual({ accepted: waitingMax, rejected: 3 * count - waitingMax })
  await consumeAll(port)
  expect(await stage.verdict(relay, 'full', sent)).toMatchObject({ ...flawless, arrived: waitingMax })
})

it("drops and counts the oldest with 'drop-oldest', and delays nobody", async () => {
  const { relay, port, orders } = await fill('drop-oldest')
  for (const outcome of await Promise.all(orders)) expect(outcome).toMatchObject({ accepted: count, failed: {} })
  const dropped = 3 * count - waitingMax
  expect((await relay.relayStats()).groups.full).toMatchObject({ waiting: waitingMax, dropped })
  await consumeAll(port)
  const verdict = await stage.verdict(relay, 'full', sent)
  expect(verdict).toMatchObject({ ...flawless, arrived: waitingMax, lost: dropped })
  const told = relay.events.filter(({ event }) => event === 'objectDropped').map(({ value }) => Number(value.count))
  expect(told.reduce((sum, one) => sum + one, 0)).toBe(dropped)
})
