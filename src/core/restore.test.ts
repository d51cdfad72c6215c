import { describe, expect, test } from 'vitest'
import { nameOf, TestBroker, type TestPayload } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'
import { summarize } from '../../test/properties/journalModel.ts'
import type { DeadLetter } from '../deadLetter.ts'
import type { KeptPlace } from './journal.ts'

type Place = KeptPlace<TestPayload>

const death: DeadLetter = { reason: 'failed', attempts: 5, endpoint: 'worker', diedAtMs: 1 }

function payload(name: string, bytes = 10): TestPayload {
  return { name, bytes, objects: 1 }
}

function waiting(name: string, order: number, facts: Partial<Place> = {}): Place {
  const place = {
    kind: 'produce',
    group: 'g',
    groupIndex: 0,
    order,
    attempt: 1,
    copies: 1,
    session: undefined,
    isSeen: false,
    deadLetter: undefined,
  } as const
  return { ...place, payload: payload(name), ...facts }
}

function restore(relay: TestBroker, places: readonly Place[], nowMs = 0): void {
  for (const place of places) relay.broker.restore(place)
  relay.broker.restored(nowMs)
}

/** What a member gets that asks for all. */
function drained(relay: TestBroker, group = 'g', id = 'reader'): string[] {
  const reader = relay.join(id, group)
  relay.broker.notify(reader, group, -1)
  return relay.heard(`${id} gets`).map((line) => line.split(' ')[2] ?? '')
}

describe('a restored queue', () => {
  test('is in its order, in whatever order it was told', () => {
    const relay = new TestBroker()
    const names = [7, 3, 9, 1, 8, 2, 6, 0, 5, 4]
    restore(
      relay,
      names.map((order) => waiting(`n${order}`, order)),
    )
    relay.produce(relay.join('producer'), 'next', 'g')
    expect(drained(relay)).toEqual(['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7', 'n8', 'n9', 'next'])
    checkInvariants(relay.broker)
  })

  test('has runs of objects in their order, among single ones and on from there', () => {
    const relay = new TestBroker()
    const run = (name: string, order: number, objects: number): Place =>
      waiting(name, order, { payload: { name, bytes: 10 * objects, objects } })
    restore(relay, [run('e', 4, 3), run('a', 0, 2), waiting('d', 3), waiting('c', 2), waiting('h', 7), run('i', 8, 5)])
    expect(relay.broker.stats().groups[0]).toMatchObject({ waiting: 13, waitingBytes: 130 })
    const producer = relay.join('producer')
    relay.produce(producer, 'next', 'g')
    expect([...relay.broker.places()].at(-1)).toMatchObject({ order: 13, payload: { name: 'next' } })
    const reader = relay.join('reader', 'g')
    relay.broker.notify(reader, 'g', -1)
    const delivered = relay.deliveries.map(({ payload: { name, objects } }) => `${name}${objects}`)
    expect(delivered).toEqual(['a2', 'c1', 'd1', 'e3', 'h1', 'i5', 'next1'])
    checkInvariants(relay.broker)
  })

  test('has of copies of one object that first which was tried more often', () => {
    const relay = new TestBroker()
    const a = payload('a')
    restore(relay, [
      waiting('a', 4, { payload: a, copies: 2 }),
      waiting('a', 4, { payload: a, attempt: 3 }),
      waiting('a', 4, { payload: a, attempt: 2 }),
    ])
    drained(relay)
    expect(relay.deliveries.map(({ attempt }) => attempt)).toEqual([3, 2, 1, 1])
  })

  test('takes what was on lease back before and behind what had been given back before', () => {
    const relay = new TestBroker({ sessionGraceMs: 100 })
    restore(
      relay,
      [waiting('a', 0), waiting('b', 1, { session: 'gone', isSeen: true }), waiting('c', 2), waiting('d', 3)],
      50,
    )
    expect(relay.broker.nextDeadlineMs()).toBe(150)
    relay.broker.advance(150)
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
    expect(drained(relay)).toEqual(['a', 'b', 'c', 'd'])
    expect(relay.deliveries.map(({ attempt }) => attempt)).toEqual([1, 2, 1, 1])
    checkInvariants(relay.broker)
  })

  test('counts each object once, and is rid of it with its last copy', () => {
    const relay = new TestBroker()
    const a = payload('a')
    restore(relay, [
      waiting('a', 0, { payload: a, copies: 2 }),
      waiting('a', 5, { payload: a, group: 'h', groupIndex: 1, session: 'gone', isSeen: true }),
      waiting('b', 3, { kind: 'broadcast' }),
    ])
    expect(relay.broker.stats()).toMatchObject({
      keptBytes: 20,
      sessions: [],
      groups: [
        { name: 'g', waiting: 2, waitingBytes: 20, leased: 0, lastBroadcastBytes: 10, members: 0 },
        { name: 'h', waiting: 0, leased: 1, leasedBytes: 10, lastBroadcastBytes: -1 },
      ],
    })
    drained(relay)
    const [first] = relay.broker.core.sessions.values()
    if (first === undefined) throw new Error('the reader joined')
    relay.broker.acknowledge(first, 0, 1)
    expect(relay.said()).toEqual([])
    relay.broker.advance(10_000)
    expect(drained(relay, 'h', 'second')).toEqual(['a'])
    expect(relay.deliveries.at(-1)?.attempt).toBe(2)
  })

  test('is not cut where it is longer than this run allows, and grows no further', () => {
    const group = { g: { maxConsumables: 2, overflow: 'drop-oldest' }, full: { maxConsumables: 1 } } as const
    const relay = new TestBroker({ groupBytesMax: 30, objectBytesMax: 20 }, group)
    restore(relay, [
      ...[0, 1, 2, 3, 4].map((order) => waiting(`n${order}`, order)),
      ...[0, 1, 2, 3].map((order) => waiting(`f${order}`, order, { group: 'full' })),
    ])
    expect(relay.said()).toEqual([])
    const producer = relay.join('producer')
    relay.produce(producer, 'new newer', 'g')
    relay.produce(producer, 'held', 'full')
    expect(relay.heard('event', 'blocked')).toEqual([
      'event objectDropped g produce overflow 1',
      'event objectDropped g produce overflow 1',
      'blocked producer full',
    ])
    const reader = relay.join('reader', 'g')
    relay.broker.notify(reader, 'g', 4)
    relay.broker.acknowledge(reader, 0, 3)
    relay.produce(producer, 'a b c', 'g')
    expect(relay.heard('reader gets', 'event')).toEqual([
      'reader gets n2 of g #0',
      'reader gets n3 of g #1',
      'reader gets n4 of g #2',
      'reader gets new of g #3',
      // Bounded like any other, now that it is short enough.
      'event objectDropped g produce overflow 1',
      'event objectDropped g produce overflow 1',
    ])
    expect(relay.broker.stats().groups.map(({ name, waiting: count }) => [name, count])).toEqual([
      ['g', 2],
      ['full', 4],
    ])
  })

  test('of more bytes than the relay may keep now stays as well', () => {
    const relay = new TestBroker({ relayBytesMax: 30, groupBytesMax: 30 }, { g: { overflow: 'drop-oldest' }, h: {} })
    restore(relay, [
      ...[0, 1, 2].map((order) => waiting(`n${order}`, order)),
      ...[0, 1, 2].map((order) => waiting(`d${order}`, order, { group: 'h.dead', deadLetter: death })),
      waiting('last', 0, { group: 'h', attempt: 5, session: 'gone', isSeen: true }),
    ])
    relay.produce(relay.join('producer', 'h.dead'), 'new', 'g')
    relay.broker.advance(10_000)
    expect(relay.said()).toEqual([
      'released n0',
      'event objectDropped g produce overflow 1',
      'accepted 0 (0)',
      'event objectDead h 5 lost at gone',
      'released d0',
      'event objectDropped h.dead produce dead-overflow 1',
    ])
  })

  test('of a group that is not accepted any more is kept and seen, and cannot be joined', () => {
    const relay = new TestBroker({}, { other: {} })
    restore(relay, [waiting('a', 0)])
    relay.broker.advance(1)
    expect(relay.broker.stats().groups.map(({ name, waiting: count }) => [name, count])).toEqual([['g', 1]])
    expect(() => relay.join('reader', 'g')).toThrow('acceptedGroups')
  })
})

