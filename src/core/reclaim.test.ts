import { describe, expect, test } from 'vitest'
import { codeOf, TestBroker, type TestPayload, type TestSession } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'
import { reclaimedLeaseMin } from './reclaim.ts'

const first = reclaimedLeaseMin

/** A relay that was restarted while "worker" had these objects of g on lease. */
function restarted(names: string, limits = {}): { relay: TestBroker; payloads: TestPayload[] } {
  const relay = new TestBroker({ sessionGraceMs: 100, ...limits })
  const payloads = names.split(' ').map((name) => ({ name, bytes: 10, objects: 1 }))
  for (const [order, payload] of payloads.entries()) {
    relay.broker.restore({
      payload,
      kind: 'produce',
      group: 'g',
      groupIndex: 0,
      order,
      attempt: 1,
      copies: 1,
      session: 'worker',
      isSeen: true,
      deadLetter: undefined,
    })
  }
  relay.broker.restored(0)
  return { relay, payloads }
}

function claim(relay: TestBroker, worker: TestSession, payload: TestPayload | undefined, number: number): boolean {
  if (payload === undefined) throw new Error('there is no such payload')
  return relay.broker.reclaim(worker, payload, 'g', 1, number)
}

function others(relay: TestBroker): string[] {
  const other = relay.join('other', 'g')
  relay.broker.notify(other, 'g', 10)
  return relay.heard('other gets')
}

