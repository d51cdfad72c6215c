import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'
import { type BrokerJournal, silentJournal } from './journal.ts'
import type { GroupSetting } from './ports.ts'

/** A broker, and what is set of its groups as the journal was told it. */
function told(...options: ConstructorParameters<typeof TestBroker>): { relay: TestBroker; tellings: unknown[] } {
  const tellings: unknown[] = []
  const journal: BrokerJournal<{ bytes: number; objects: number }> = {
    ...silentJournal,
    groupSet: (group: string, setting: GroupSetting) => void tellings.push([group, setting]),
  }
  const relay = new TestBroker(...options)
  Object.assign(relay.broker.core, { journal })
  return { relay, tellings }
}

function groupsOf(relay: TestBroker): string[] {
  return relay.broker.stats().groups.map(({ name }) => name)
}

describe('a paused group', () => {
  test('takes objects and lends none, and lends them in their order to who asked when it is resumed', () => {
    const relay = new TestBroker()
    const [alice, bob] = [relay.join('alice', 'g'), relay.join('bob', 'g')]
    relay.broker.notify(alice, 'g', 2)
    relay.broker.setPaused('g', true)
    relay.produce(alice, 'a b c', 'g')
    expect(relay.broker.notify(bob, 'g', 5)).toBe(5)
    const carol = relay.join('carol', 'g')
    relay.broker.notify(carol, 'g', 1)
    relay.broker.detach(bob, 0)
    relay.broker.attach(bob)
    expect(relay.heard('accepted')).toHaveLength(3)
    expect(relay.deliveries).toEqual([])
    checkInvariants(relay.broker)
    relay.broker.setPaused('g', false)
    expect(relay.said()).toEqual(['alice gets a of g #0', 'bob gets b of g #0', 'carol gets c of g #0'])
    relay.produce(alice, 'd', 'g')
    expect(relay.heard('alice gets', 'bob gets')).toEqual(['alice gets d of g #1'])
    checkInvariants(relay.broker)
  })

  test('leaves on lease what is on lease; what is given back waits, and broadcasts go on', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g')
    relay.broker.notify(alice, 'g', 10)
    relay.produce(alice, 'a b c', 'g')
    relay.said()
    relay.broker.setPaused('g', true)
    expect(relay.broker.stats().groups).toMatchObject([{ leased: 3, waiting: 0 }])
    relay.broker.acknowledge(alice, 0, 0)
    relay.broker.release(alice, 1, 1, { attemptCounted: false })
    relay.broadcast(alice, 'news', 'g')
    expect(relay.said()).toEqual(['released a', 'alice gets news of g', 'accepted 3 (1)'])
    expect(relay.broker.stats().groups).toMatchObject([{ leased: 1, waiting: 1 }])
    relay.broker.setPaused('g', false)
    expect(relay.heard('alice gets')).toEqual(['alice gets b of g #3'])
    checkInvariants(relay.broker)
  })

  test('that keeps nothing holds objects back, also for another group of the same object', () => {
    const direct = { maxConsumables: 0 }
    const relay = new TestBroker({}, { direct, other: direct, plain: {} })
    const alice = relay.join('alice', ['direct', 'other'])
    for (const name of ['direct', 'other']) relay.broker.notify(alice, name, 5)
    relay.broker.setPaused('direct', true)
    relay.produce(alice, 'a', 'direct')
    relay.produce(alice, 'b', { other: 1, direct: 1 })
    expect(relay.heard('alice gets', 'accepted')).toEqual([])
    checkInvariants(relay.broker)
    relay.broker.setPaused('direct', false)
    expect(relay.heard('alice gets', 'accepted')).toHaveLength(5)
  })

  test('is remembered while it is empty, as one of as many as there may be, until it is resumed', () => {
    const { relay, tellings } = told({ groupsMax: 1 })
    relay.broker.setPaused('g', false)
    expect(groupsOf(relay)).toEqual([])
    relay.broker.setPaused('g', true)
    relay.broker.setPaused('g', true)
    const alice = relay.join('alice', 'g')
    relay.broker.leave(alice, 'lost')
    expect(groupsOf(relay)).toEqual(['g'])
    expect(codeOf(() => relay.broker.setPaused('h', true))).toBe('TOO_MANY_GROUPS')
    expect(codeOf(() => relay.broker.setPolicy('h', {}))).toBe('TOO_MANY_GROUPS')
    expect(codeOf(() => relay.join('bob', 'h'))).toBe('TOO_MANY_GROUPS')
    checkInvariants(relay.broker)
    relay.broker.setPaused('g', false)
    expect(groupsOf(relay)).toEqual([])
    expect(tellings).toEqual([
      ['g', { isPaused: true, policy: undefined }],
      ['g', { isPaused: false, policy: undefined }],
    ])
  })

  test('is one that may be used at all', () => {
    const relay = new TestBroker({}, { g: {} })
    expect(codeOf(() => relay.broker.setPaused('h', true))).toBe('GROUP_NOT_ACCEPTED')
    expect(codeOf(() => relay.broker.setPaused('', true))).toBe('INVALID_ARGUMENT')
    relay.broker.setPaused('g.dead', true)
    checkInvariants(relay.broker)
  })

  test('was paused in an earlier run and can be resumed, though it is not accepted any more', () => {
    const relay = new TestBroker({}, { other: {} })
    relay.broker.restoreGroup('g', { isPaused: true, policy: { maxCount: 1 } })
    relay.broker.restored(0)
    checkInvariants(relay.broker)
    relay.broker.setPaused('g', false)
    relay.broker.setPolicy('g', undefined)
    expect(groupsOf(relay)).toEqual([])
  })
})

