import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AcceptedGroup, BrokerOptions, Route } from '../../src/core/ports.ts'
import { relayLimitDefaults } from '../../src/limits.ts'
import { checkInvariants } from './brokerInvariants.ts'
import { BrokerModel, type ModelSession, type ModelTerms } from './brokerModel.ts'
import type { ModelPayload } from './modelRuns.ts'

const accepted: Record<string, AcceptedGroup> = {
  few: { maxConsumables: 3, deadBytesMax: 250, maxCount: 2 },
  dropping: { maxConsumables: 3, overflow: 'drop-oldest' },
  direct: { maxConsumables: 0 },
  rejecting: { maxConsumables: 2, overflow: 'reject' },
  plain: {},
  direct2: { maxConsumables: 0 },
  direct3: { maxConsumables: 0, overflow: 'reject' },
  free: { overflow: 'drop-oldest' },
}

/** What is set of a group while the relay runs; `undefined`: nothing. */
const policies: (AcceptedGroup | undefined)[] = [...Object.values(accepted), undefined, undefined, undefined]

const options: BrokerOptions<ModelPayload> = {
  acceptedGroups: accepted,
  limits: {
    ...relayLimitDefaults,
    attemptsMax: 3,
    retryDelayMs: 1,
    retryDelayMaxMs: 3,
    deadBytesMax: 400,
    groupBytesMax: 90,
    relayBytesMax: 240,
    memberBacklogBytesMax: 40,
    sessionGraceMs: 2,
    streamsMax: 3,
  },
}

const everyKind = ['produce', 'broadcast', 'unretained', 'clear'] as const

const routes: Route[] = [
  ...everyKind.flatMap((kind) => Object.keys(accepted).map((name): Route => ({ kind, groups: [name], copies: [1] }))),
  { kind: 'produce', groups: ['plain', 'few'], copies: [1, 2] },
  { kind: 'produce', groups: ['few', 'plain'], copies: [2, 1] },
  { kind: 'produce', groups: ['direct', 'dropping'], copies: [1, 2] },
  { kind: 'produce', groups: ['few', 'rejecting'], copies: [1, 1] },
  { kind: 'produce', groups: ['direct'], copies: [2] },
  { kind: 'produce', groups: ['few'], copies: [4] },
  { kind: 'broadcast', groups: ['plain', 'few'], copies: [1, 1] },
  { kind: 'broadcast', groups: ['free', 'direct2', 'plain'], copies: [1, 1, 1] },
  { kind: 'unretained', groups: ['plain', 'few'], copies: [1, 1] },
  { kind: 'clear', groups: ['plain', 'few', 'free'], copies: [1, 1, 1] },
  { kind: 'produce', groups: ['direct', 'direct2'], copies: [1, 1] },
  { kind: 'produce', groups: ['direct', 'direct2'], copies: [1, 1] },
  { kind: 'produce', groups: ['direct2', 'direct', 'direct3'], copies: [1, 1, 1] },
  { kind: 'produce', groups: ['direct3', 'direct2', 'plain'], copies: [1, 2, 1] },
  { kind: 'produce', groups: ['dropping', 'plain'], copies: [1, 1] },
  { kind: 'produce', groups: ['free', 'plain'], copies: [1, 1] },
  { kind: 'produce', groups: ['free', 'dropping'], copies: [2, 1] },
  { kind: 'produce', groups: ['plain', 'free'], copies: [1, 2] },
]

/** What some of the runs are about: bounds that are reached by little, or a few groups that have much to do with each other. */
interface Theme {
  readonly limits: Partial<BrokerOptions['limits']>
  readonly groups: readonly string[]
}

