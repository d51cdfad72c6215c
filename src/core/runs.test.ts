import { describe, expect, test } from 'vitest'
import { TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

describe('a run of objects', () => {
  test('is accepted, delivered and settled as one where nothing speaks against it', () => {
    const relay = new TestBroker()
    const [producer, alice] = [relay.join('producer'), relay.join('alice', 'g')]
    relay.broker.notify(alice, 'g', 9)
    relay.produceRun(producer, 'a b c', 'g')
    expect(relay.said()).toEqual(['accepted 0-2 (1)', 'alice gets a b c of g #0'])
    expect(relay.broker.stats().counts).toMatchObject({ accepted: 3, delivered: 3 })
    relay.broker.acknowledge(alice, 0, 2)
    expect(relay.said()).toEqual(['released a b c'])
    expect(relay.broker.stats().counts).toMatchObject({ acknowledged: 3 })
    checkInvariants(relay.broker)
  })

  test('goes as far as a member asked', () => {
    const relay = new TestBroker()
    const [producer, alice] = [relay.join('producer'), relay.join('alice', 'g')]
    relay.broker.notify(alice, 'g', 2)
    relay.produceRun(producer, 'a b c d', 'g')
    expect(relay.heard('alice')).toEqual(['alice gets a b of g #0'])
    relay.broker.notify(alice, 'g', -1)
    expect(relay.heard('alice')).toEqual(['alice gets c d of g #2'])
    checkInvariants(relay.broker)
  })

  test('goes as far as a member has room', () => {
    const relay = new TestBroker()
    const [producer, alice] = [relay.join('producer'), relay.join('alice', 'g', { inboxBytes: 35 })]
    relay.broker.notify(alice, 'g', 9)
    relay.produceRun(producer, 'a b c d e', 'g')
    expect(relay.heard('alice').join()).toBe('alice gets a b of g #0,alice gets c of g #2')
    relay.broker.setWindow(alice, 100)
    expect(relay.heard('alice').join()).toBe('alice gets d e of g #3')
    checkInvariants(relay.broker)
  })

  test('is shared by those who asked: the fewest on lease first, then the longest waiting', () => {
    const relay = new TestBroker()
    const [producer, alice, bob] = [relay.join('producer'), relay.join('alice', 'g'), relay.join('bob', 'g')]
    relay.broker.notify(alice, 'g', 3)
    relay.produceRun(producer, 'a b c', 'g')
    relay.broker.notify(alice, 'g', 9)
    relay.broker.notify(bob, 'g', 9)
    relay.said()
    relay.produceRun(producer, 'd e f g h', 'g')
    expect(relay.heard('alice', 'bob')).toEqual([
      'bob gets d e f of g #0',
      'alice gets g of g #3',
      'bob gets h of g #3',
    ])
    checkInvariants(relay.broker)
  })

  test('is one no more for a member that has no room for the first and for the second', () => {
    const relay = new TestBroker()
    const producer = relay.join('producer')
    const [alice, bob] = [relay.join('alice', 'g', { inboxBytes: 30 }), relay.join('bob', 'g')]
    relay.broker.notify(alice, 'g', 1)
    relay.produce(producer, 'z', 'g')
    relay.broker.acknowledge(alice, 0, 0)
    relay.broker.notify(alice, 'g', 9)
    relay.broker.notify(bob, 'g', 9)
    relay.said()
    relay.produceRun(producer, 'a b c', 'g', [25, 5, 5])
    expect(relay.heard('alice', 'bob')).toEqual(['bob gets a of g #0', 'alice gets b of g #1', 'bob gets c of g #1'])
    checkInvariants(relay.broker)
  })

  test('comes back object by object, each with an attempt of its own, and in order', () => {
    const relay = new TestBroker({ attemptsMax: 1 })
    const [producer, alice] = [relay.join('producer'), relay.join('alice', 'g')]
    relay.broker.notify(alice, 'g', 5)
    relay.produceRun(producer, 'a b c d e', 'g')
    relay.said()
    relay.broker.acknowledge(alice, 2, 2)
    relay.broker.release(alice, 3, 3, { attemptCounted: true })
    relay.broker.release(alice, 0, 1, { attemptCounted: false })
    expect(relay.said()).toEqual(['released c', 'event objectDead g 1 released at alice'])
    relay.broker.notify(alice, 'g', 5)
    expect(relay.said()).toEqual(['alice gets a of g #5', 'alice gets b of g #6'])
    relay.broker.leave(alice, 'lost', { attemptCounted: false })
    expect(relay.broker.stats().groups).toMatchObject([
      { name: 'g', waiting: 3 },
      { name: 'g.dead', waiting: 1 },
    ])
    checkInvariants(relay.broker)
  })

  test('enters as far as there is room, and each of the others is answered', () => {
    const relay = new TestBroker(
      {},
      { g: { maxConsumables: 4, overflow: 'reject' }, h: { maxConsumables: 2, overflow: 'drop-oldest' } },
    )
    const producer = relay.join('producer')
    relay.produceRun(producer, 'a b c d e f', 'g')
    expect(relay.heard('accepted', 'rejected')).toEqual([
      'accepted 0-2 (0)',
      'accepted 3 (0)',
      'rejected 4 QUEUE_FULL',
      'rejected 5 QUEUE_FULL',
    ])
    relay.produceRun(producer, 'k l', 'h')
    relay.produceRun(producer, 'm', 'h')
    expect(relay.said()).toEqual([
      'accepted 6-7 (0)',
      'released k',
      'event objectDropped h produce overflow 1',
      'accepted 8 (0)',
    ])
    checkInvariants(relay.broker)
  })
})