describe('a session that comes back after a restart', () => {
  test('keeps what it claims, and gives the park back without an attempt counted', () => {
    const { relay, payloads } = restarted('a b c d')
    expect(relay.broker.isAbsent('worker')).toBe(true)
    const worker = relay.join('worker', 'g')
    expect(relay.broker.isAbsent('worker')).toBe(true)
    expect(claim(relay, worker, payloads[2], first + 5)).toBe(true)
    expect(claim(relay, worker, payloads[2], first + 6)).toBe(false)
    expect(claim(relay, worker, payloads[0], first + 9)).toBe(true)
    relay.broker.endReclaim(worker)
    expect(relay.broker.isAbsent('worker')).toBe(false)
    expect(claim(relay, worker, payloads[1], first + 10)).toBe(false)
    expect(others(relay)).toEqual(['other gets b of g #0', 'other gets d of g #1'])
    expect(relay.broker.stats().sessions.map(({ id, leased }) => [id, leased])).toEqual([
      ['worker', 2],
      ['other', 2],
    ])
    checkInvariants(relay.broker)
    relay.broker.acknowledge(worker, first, Number.MAX_SAFE_INTEGER)
    expect(relay.said()).toEqual(['released c', 'released a'])
    checkInvariants(relay.broker)
  })

  test('may release what it claimed, and speak of what it did not get', () => {
    const { relay, payloads } = restarted('a b')
    const worker = relay.join('worker', 'g')
    for (const [index, payload] of payloads.entries()) claim(relay, worker, payload, first + index)
    relay.broker.release(worker, first + 1, first + 1, { attemptCounted: true, retryDelayMs: 0 })
    relay.broker.acknowledge(worker, first + 1, first + 1)
    relay.broker.release(worker, first + 77, first + 99, { attemptCounted: true })
    expect(others(relay)).toEqual(['other gets b of g #0 attempt 2'])
  })

  test('is refused numbers that are none, or taken, or a range that is none', () => {
    const { relay, payloads } = restarted('a b')
    const worker = relay.join('worker', 'g')
    claim(relay, worker, payloads[0], first)
    for (const number of [first - 1, 0, -1, 1.5, Number.NaN, Number.MAX_SAFE_INTEGER + 1, first]) {
      expect(codeOf(() => claim(relay, worker, payloads[1], number))).toBe('PROTOCOL_VIOLATION')
    }
    for (const [from, to] of [
      [first - 1, first],
      [first + 1, first],
      [first, Number.POSITIVE_INFINITY],
      [first, first + 0.5],
    ] as const) {
      expect(codeOf(() => relay.broker.acknowledge(worker, from, to))).toBe('PROTOCOL_VIOLATION')
    }
    expect(relay.broker.stats().sessions[0]?.leased).toBe(1)
  })

  test('counts what it claimed when work is shared out', () => {
    const { relay, payloads } = restarted('a b')
    const [worker, other] = [relay.join('worker', 'g'), relay.join('other', 'g')]
    for (const member of [worker, other]) relay.broker.notify(member, 'g', 5)
    claim(relay, worker, payloads[0], first)
    relay.produce(other, 'c', 'g')
    expect(relay.heard('worker gets', 'other gets')).toEqual(['other gets c of g #0'])
    checkInvariants(relay.broker)
  })

  test('keeps what it claims of a group that it is no member of any more', () => {
    const { relay, payloads } = restarted('a b')
    const worker = relay.join('worker', 'h')
    claim(relay, worker, payloads[0], first)
    claim(relay, worker, payloads[1], first + 1)
    checkInvariants(relay.broker)
    relay.broker.acknowledge(worker, first, first + 1)
    expect(relay.broker.stats().groups.map(({ name }) => name)).toEqual(['h'])
    checkInvariants(relay.broker)
  })

  test('gives everything back when it is over, claimed or not', () => {
    const { relay, payloads } = restarted('a b c')
    const worker = relay.join('worker', 'g')
    claim(relay, worker, payloads[1], first)
    relay.broker.leave(worker, 'lost')
    expect(relay.broker.isAbsent('worker')).toBe(false)
    expect(others(relay)).toEqual([
      'other gets a of g #0 attempt 2',
      'other gets b of g #1 attempt 2',
      'other gets c of g #2 attempt 2',
    ])
  })

  test('may claim the park after it has begun anew', () => {
    const { relay, payloads } = restarted('a b')
    const worker = relay.join('worker', 'g')
    claim(relay, worker, payloads[0], first)
    relay.broker.leave(worker, 'lost', { absentFromMs: 500 })
    expect(relay.broker.isAbsent('worker')).toBe(true)
    expect(relay.broker.nextDeadlineMs()).toBe(600)
    const again = relay.join('worker', 'g')
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
    expect(claim(relay, again, payloads[0], first)).toBe(false)
    expect(claim(relay, again, payloads[1], first)).toBe(true)
    checkInvariants(relay.broker)
  })

  test('has no grace time any more while it is there, but the progress deadline', () => {
    const { relay } = restarted('a b', { progressMs: 1_000 })
    const worker = relay.join('worker', 'g')
    relay.broker.advance(500)
    expect(relay.broker.isAbsent('worker')).toBe(true)
    for (const nowMs of [1_000, 2_000, 3_000]) relay.broker.advance(nowMs)
    expect(relay.heard('event')).toEqual(['event leasesRevoked worker 2'])
    expect(relay.broker.isAbsent('worker')).toBe(false)
    expect(worker.hung).toBe(true)
    checkInvariants(relay.broker)
  })

  test('loses what it claimed when its program makes no progress', () => {
    const { relay, payloads } = restarted('a b', { progressMs: 1_000 })
    const worker = relay.join('worker', 'g')
    claim(relay, worker, payloads[0], first)
    relay.broker.endReclaim(worker)
    for (const nowMs of [1_000, 2_000, 3_000]) relay.broker.advance(nowMs)
    expect(relay.heard('event')).toEqual(['event leasesRevoked worker 1'])
    relay.broker.acknowledge(worker, first, first)
    expect(relay.said()).toEqual([])
    checkInvariants(relay.broker)
  })
})

describe('a session that does not come back after a restart', () => {
  test('is no member, is not listed, and loses its leases with an attempt counted after its grace time', () => {
    const relay = restarted('a').relay
    const [alice, bob] = [relay.join('alice', 'g'), relay.join('bob', 'g')]
    relay.produce(alice, 'b', 'g')
    expect(relay.said()).toEqual(['accepted 0 (2)'])
    expect(relay.broker.stats().sessions.map(({ id }) => id)).toEqual(['alice', 'bob'])
    relay.broker.notify(bob, 'g', 2)
    relay.broker.advance(99)
    expect(relay.said()).toEqual(['bob gets b of g #0'])
    relay.broker.advance(100)
    relay.broker.advance(1_000)
    expect(relay.said()).toEqual(['bob gets a of g #1 attempt 2'])
    expect(relay.broker.isAbsent('worker')).toBe(false)
    expect(relay.broker.stats().counts.expired).toBe(0)
    checkInvariants(relay.broker)
  })
})
