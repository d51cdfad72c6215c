import { describe, expect, test } from 'vitest'
import { TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

const gets = ['alice gets', 'bob gets', 'late gets']

describe('a broadcast', () => {
  test('goes to every member, its sender too, and to who joins later', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', ['g', 'h'])
    relay.join('bob', 'g')
    relay.broadcast(alice, 'a b', ['g', 'h'])
    expect(relay.said()).toEqual([
      ...['alice gets a of g', 'bob gets a of g', 'alice gets a of h', 'accepted 0 (2 1)'],
      ...['alice gets b of g', 'bob gets b of g', 'released a', 'alice gets b of h', 'accepted 1 (2 1)'],
    ])
    relay.join('late', ['h'])
    expect(relay.said()).toEqual(['late gets b of h'])
    checkInvariants(relay.broker)
  })

  test('waits for a slow member, who is told what it missed, and slows nobody else', () => {
    const relay = new TestBroker({ memberBacklogBytesMax: 20 })
    const alice = relay.join('alice', 'g')
    const bob = relay.join('bob', 'g', { inboxBytes: 10 })
    relay.broadcast(alice, 'a b c d e', 'g')
    expect(relay.heard(...gets, 'event')).toEqual([
      ...['alice gets a of g', 'bob gets a of g', 'alice gets b of g', 'alice gets c of g'],
      ...['alice gets d of g', 'event objectDropped g broadcast backlog 1 bob'],
      ...['alice gets e of g', 'event objectDropped g broadcast backlog 1 bob'],
    ])
    relay.broker.setWindow(bob, 20)
    expect(relay.heard(...gets)).toEqual(['bob gets d of g skipped 2'])
    relay.broker.setWindow(bob, 40)
    expect(relay.heard(...gets)).toEqual(['bob gets e of g'])
    checkInvariants(relay.broker)
  })

  test('replaces the one before it for a member that wants the latest only', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice')
    const bob = relay.join('bob', ['g', 'h'], { broadcasts: 'latest' })
    relay.broker.detach(bob, 0)
    relay.broadcast(alice, 'a', 'g')
    relay.broadcast(alice, 'x', 'h')
    relay.broadcast(alice, 'b c', 'g')
    expect(relay.heard('event')).toHaveLength(2)
    relay.broker.attach(bob)
    expect(relay.heard(...gets)).toEqual(['bob gets c of g skipped 2', 'bob gets x of h'])
  })

  test('waits for a member that wants the latest only, while much is on its way to it', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice')
    const bob = relay.join('bob', 'g', { broadcasts: 'latest', unarrivedBytesMax: 25 })
    relay.broadcast(alice, 'a b c d e', 'g')
    // Each takes 10 bytes.
    expect(relay.heard(...gets)).toEqual(['bob gets a of g', 'bob gets b of g', 'bob gets c of g'])
    relay.broker.setArrived(bob, 5)
    expect(relay.heard(...gets)).toEqual([])
    relay.broker.setArrived(bob, 10)
    expect(relay.heard(...gets)).toEqual(['bob gets e of g skipped 1'])
    relay.broker.setArrived(bob, 8)
    relay.broker.setArrived(bob, 40)
    relay.broadcast(alice, 'f', 'g')
    expect(relay.heard(...gets)).toEqual(['bob gets f of g'])
    checkInvariants(relay.broker)
  })

  test('that is larger than the whole backlog is kept if it is alone', () => {
    const relay = new TestBroker({ memberBacklogBytesMax: 20 })
    const alice = relay.join('alice', 'g')
    relay.broker.detach(alice, 0)
    relay.broadcast(alice, 'a', 'g')
    relay.broadcast(alice, 'huge', 'g', 500)
    relay.broker.attach(alice)
    expect(relay.heard(...gets)).toEqual(['alice gets huge of g skipped 1'])
  })

  test('does not wait for ever behind small work', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g', { inboxBytes: 100 })
    relay.broker.notify(alice, 'g', 100)
    relay.produce(alice, 'a', 'g', 60)
    relay.broadcast(alice, 'weights', 'g', 100)
    relay.produce(alice, 'b', 'g', 10)
    expect(relay.heard(...gets)).toEqual(['alice gets a of g #0'])
    relay.broker.setWindow(alice, 160)
    expect(relay.heard(...gets)).toEqual(['alice gets weights of g'])
    relay.broker.setWindow(alice, 260)
    expect(relay.heard(...gets)).toEqual(['alice gets b of g #1'])
  })

  test('is rejected when the relay is full of what somebody is there for', () => {
    const relay = new TestBroker({ relayBytesMax: 25 })
    const alice = relay.join('alice', ['g', 'h'])
    relay.broadcast(alice, 'a', 'g')
    relay.broadcast(alice, 'b', 'h')
    relay.broadcast(alice, 'c', 'i')
    expect(relay.heard('rejected', 'released')).toEqual(['rejected 2 QUEUE_FULL', 'released c'])
    expect(relay.errors[0]?.message).toContain('clearRetained(group)')
    expect(relay.broker.stats().groups.map(({ name }) => name)).toEqual(['g', 'h'])
  })

  test('takes the room of the one that it replaces', () => {
    const relay = new TestBroker({ relayBytesMax: 25 })
    const alice = relay.join('alice', ['g', 'h'])
    relay.broadcast(alice, 'a b', ['g', 'h'], 20)
    expect(relay.heard('rejected', 'released')).toEqual(['released a'])
    relay.broadcast(alice, 'c', 'g', 20)
    expect(relay.heard('rejected', 'released')).toEqual(['rejected 2 QUEUE_FULL', 'released c'])
  })
})
