import { describe, expect, test } from 'vitest'
import { nameOf, TestBroker, type TestSession } from '../../test/properties/brokerHarness.ts'
import { checkInvariants } from '../../test/properties/brokerInvariants.ts'

const error = { name: 'TypeError', message: 'x is not a function', code: 'E_X', stack: 'at y' }
const final = { attemptCounted: true, isFinal: true, failure: { reason: 'failed', error } } as const

function joined(limits = {}, acceptedGroups: ConstructorParameters<typeof TestBroker>[1] = null) {
  const relay = new TestBroker({ retryDelayMs: 1000, ...limits }, acceptedGroups)
  const worker = relay.join('worker', ['g', 'h'], { name: 'host-3:4711' })
  const reader = relay.join('reader', ['g.dead', 'h.dead'])
  return { relay, worker, reader }
}

/** Objects that die at once. */
function die(relay: TestBroker, worker: TestSession, names: string, bytes = 10, group = 'g'): void {
  for (const name of names.split(' ')) {
    relay.produce(worker, name, group, bytes)
    relay.broker.notify(worker, group, 1)
    const number = worker.leases.next - 1
    relay.broker.release(worker, number, number, final)
  }
}

function waitingIn(relay: TestBroker, group: string): string[] {
  return [...relay.broker.places()].filter((place) => place.group === group).map(({ payload }) => nameOf(payload))
}

describe('a dead letter', () => {
  test('says how it died: why, when, where, after how many attempts', () => {
    const { relay, worker, reader } = joined()
    die(relay, worker, 'a')
    relay.broker.notify(reader, 'g.dead', 1)
    expect(relay.deliveries.at(-1)).toMatchObject({
      group: 'g.dead',
      attempt: 1,
      deadLetter: {
        reason: 'failed',
        attempts: 1,
        endpoint: 'worker',
        name: 'host-3:4711',
        diedAtMs: 1_700_000_000_000,
        error,
      },
    })
  })

  test.each([
    ['lost', (relay: TestBroker, worker: TestSession) => relay.broker.leave(worker, 'lost')],
    ['violation', (relay: TestBroker, worker: TestSession) => relay.broker.leave(worker, 'violation')],
    [
      'progress',
      (relay: TestBroker) => {
        for (const nowMs of [100, 200]) relay.broker.advance(nowMs)
      },
    ],
  ] as const)('says that its endpoint was to blame: %s', (reason, end) => {
    const { relay, worker } = joined({ attemptsMax: 1, progressMs: 100 })
    relay.produce(worker, 'a', 'g')
    relay.broker.notify(worker, 'g', 1)
    relay.broker.seen(worker, 0, 0)
    end(relay, worker)
    expect([...relay.broker.places()][0]?.deadLetter).toMatchObject({ reason, attempts: 1, endpoint: 'worker' })
    expect([...relay.broker.places()][0]?.deadLetter).not.toHaveProperty('error')
  })

  test('takes no room from anybody: unread ones never keep good objects out', () => {
    const { relay, worker } = joined({ relayBytesMax: 1000, groupBytesMax: 1000 })
    for (let index = 0; index < 20; index++) die(relay, worker, `d${index}`, 200)
    relay.said()
    relay.produce(worker, 'a b c d e', 'h', 200)
    expect(relay.heard('accepted', 'blocked')).toHaveLength(5)
    expect(relay.broker.stats().keptBytes).toBe(1000)
    checkInvariants(relay.broker)
  })

  test('counts again in no queue that its other copies are in', () => {
    const { relay, worker, reader } = joined({ attemptsMax: 1 })
    relay.produce(worker, 'a', { g: 2 }, 100)
    relay.broker.notify(worker, 'g', 2)
    relay.broker.release(worker, 0, 0, final)
    expect(relay.broker.stats().keptBytes).toBe(100)
    checkInvariants(relay.broker)
    relay.broker.acknowledge(worker, 1, 1)
    expect(relay.broker.stats().keptBytes).toBe(0)
    expect(relay.heard('released')).toEqual([])
    relay.broker.notify(reader, 'g.dead', 1)
    relay.broker.acknowledge(reader, 0, 0)
    expect(relay.heard('released')).toEqual(['released a'])
    checkInvariants(relay.broker)
  })

  test('makes room for newer ones of its group, and the newest is kept even if it is large', () => {
    const { relay, worker } = joined({}, { g: { deadBytesMax: 400 }, h: {} })
    die(relay, worker, 'a b c')
    expect(waitingIn(relay, 'g.dead')).toEqual(['b', 'c'])
    die(relay, worker, 'large', 5000)
    expect(waitingIn(relay, 'g.dead')).toEqual(['large'])
    expect(relay.heard('event objectDropped')).toEqual(
      Array.from({ length: 3 }, () => 'event objectDropped g.dead produce dead-overflow 1'),
    )
    checkInvariants(relay.broker)
  })

  test('makes room for those of all groups if its group has most of them', () => {
    const { relay, worker } = joined({ relayBytesMax: 1000, groupBytesMax: 1000 })
    die(relay, worker, 'quiet', 10, 'h')
    for (let index = 0; index < 9; index++) die(relay, worker, `n${index}`, 100)
    expect(waitingIn(relay, 'h.dead')).toEqual(['quiet'])
    expect(waitingIn(relay, 'g.dead')).toEqual(['n7', 'n8', 'n6'].toSorted())
    checkInvariants(relay.broker)
  })

  test('that its reader cannot take is tried some times, and then rests until another reader comes', () => {
    const { relay, worker, reader } = joined({ attemptsMax: 3 })
    die(relay, worker, 'a')
    relay.broker.notify(reader, 'g.dead', 100)
    relay.said()
    for (const [index, nowMs] of [0, 1000, 3000].entries()) {
      relay.broker.release(reader, index, index, { attemptCounted: true }, nowMs)
      expect(relay.heard('reader gets')).toEqual([])
      relay.broker.advance(nowMs + 2 ** index * 1000)
      const again = [`reader gets a of g.dead #${index + 1} attempt ${index + 2}`]
      expect(relay.heard('reader gets')).toEqual(index < 2 ? again : [])
    }
    expect(relay.broker.nextDeadlineMs()).toBe(undefined)
    expect(relay.broker.notify(reader, 'g.dead', -1)).toBe(0)
    checkInvariants(relay.broker)
    die(relay, worker, 'b')
    expect(relay.heard('reader gets')).toEqual(['reader gets b of g.dead #3'])
    const other = relay.join('other', 'g.dead')
    relay.broker.notify(other, 'g.dead', -1)
    expect(relay.said()).toEqual(['reader gets a of g.dead #4'])
    checkInvariants(relay.broker)
  })

  test('cannot be sent by anybody', () => {
    const { relay, worker } = joined()
    relay.produce(worker, 'a', 'g.dead')
    relay.produce(worker, 'b', { h: 1, 'g.dead': 1 })
    relay.broadcast(worker, 'c', 'g.dead')
    expect(relay.heard('rejected', 'accepted')).toEqual(
      [0, 1, 2].map((sequence) => `rejected ${sequence} GROUP_RESERVED`),
    )
    expect(relay.errors[0]?.message).toContain('g.dead')
    checkInvariants(relay.broker)
  })
})
