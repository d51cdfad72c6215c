import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ReleaseTerms } from '../../wire/controlFrames.ts'
import { encodeRoute, OBJECT_HEAD_BYTES, stampAttempt, stampSource, writeObjectHead } from '../../wire/objectHeader.ts'
import { LeaseAction } from '../records.ts'
import { LeaseLog, type LoggedLease } from './leaseLog.ts'

const route = encodeRoute({ kind: 'produce', groups: ['g'], copies: [1] })

function delivered({ source, sequence, attempt }: Pick<LoggedLease, 'source' | 'sequence' | 'attempt'>): Buffer {
  const frame = Buffer.alloc(3 + OBJECT_HEAD_BYTES + route.destinations.length)
  writeObjectHead(frame, 3, 0x20, route, sequence, 0)
  stampSource(frame, 3, source)
  stampAttempt(frame, 3, attempt)
  return frame
}

/** The same in simple words: what became of each lease, and with which frame. */
interface ModelLease {
  readonly entry: LoggedLease
  action: number | undefined
  terms: ReleaseTerms | undefined
  frame: number
  claimed: boolean
}

const { ACKNOWLEDGE, RELEASE, RELEASE_COUNTED, RELEASE_FINAL, DROP } = LeaseAction

/** What a release that counts may say. */
const terms: readonly ReleaseTerms[] = [
  { attemptCounted: true },
  { attemptCounted: true, retryDelayMs: 5 },
  { attemptCounted: true, isFinal: true, failure: { reason: 'failed' } },
]

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      count: fc.integer({ min: 1, max: 90 }),
      source: fc.integer({ min: 0, max: 0xffff_ffff }),
      sequence: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      attempt: fc.integer({ min: 1, max: 255 }),
      groupIndex: fc.integer({ min: 0, max: 254 }),
      isDead: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      action: fc.constantFrom(ACKNOWLEDGE, ACKNOWLEDGE, RELEASE, RELEASE_COUNTED, RELEASE_FINAL, DROP),
      terms: fc.constantFrom(...terms),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      count: fc.integer({ min: 1, max: 150 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('confirm' as const), behind: fc.integer({ min: 0, max: 4 }) }),
  },
)

class Model {
  readonly leaseLog: LeaseLog = new LeaseLog()
  readonly leases: ModelLease[] = []
  frames = 0
  confirmed = 0

  run(action: typeof step extends fc.Arbitrary<infer Step> ? Step : never): void {
    if (action.do === 'add') {
      for (let index = 0; index < action.count; index++) {
        const entry = { ...action, number: this.leases.length, sequence: Math.max(0, action.sequence - index) }
        this.leaseLog.add(delivered(entry), 3, entry.groupIndex, entry.isDead)
        const { number, source, sequence, attempt, groupIndex, isDead } = entry
        this.leases.push({
          entry: { number, source, sequence, groupIndex, attempt, isDead },
          ...{ action: undefined, terms: undefined, frame: 0, claimed: false },
        })
      }
    } else if (action.do === 'settle') {
      const from = Math.floor(action.from * this.leases.length)
      const to = Math.min(from + action.count, this.leases.length) - 1
      const counts = action.action === RELEASE_COUNTED || action.action === RELEASE_FINAL
      this.settle(action.action, from, to, counts ? action.terms : undefined)
    } else {
      this.confirmed = Math.max(this.confirmed, this.frames - action.behind)
      this.leaseLog.confirmed(this.confirmed)
    }
  }

  settle(action: number, from: number, to: number, how?: ReleaseTerms): void {
    this.frames++
    this.leaseLog.settle(action, from, to, this.frames, how)
    for (const lease of this.leases.slice(from, to + 1)) {
      if (lease.action === undefined) lease.terms = how
      lease.action ??= action === RELEASE_FINAL ? RELEASE_COUNTED : action
      lease.frame ||= this.frames
    }
  }

  /** The session is over; what is certain is forgotten. */
  restart(): void {
    this.leaseLog.restart(this.confirmed)
    for (const lease of this.leases) {
      const isCertain = lease.action !== undefined && lease.frame <= this.confirmed
      if (isCertain || lease.action === RELEASE) lease.action = DROP
    }
    this.frames = 0
    this.confirmed = 0
  }

  open(): LoggedLease[] {
    return this.leases.filter(({ action }) => action === undefined).map(({ entry }) => entry)
  }

  unreported(): unknown[] {
    const settled = [ACKNOWLEDGE, RELEASE_COUNTED] as readonly (number | undefined)[]
    return this.leases
      .filter(({ action }) => settled.includes(action))
      .map(({ entry, action, terms: how }) => ({ ...entry, action, terms: how }))
  }
}

describe('The log of the leases of a session', () => {
  it('knows what to claim and what to settle again, whatever was done in whatever order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const model = new Model()
        for (const action of steps) model.run(action)
        for (let session = 0; session < 2; session++) {
          model.restart()
          const last = model.leases.length - 1
          expect(model.leaseLog.claim(0, last)).toEqual(model.open())
          expect(model.leaseLog.claim(0, last)).toEqual([])
          expect(model.leaseLog.unreported()).toEqual(model.unreported())
        }
      }),
      { numRuns: 150 },
    )
  })

  it('forgets what is settled again once that is confirmed', () => {
    const model = new Model()
    model.run({ do: 'add', count: 200, source: 1, sequence: 500, attempt: 1, groupIndex: 0, isDead: false })
    model.settle(ACKNOWLEDGE, 0, 149)
    model.restart()
    const { leaseLog } = model
    expect(leaseLog.claim(150, 151).map(({ number }) => number)).toEqual([150, 151])
    leaseLog.settle(RELEASE_COUNTED, 150, 151, 1)
    for (const { number } of leaseLog.unreported()) leaseLog.reported(number, 2)
    expect(leaseLog.unreported()).toEqual([])
    expect(leaseLog.claim(0, 199).map(({ number }) => number)).toEqual(Array.from({ length: 48 }, (_, at) => at + 152))
    leaseLog.settle(ACKNOWLEDGE, 152, 199, 3)
    leaseLog.confirmed(2)
    expect(leaseLog.isEmpty).toBe(false)
    leaseLog.confirmed(3)
    expect(leaseLog.isEmpty).toBe(true)
  })

  it('keeps little for one object that is worked on for long while millions go by', () => {
    const leaseLog = new LeaseLog()
    const frame = delivered({ source: 1, sequence: 1, attempt: 1 })
    leaseLog.add(frame, 3, 0, false)
    const before = process.memoryUsage().arrayBuffers
    for (let number = 1; number < 500_000; number++) {
      leaseLog.add(frame, 3, 0, false)
      leaseLog.settle(ACKNOWLEDGE, number, number, number)
      if (number % 100 === 0) leaseLog.confirmed(number - 50)
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4_000_000)
    leaseLog.restart(500_000)
    expect(leaseLog.claim(0, 499_999)).toHaveLength(1)
    leaseLog.settle(ACKNOWLEDGE, 0, 0, 1)
    leaseLog.confirmed(1)
    expect(leaseLog.isEmpty).toBe(true)
  })
})
