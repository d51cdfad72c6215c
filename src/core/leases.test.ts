import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker, type TestSession } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

const gets = ['alice gets', 'bob gets']

function withLeases(names: string, limits = {}): { relay: TestBroker; alice: TestSession; bob: TestSession } {
  const relay = new TestBroker(limits)
  const alice = relay.join('alice', ['g', 'g.dead'])
  const bob = relay.join('bob', ['g', 'g.dead'])
  relay.broker.notify(alice, 'g', names.split(' ').length)
  relay.produce(alice, names, 'g')
  relay.said()
  return { relay, alice, bob }
}

describe('a lease', () => {
  test('goes back to the front in its old order when its endpoint vanishes, with one attempt more if its program had seen it', () => {
    const { relay, alice, bob } = withLeases('a b c')
    relay.produce(bob, 'd', 'g')
    relay.broker.acknowledge(alice, 1, 1)
    relay.broker.seen(alice, 0, 1)
    relay.broker.leave(alice, 'lost')
    relay.broker.notify(bob, 'g', 10)
    expect(relay.heard(...gets)).toEqual(['bob gets a of g #0 attempt 2', 'bob gets c of g #1', 'bob gets d of g #2'])
    checkInvariants(relay.broker)
  })

  test('goes back into the old order when it is released in another', () => {
    const { relay, alice, bob } = withLeases('a b c')
    for (const number of [2, 0, 1]) relay.broker.release(alice, number, number, { attemptCounted: false })
    relay.broker.notify(bob, 'g', 3)
    expect(relay.heard(...gets)).toEqual(['bob gets a of g #0', 'bob gets b of g #1', 'bob gets c of g #2'])
  })

  test('can be settled once, and only if it was delivered', () => {
    const { relay, alice } = withLeases('a b c')
    relay.broker.acknowledge(alice, 1, 1)
    relay.said()
    const ranges = [
      ...[
        [0, 1],
        [0, 2],
        [1, 1],
        [3, 3],
        [0, 3],
        [2, 1],
        [-1, 0],
        [0.5, 1],
        [0, Number.MAX_SAFE_INTEGER],
        [0, Number.NaN],
      ],
    ] as const
    for (const [from, to] of ranges) {
      expect(codeOf(() => relay.broker.acknowledge(alice, from, to))).toBe('PROTOCOL_VIOLATION')
      expect(codeOf(() => relay.broker.release(alice, from, to, { attemptCounted: true }))).toBe('PROTOCOL_VIOLATION')
    }
    expect(relay.said()).toEqual([])
    expect(relay.broker.stats().groups[0]?.leased).toBe(2)
  })

  test('that ends too often without success makes its object a dead letter, which stays one', () => {
    const { relay, alice, bob } = withLeases('a b', { attemptsMax: 2, retryDelayMs: 0 })
    relay.broker.release(alice, 0, 1, { attemptCounted: true })
    relay.broker.notify(alice, 'g', 2)
    relay.said()
    relay.vanish(alice)
    expect(relay.said()).toEqual(['event objectDead g 2 lost at alice', 'event objectDead g 2 lost at alice'])
    relay.broker.notify(bob, 'g.dead', 2)
    expect(relay.heard(...gets)).toEqual(['bob gets a of g.dead #0', 'bob gets b of g.dead #1'])
    relay.broker.release(bob, 0, 1, { attemptCounted: true })
    expect(relay.broker.stats().groups.map(({ name, waiting, dead }) => [name, waiting, dead])).toEqual([
      ['g', 0, 2],
      ['g.dead', 2, 0],
    ])
    checkInvariants(relay.broker)
  })

  test('makes room among the dead letters by dropping the oldest', () => {
    const { relay, alice } = withLeases('a b c', { attemptsMax: 1, deadBytesMax: 400 })
    relay.broker.release(alice, 0, 2, { attemptCounted: true })
    expect(relay.heard('event objectDropped')).toEqual([])
    relay.broker.notify(alice, 'g', 1)
    relay.produce(alice, 'd', 'g', 160)
    relay.broker.release(alice, 3, 3, { attemptCounted: true })
    expect(relay.heard('event objectDropped', 'released')).toEqual([
      'released a',
      'event objectDropped g.dead produce dead-overflow 1',
      'released b',
      'event objectDropped g.dead produce dead-overflow 1',
    ])
    checkInvariants(relay.broker)
  })
})

describe('a session that makes no progress', () => {
  test.each([
    [true, ' attempt 2'],
    [false, ''],
  ])('loses its leases, gets no new ones, and gets some again when it is back (seen: %s)', (isSeen, again) => {
    const { relay, alice, bob } = withLeases('a b', { progressMs: 100 })
    if (isSeen) relay.broker.seen(alice, 1, 1)
    relay.broker.notify(alice, 'g', 5)
    expect(relay.broker.nextDeadlineMs()).toBe(100)
    relay.broker.advance(100)
    expect(relay.broker.nextDeadlineMs()).toBe(200)
    relay.broker.acknowledge(alice, 0, 0)
    relay.broker.advance(200)
    expect(relay.heard('event')).toEqual([])
    relay.broker.advance(300)
    expect(relay.said()).toEqual(['event leasesRevoked alice 1'])
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
    checkInvariants(relay.broker)
    relay.broker.notify(bob, 'g', 1)
    expect(relay.said()).toEqual([`bob gets b of g #0${again}`])
    relay.produce(bob, 'c', 'g')
    relay.said()
    // It wakes up and knows nothing of all this.
    relay.broker.acknowledge(alice, 1, 1)
    expect(relay.said()).toEqual(['alice gets c of g #2'])
    relay.broker.acknowledge(alice, 2, 2)
    expect(codeOf(() => relay.broker.acknowledge(alice, 2, 2))).toBe('PROTOCOL_VIOLATION')
    checkInvariants(relay.broker)
  })

  test('is not to blame for an object of which bytes are still to come, and loses it only with others', () => {
    const relay = new TestBroker({ progressMs: 100 })
    const [one, alice] = [relay.join('one'), relay.join('alice', 'g')]
    relay.broker.notify(alice, 'g', 3)
    relay.begin(one, 'large', 'produce', 'g', 1000)
    relay.said()
    relay.broker.advance(100)
    relay.broker.advance(300)
    expect(relay.said()).toEqual([])
    relay.produce(one, 'small', 'g')
    relay.said()
    relay.broker.advance(400)
    relay.broker.advance(500)
    expect(relay.said()).toEqual(['alice discards large', 'event leasesRevoked alice 2'])
    // It has got nothing for one of the three that it asked for.
    expect(relay.broker.stats().groups[0]).toMatchObject({ demand: 2, waiting: 2, leased: 0 })
    checkInvariants(relay.broker)
  })

  test('keeps its credit for what it gives back before it is whole', () => {
    const relay = new TestBroker({ retryDelayMs: 0 })
    const [one, alice] = [relay.join('one'), relay.join('alice', 'g')]
    relay.broker.notify(alice, 'g', 1)
    relay.begin(one, 'large', 'produce', 'g', 1000)
    relay.said()
    relay.broker.release(alice, 0, 0, { attemptCounted: true })
    expect(relay.said()).toEqual(['alice discards large', 'alice gets large of g #1 attempt 2'])
    checkInvariants(relay.broker)
  })
})
