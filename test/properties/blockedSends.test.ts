import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TestBroker, type TestSession } from './brokerHarness.ts'
import { checkInvariants } from './brokerInvariants.ts'

const RELAY_BYTES = 64

/** Whoever sends, and whoever takes: all that comes in is on lease at once, and stays until it is acknowledged. */
class Market {
  readonly relay: TestBroker
  readonly senders: TestSession[]
  readonly taker: TestSession
  /** Lease numbers, the oldest first, with the moment of their delivery. */
  readonly leases: { number: number; bytes: number; isOld: boolean }[] = []
  private large: TestSession | undefined
  private taken = 0
  private sent = 0

  constructor(groups: readonly string[]) {
    this.relay = new TestBroker({ relayBytesMax: RELAY_BYTES, groupBytesMax: RELAY_BYTES })
    this.senders = Array.from({ length: 5 }, (_, index) => this.relay.join(`sender ${index}`))
    this.taker = this.relay.join('taker', [...groups], { inboxBytes: 1_000_000_000 })
    for (const group of groups) this.relay.broker.notify(this.taker, group, 1_000_000)
  }

  /** Returns whether it got in at once. */
  send(who: number, group: string, bytes: number): boolean {
    const sender = this.senders[who % this.senders.length]
    if (sender === undefined) throw new Error('There are senders.')
    // One that waits already would only make its own queue longer.
    if (sender.blockedSends.size > 0) return false
    this.relay.produce(sender, `o${this.sent++}`, group, bytes)
    this.take()
    return sender.blockedSends.size === 0
  }

  private take(): void {
    for (const { payload, leaseNumber } of this.relay.deliveries.slice(this.taken))
      this.leases.push({ number: leaseNumber, bytes: payload.bytes, isOld: false })
    this.taken = this.relay.deliveries.length
  }

  finish(index: number): void {
    const [lease] = this.leases.splice(index, 1)
    if (lease === undefined) return
    this.relay.broker.acknowledge(this.taker, lease.number, lease.number)
    this.take()
  }

  sendLarge(destination: Record<string, number>, bytes: number): void {
    this.large = this.relay.join('large')
    this.relay.produce(this.large, 'large', destination, bytes)
    this.take()
  }

  /** From now on, what is there was there before. */
  growOld(): void {
    for (const lease of this.leases) lease.isOld = true
  }

  get isLargeIn(): boolean {
    return this.large?.blockedSends.size === 0
  }

  get isAnybodyElseHeld(): boolean {
    return this.senders.some(({ blockedSends }) => blockedSends.size > 0)
  }

  get oldBytes(): number {
    return this.leases.reduce((sum, { isOld, bytes }) => sum + (isOld ? bytes : 0), 0)
  }

  get youngBytes(): number {
    return this.leases.reduce((sum, { isOld, bytes }) => sum + (isOld ? 0 : bytes), 0)
  }
}

type Step = { who: number; group: string; bytes: number; which: number }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    who: fc.nat(3),
    group: fc.constantFrom('a', 'b', 'c', 'd'),
    bytes: fc.integer({ min: 1, max: 12 }),
    which: fc.nat(100),
  }),
  { minLength: 20, maxLength: 150, size: 'max' },
)

/** All room is taken before the large object comes; then others come and go. */
function begin(bytes: number, destination: Record<string, number>, course: readonly Step[]): Market {
  const market = new Market(['a', 'b', 'c', 'd', 'big'])
  for (const { group, bytes: small } of course)
    if (market.youngBytes + small <= RELAY_BYTES) market.send(0, group, small)
  market.send(0, 'c', RELAY_BYTES - market.youngBytes)
  market.growOld()
  market.sendLarge(destination, bytes)
  return market
}

/** All that there is now goes, and after each of it comes as much as gets in. */
function goOn(market: Market): void {
  market.growOld()
  while (market.oldBytes > 0) {
    market.finish(market.leases.findIndex(({ isOld }) => isOld))
    for (let who = 1; who <= 4; who++) market.send(who, who % 2 === 0 ? 'a' : 'd', who)
    checkInvariants(market.relay.broker)
  }
}

const sizes = fc.integer({ min: 5, max: RELAY_BYTES })

describe('a large object that waits for room', () => {
  test('in the relay keeps out only what would delay it, and gets in when all that was there before it is gone', () => {
    fc.assert(
      fc.property(sizes, steps, (bytes, course) => {
        const market = begin(bytes, { big: 1 }, course)
        const share = Math.max(RELAY_BYTES - bytes, RELAY_BYTES / 16)
        for (const { who, group, bytes: small, which } of course) {
          if (market.isLargeIn) return
          const { oldBytes, youngBytes, isAnybodyElseHeld } = market
          const hasPassed = market.send(1 + who, group, small)
          const isInItsWay = youngBytes + small > share
          if (hasPassed) expect(isInItsWay).toBe(false)
          else if (!isAnybodyElseHeld) expect(isInItsWay || oldBytes + youngBytes + small > RELAY_BYTES).toBe(true)
          // What came after it goes sooner than what was before.
          const young = market.leases.findIndex(({ isOld }) => !isOld)
          market.finish(young >= 0 && which % 4 > 0 ? young : which % Math.max(1, market.leases.length))
          checkInvariants(market.relay.broker)
        }
        while (market.oldBytes > 0) market.finish(market.leases.findIndex(({ isOld }) => isOld))
        // It may still wait for what took the little that is free even beside an object that needs nearly all.
        while (market.youngBytes > RELAY_BYTES - bytes) market.finish(0)
        expect(market.isLargeIn).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  for (const destination of [{ big: 1 }, { a: 1 }, { a: 2, big: 1 }, { a: 1, big: 1, d: 1 }]) {
    const bounds = Object.keys(destination).length + 1
    const copies = Math.max(...Object.values(destination))
    test(`for ${Object.keys(destination)} gets in after all has gone as often as it may lack room in another place, however much comes`, () => {
      fc.assert(
        fc.property(sizes, steps, (bytes, course) => {
          const market = begin(Math.floor(bytes / copies), destination, course)
          for (let round = 0; round <= bounds && !market.isLargeIn; round++) goOn(market)
          expect(market.isLargeIn).toBe(true)
        }),
        { numRuns: 100 },
      )
    })
  }
})
