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
    expect([one.blockedBytes, two.blockedBytes]).toEqual([20, 20])
    const taker = relay.join('taker', 'g')
    relay.broker.notify(taker, 'g', 10)
    expect(relay.deliveries.map(({ payload }) => payload.name)).toEqual(['a', 'b', 'c', 'e', 'd', 'f'])
    expect(relay.heard('unblocked')).toEqual(['unblocked one g', 'unblocked two g'])
    expect([one.blockedBytes, two.blockedBytes]).toEqual([0, 0])
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

describe('an object that waits for room', () => {
  test('keeps nobody out who has room', () => {
    const accepted = { g: {}, h: {}, i: {}, r: { overflow: 'reject' }, d: { overflow: 'drop-oldest' } } as const
    const relay = new TestBroker({ groupBytesMax: 30, relayBytesMax: 45 }, accepted)
    const one = relay.join('one')
    const taker = relay.join('taker', 'i')
    relay.broker.notify(taker, 'i', 9)
    relay.produce(one, 'parked', 'g', 30)
    relay.produce(relay.join('big'), 'blocked', 'h', 20)
    relay.said()
    for (const [name, group] of Object.entries({ a: 'i', b: 'r', c: 'd', d: 'g' })) relay.produce(one, name, group, 1)
    expect(relay.heard(...words)).toEqual([
      ...['accepted 2 (1)', 'taker gets a of i #0', 'accepted 3 (0)', 'accepted 4 (0)', 'blocked one g'],
    ])
    checkInvariants(relay.broker)
  })

  test('is passed in its own queue by what has room there', () => {
    const relay = new TestBroker({ groupBytesMax: 30 })
    const [one, two] = [relay.join('one'), relay.join('two')]
    relay.produce(one, 'a', 'g', 15)
    relay.produce(one, 'big next', 'g', 20)
    relay.produce(two, 'small', 'g', 5)
    expect(relay.heard(...words)).toEqual(['accepted 0 (0)', 'blocked one g', 'accepted 3 (0)'])
    checkInvariants(relay.broker)
  })

  test('is promised what others may not take, so that they do not pass it for ever', () => {
    const relay = new TestBroker({ relayBytesMax: 100 })
    const one = relay.join('one')
    const taker = relay.join('taker', ['g', 'i'])
    for (const group of ['g', 'i']) relay.broker.notify(taker, group, 100)
    relay.produce(one, 'old', 'g', 50)
    relay.produce(relay.join('big'), 'big', 'h', 70)
    relay.produce(one, 'a b c d', 'i', 10)
    // Of what is free, 30 bytes are beside the big one.
    expect(relay.heard('accepted', 'blocked')).toEqual([
      ...['accepted 0 (1)', 'blocked big h', 'accepted 2 (1)', 'accepted 3 (1)', 'accepted 4 (1)', 'blocked one i'],
    ])
    relay.broker.acknowledge(taker, 1, 1)
    expect(relay.heard('accepted', 'unblocked')).toEqual(['accepted 5 (1)', 'unblocked one i'])
    relay.broker.acknowledge(taker, 0, 0)
    expect(relay.heard('accepted', 'unblocked')).toEqual(['accepted 1 (0)', 'unblocked big h'])
    checkInvariants(relay.broker)
  })

  test('leaves a little to others even if it needs nearly everything', () => {
    const relay = new TestBroker({ relayBytesMax: 160 })
    const one = relay.join('one')
    relay.produce(one, 'old', 'g', 10)
    relay.produce(relay.join('big'), 'big', 'h', 160)
    relay.produce(one, 'a b', 'i', 10)
    expect(relay.heard('accepted', 'blocked')).toEqual([
      ...['accepted 0 (0)', 'blocked big h', 'accepted 2 (0)', 'blocked one i'],
    ])
  })

  test('is told as the reason to who is rejected because of the promise', () => {
    const relay = new TestBroker({ relayBytesMax: 100 }, { g: {}, h: {}, r: { overflow: 'reject' } })
    const one = relay.join('one')
    relay.produce(one, 'old', 'g', 40)
    relay.produce(one, 'big', 'h', 90)
    relay.produce(one, 'a b', 'r', 8)
    expect(relay.heard('rejected')).toEqual(['rejected 3 QUEUE_FULL'])
    expect(relay.errors[0]?.message).toContain('for an object that waits')
  })
})

