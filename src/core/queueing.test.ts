import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

const gets = ['alice gets', 'bob gets', 'carol gets']

describe('a produced object', () => {
  test('waits until a member asks, and goes to one of them', () => {
    const relay = new TestBroker()
    const producer = relay.join('producer')
    relay.produce(producer, 'a b', 'g')
    expect(relay.said()).toEqual(['accepted 0 (0)', 'accepted 1 (0)'])
    const alice = relay.join('alice', 'g')
    expect(relay.said()).toEqual([])
    expect(relay.broker.notify(alice, 'g', 1)).toBe(1)
    relay.produce(producer, 'c', 'g')
    expect(relay.said()).toEqual(['alice gets a of g #0', 'accepted 2 (1)'])
    expect(relay.broker.notify(alice, 'g', 5)).toBe(5)
    relay.produce(producer, 'd', 'g')
    expect(relay.said()).toEqual([
      'alice gets b of g #1',
      'alice gets c of g #2',
      'accepted 3 (1)',
      'alice gets d of g #3',
    ])
    relay.broker.acknowledge(alice, 0, 3)
    expect(relay.said()).toEqual(['released a', 'released b', 'released c', 'released d'])
    checkInvariants(relay.broker)
  })

  test('goes to who has the fewest on lease, then to who waits longest', () => {
    const relay = new TestBroker()
    const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((id) => relay.join(id, 'g'))
    if (alice === undefined || bob === undefined || carol === undefined) throw new Error('three joined')
    for (const member of [bob, alice, carol]) relay.broker.notify(member, 'g', 10)
    relay.produce(alice, 'a b c d', 'g')
    expect(relay.heard(...gets)).toEqual([
      'bob gets a of g #0',
      'alice gets b of g #0',
      'carol gets c of g #0',
      'bob gets d of g #1',
    ])
    relay.broker.acknowledge(bob, 0, 1)
    relay.produce(alice, 'e f', 'g')
    expect(relay.heard(...gets)).toEqual(['bob gets e of g #2', 'alice gets f of g #1'])
  })

  test('is delivered in as many copies as were sent, to all its groups', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', ['g', 'h'])
    relay.produce(alice, 'a', { g: 3, h: 1 })
    expect(relay.broker.notify(alice, 'g', -1)).toBe(3)
    expect(relay.broker.notify(alice, 'g', -1)).toBe(0)
    expect(relay.broker.notify(alice, 'h', -1)).toBe(1)
    expect(relay.heard(...gets)).toHaveLength(4)
    expect(relay.deliveries.map(({ groupIndex }) => groupIndex)).toEqual([0, 0, 0, 1])
    relay.broker.acknowledge(alice, 0, 2)
    expect(relay.said()).toEqual([])
    expect(relay.broker.stats().keptBytes).toBe(10)
    relay.broker.acknowledge(alice, 3, 3)
    expect(relay.said()).toEqual(['released a'])
  })

  test('takes no memory for its copies while they wait', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g')
    relay.produce(alice, 'a', { g: 1_000_000 }, 1)
    expect(relay.broker.core.registry.groups.get('g')?.queue.entries()).toHaveLength(1)
    expect(relay.broker.stats().groups[0]?.waiting).toBe(1_000_000)
  })

  test('is not overtaken in its group because a member lacks room, but goes to another member', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g', { inboxBytes: 100 })
    const bob = relay.join('bob', 'g', { inboxBytes: 100 })
    for (const member of [alice, bob]) relay.broker.notify(member, 'g', 10)
    relay.produce(alice, 'first second', 'g', 60)
    relay.produce(alice, 'big', 'g', 70)
    relay.produce(alice, 'small', 'g', 10)
    expect(relay.heard(...gets)).toEqual(['alice gets first of g #0', 'bob gets second of g #0'])
    checkInvariants(relay.broker)
    relay.broker.setWindow(bob, 160)
    expect(relay.heard(...gets)).toEqual(['bob gets big of g #1', 'alice gets small of g #1'])
    checkInvariants(relay.broker)
  })

  test('of any size goes to a member whose inbox is empty', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g', { inboxBytes: 100 })
    relay.broker.notify(alice, 'g', 10)
    relay.produce(alice, 'huge', 'g', 5_000)
    relay.produce(alice, 'next', 'g', 1)
    expect(relay.heard(...gets)).toEqual(['alice gets huge of g #0'])
    relay.broker.setWindow(alice, 5_099)
    expect(relay.heard(...gets)).toEqual(['alice gets next of g #1'])
  })

  test('is rejected where the group, its size or its route cannot be', () => {
    const relay = new TestBroker({ objectBytesMax: 100, groupBytesMax: 150 }, { g: {}, few: { maxConsumables: 2 } })
    const alice = relay.join('alice', 'g')
    relay.produce(alice, 'a', 'other')
    relay.produce(alice, 'b', 'g', 101)
    relay.produce(alice, 'c', { g: 2 }, 90)
    relay.produce(alice, 'd', { few: 3 })
    expect(relay.heard('rejected')).toEqual([
      'rejected 0 GROUP_NOT_ACCEPTED',
      'rejected 1 OBJECT_TOO_LARGE',
      'rejected 2 OBJECT_TOO_LARGE',
      'rejected 3 QUEUE_FULL',
    ])
    const routes = [
      { kind: 'produce', groups: [], copies: [] },
      { kind: 'produce', groups: ['g'], copies: [] },
      { kind: 'produce', groups: ['g', 'g'], copies: [1, 1] },
      { kind: 'produce', groups: ['g'], copies: [0] },
      { kind: 'produce', groups: ['g'], copies: [1.5] },
      { kind: 'produce', groups: ['g'], copies: [1_000_001] },
      { kind: 'broadcast', groups: ['g'], copies: [2] },
      { kind: 'broadcast', groups: [''], copies: [1] },
    ] as const
    for (const route of routes) {
      expect(codeOf(() => relay.broker.send(alice, 9, route, { bytes: 1, objects: 1 }))).toBe('PROTOCOL_VIOLATION')
    }
    relay.broker.stopAccepting()
    relay.produce(alice, 'e', 'g')
    expect(relay.said()).toEqual(['rejected 4 RELAY_STOPPED', 'released e'])
    expect(relay.broker.stats().groups.map(({ name }) => name)).toEqual(['g', 'few'])
  })
})

describe('asking', () => {
  test('is for members, and for a sensible count', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g')
    expect(codeOf(() => relay.broker.notify(alice, 'h', 1))).toBe('NOT_A_MEMBER')
    for (const count of [0, -2, 1.5, Number.NaN, 1_000_001]) {
      expect(codeOf(() => relay.broker.notify(alice, 'g', count))).toBe('INVALID_ARGUMENT')
    }
  })
})

describe('a group', () => {
  test('costs nothing when there is nothing in it', () => {
    const relay = new TestBroker({ groupsMax: 2 })
    const alice = relay.join('alice', ['g', '__proto__'])
    relay.produce(alice, 'a', 'h')
    expect(relay.said()).toEqual(['rejected 0 TOO_MANY_GROUPS', 'released a'])
    expect(codeOf(() => relay.join('bob', 'h'))).toBe('TOO_MANY_GROUPS')
    relay.broker.leave(alice, 'lost')
    expect(relay.broker.stats().groups).toEqual([])
    const bob = relay.join('bob')
    relay.produce(bob, 'b', 'h')
    expect(relay.said()).toEqual(['accepted 1 (0)'])
    expect(relay.broker.stats().groups.map(({ name }) => name)).toEqual(['h'])
  })
})
