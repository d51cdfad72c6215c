import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

function groupNames(relay: TestBroker): string[] {
  return relay.broker.stats().groups.map(({ name }) => name)
}

describe('a broadcast that is not to be retained', () => {
  test('goes to who is there, and leaves what is retained for others', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g')
    relay.broadcast(alice, 'weights', 'g')
    relay.announce(alice, 'stop', 'g')
    expect(relay.heard('alice gets', 'released')).toEqual([
      ...['alice gets weights of g', 'alice gets stop of g', 'released stop'],
    ])
    relay.join('late', 'g')
    expect(relay.said()).toEqual(['late gets weights of g'])
    checkInvariants(relay.broker)
  })

  test('leaves nothing behind where nobody is', () => {
    const relay = new TestBroker()
    relay.announce(relay.join('alice'), 'stop', 'g')
    expect(relay.said()).toEqual(['accepted 0 (0)', 'released stop'])
    expect(groupNames(relay)).toEqual([])
  })

  test('that is large is for who was there when it began', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g')
    const sequence = relay.begin(alice, 'large', 'unretained', 'g')
    relay.join('late', 'g')
    relay.broker.complete(alice, sequence)
    expect(relay.heard('alice gets', 'late gets', 'released')).toEqual(['alice gets large of g', 'released large'])
  })

  test('that was missed is not followed by an older one that comes back', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice')
    const bob = relay.join('bob', 'g', { broadcasts: 'latest' })
    relay.broker.detach(bob, 0)
    relay.broadcast(alice, 'old', 'g')
    relay.announce(alice, 'newer', 'g')
    const sequence = relay.begin(alice, 'large', 'broadcast', 'g')
    relay.broker.abort(alice, sequence)
    relay.broadcast(alice, 'next', 'g')
    relay.broker.attach(bob)
    expect(relay.heard('bob gets')).toEqual(['bob gets next of g skipped 2'])
    checkInvariants(relay.broker)
  })
})

describe('clearing', () => {
  test('removes what is retained, and what is still arriving; what was sent to members is theirs', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice')
    const bob = relay.join('bob', 'g')
    relay.broker.detach(bob, 0)
    relay.broadcast(alice, 'a', 'g')
    const sequence = relay.begin(alice, 'large', 'broadcast', 'g')
    relay.clear(alice, 'g')
    relay.broker.complete(alice, sequence)
    relay.join('late', 'g')
    expect(relay.heard('late gets', 'accepted')).toEqual(['accepted 0 (1)', 'accepted 2 (1)', 'accepted 1 (1)'])
    relay.broker.attach(bob)
    expect(relay.heard('bob gets')).toEqual(['bob gets a of g', 'bob gets large of g'])
    relay.broadcast(alice, 'b', 'g')
    relay.join('later', 'g')
    expect(relay.heard('later gets')).toEqual(['later gets b of g'])
    checkInvariants(relay.broker)
  })

  test('is always possible, and forgets the group', () => {
    const relay = new TestBroker({ groupsMax: 1, relayBytesMax: 10 }, null)
    const alice = relay.join('alice')
    relay.broadcast(alice, 'a', 'g')
    relay.clear(alice, 'h')
    relay.clear(alice, 'g')
    expect(relay.heard('accepted', 'released')).toEqual([
      ...['accepted 0 (0)', 'accepted 1 (0)', 'released clear', 'released a', 'accepted 2 (0)', 'released clear'],
    ])
    expect(groupNames(relay)).toEqual([])
    const restricted = new TestBroker({}, { g: {} })
    restricted.clear(restricted.join('alice'), 'h')
    expect(restricted.heard('rejected')).toEqual(['rejected 0 GROUP_NOT_ACCEPTED'])
  })

  test('has no large object', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice')
    expect(codeOf(() => relay.begin(alice, 'large', 'clear', 'g'))).toBe('PROTOCOL_VIOLATION')
  })
})