describe('a queue that drops its oldest', () => {
  test('drops nothing for what does not get in', () => {
    const relay = new TestBroker({ relayBytesMax: 100 }, { A: {}, B: { overflow: 'drop-oldest' } })
    const one = relay.join('one')
    relay.produce(one, 'a', 'A', 90)
    relay.produce(one, 'b c d e f g h i', 'B', 1)
    relay.said()
    relay.produce(one, 'new', 'B', 20)
    expect(relay.said()).toEqual(['rejected 9 QUEUE_FULL', 'released new'])
    relay.produce(one, 'small', 'B', 10)
    expect(relay.heard('event', 'accepted')).toEqual(['event objectDropped B produce overflow 8', 'accepted 10 (0)'])
  })

  test('does not count as free what another queue still has', () => {
    const relay = new TestBroker({ relayBytesMax: 40 }, { A: {}, B: { overflow: 'drop-oldest' } })
    const one = relay.join('one', 'A')
    relay.produce(one, 'a b', { B: 1, A: 1 }, 15)
    relay.produce(one, 'c', 'B', 10)
    relay.said()
    relay.produce(one, 'd', 'B', 20)
    expect(relay.said()).toEqual(['rejected 3 QUEUE_FULL', 'released d'])
    relay.broker.notify(one, 'A', 1)
    relay.broker.acknowledge(one, 0, 0)
    relay.said()
    relay.produce(one, 'e', 'B', 15)
    expect(relay.heard('event', 'accepted')).toEqual(['event objectDropped B produce overflow 1', 'accepted 4 (0)'])
    checkInvariants(relay.broker)
  })

  test('gives up when very many drops would free nothing', () => {
    const relay = new TestBroker({ relayBytesMax: 5_000 }, { A: {}, B: { overflow: 'drop-oldest' } })
    const one = relay.join('one')
    for (let index = 0; index < 2_000; index++) relay.produce(one, `a${index}`, { B: 1, A: 1 }, 2)
    relay.produce(one, 'own', 'B', 1_000)
    relay.said()
    relay.produce(one, 'new', 'B', 1)
    expect(relay.heard('event', 'rejected')).toEqual(['rejected 2001 QUEUE_FULL'])
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

  test('keeps nothing of an object for several of them that one member has no room for', () => {
    const relay = new TestBroker({}, { a: { maxConsumables: 0 }, b: { maxConsumables: 0 } })
    const one = relay.join('one')
    const taker = relay.join('taker', ['a', 'b'], { inboxBytes: 10 })
    for (const group of ['a', 'b']) relay.broker.notify(taker, group, 1)
    relay.produce(one, 'both', { a: 1, b: 1 })
    expect(relay.said()).toEqual(['blocked one a', 'blocked one b'])
    relay.broker.setWindow(taker, 20)
    expect(relay.heard('taker gets', 'unblocked')).toEqual([
      ...['taker gets both of a #0', 'taker gets both of b #1', 'unblocked one a', 'unblocked one b'],
    ])
    checkInvariants(relay.broker)
  })

  test('finds takers for all of several, though who is to be served first in one is the only one in another', () => {
    const relay = new TestBroker({}, { a: { maxConsumables: 0 }, b: { maxConsumables: 0 } })
    const one = relay.join('one')
    const both = relay.join('both', ['a', 'b'], { inboxBytes: 10 })
    const onlyA = relay.join('onlyA', 'a')
    for (const group of ['a', 'b']) relay.broker.notify(both, group, 1)
    relay.broker.notify(onlyA, 'a', 1)
    relay.produce(one, 'x', { a: 1, b: 1 })
    expect(relay.heard('both gets', 'onlyA gets')).toEqual(['onlyA gets x of a #0', 'both gets x of b #0'])
    checkInvariants(relay.broker)
  })

  test('is not overtaken by small objects while a large one waits for an inbox, but is while it waits for more takers', () => {
    const relay = new TestBroker({}, { a: { maxConsumables: 0 } })
    const [one, two] = [relay.join('one'), relay.join('two')]
    const taker = relay.join('taker', 'a', { inboxBytes: 100 })
    relay.broker.notify(taker, 'a', 2)
    relay.produce(one, 'first', 'a', 50)
    relay.produce(one, 'large', 'a', 80)
    relay.produce(two, 'small', 'a', 10)
    expect(relay.heard(...words)).toEqual([
      'accepted 0 (1)',
      'taker gets first of a #0',
      'blocked one a',
      'blocked two a',
    ])
    relay.broker.setWindow(taker, 150)
    expect(relay.heard(...words)).toEqual(['accepted 1 (1)', 'taker gets large of a #1', 'unblocked one a'])
    relay.broker.setWindow(taker, 400)
    relay.broker.notify(taker, 'a', 1)
    relay.said()
    relay.produce(one, 'twice', { a: 2 })
    relay.broker.notify(taker, 'a', 1)
    relay.produce(two, 'passes', 'a')
    relay.broker.notify(taker, 'a', 2)
    expect(relay.heard('taker gets').map((line) => line.split(' ')[2])).toEqual(['passes', 'twice', 'twice'])
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
