import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker, type TestSession } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

const failed = { attemptCounted: true, failure: { reason: 'failed', error: { message: 'no database' } } } as const

function joined(limits = {}, acceptedGroups: ConstructorParameters<typeof TestBroker>[1] = null) {
  const relay = new TestBroker({ retryDelayMs: 1000, ...limits }, acceptedGroups)
  const alice = relay.join('alice', ['g', 'g.dead'])
  const bob = relay.join('bob', ['g', 'g.dead'])
  return { relay, alice, bob }
}

/** Fails what the session has on lease under this number, at this time. */
function fail(relay: TestBroker, session: TestSession, number: number, nowMs: number, terms = {}): void {
  relay.broker.release(session, number, number, { ...failed, ...terms }, nowMs)
}

describe('an object whose attempt failed', () => {
  test('waits, twice as long each time and never longer than the bound, while others overtake it', () => {
    const { relay, alice } = joined({ attemptsMax: 4, retryDelayMaxMs: 3000 })
    relay.produce(alice, 'a b', 'g')
    relay.broker.notify(alice, 'g', 9)
    expect(relay.heard('alice gets')).toEqual(['alice gets a of g #0', 'alice gets b of g #1'])
    let nowMs = 5000
    for (const [index, delayMs] of [1000, 2000, 3000].entries()) {
      fail(relay, alice, index === 0 ? 0 : index + 1, nowMs)
      expect(relay.heard('alice gets')).toEqual([])
      expect(relay.broker.nextDeadlineMs()).toBe(nowMs + delayMs)
      relay.broker.advance(nowMs + delayMs - 1)
      expect(relay.heard('alice gets')).toEqual([])
      nowMs += delayMs
      relay.broker.advance(nowMs)
      expect(relay.heard('alice gets')).toEqual([`alice gets a of g #${index + 2} attempt ${index + 2}`])
      checkInvariants(relay.broker)
    }
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
  })

  test('waits as long as its group, or its program, says', () => {
    const { relay, alice } = joined({}, { g: { retryDelayMs: 50 } })
    relay.produce(alice, 'a b', 'g')
    relay.broker.notify(alice, 'g', 2)
    fail(relay, alice, 0, 100)
    expect(relay.broker.nextDeadlineMs()).toBe(150)
    fail(relay, alice, 1, 100, { retryDelayMs: 7 })
    expect(relay.broker.nextDeadlineMs()).toBe(107)
    relay.broker.advance(150)
    expect(relay.broker.stats().groups[0]).toMatchObject({ waiting: 2, retrying: 0 })
  })

  test('goes to another member than the one where it failed, if one has asked', () => {
    const { relay, alice, bob } = joined()
    relay.produce(alice, 'a', 'g')
    relay.broker.notify(alice, 'g', 5)
    relay.broker.notify(bob, 'g', 1)
    fail(relay, alice, 0, 0)
    relay.said()
    // Alice asked before, and has as few.
    relay.broker.advance(1000)
    expect(relay.said()).toEqual(['bob gets a of g #0 attempt 2'])
    fail(relay, bob, 0, 1000)
    relay.broker.advance(3000)
    expect(relay.heard('alice gets')).toEqual(['alice gets a of g #1 attempt 3'])
    fail(relay, alice, 1, 3000)
    relay.broker.leave(bob, 'released', { attemptCounted: false })
    relay.broker.advance(7000)
    expect(relay.heard('alice gets')).toEqual(['alice gets a of g #2 attempt 4'])
    checkInvariants(relay.broker)
  })

  test('is not in the way of others where nothing may wait', () => {
    const { relay, alice, bob } = joined({}, { g: { maxConsumables: 0 } })
    relay.broker.notify(bob, 'g', 2)
    relay.produce(alice, 'a', 'g')
    fail(relay, bob, 0, 0)
    relay.produce(alice, 'b', 'g')
    expect(relay.heard('bob gets', 'blocked')).toEqual(['bob gets a of g #0', 'bob gets b of g #1'])
  })

  test('is dropped like any other when it is the oldest, and asked for by nobody', () => {
    const { relay, alice } = joined({}, { g: { maxConsumables: 1, overflow: 'drop-oldest' } })
    relay.produce(alice, 'a', 'g')
    relay.broker.notify(alice, 'g', 1)
    fail(relay, alice, 0, 0)
    expect(relay.broker.notify(alice, 'g', -1)).toBe(0)
    relay.said()
    relay.produce(alice, 'b', 'g')
    expect(relay.heard('released', 'event')).toEqual(['released a', 'event objectDropped g produce overflow 1'])
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
    checkInvariants(relay.broker)
  })

  test('is given up with its sender while it is not whole', () => {
    const { relay, alice } = joined()
    const producer = relay.join('producer')
    relay.broker.notify(alice, 'g', 1)
    relay.begin(producer, 'large', 'produce', 'g')
    fail(relay, alice, 0, 0)
    relay.broker.leave(producer, 'lost')
    expect(relay.heard('released')).toEqual(['released large'])
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
    checkInvariants(relay.broker)
  })
})