describe('a retained broadcast of a group without members', () => {
  test('makes room for other groups, the longest unused first, and says so', () => {
    const relay = new TestBroker({ groupsMax: 3 })
    const alice = relay.join('alice')
    for (const name of ['a', 'b', 'c']) relay.broadcast(alice, name, `job-${name}`)
    relay.broadcast(alice, 'again', 'job-a')
    relay.said()
    relay.broadcast(alice, 'd', 'job-d')
    relay.produce(alice, 'e', 'tasks')
    expect(relay.heard('event', 'rejected')).toEqual([
      'event objectDropped job-b broadcast evicted 1',
      'event objectDropped job-c broadcast evicted 1',
    ])
    expect(groupNames(relay)).toEqual(['job-a', 'job-d', 'tasks'])
    const bob = relay.join('bob', ['job-a', 'job-d'])
    expect(codeOf(() => relay.join('carol', ['x']))).toBe('TOO_MANY_GROUPS')
    relay.broker.leave(bob, 'lost')
    relay.join('carol', ['x', 'job-a'])
    expect(groupNames(relay)).toEqual(['job-a', 'tasks', 'x'])
    expect(relay.broker.stats().counts.dropped).toBe(3)
    checkInvariants(relay.broker)
  })

  test('stays if what needs the room is rejected for another reason', () => {
    const relay = new TestBroker({ groupsMax: 1, objectBytesMax: 50 })
    const alice = relay.join('alice')
    relay.broadcast(alice, 'a', 'job-a')
    relay.produce(alice, 'huge', 'tasks', 60)
    relay.broadcast(alice, 'both', ['job-a', 'job-b'])
    expect(relay.heard('event', 'rejected')).toEqual(['rejected 1 OBJECT_TOO_LARGE', 'rejected 2 TOO_MANY_GROUPS'])
    expect(groupNames(relay)).toEqual(['job-a'])
  })

  test('makes room in the relay, as far as that helps', () => {
    const relay = new TestBroker({ relayBytesMax: 80 }, null)
    const alice = relay.join('alice')
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) relay.broadcast(alice, name, name)
    relay.said()
    relay.produce(alice, 'x', 'tasks', 15)
    expect(relay.heard('event', 'accepted', 'blocked')).toEqual([
      'event objectDropped a broadcast evicted 1',
      'event objectDropped b broadcast evicted 1',
      'accepted 8 (0)',
    ])
    // Beside what a member is there for, there is never room for this one.
    relay.join('bob', ['c', 'd'])
    relay.said()
    relay.broadcast(alice, 'y', 'other', 50)
    expect(relay.heard('event', 'rejected')).toEqual(['rejected 9 QUEUE_FULL'])
    checkInvariants(relay.broker)
  })

  test('goes for what waits for room as soon as its last member leaves', () => {
    const relay = new TestBroker({ relayBytesMax: 20 })
    const alice = relay.join('alice')
    const bob = relay.join('bob', 'g')
    relay.broadcast(alice, 'a', 'g')
    relay.produce(alice, 'x', 'tasks', 15)
    expect(relay.heard('blocked')).toEqual(['blocked alice tasks'])
    relay.broker.leave(bob, 'lost')
    expect(relay.heard('event', 'accepted')).toEqual(['event objectDropped g broadcast evicted 1', 'accepted 1 (0)'])
  })

  test('goes together with others that share its bytes, or not at all', () => {
    const relay = new TestBroker({ relayBytesMax: 30 })
    const alice = relay.join('alice')
    relay.broadcast(alice, 'shared', ['a', 'b'])
    relay.broadcast(alice, 'single', 'c')
    const bob = relay.join('bob', 'b')
    relay.said()
    relay.produce(alice, 'x', 'tasks', 20)
    expect(relay.heard('event', 'accepted')).toEqual(['event objectDropped c broadcast evicted 1', 'accepted 2 (0)'])
    relay.broker.leave(bob, 'lost')
    relay.produce(alice, 'y', 'tasks')
    expect(relay.heard('event')).toHaveLength(2)
    checkInvariants(relay.broker)
  })
})
