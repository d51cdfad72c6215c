import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

describe('a large object', () => {
  test('takes its place when it begins, may be on its way before it is whole, and is accepted when it is', () => {
    const relay = new TestBroker()
    const one = relay.join('one')
    const large = relay.begin(one, 'large', 'produce', 'g', 1000)
    relay.produce(one, 'small', 'g')
    const alice = relay.join('alice', 'g')
    relay.broker.notify(alice, 'g', 2)
    expect(relay.said()).toEqual([
      ...['admitted 0', 'accepted 1 (0)', 'alice gets large of g #0', 'alice gets small of g #1'],
    ])
    expect(codeOf(() => relay.broker.acknowledge(alice, 0, 1))).toBe('PROTOCOL_VIOLATION')
    relay.broker.complete(one, large)
    relay.broker.acknowledge(alice, 0, 1)
    expect(relay.said()).toEqual(['accepted 0 (1)', 'released large', 'released small'])
    checkInvariants(relay.broker)
  })

  test('that is given up leaves the queue, or its receiver, who gets the credit back', () => {
    const relay = new TestBroker()
    const one = relay.join('one')
    const alice = relay.join('alice', 'g')
    const first = relay.begin(one, 'first', 'produce', 'g')
    const second = relay.begin(one, 'second', 'produce', 'g')
    relay.broker.notify(alice, 'g', 1)
    relay.said()
    relay.broker.abort(one, second)
    expect(relay.said()).toEqual(['released second'])
    relay.broker.abort(one, first)
    expect(relay.said()).toEqual(['alice discards first', 'released first'])
    relay.produce(one, 'third', 'g')
    expect(relay.said()).toEqual(['accepted 2 (1)', 'alice gets third of g #1'])
    // Its endpoint may not have known when it gave all back.
    relay.broker.release(alice, 0, 1, { attemptCounted: false })
    expect(codeOf(() => relay.broker.release(alice, 0, 0, { attemptCounted: false }))).toBe('PROTOCOL_VIOLATION')
    checkInvariants(relay.broker)
  })

  test('is given up when its sender vanishes, and goes to another when its receiver does', () => {
    const relay = new TestBroker()
    const one = relay.join('one')
    const [alice, bob] = [relay.join('alice', 'g'), relay.join('bob', 'g')]
    relay.broker.notify(alice, 'g', 1)
    relay.begin(one, 'large', 'produce', 'g')
    relay.broker.notify(bob, 'g', 1)
    relay.said()
    relay.broker.leave(alice, 'lost')
    // Nobody has seen an object of which bytes are still to come.
    expect(relay.said()).toEqual(['bob gets large of g #0'])
    relay.broker.leave(one, 'lost')
    expect(relay.said()).toEqual(['bob discards large', 'released large'])
    checkInvariants(relay.broker)
  })

  test('is not admitted before there is room', () => {
    const relay = new TestBroker({ groupBytesMax: 100 })
    const one = relay.join('one', 'g')
    relay.produce(one, 'a', 'g', 60)
    const large = relay.begin(one, 'large', 'produce', 'g', 60)
    expect(relay.said()).toEqual(['accepted 0 (1)', 'blocked one g'])
    expect(one.blockedBytes).toBe(0)
    expect(codeOf(() => relay.broker.complete(one, large))).toBe('PROTOCOL_VIOLATION')
    const other = relay.begin(one, 'other', 'produce', 'g', 10)
    relay.broker.abort(one, large)
    expect(relay.said()).toEqual(['released large', `admitted ${other}`, 'unblocked one g'])
    relay.broker.complete(one, other)
    expect(relay.said()).toEqual([`accepted ${other} (1)`])
    checkInvariants(relay.broker)
  })

  test('broadcast is the last broadcast only when it is whole', () => {
    const relay = new TestBroker()
    const one = relay.join('one')
    relay.join('alice', 'g')
    relay.broadcast(one, 'a', 'g')
    const large = relay.begin(one, 'large', 'broadcast', 'g')
    relay.join('bob', 'g')
    expect(relay.said()).toEqual([
      ...['alice gets a of g', 'accepted 0 (1)', 'admitted 1', 'alice gets large of g'],
      ...['bob gets a of g', 'bob gets large of g'],
    ])
    const given = relay.begin(one, 'given up', 'broadcast', 'g')
    relay.broker.complete(one, large)
    relay.broker.abort(one, given)
    expect(relay.said()).toEqual([
      ...['admitted 2', 'alice gets given up of g', 'bob gets given up of g', 'released a', 'accepted 1 (2)'],
      ...['alice discards given up', 'bob discards given up', 'released given up'],
    ])
    relay.join('late', 'g')
    expect(relay.said()).toEqual(['late gets large of g'])
    checkInvariants(relay.broker)
  })

  test('broadcast that never became whole gives the one that it replaced back to who wants the latest', () => {
    const relay = new TestBroker()
    const one = relay.join('one')
    const alice = relay.join('alice', 'g', { broadcasts: 'latest' })
    relay.broker.detach(alice, 0)
    relay.broadcast(one, 'a b', 'g')
    const large = relay.begin(one, 'large', 'broadcast', 'g')
    relay.broker.abort(one, large)
    relay.said()
    relay.broker.attach(alice)
    expect(relay.said()).toEqual(['alice gets b of g skipped 1'])
  })

  test('is begun once, and not too many at once', () => {
    const relay = new TestBroker({ streamsMax: 2 })
    const one = relay.join('one')
    const route = { kind: 'produce', groups: ['g'], copies: [1] } as const
    for (const sequence of [1, 2]) relay.broker.begin(one, sequence, route, { bytes: 1, objects: 1 })
    expect(codeOf(() => relay.broker.begin(one, 2, route, { bytes: 1, objects: 1 }))).toBe('PROTOCOL_VIOLATION')
    expect(codeOf(() => relay.broker.begin(one, 3, route, { bytes: 1, objects: 1 }))).toBe('PROTOCOL_VIOLATION')
    relay.broker.abort(one, 7)
  })
})