describe('an attempt', () => {
  test('is counted for what a program has seen when it vanishes, and for nothing else that it was given', () => {
    const { relay, alice, bob } = joined({ attemptsMax: 5 })
    const names = Array.from({ length: 1000 }, (_, index) => `n${index}`).join(' ')
    relay.produceRun(relay.join('producer'), names, 'g')
    let worker = alice
    for (let crash = 1; crash <= 5; crash++) {
      relay.broker.notify(worker, 'g', 1000)
      relay.broker.seen(worker, 0, 0)
      relay.said()
      relay.broker.leave(worker, 'lost')
      expect(relay.heard('event')).toEqual(crash < 5 ? [] : ['event objectDead g 5 lost at w4'])
      worker = relay.join(`w${crash}`, 'g')
    }
    relay.broker.notify(bob, 'g', 1000)
    expect(relay.heard('bob gets n1 ')).toEqual(['bob gets n1 of g #0'])
    expect(relay.broker.stats().groups).toMatchObject([{ leased: 999 }, { name: 'g.dead', waiting: 1 }])
    checkInvariants(relay.broker)
  })

  test('may be told of what is settled already, and not of what was not delivered or is not whole', () => {
    const { relay, alice } = joined()
    relay.produce(alice, 'a b', 'g')
    relay.broker.notify(alice, 'g', 3)
    relay.broker.acknowledge(alice, 0, 0)
    relay.broker.seen(alice, 0, 1)
    relay.broker.seen(alice, 0, 1)
    relay.begin(relay.join('producer'), 'large', 'produce', 'g')
    for (const [from, to] of [
      [2, 2],
      [0, 2],
      [3, 3],
      [1, 0],
      [-1, 0],
      [0, 0.5],
      [0, Number.NaN],
    ] as const) {
      expect(codeOf(() => relay.broker.seen(alice, from, to))).toBe('PROTOCOL_VIOLATION')
    }
    // Nothing of a range that is refused is believed.
    expect(alice.leases.isSeen(2)).toBe(false)
    relay.broker.seen(alice, 2 ** 48, Number.MAX_SAFE_INTEGER)
  })

  test('is told of at no cost, however many numbers lie between the leases that there are', () => {
    const { relay, alice } = joined()
    relay.broker.notify(alice, 'g', 1_000_000)
    relay.produce(alice, 'first', 'g')
    for (let index = 0; index < 3000; index++) {
      relay.produce(alice, `n${index}`, 'g')
      relay.broker.acknowledge(alice, index + 1, index + 1)
    }
    relay.broker.seen(alice, 0, 3000)
    expect(alice.leases.isSeen(0)).toBe(true)
  })

  test('cuts what was seen out of a run, and what follows stays as it was', () => {
    const { relay, alice, bob } = joined()
    relay.broker.notify(alice, 'g', 6)
    relay.produceRun(relay.join('producer'), 'a b c d e f', 'g')
    relay.broker.seen(alice, 2, 3)
    checkInvariants(relay.broker)
    relay.broker.leave(alice, 'lost')
    relay.said()
    relay.broker.notify(bob, 'g', 6)
    expect(relay.said()).toEqual([
      'bob gets a of g #0',
      'bob gets b of g #1',
      'bob gets c of g #2 attempt 2',
      'bob gets d of g #3 attempt 2',
      'bob gets e of g #4',
      'bob gets f of g #5',
    ])
  })

  test('is the last one if it is final', () => {
    const { relay, alice } = joined()
    relay.produce(alice, 'a', 'g')
    relay.broker.notify(alice, 'g', 1)
    fail(relay, alice, 0, 0, { isFinal: true })
    expect(relay.heard('event')).toEqual(['event objectDead g 1 failed at alice'])
  })
})
