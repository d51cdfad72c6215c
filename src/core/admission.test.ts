import { describe, expect, test } from 'vitest'
import { TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

const words = ['accepted', 'blocked', 'unblocked', 'rejected', 'event', 'taker gets']

describe('a full queue', () => {
  test('holds what comes back, and lets it in one of each sender in turn', () => {
    const relay = new TestBroker({}, { g: { maxConsumables: 2 } })
    const [one, two] = [relay.join('one'), relay.join('two')]
    relay.produce(one, 'a b c d', 'g')
    relay.produce(two, 'e f', 'g')
    expect(relay.said()).toEqual(['accepted 0 (0)', 'accepted 1 (0)', 'blocked one g', 'blocked two g'])
    expect([one.heldBytes, two.heldBytes]).toEqual([20, 20])
    const taker = relay.join('taker', 'g')
    relay.broker.notify(taker, 'g', 10)
    expect(relay.deliveries.map(({ payload }) => payload.name)).toEqual(['a', 'b', 'c', 'e', 'd', 'f'])
    expect(relay.heard('unblocked')).toEqual(['unblocked one g', 'unblocked two g'])
    expect([one.heldBytes, two.heldBytes]).toEqual([0, 0])
    checkInvariants(relay.broker)
  })

  test('rejects where its policy is to reject', () => {
    const relay = new TestBroker({}, { g: { maxConsumables: 1, overflow: 'reject' } })
    relay.produce(relay.join('one'), 'a b', 'g')
    expect(relay.said()).toEqual(['accepted 0 (0)', 'rejected 1 QUEUE_FULL', 'released b'])
    expect(relay.errors[0]?.details).toEqual({ group: 'g', waiting: 1, bytes: 10 })
  })

  test('drops the oldest where its policy is to drop, and says so', () => {
    const relay = new TestBroker({}, { g: { maxConsumables: 3, overflow: 'drop-oldest' } })
    const one = relay.join('one')
    relay.produce(one, 'a b c', 'g')
    relay.produce(one, 'd', { g: 2 })
    expect(relay.heard('event', 'released')).toEqual([
      'released a',
      'released b',
      'event objectDropped g produce overflow 2',
    ])
    const taker = relay.join('taker', 'g')
    relay.broker.notify(taker, 'g', -1)
    expect(relay.deliveries.map(({ payload }) => payload.name)).toEqual(['c', 'd', 'd'])
  })

  test('is one of bytes too', () => {
    const relay = new TestBroker({ groupBytesMax: 25, relayBytesMax: 45 })
    const one = relay.join('one', ['g', 'h'])
    relay.produce(one, 'a b c', 'g')
    relay.produce(one, 'd e', 'h')
    relay.produce(one, 'f', 'i')
    expect(relay.heard(...words)).toEqual([
      ...['accepted 0 (1)', 'accepted 1 (1)', 'blocked one g', 'accepted 3 (1)', 'accepted 4 (1)', 'blocked one i'],
    ])
    relay.broker.notify(one, 'g', 1)
    expect(relay.heard(...words)).toEqual([])
    relay.broker.acknowledge(one, 0, 0)
    expect(relay.heard(...words)).toEqual(['accepted 2 (1)', 'unblocked one g'])
    checkInvariants(relay.broker)
    relay.broker.notify(one, 'h', 1)
    relay.broker.acknowledge(one, 1, 1)
    expect(relay.heard(...words)).toEqual(['accepted 5 (0)', 'unblocked one i'])
  })

  test('of one group holds back an object for several, and all that the same sender sends to any of them', () => {
    const relay = new TestBroker({}, { full: { maxConsumables: 1 }, free: {} })
    const one = relay.join('one')
    const other = relay.join('other')
    relay.produce(one, 'a', 'full')
    relay.produce(one, 'b', { full: 1, free: 1 })
    relay.produce(one, 'c', 'free')
    relay.produce(other, 'd', 'free')
    expect(relay.heard(...words)).toEqual(['accepted 0 (0)', 'blocked one full', 'blocked one free', 'accepted 3 (0)'])
    const taker = relay.join('taker', ['full', 'free'])
    relay.broker.notify(taker, 'full', 1)
    expect(relay.heard(...words)).toEqual([
      'taker gets a of full #0',
      'accepted 1 (1 1)',
      'unblocked one full',
      'accepted 2 (1)',
      'unblocked one free',
    ])
    relay.broker.notify(taker, 'free', -1)
    expect(relay.deliveries.map(({ payload }) => payload.name)).toEqual(['a', 'd', 'b', 'c'])
    checkInvariants(relay.broker)
  })

  test('loses what was held back when its sender leaves', () => {
    const relay = new TestBroker({}, { g: { maxConsumables: 1 } })
    const one = relay.join('one')
    relay.produce(one, 'a b c', 'g')
    relay.said()
    relay.broker.leave(one, 'lost')
    expect(relay.said()).toEqual(['released b', 'released c'])
    expect(relay.broker.stats().groups[0]).toMatchObject({ waiting: 1, blockedSenders: 0 })
  })
})

describe('a queue without places', () => {
  test('accepts an object only when a member takes it at once', () => {
    const relay = new TestBroker({}, { g: { maxConsumables: 0 } })
    const one = relay.join('one')
    const taker = relay.join('taker', 'g', { inboxBytes: 15 })
    relay.produce(one, 'a b', 'g')
    expect(relay.said()).toEqual(['blocked one g'])
    relay.broker.notify(taker, 'g', 5)
    expect(relay.said()).toEqual(['accepted 0 (1)', 'taker gets a of g #0'])
    relay.broker.setWindow(taker, 20)
    expect(relay.said()).toEqual(['accepted 1 (1)', 'taker gets b of g #1', 'unblocked one g'])
    relay.broker.detach(taker, 0)
    relay.produce(one, 'c', 'g')
    expect(relay.said()).toEqual(['blocked one g'])
    relay.broker.setWindow(taker, 200)
    relay.broker.attach(taker)
    expect(relay.said()).toEqual(['accepted 2 (1)', 'taker gets c of g #2', 'unblocked one g'])
    relay.produce(one, 'd', { g: 3 })
    expect(relay.said()).toEqual(['blocked one g'])
    relay.broker.notify(taker, 'g', 1)
    expect(relay.heard(...words)).toHaveLength(5)
    checkInvariants(relay.broker)
  })

  test('rejects what nobody takes where its policy is not to hold it back', () => {
    const relay = new TestBroker(
      {},
      { g: { maxConsumables: 0, overflow: 'drop-oldest' }, h: { maxConsumables: 0, overflow: 'reject' } },
    )
    const one = relay.join('one')
    relay.produce(one, 'a', 'g')
    relay.produce(one, 'b', 'h')
    expect(relay.heard('rejected')).toEqual(['rejected 0 QUEUE_FULL', 'rejected 1 QUEUE_FULL'])
  })
})