describe('a policy that is replaced', () => {
  test('applies to the next object and the next member, and that of the options again when it is taken back', () => {
    const { relay, tellings } = told({}, { g: { maxConsumables: 1, overflow: 'reject', maxCount: 1 } })
    const alice = relay.join('alice', 'g')
    relay.produce(alice, 'a b', 'g')
    expect(relay.heard('accepted', 'rejected')).toEqual(['accepted 0 (1)', 'rejected 1 QUEUE_FULL'])
    expect(codeOf(() => relay.join('bob', 'g'))).toBe('GROUP_FULL')
    relay.broker.setPolicy('g', { maxConsumables: 3, overflow: 'drop-oldest' })
    relay.produce(alice, 'c d e', 'g')
    relay.join('bob', 'g')
    expect(relay.heard('accepted', 'event')).toEqual([
      'accepted 2 (1)',
      'accepted 3 (1)',
      'event objectDropped g produce overflow 1',
      'accepted 4 (1)',
    ])
    relay.broker.setPolicy('g', undefined)
    relay.broker.setPolicy('g', undefined)
    relay.produce(alice, 'f', 'g')
    expect(relay.heard('accepted', 'rejected', 'event')).toEqual(['rejected 5 QUEUE_FULL'])
    expect(codeOf(() => relay.join('carol', 'g'))).toBe('GROUP_FULL')
    // Nothing of what was there has gone.
    expect(relay.broker.stats().groups).toMatchObject([{ waiting: 3, members: 2 }])
    expect(tellings).toEqual([
      ['g', { isPaused: false, policy: { maxConsumables: 3, overflow: 'drop-oldest' } }],
      ['g', { isPaused: false, policy: undefined }],
    ])
    checkInvariants(relay.broker)
  })

  test('lets in what was held back, or tells its sender that it will never fit', () => {
    const relay = new TestBroker({}, { g: { maxConsumables: 2 } })
    const alice = relay.join('alice')
    const bob = relay.join('bob')
    relay.produce(alice, 'a b held', 'g')
    relay.produce(bob, 'two', { g: 2 })
    expect(relay.heard('accepted')).toEqual(['accepted 0 (0)', 'accepted 1 (0)'])
    relay.broker.setPolicy('g', { maxConsumables: 3 })
    expect(relay.said()).toEqual(['accepted 2 (0)', 'unblocked alice g'])
    relay.broker.setPolicy('g', { maxConsumables: 1 })
    expect(relay.said()).toEqual(['rejected 3 QUEUE_FULL', 'released two', 'unblocked bob g'])
    checkInvariants(relay.broker)
  })

  test('may make a group one that keeps nothing, also for a route that was used before', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', ['g', 'h'])
    relay.produce(alice, 'a', { g: 1, h: 1 })
    for (const name of ['g', 'h']) relay.broker.notify(alice, name, 1)
    relay.broker.acknowledge(alice, 0, 1)
    for (const name of ['g', 'h']) relay.broker.setPolicy(name, { maxConsumables: 0, overflow: 'reject' })
    relay.said()
    relay.produce(alice, 'b', { g: 1, h: 1 })
    for (const name of ['g', 'h']) relay.broker.notify(alice, name, 1)
    relay.produce(alice, 'c', { g: 1, h: 1 })
    expect(relay.heard('accepted', 'rejected', 'alice gets')).toEqual([
      'rejected 1 QUEUE_FULL',
      'accepted 2 (1 1)',
      'alice gets c of g #2',
      'alice gets c of h #3',
    ])
    checkInvariants(relay.broker)
  })

  test('may make a group one that keeps nothing: what waits is taken as soon as a member has room for all its copies', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g', { inboxBytes: 100 })
    relay.broker.setPolicy('g', { maxConsumables: 0 })
    relay.broker.notify(alice, 'g', 2)
    relay.produce(alice, 'a', { g: 2 }, 60)
    expect(relay.heard('alice gets')).toEqual([])
    relay.broker.setWindow(alice, 200)
    expect(relay.heard('alice gets')).toHaveLength(2)
  })

  test('holds for a group that is used later, and again after everybody has left', () => {
    const relay = new TestBroker()
    relay.broker.setPolicy('g', { maxCount: 1 })
    const alice = relay.join('alice', 'g')
    expect(codeOf(() => relay.join('bob', 'g'))).toBe('GROUP_FULL')
    relay.broker.leave(alice, 'lost')
    relay.join('bob', 'g')
    expect(codeOf(() => relay.join('carol', 'g'))).toBe('GROUP_FULL')
    checkInvariants(relay.broker)
  })

  test('bounds the dead letters to come, and drops none that are there', () => {
    const relay = new TestBroker({ attemptsMax: 1 })
    const alice = relay.join('alice', 'g')
    relay.broker.notify(alice, 'g', 4)
    const die = (names: string): void => {
      relay.produce(alice, names, 'g')
      const last = alice.leases.next - 1
      relay.broker.release(alice, last - names.split(' ').length + 1, last, { attemptCounted: true })
    }
    die('a b')
    relay.broker.setPolicy('g', { deadBytesMax: 1 })
    expect(relay.heard('event objectDropped')).toEqual([])
    die('c d')
    expect(relay.heard('event objectDropped')).toEqual([
      'event objectDropped g.dead produce dead-overflow 1',
      'event objectDropped g.dead produce dead-overflow 1',
    ])
    checkInvariants(relay.broker)
  })

  test('is refused if it is none, or is for dead letters, and nothing has changed', () => {
    const { relay, tellings } = told()
    expect(codeOf(() => relay.broker.setPolicy('g', { maxCount: Number.NaN }))).toBe('INVALID_OPTION')
    expect(codeOf(() => relay.broker.setPolicy('g.dead', { maxCount: 1 }))).toBe('INVALID_ARGUMENT')
    expect([groupsOf(relay), tellings]).toEqual([[], []])
  })
})