describe('a restored broadcast', () => {
  test('is the last one of its group, for who joins, until there is a newer one', () => {
    const relay = new TestBroker()
    restore(relay, [waiting('new', 7, { kind: 'broadcast' }), waiting('old', 5, { kind: 'broadcast' })])
    expect(relay.said()).toEqual(['released old'])
    const reader = relay.join('reader', 'g')
    relay.broadcast(reader, 'next', 'g')
    expect(relay.said()).toEqual(['reader gets new of g', 'released new', 'reader gets next of g', 'accepted 0 (1)'])
    expect([...relay.broker.places()].map(({ order, kind }) => [order, kind])).toEqual([[8, 'broadcast']])
  })
})

describe('the places of a broker', () => {
  test('are what was restored, of all kinds', () => {
    const relay = new TestBroker()
    const a = payload('a')
    const places = [
      waiting('a', 3, { payload: a, attempt: 2 }),
      waiting('a', 3, { payload: a, copies: 4 }),
      waiting('a', 3, { payload: a, session: 'one', attempt: 2 }),
      waiting('a', 3, { payload: a, session: 'two' }),
      waiting('a', 3, { payload: a, session: 'two', isSeen: true }),
      waiting('b', 8, { group: 'g.dead', deadLetter: death, groupIndex: 2 }),
      waiting('c', 1, { kind: 'broadcast', group: 'h' }),
    ]
    restore(relay, places)
    expect(summarize(relay.broker.places())).toEqual(summarize(places))
    expect([...relay.broker.payloads()].map(nameOf).toSorted()).toEqual(['a', 'a', 'a', 'a', 'a', 'b', 'c'])
  })

  test('leave out large objects until they are whole, and then have them as they are by now', () => {
    const relay = new TestBroker({ retryDelayMs: 0 })
    const [producer, alice] = [relay.join('producer'), relay.join('alice', 'g')]
    const sequence = relay.begin(producer, 'large', 'produce', 'g')
    relay.broker.notify(alice, 'g', 1)
    relay.broker.release(alice, 0, 0, { attemptCounted: true })
    expect([...relay.broker.places()]).toEqual([])
    relay.broker.complete(producer, sequence)
    expect([...relay.broker.places()]).toMatchObject([{ group: 'g', order: 0, attempt: 2, session: 'alice' }])
  })
})
