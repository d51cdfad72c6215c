import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'
import { ObjectRelayError } from '../errors.ts'

describe('a session', () => {
  test('keeps its leases and its credit while it is detached, and is given nothing', () => {
    const relay = new TestBroker({ sessionGraceMs: 1000 })
    const alice = relay.join('alice', 'g')
    relay.broker.notify(alice, 'g', 3)
    relay.produce(alice, 'a', 'g')
    relay.broker.detach(alice, 50)
    relay.produce(alice, 'b', 'g')
    relay.broadcast(alice, 'news', 'g')
    relay.broker.acknowledge(alice, 0, 0)
    expect(relay.heard('alice gets')).toEqual(['alice gets a of g #0'])
    expect(relay.broker.nextDeadlineMs()).toBe(1050)
    relay.broker.advance(1049)
    relay.broker.attach(alice)
    expect(relay.said()).toEqual(['alice gets news of g', 'alice gets b of g #1'])
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
    checkInvariants(relay.broker)
  })

  test('is over when its grace time is', () => {
    const relay = new TestBroker({ sessionGraceMs: 1000 })
    const [alice, bob] = [relay.join('alice', 'g'), relay.join('bob', 'g')]
    relay.broker.notify(alice, 'g', 1)
    relay.produce(alice, 'a', 'g')
    relay.broker.seen(alice, 0, 0)
    relay.broker.notify(bob, 'g', 1)
    relay.broker.detach(alice, 0)
    relay.said()
    relay.broker.advance(1000)
    expect(relay.said()).toEqual(['event sessionExpired alice', 'bob gets a of g #0 attempt 2'])
    expect(codeOf(() => relay.broker.attach(alice))).toBe('SESSION_LOST')
    expect(codeOf(() => relay.produce(alice, 'b', 'g'))).toBe('SESSION_LOST')
    expect(relay.broker.stats().sessions.map(({ id }) => id)).toEqual(['bob'])
    checkInvariants(relay.broker)
  })

  test('gives back what it has without an attempt counted when it takes its leave', () => {
    const relay = new TestBroker({ attemptsMax: 1 })
    const [alice, bob] = [relay.join('alice', 'g'), relay.join('bob', 'g')]
    relay.broker.notify(alice, 'g', 2)
    relay.produce(bob, 'a', 'g')
    // Alice has credit left, and so gets it again.
    relay.broker.release(alice, 0, 0, { attemptCounted: false })
    relay.broker.notify(bob, 'g', 1)
    relay.said()
    relay.broker.leave(alice, 'released', { attemptCounted: false })
    expect(relay.said()).toEqual(['bob gets a of g #0'])
    checkInvariants(relay.broker)
  })

  test('joins all of its groups or none', () => {
    const relay = new TestBroker({ groupsPerEndpointMax: 2 }, { g: { maxCount: 1 }, h: {} })
    relay.join('alice', ['g', 'g'])
    expect(codeOf(() => relay.join('bob', ['h', 'g']))).toBe('GROUP_FULL')
    expect(codeOf(() => relay.join('bob', ['h', 'i']))).toBe('GROUP_NOT_ACCEPTED')
    expect(codeOf(() => relay.join('bob', ['g', 'i']))).toBe('GROUP_NOT_ACCEPTED')
    expect(codeOf(() => relay.join('bob', ['h', '']))).toBe('INVALID_ARGUMENT')
    expect(codeOf(() => relay.join('bob', ['h', 'g', 'g.dead']))).toBe('INVALID_ARGUMENT')
    expect(codeOf(() => relay.join('bob', ['h'], { inboxBytes: 0 }))).toBe('INVALID_ARGUMENT')
    expect(codeOf(() => relay.join('alice', ['h']))).toBe('INVALID_ARGUMENT')
    expect(relay.broker.stats().groups.map(({ name }) => name)).toEqual(['g'])
    expect([...relay.join('bob', ['g.dead', 'h']).memberships.keys()]).toEqual(['g.dead', 'h'])
    checkInvariants(relay.broker)
  })

  test('is told, when a group is full, how long members that are away hold the place at most', () => {
    const relay = new TestBroker({ sessionGraceMs: 100 }, { g: { maxCount: 2 }, h: { maxCount: 1 } })
    const [alice, bob] = [relay.join('alice', 'g'), relay.join('bob', ['g', 'h'])]
    const refusal = (nowMs: number, ...groups: string[]) => {
      try {
        relay.join('carol', groups, { nowMs })
      } catch (error) {
        return error instanceof ObjectRelayError ? error.details : error
      }
      return undefined
    }
    expect(refusal(0, 'g')).toEqual({ group: 'g' })
    relay.broker.detach(alice, 10)
    relay.broker.detach(bob, 50.5)
    expect(refusal(20, 'g')).toEqual({ group: 'g', retryAfterMs: 90 })
    expect(refusal(60, 'h')).toEqual({ group: 'h', retryAfterMs: 91 })
    relay.broker.attach(alice)
    expect(refusal(60, 'g')).toEqual({ group: 'g', retryAfterMs: 91 })
    relay.broker.attach(bob)
    expect(refusal(60, 'g')).toEqual({ group: 'g' })
    relay.broker.detach(bob, 70)
    relay.broker.advance(170)
    expect(refusal(170, 'g', 'h')).toBeUndefined()
  })

  test('has a window that never falls', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', 'g', { inboxBytes: 100 })
    for (const limit of [99, 100.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(codeOf(() => relay.broker.setWindow(alice, limit))).toBe('PROTOCOL_VIOLATION')
    }
    relay.broker.setWindow(alice, 100)
  })

  test('is seen in the statistics', () => {
    const relay = new TestBroker()
    const alice = relay.join('alice', ['g', 'h'])
    relay.broker.notify(alice, 'g', 3)
    relay.produce(alice, 'a b', 'g')
    relay.broker.acknowledge(alice, 0, 0)
    const { groups, sessions, keptBytes, counts } = relay.broker.stats()
    expect(groups[0]).toMatchObject({
      name: 'g',
      members: 1,
      waiting: 0,
      leased: 1,
      leasedBytes: 10,
      demand: 1,
      accepted: 2,
    })
    expect(sessions[0]).toMatchObject({
      id: 'alice',
      state: 'attached',
      groups: ['g', 'h'],
      leased: 1,
      demand: 1,
      sentBytes: 20,
    })
    expect(keptBytes).toBe(10)
    expect(counts).toMatchObject({ accepted: 2, delivered: 2, acknowledged: 1, dropped: 0 })
  })
})