const dead = ['plain.dead', 'few.dead']
const themes: readonly Theme[] = [
  { limits: {}, groups: [...Object.keys(accepted), ...dead] },
  { limits: { relayBytesMax: 100 }, groups: [...Object.keys(accepted), ...dead] },
  { limits: { relayBytesMax: 40, groupBytesMax: 40 }, groups: [...Object.keys(accepted), ...dead] },
  { limits: {}, groups: ['direct', 'direct2', 'direct3'] },
  { limits: { relayBytesMax: 60, groupBytesMax: 40 }, groups: ['free', 'dropping', 'plain'] },
  { limits: { groupsMax: 5 }, groups: [...Object.keys(accepted), ...dead] },
  { limits: { relayBytesMax: 60, groupBytesMax: 30, groupsMax: 4 }, groups: [...Object.keys(accepted), ...dead] },
]
/** Everybody works for one group, and reads its dead letters. */
const working: Theme = { limits: {}, groups: ['plain', 'plain.dead'] }
/** Those in which there may be as many groups as there are names. */
const unboundedThemes = themes.filter(({ limits }) => limits.groupsMax === undefined).length

const steps = [
  ...['join', 'leave', 'detach', 'attach', 'advance', 'complete', 'abort', 'pauseOrResume', 'setPolicy'],
  ...['send', 'send', 'send', 'send', 'sendRun', 'sendRun', 'sendRun', 'begin', 'begin', 'notify', 'notify', 'notify'],
  ...['acknowledge', 'acknowledge', 'see', 'see', 'release', 'release', 'release', 'advance', 'widen', 'widen'],
] as const

/** What may happen besides if the relay is restarted now and then. */
const restartSteps = [
  ...['restart', 'rejoin', 'rejoin', 'rejoin', 'leaveForNow', 'endReclaim', 'advance', 'advance'],
  ...['reclaim', 'reclaim', 'reclaim', 'reclaim', 'settleReclaimed', 'settleReclaimed'],
  ...['send', 'send', 'send', 'sendRun', 'notify', 'notify', 'join', 'release'],
] as const
/** What happens where nearly all work fails. */
const failingSteps = [
  ...['join', 'join', 'join', 'notify', 'notify', 'notify', 'notify', 'send', 'sendRun', 'advance', 'advance'],
  ...['release', 'release', 'release', 'release', 'see', 'leave', 'acknowledge', 'widen'],
] as const
type Step = (typeof steps)[number] | (typeof restartSteps)[number]

function courseOf(some: readonly Step[]): fc.Arbitrary<{ step: Step; who: number; what: number; size: number }[]> {
  return fc.array(fc.record({ step: fc.constantFrom(...some), who: fc.nat(5), what: fc.nat(1000), size: fc.nat(30) }), {
    minLength: 5,
    maxLength: 120,
    size: 'max',
  })
}

const someTheme = fc.nat(themes.length - 1)
const someSteps = courseOf(steps)
const stepsThatFail = courseOf(failingSteps)
const stepsAndRestarts = courseOf([...steps, ...restartSteps])

/** A run of the broker and its model: each step is told by numbers, which are taken as far as they make sense. */
class Run {
  readonly model: BrokerModel
  private readonly groups: readonly string[]
  private readonly routes: readonly Route[]
  private joined = 0

  /** With `pageObjects`, waiting objects are packed early, in pages of so many. */
  constructor(isRestricted: boolean, theme: number | Theme, pageObjects = 0) {
    const { limits, groups } = (typeof theme === 'number' ? themes[theme] : theme) ?? { limits: {}, groups: [] }
    this.groups = groups
    this.routes = routes.filter((route) => route.groups.every((group) => groups.includes(group)))
    const packing = {
      pack: ({ id, objects }: ModelPayload): number => (id % 5 === 3 || objects > 1 ? Number.NaN : id + 0.5),
      unpack: (packed: number): ModelPayload => this.model.payloadOf(packed - 0.5),
      unpackedObjects: 1,
      pageObjects,
    }
    const acceptedGroups = isRestricted ? accepted : null
    this.model = new BrokerModel({
      acceptedGroups,
      limits: { ...options.limits, ...limits },
      ...(pageObjects > 0 && { packing }),
    })
  }

  take(step: Step, who: number, what: number, size: number): void {
    const sessions = [...this.model.sessions.values()]
    const session = sessions[who % Math.max(1, sessions.length)]
    if (step === 'join') this.join(`s${this.joined++}`, what, size)
    else if (step === 'rejoin') this.rejoin(who, what, size)
    else if (step === 'restart') this.model.restart(what % 3 === 0 ? 0 : what)
    else if (step === 'advance') this.model.advance()
    else if (step === 'setPolicy')
      this.model.setPolicy(this.groups[what % this.groups.length] ?? '', policies[size % policies.length])
    else if (step === 'pauseOrResume') this.model.pauseOrResume(this.groups[what % this.groups.length] ?? '')
    else if (session !== undefined) this.takeBy(session, step, what, size)
  }

  check(): void {
    this.model.check()
    checkInvariants(this.model.broker)
  }

  private rejoin(who: number, what: number, size: number): void {
    const ids = [...this.model.absent.keys()]
    const id = ids[who % Math.max(1, ids.length)]
    if (id !== undefined) this.join(id, what, size)
  }

  private join(id: string, what: number, size: number): void {
    if (this.model.sessions.size >= 4) return
    const groups = this.groups.filter((_, index) => (what >> index) & 1)
    this.model.join(id, groups, what % 3 === 0 ? 'latest' : 'every', 10 + size)
  }

  private takeBy(session: ModelSession, step: Step, what: number, size: number): void {
    if (step === 'leave') this.model.leave(session, what % 3 === 0)
    else if (step === 'leaveForNow') this.model.leaveForNow(session)
    else if (step === 'complete' || step === 'abort') this.finish(step, session)
    else if (session.state === 'attached') this.takeAttached(step, session, what, size)
    else if (step === 'attach') this.model.attach(session)
  }

  private takeAttached(step: Step, session: ModelSession, what: number, size: number): void {
    const { model } = this
    const route = this.routes[what % this.routes.length]
    const groups = [...session.members.keys()]
    const group = groups[what % Math.max(1, groups.length)]
    const leases = [...session.leases.keys()]
    const start = what % Math.max(1, leases.length)
    if (step === 'detach') model.detach(session)
    if (step === 'reclaim') model.reclaim(session, what, what % 7 === 0)
    if (step === 'endReclaim') model.endReclaim(session)
    const claimed = [...session.reclaimed.keys()].slice(-(size % 5))
    if (step === 'settleReclaimed' && claimed.length > 0)
      model.settleReclaimed(session, claimed, what % 2 === 0 ? 'acknowledge' : termsOf(what))
    if (step === 'widen') model.widen(session, size)
    if (step === 'send' && route !== undefined) model.send(session, route, [what % 10 === 0 ? size * 4 : size])
    if (step === 'sendRun' && route !== undefined) model.send(session, route, sizesOf(what, size))
    if (step === 'begin' && route !== undefined && route.kind !== 'clear' && this.unfinishedOf(session).length < 3)
      model.begin(session, route, size)
    if (step === 'notify' && group !== undefined) model.notify(session, group, size === 0 ? -1 : 1 + (size % 4))
    if (step === 'release') {
      const run = consecutive(session, leases.slice(start), size)
      if (run.length > 0) model.releaseRange(session, run, termsOf(what))
    }
    if (step === 'acknowledge' || step === 'see') {
      const isWhole = (number: number): boolean => session.leases.get(number)?.copy.sent.state === 'accepted'
      const whole = leases.slice(start).filter(isWhole)
      const run = consecutive(session, whole, size)
      if (run.length > 0 && step === 'see') model.see(session, run)
      else if (run.length > 0) model.acknowledge(session, run)
    }
  }

  private finish(step: 'complete' | 'abort', session: ModelSession): void {
    const [first] = this.unfinishedOf(session)
    if (first === undefined) return
    if (step === 'abort') this.model.abort(first)
    else if (first.state === 'admitted') this.model.complete(first)
  }

  private unfinishedOf(session: ModelSession): BrokerModel['sent'] {
    return this.model.sent.filter(
      ({ sender, large, state }) => sender === session && large && (state === 'admitted' || state === 'offered'),
    )
  }
}

/** Of the objects of a run: 2 to 12, mostly small ones. */
function sizesOf(what: number, size: number): number[] {
  return Array.from({ length: 2 + (size % 11) }, (_, index) =>
    ((what >> (index % 7)) & 7) === 0 ? size : (what + index) % 6,
  )
}

/** Most count an attempt; few are final, or say how long to wait. */
function termsOf(what: number): ModelTerms {
  if (what % 3 === 0) return { attemptCounted: false }
  const failure =
    what % 2 === 0 ? { failure: { reason: 'failed', error: { message: `no ${what % 10}` } } as const } : {}
  return { attemptCounted: true, isFinal: what % 7 === 0, retryDelayMs: [undefined, 0, 2][what % 4], ...failure }
}

/** The first of `numbers` and those that follow it without a gap, those of aborted deliveries included. */
function consecutive({ abortedLeases }: ModelSession, numbers: number[], size: number): number[] {
  const [first] = numbers
  if (first === undefined) return []
  const run = [first]
  for (let next = first + 1; run.length <= size % 4; next++) {
    if (!numbers.includes(next) && !abortedLeases.has(next)) break
    run.push(next)
  }
  return run
}

describe('a broker, in any course of events,', () => {
  test('gives each object to who may have it, in order, and keeps its bounds and its books', () => {
    fc.assert(
      fc.property(someSteps, fc.nat(4), someTheme, (course, unrestricted, theme) => {
        const run = new Run(unrestricted < 4, theme)
        for (const { step, who, what, size } of course) {
          run.take(step, who, what, size)
          run.check()
        }
      }),
      { numRuns: 3_000 },
    )
  }, 120_000)

  test('is the same after a restart as it was before, and packed as it is unpacked', () => {
    fc.assert(
      fc.property(stepsAndRestarts, fc.nat(4), someTheme, fc.nat(3), (course, unrestricted, theme, pageObjects) => {
        const run = new Run(unrestricted < 4, theme, pageObjects)
        for (const { step, who, what, size } of course) {
          run.take(step, who, what, size)
          run.check()
        }
      }),
      { numRuns: 2_000 },
    )
  }, 120_000)

  test('tries again what failed, elsewhere if it can and not too soon, and gives up in the end', () => {
    fc.assert(
      fc.property(stepsThatFail, (course) => {
        const run = new Run(false, working)
        for (const { step, who, what, size } of course) {
          run.take(step, who, what, size)
          run.check()
        }
      }),
      { numRuns: 1_000 },
    )
  }, 120_000)

  test('has released every object but the last broadcasts when everybody left and every queue was drained', () => {
    fc.assert(
      fc.property(someSteps, fc.nat(4), fc.nat(unboundedThemes - 1), (course, unrestricted, theme) => {
        const run = new Run(unrestricted < 4, theme)
        for (const { step, who, what, size } of course) run.take(step, who, what, size)
        const { model } = run
        model.resumeAll()
        for (const session of [...model.sessions.values()]) model.leave(session)
        run.check()
        model.join(
          'last',
          Object.keys(accepted).flatMap((name) => [name, `${name}.dead`]),
          'every',
          1_000_000,
        )
        const last = model.sessions.get('last')
        for (const name of last?.members.keys() ?? []) if (last !== undefined) model.notify(last, name, 1000)
        // What failed waits for its next attempt.
        for (let ms = 0; ms < 4; ms++) model.advance()
        const numbers = [...(last?.leases.keys() ?? [])]
        if (last !== undefined && numbers.length > 0) model.acknowledge(last, numbers)
        run.check()
        const stats = model.broker.stats()
        expect(stats.groups.every(({ waiting, leased }) => waiting === 0 && leased === 0)).toBe(true)
        if (last !== undefined) model.leave(last)
        run.check()
      }),
      { numRuns: 500 },
    )
  })
})
