import { Broker } from '../../src/core/broker.ts'
import type { Session } from '../../src/core/entities/model.ts'
import type { KeptPlace } from '../../src/core/journal.ts'
import type { AcceptedGroup, BrokerEvent, BrokerOptions, BrokerOutput, Delivery, Route } from '../../src/core/ports.ts'
import { reclaimedLeaseMin } from '../../src/core/reclaim.ts'
import type { DeadLetter, DeathReason, LeaseFailure } from '../../src/deadLetter.ts'
import { ObjectRelayError } from '../../src/errors.ts'
import { deadLetterBytes } from './brokerInvariants.ts'
import { type Asking, BrokerRoom, type RoomFacts } from './brokerRoom.ts'
import { JournalModel } from './journalModel.ts'
import { asModelPayload, type ModelPayload, ModelRuns } from './modelRuns.ts'

/** What the clock of the relay says. */
const dateMs = 1_700_000_000_000

/** What is not known of a copy after a restart. */
const restoredCopy = { dueMs: 0, failedAt: undefined } as const

/** How an attempt failed. */
interface ModelFailure {
  readonly reason: DeathReason
  readonly isFinal?: boolean | undefined
  readonly delayMs?: number
  readonly error?: LeaseFailure['error']
}

/** One object, as its sender knows it. */
interface Sent {
  readonly payload: ModelPayload
  readonly sender: ModelSession
  readonly sequence: number
  readonly route: Route
  readonly large: boolean
  state: 'offered' | 'admitted' | 'accepted' | 'rejected' | 'aborted'
  /** When it was taken in; 0: before all that counts. */
  entered: number
  /** What has to be said of it before the call returns, if that is foreseen. */
  expected: Expected | undefined
}

/** It gets in at once, is held back, or is rejected with that. */
type Expected = 'in' | 'held' | { readonly code: string; readonly details: object }

interface Copy {
  readonly sent: Sent
  order: number
  attempt: number
  /** When it may be delivered again: at a time, or never if it rests. */
  dueMs: number
  /** Who tried it last, in vain. */
  failedAt: string | undefined
  deadLetter: DeadLetter | undefined
}

export interface ModelLease {
  readonly copy: Copy
  readonly group: string
  readonly id: string
  isSeen: boolean
}

/** How leases are given back. */
export interface ModelTerms {
  readonly attemptCounted: boolean
  readonly isFinal?: boolean
  readonly retryDelayMs?: number | undefined
  readonly failure?: LeaseFailure
}

interface ModelMember {
  credit: number
  leases: number
  since: number
  /** Broadcasts since it joined, or since the last one that it got. */
  due: Sent[]
}

export interface ModelSession {
  readonly id: string
  session: Session | undefined
  state: 'attached' | 'detached' | 'ended'
  /** While it is detached. */
  graceEndsMs: number
  room: number
  readonly inboxBytes: number
  /** Bytes on their way to it; with so many, it gets no broadcast. */
  unarrived: number
  readonly unarrivedBytesMax: number
  readonly members: Map<string, ModelMember>
  readonly leases: Map<number, ModelLease>
  /** Of an earlier run of the relay: what it claimed, and what it may still claim. */
  readonly reclaimed: Map<number, ModelLease>
  earlier: ModelLease[]
  nextLease: number
  readonly blocked: Set<string>
  readonly abortedLeases: Set<number>
  /** By group: the sequence of the last object that was let in. */
  readonly lastIn: Map<string, number>
}

interface ModelGroup {
  queue: Copy[]
  nextOrder: number
  broadcasts: Sent[]
  last: Sent | undefined
  /** What was begun before this sequence is not retained. */
  clearedAt: number
}

/**
 * The broker as one would explain it: lists, searched from the front. It does not foresee what the broker does, but knows for each
 * thing that the broker does whether it was right.
 */
export class BrokerModel implements BrokerOutput<ModelPayload> {
  broker: Broker
  readonly sessions: Map<string, ModelSession> = new Map()
  readonly sent: Sent[] = []
  readonly journal: JournalModel<ModelPayload> = new JournalModel()
  private readonly runs = new ModelRuns()
  private readonly groups = new Map<string, ModelGroup>()
  private readonly releasedIds = new Set<number>()
  /** Sessions of an earlier run, and when their time is over. */
  readonly absent: Map<string, { leases: ModelLease[]; endsMs: number }> = new Map()
  private readonly paused = new Set<string>()
  private nextReclaimed: number = reclaimedLeaseMin
  private nowMs = 0
  private readonly given: BrokerOptions<ModelPayload>
  /** With the policies that were set since. */
  private options: BrokerOptions<ModelPayload>
  private ticks = 0
  private checks = 0
  /** By lease number, the group of each delivery that is given back before it is whole. */
  private readonly discards = new Map<number, string>()
  /** What was to die and of which the broker has not told yet. */
  private readonly deaths: DeadLetter[] = []
  private readonly room: BrokerRoom
  /** Counts what is taken in, and the changes of who is the first that waits for room somewhere. */
  private moments = 0
  private readonly firsts = new WeakMap<object, { epoch: number; since: number }>()
  /** Objects that were dropped, or broadcasts that were evicted, for something that has to come in next. */
  private droppedFor = 0

  constructor(options: BrokerOptions<ModelPayload>) {
    this.broker = new Broker(options, this, this.runs.journalOf(this.journal))
    this.given = options
    this.options = options
    this.room = new BrokerRoom(this.facts())
  }

  join(id: string, groups: string[], broadcasts: 'every' | 'latest', inboxBytes: number): void {
    const full = groups.find((name) => this.membersOf(name).length >= this.placesFor(name))
    if (full !== undefined) {
      this.refuseForPlace(full, () => this.broker.join(id, groups, { broadcasts, inboxBytes, nowMs: this.nowMs }))
      return
    }
    if (this.room.areTooMany(groups)) {
      must(
        codeOf(() => this.broker.join(id, groups, { broadcasts, inboxBytes })) === 'TOO_MANY_GROUPS',
        'nobody joins more groups than there may be',
      )
      return
    }
    const unarrivedBytesMax = broadcasts === 'latest' ? inboxBytes / 2 : Number.POSITIVE_INFINITY
    const model: ModelSession = {
      id,
      unarrived: 0,
      unarrivedBytesMax,
      session: undefined,
      state: 'attached',
      graceEndsMs: Number.POSITIVE_INFINITY,
      room: inboxBytes,
      inboxBytes,
      members: new Map(),
      leases: new Map(),
      reclaimed: new Map(),
      earlier: this.absent.get(id)?.leases ?? [],
      nextLease: 0,
      blocked: new Set(),
      abortedLeases: new Set(),
      lastIn: new Map(),
    }
    for (const name of groups) {
      const { last, broadcasts: all, clearedAt } = this.group(name)
      const due = last === undefined ? [] : [last]
      const later = all.slice(last === undefined ? 0 : all.indexOf(last) + 1)
      const isForAll = ({ state, route, sequence }: Sent): boolean =>
        state === 'admitted' && route.kind === 'broadcast' && sequence > clearedAt
      due.push(...later.filter(isForAll))
      model.members.set(name, { credit: 0, leases: 0, since: 0, due })
      for (const copy of this.group(name).queue) if (copy.dueMs === Number.POSITIVE_INFINITY) copy.dueMs = 0
    }
    this.sessions.set(id, model)
    this.absent.delete(id)
    model.session = this.broker.join(id, groups, { broadcasts, inboxBytes, unarrivedBytesMax })
  }

  private placesFor(name: string): number {
    return this.options.acceptedGroups?.[name]?.maxCount ?? Number.POSITIVE_INFINITY
  }

  /** It is told when a place is free at the latest: when a member that is away has been so for too long. */
  private refuseForPlace(name: string, join: () => unknown): void {
    const members = this.membersOf(name)
    const ends = members.flatMap(({ session }) => (session.state === 'detached' ? [session.graceEndsMs] : []))
    const freeAtMs = Math.min(...ends)
    const details = { group: name, ...(ends.length === 0 ? {} : { retryAfterMs: freeAtMs - this.nowMs }) }
    const refusal = refusalOf(join)
    must(refusal?.code === 'GROUP_FULL', `nobody finds a place in ${name}`)
    must(isSameText(refusal?.details, details), `it is said when there is a place in ${name}`)
  }

  /** What the model knows happens before the broker is asked to, so that each output finds it done. */
  leave(model: ModelSession, isGoodbye = false): void {
    this.end(model, isGoodbye)
    this.broker.leave(sessionOf(model), 'lost', { attemptCounted: !isGoodbye })
    this.settled()
  }

  /** It begins anew at once: what it had not claimed waits for it. */
  leaveForNow(model: ModelSession): void {
    const { earlier: leases, id } = model
    if (leases.length > 0) this.absent.set(id, { leases, endsMs: this.nowMs + this.options.limits.sessionGraceMs })
    model.earlier = []
    this.end(model)
    this.broker.leave(sessionOf(model), 'lost', { absentFromMs: this.nowMs })
    this.settled()
  }

  /** The relay ends at once, and another one begins with what was kept. `scatter` changes the order in which it is told. */
  restart(scatter: number): void {
    const rank = (id: number): number => (scatter === 0 ? id : (id * scatter) % 1009)
    const places = this.runs
      .placesOf(this.broker.places())
      .sort(
        (one, other) =>
          rank(one.payload.id) - rank(other.payload.id) ||
          compareText(one.group, other.group) ||
          one.order - other.order ||
          one.attempt - other.attempt,
      )
    const leases = [...this.sessions.values()].map((model): [string, ModelLease[]] => [model.id, allLeases(model)])
    for (const [id, { leases: earlier }] of this.absent) leases.push([id, earlier])
    for (const sent of this.sent) if (sent.state === 'offered' || sent.state === 'admitted') this.forget(sent)
    this.sessions.clear()
    this.absent.clear()
    const endsMs = this.nowMs + this.options.limits.sessionGraceMs
    for (const [id, earlier] of leases) {
      const kept = earlier.filter(({ copy }) => copy.sent.state === 'accepted')
      if (kept.length > 0) this.absent.set(id, { leases: inOrderOfRestoring(kept, rank), endsMs })
    }
    this.broker = new Broker(this.given, this, this.runs.journalOf(this.journal))
    for (const sent of this.sent) sent.entered = 0
    this.journal.restore(places)
    for (const { queue } of this.groups.values()) for (const copy of queue) Object.assign(copy, restoredCopy)
    for (const { leases: kept } of this.absent.values()) for (const { copy } of kept) Object.assign(copy, restoredCopy)
    for (const [name, setting] of this.journal.groups) this.broker.restoreGroup(name, setting)
    for (const place of places) this.broker.restore(place)
    this.broker.restored(this.nowMs)
    for (const { payload } of this.sent) if (!this.journal.isKept(payload)) this.releasedIds.add(payload.id)
  }

  /** A session claims one of the leases that it had, or one that it never had. */
  reclaim(model: ModelSession, which: number, isWrong: boolean): void {
    const { earlier } = model
    const lease = earlier[which % Math.max(1, earlier.length)]
    if (lease === undefined) return
    const { copy, group } = lease
    const { payload } = copy.sent
    const attempt = copy.attempt + Number(isWrong) * 100
    const number = this.nextReclaimed++
    if (!isWrong) {
      // Nobody can tell equal ones apart: the broker takes the last.
      const isEqual = (other: ModelLease): boolean =>
        other.group === group && other.copy.sent === copy.sent && other.copy.attempt === attempt
      const taken = earlier.findLast(isEqual) ?? lease
      earlier.splice(earlier.indexOf(taken), 1)
      taken.isSeen = true
      model.reclaimed.set(number, taken)
      const member = model.members.get(group)
      if (member !== undefined) member.leases++
    }
    must(
      this.broker.reclaim(sessionOf(model), payload, group, attempt, number) === !isWrong,
      'what is absent can be claimed',
    )
  }

  endReclaim(model: ModelSession): void {
    for (const lease of model.earlier) this.requeue(lease, undefined)
    model.earlier = []
    this.broker.endReclaim(sessionOf(model))
  }

  /** Settles claimed leases, and speaks of others that there never were. */
  settleReclaimed(model: ModelSession, numbers: number[], how: 'acknowledge' | ModelTerms): void {
    const [from, to] = ends(numbers)
    for (const [number, lease] of model.reclaimed) {
      if (number < from || number > to) continue
      this.endReclaimed(model, number)
      if (how !== 'acknowledge') this.release(lease, how)
    }
    if (how === 'acknowledge') this.broker.acknowledge(sessionOf(model), from, to + 1000)
    else this.broker.release(sessionOf(model), from, to, how, this.nowMs)
    this.settled()
  }

  detach(model: ModelSession): void {
    model.state = 'detached'
    model.graceEndsMs = this.nowMs + this.options.limits.sessionGraceMs
    this.broker.detach(sessionOf(model), this.nowMs)
  }

  attach(model: ModelSession): void {
    model.state = 'attached'
    this.broker.attach(sessionOf(model))
  }

  begin(sender: ModelSession, route: Route, bytes: number): void {
    this.notice()
    const sent = this.offer(sender, route, bytes, true)
    sent.expected = this.expect(sent)
    this.broker.begin(sessionOf(sender), sent.sequence, route, sent.payload)
    this.checkExpected([sent])
  }

  /** Several objects are sent as a run. */
  send(sender: ModelSession, route: Route, sizes: readonly number[]): void {
    const run = sizes.map((bytes) => this.offer(sender, route, bytes, false))
    this.notice()
    const [only] = run
    if (only !== undefined && run.length === 1) only.expected = this.expect(only)
    for (const sent of run) {
      if (route.kind === 'broadcast' || route.kind === 'unretained') this.spread(sent)
      if (route.kind !== 'produce') sent.entered = ++this.moments
    }
    const payload = this.runs.payloadOf(run.map((sent) => sent.payload))
    this.broker.send(sessionOf(sender), run[0]?.sequence ?? 0, route, payload)
    this.checkExpected(run)
    if (route.kind === 'produce') return
    must(
      run.every(({ state }) => state !== 'offered'),
      'a broadcast is never held back',
    )
  }

  private offer(sender: ModelSession, route: Route, bytes: number, large: boolean): Sent {
    const payload = this.runs.add(bytes)
    const offered = { payload, sender, sequence: payload.id, route, large }
    const sent: Sent = { ...offered, state: 'offered', entered: 0, expected: undefined }
    this.sent.push(sent)
    return sent
  }

  /** What has to become of an object that is about to be sent. */
  private expect(sent: Sent): Expected {
    const refusal = this.room.refusalOf(sent)
    if (refusal !== undefined) return refusal
    const { route, sender, large } = sent
    if (route.kind === 'clear') return 'in'
    if (route.kind !== 'produce') {
      const fits = this.room.fitsBroadcast(sent, route.kind === 'broadcast' && !large)
      return fits ? 'in' : this.full(undefined)
    }
    const { blockedSends } = sessionOf(sender)
    const isBehind = [...blockedSends.keys()].some(({ name }) => route.groups.includes(name))
    if (isBehind) return 'held'
    const obstacle = this.room.obstacleOf(sent)
    if (obstacle === undefined) return 'in'
    return obstacle.overflow === 'block' ? 'held' : this.full(obstacle.group)
  }

  /** What has to become of an object that was sent before, or is part of a run. */
  private expectNow(sent: Sent): Expected {
    const turn = this.turnOf(sent)
    if (turn === undefined) return this.expect(sent)
    const obstacle = this.room.obstacleOf(sent, turn)
    return obstacle === undefined || obstacle.overflow === 'block' ? 'held' : this.full(obstacle.group)
  }

  /** Its place among those that wait, if it waits. */
  private turnOf({ sequence, sender }: Sent): number | undefined {
    for (const line of sessionOf(sender).blockedSends.values()) {
      for (const send of line) if (send.sequence === sequence) return send.turn
    }
    return undefined
  }

  private full(group: string | undefined): Expected {
    const { relayBytesMax } = this.options.limits
    return { code: 'QUEUE_FULL', details: group === undefined ? { relayBytesMax } : { group } }
  }

  private checkExpected(run: readonly Sent[]): void {
    for (const sent of run) {
      const { expected, state, payload } = sent
      sent.expected = undefined
      if (expected === undefined) continue
      const isIn = state === 'accepted' || state === 'admitted'
      if (expected === 'in') must(isIn, `object ${payload.id} finds room`)
      else if (expected === 'held') must(state === 'offered', `object ${payload.id} is held back`)
      else must(state === 'rejected', `object ${payload.id} is rejected with ${expected.code}`)
    }
  }

  /** Who waits for room, and could not have it. */
  private checkHeld(): void {
    const { core } = this.broker
    must(core.blocked.bytesAfter === this.room.bytesAfter(), 'what came after the first in the relay is counted')
    for (const { name, blocked } of core.registry.groups.values())
      must(blocked.bytesAfter === this.room.bytesAfter(name), `what came after the first in ${name} is counted`)
    for (const { blockedSends } of core.sessions.values()) {
      for (const line of blockedSends.values()) {
        for (const { turn, sequence } of line) {
          if (turn === 0) continue
          const obstacle = this.room.obstacleOf(this.sentAs(sequence), turn)
          must(obstacle !== undefined, `object ${sequence} waits for room that there is not`)
        }
      }
    }
  }

  private facts(): RoomFacts {
    const broker = (): Broker => this.broker
    const options = (): BrokerOptions<ModelPayload> => this.options
    return {
      get options() {
        return options()
      },
      get core() {
        return broker().core
      },
      waiting: (group) => this.waiting(group),
      isAnyAvailable: (group) => this.availableIn(group).some(({ sent }) => sent.state !== 'aborted'),
      leasedBytes: (group) => bytesOfCopies(this.leased(group)),
      after: (name) => {
        const since = this.firsts.get(this.broker.core.registry.groups.get(name) ?? this)?.since ?? 0
        const waiting = this.waiting(name).filter(({ sent }) => sent.entered > since)
        const leased = this.leased(name).filter(({ sent }) => sent.entered > since)
        return { waiting: waiting.length, bytes: bytesOfCopies(waiting) + bytesOfCopies(leased) }
      },
      kept: () => this.kept(),
      asking: (group) => this.asking(group),
      retained: (group) => this.group(group).last?.payload,
      memberCount: (group) => this.membersOf(group).length,
    }
  }

  private everyLease(): ModelLease[] {
    const absent = [...this.absent.values()].flatMap(({ leases }) => leases)
    return [...absent, ...[...this.sessions.values()].flatMap(allLeases)]
  }

  private waiting(group: string): Copy[] {
    return this.group(group).queue.filter(({ sent }) => sent.state !== 'aborted')
  }

  private leased(group: string): Copy[] {
    return this.everyLease().flatMap(({ copy, group: name }) =>
      name === group && copy.sent.state !== 'aborted' ? [copy] : [],
    )
  }

  private asking(group: string): Asking[] {
    return this.membersOf(group)
      .filter(({ session, member }) => {
        const asks = session.state === 'attached' && member.credit > 0 && session.session?.backlog.count === 0
        return asks && !this.paused.has(group)
      })
      .map(({ session: { id, room, inboxBytes }, member: { credit } }) => ({ session: id, credit, room, inboxBytes }))
  }

  /** All payloads, and how many places refer to each. */
  private kept(): Map<ModelPayload, { references: number; isAfterFirst: boolean }> {
    const kept = new Map<ModelPayload, { references: number; isAfterFirst: boolean }>()
    const since = this.firsts.get(this.broker.core.blocked)?.since ?? 0
    const refer = ({ payload, entered }: Sent): void => {
      const references = (kept.get(payload)?.references ?? 0) + 1
      kept.set(payload, { references, isAfterFirst: entered > since })
    }
    for (const [name, { last }] of this.groups) {
      // Dead letters take no room from others.
      const copies = name.endsWith('.dead') ? [] : [...this.waiting(name), ...this.leased(name)]
      for (const { sent } of copies) refer(sent)
      if (last !== undefined) refer(last)
    }
    for (const { session } of this.sessions.values())
      for (const { shared } of session?.backlog ?? []) refer(this.sentAs(asModelPayload(shared.payload).id))
    for (const sent of this.sent) if (sent.state === 'admitted') refer(sent)
    return kept
  }

  /** Something was said: others may have become the first that wait for room. */
  private notice(): void {
    const { blocked, registry } = this.broker.core
    this.noticeFirst(blocked, blocked.epoch)
    for (const group of registry.groups.values()) this.noticeFirst(group, group.blocked.epoch)
  }

  private noticeFirst(bound: object, epoch: number): void {
    if (epoch > (this.firsts.get(bound)?.epoch ?? 0)) this.firsts.set(bound, { epoch, since: ++this.moments })
  }

  complete(sent: Sent): void {
    if (sent.route.kind !== 'produce') this.keepAsLast(sent)
    this.broker.complete(sessionOf(sent.sender), sent.sequence)
    must(sent.state === 'accepted', 'what is complete is accepted')
  }

  abort(sent: Sent): void {
    const { sender, sequence } = sent
    this.forget(sent)
    this.broker.abort(sessionOf(sender), sequence)
  }

  notify(model: ModelSession, name: string, count: number): void {
    const member = memberOf(model, name)
    const added = count === -1 ? Math.max(0, this.availableIn(name).length - member.credit) : count
    this.credit(member, added)
    must(
      this.broker.notify(sessionOf(model), name, count) === added,
      'the credit that notify tells is that which it added',
    )
  }

  /** A group is paused, or resumed if it was. */
  pauseOrResume(name: string): void {
    if (this.paused.delete(name)) this.broker.setPaused(name, false)
    else if (this.room.areTooMany([name]))
      must(codeOf(() => this.broker.setPaused(name, true)) === 'TOO_MANY_GROUPS', 'what is paused counts as a group')
    else {
      this.paused.add(name)
      this.broker.setPaused(name, true)
    }
  }

  /** Another policy holds for an accepted group, or again that of the options. */
  setPolicy(name: string, policy: AcceptedGroup | undefined): void {
    const { acceptedGroups } = this.options
    const original = this.given.acceptedGroups?.[name]
    if (acceptedGroups === null || original === undefined) return
    if (!this.broker.core.registry.groups.has(name) && this.room.areTooMany([name])) return
    this.options = { ...this.given, acceptedGroups: { ...acceptedGroups, [name]: policy ?? original } }
    this.broker.setPolicy(name, policy)
  }

  resumeAll(): void {
    for (const name of [...this.paused]) this.pauseOrResume(name)
  }

  acknowledge(model: ModelSession, numbers: number[]): void {
    for (const number of numbers) this.endLease(model, number)
    const [from, to] = ends(numbers)
    this.broker.acknowledge(sessionOf(model), from, to)
  }

  /** The program of the session is given the objects of its leases. */
  see(model: ModelSession, numbers: number[]): void {
    for (const number of numbers) {
      const lease = model.leases.get(number)
      if (lease !== undefined) lease.isSeen = true
    }
    const [from, to] = ends(numbers)
    this.broker.seen(sessionOf(model), from, to)
  }

  releaseRange(model: ModelSession, numbers: number[], terms: ModelTerms): void {
    for (const number of numbers) {
      const lease = this.endLease(model, number)
      if (lease?.copy.sent.state === 'admitted') this.discards.set(number, lease.group)
      if (lease !== undefined) this.release(lease, terms)
    }
    const [from, to] = ends(numbers)
    this.broker.release(sessionOf(model), from, to, terms, this.nowMs)
    this.settled()
    must(this.discards.size === 0, 'what is given back before it is whole is to be discarded')
  }

  widen(model: ModelSession, bytes: number): void {
    const session = sessionOf(model)
    model.unarrived = Math.max(0, model.unarrived - 2 * bytes)
    this.broker.setArrived(session, session.sentBytes - model.unarrived)
    model.room += bytes
    this.broker.setWindow(session, session.windowEnd + bytes)
  }

  advance(): void {
    this.nowMs++
    this.broker.advance(this.nowMs)
    this.expireAbsent()
    this.settled()
  }

  payloadOf(id: number): ModelPayload {
    return this.sentAs(id).payload
  }

  /** What must hold between two calls: exactly what nobody refers to was released. */
  check(): void {
    this.notice()
    const places = this.runs.placesOf(this.broker.places())
    this.journal.compare(places)
    // It takes its time, and what is wrong now is wrong later.
    if (this.checks++ % 4 === 0) this.comparePlaces(places)
    must(this.droppedFor === 0, 'nothing is dropped for what does not come in')
    this.checkHeld()
    const kept = new Set(this.kept().keys())
    for (const name of this.groups.keys())
      for (const { sent } of [...this.waiting(name), ...this.leased(name)]) kept.add(sent.payload)
    for (const { state, payload } of this.sent) {
      const isKept = kept.has(payload) || state === 'offered' || state === 'admitted'
      must(isKept !== this.releasedIds.has(payload.id), `object ${payload.id} is ${isKept ? 'kept' : 'released'}`)
    }
  }

  /** Where all whole objects are, in which attempt, who has them, and who has seen them. */
  private comparePlaces(places: readonly KeptPlace<ModelPayload>[]): void {
    const counts = new Map<string, number>()
    const count = (by: number, ...facts: unknown[]): void => {
      const key = facts.join(' ')
      counts.set(key, (counts.get(key) ?? 0) + by)
    }
    for (const { kind, payload, group, attempt, session = '', isSeen, copies } of places)
      if (kind === 'produce') count(copies, payload.id, group, attempt, session, isSeen)
    const isWhole = ({ sent }: Copy): boolean => sent.state === 'accepted'
    for (const [name, { queue }] of this.groups) {
      for (const copy of queue.filter(isWhole)) count(-1, copy.sent.payload.id, name, copy.attempt, '', false)
    }
    const leases = [...this.sessions.values()].flatMap(allLeases)
    for (const absent of this.absent.values()) leases.push(...absent.leases)
    for (const { copy, group, id, isSeen } of leases)
      if (isWhole(copy)) count(-1, copy.sent.payload.id, group, copy.attempt, id, isSeen)
    for (const [key, difference] of counts) must(difference === 0, `the broker has ${difference} more of ${key}`)
  }

  deliver(session: Session, delivery: Delivery<ModelPayload>): void {
    this.notice()
    this.expireAbsent()
    for (const single of this.runs.deliveriesOf(delivery)) this.deliverOne(this.modelOf(session), single)
  }

  private deliverOne(model: ModelSession, delivery: Delivery<ModelPayload>): void {
    const { bytes } = delivery.payload
    must(model.state === 'attached', 'only who has a link gets something')
    must(bytes <= model.room || model.room >= model.inboxBytes, `${model.id} has room for ${bytes} bytes`)
    if (delivery.kind === 'broadcast') {
      must(model.unarrived < model.unarrivedBytesMax, `${model.id} gets no broadcast while so much is on its way`)
      this.checkBroadcast(model, delivery)
    } else this.checkProduced(model, delivery)
    model.room -= bytes
    model.unarrived += bytes
  }

  accepted(_session: Session, sequence: number, objects: number, memberCounts: readonly number[]): void {
    this.notice()
    this.expireAbsent()
    for (let index = 0; index < objects; index++) this.acceptOne(this.sentAs(sequence + index), memberCounts)
  }

  private acceptOne(sent: Sent, memberCounts: readonly number[]): void {
    must(sent.state === (sent.large ? 'admitted' : 'offered'), 'an object is accepted once')
    const { kind, groups } = sent.route
    for (const [index, name] of groups.entries()) {
      must(memberCounts[index] === this.membersOf(name).length, `the members of ${name} are counted`)
    }
    if (kind !== 'produce' && !sent.large) this.keepAsLast(sent)
    if (kind === 'produce' && !sent.large) this.enter(sent)
    this.droppedFor = 0
    sent.state = 'accepted'
  }

  /** A produced object is taken in: there is room for it, and what was in the way is gone. */
  private enter(sent: Sent): void {
    const obstacle = this.room.obstacleOf(sent, this.turnOf(sent))
    must(obstacle === undefined, `there is room for object ${sent.sequence} in ${obstacle?.group ?? 'the relay'}`)
    sent.entered = ++this.moments
    this.droppedFor = 0
    this.enqueue(sent)
  }

  admitted(_session: Session, sequence: number): void {
    const sent = this.sentAs(sequence)
    must(sent.large && sent.state === 'offered', 'a large object is admitted once')
    this.notice()
    sent.entered = ++this.moments
    if (sent.route.kind !== 'produce') this.spread(sent)
    else this.enter(sent)
    this.droppedFor = 0
    sent.state = 'admitted'
  }

  rejected(_session: Session, sequence: number, error: ObjectRelayError): void {
    this.notice()
    const sent = this.sentAs(sequence)
    must(sent.state === 'offered', 'what was accepted is not rejected')
    must(this.droppedFor === 0, 'nothing is dropped for what is rejected')
    const expected = sent.expected ?? this.expectNow(sent)
    must(
      typeof expected === 'object' && isRejectedWith(error, expected),
      `object ${sequence} is rejected with ${JSON.stringify(expected)}, not with ${error.code} ${JSON.stringify(error.details)}`,
    )
    this.forget(sent)
    sent.state = 'rejected'
  }

  abortDelivery(session: Session, payload: ModelPayload, number: number): void {
    const model = this.modelOf(session)
    const sent = this.sentAs(payload.id)
    const discarded = this.discards.get(number)
    if (discarded !== undefined) {
      must(sent.state === 'admitted', 'what is given back and whole is not to be discarded')
      this.discards.delete(number)
      this.credit(memberOf(model, discarded), 1)
      return
    }
    must(model.state !== 'ended' && sent.state === 'aborted', 'only what is aborted is to be discarded')
    if (sent.route.kind !== 'produce') return
    const lease = this.endLease(model, number)
    must(lease?.copy.sent === sent, 'only what was delivered is to be discarded')
    model.abortedLeases.add(number)
    if (lease !== undefined) this.credit(memberOf(model, lease.group), 1)
  }

  blocked(session: Session, group: string): void {
    const { blocked } = this.modelOf(session)
    must(!blocked.has(group), 'blocked is said once')
    blocked.add(group)
  }

  unblocked(session: Session, group: string): void {
    must(this.modelOf(session).blocked.delete(group), 'unblocked is said after blocked')
  }

  released(run: ModelPayload): void {
    for (const payload of this.runs.objectsOf(run)) {
      must(!this.releasedIds.has(payload.id), 'a payload is released once')
      this.releasedIds.add(payload.id)
      this.journal.released(payload)
    }
  }

  firstBytes({ id }: ModelPayload): number {
    return this.runs.single(id).bytes
  }

  cut(run: ModelPayload, objects: number): ModelPayload {
    return this.runs.cut(run, objects)
  }

  dateMs(): number {
    return dateMs
  }

  event(event: BrokerEvent): void {
    if (event.type === 'objectDead') this.deadLettered(event.group, event.deadLetter)
    if (event.type === 'objectDropped' && event.reason === 'dead-overflow') this.checkDeadOverflow(event.group)
    if (event.type === 'sessionExpired') {
      const model = this.sessions.get(event.session)
      if (model !== undefined) this.end(model)
    }
    if (event.type === 'objectDropped') this.dropped(event)
  }

  private dropped({ group: name, kind, reason, count }: BrokerEvent & { type: 'objectDropped' }): void {
    this.notice()
    this.expireAbsent()
    const group = this.group(name)
    // What a leaving sender had begun is forgotten by then.
    const dropped = new Set(group.queue.filter(({ sent }) => sent.state !== 'aborted').slice(0, count))
    if (kind === 'produce') group.queue = group.queue.filter((copy) => !dropped.has(copy))
    if (reason === 'overflow') this.droppedFor++
    if (reason !== 'evicted') return
    const { last } = group
    must(last !== undefined && this.membersOf(name).length === 0, 'only what nobody is there for is evicted')
    group.last = undefined
    group.clearedAt = Math.max(group.clearedAt, last?.sequence ?? -1)
    const isForGroups = this.broker.core.registry.groups.size > this.options.limits.groupsMax
    if (!isForGroups) this.droppedFor++
  }

  private checkBroadcast(model: ModelSession, { payload, group, skipped, leaseNumber }: Delivery<ModelPayload>): void {
    const member = memberOf(model, group)
    const due = member.due.filter((sent) => sent.state !== 'aborted')
    must(
      due[skipped]?.payload.id === payload.id,
      `${model.id} gets broadcasts of ${group} in order and knows what it missed`,
    )
    must(leaseNumber === -1, 'a broadcast has no lease')
    member.due = due.slice(skipped + 1)
  }

  private checkProduced(model: ModelSession, delivery: Delivery<ModelPayload>): void {
    const { payload, group, attempt, leaseNumber, groupIndex, deadLetter } = delivery
    const { queue } = this.group(group)
    // What a leaving sender had begun is forgotten in the course of its leaving; until then the broker may still deliver it.
    const isNext = ({ sent }: Copy): boolean => sent.state !== 'aborted' || sent.payload === payload
    const copy = this.availableIn(group).find(isNext)
    if (copy !== undefined) queue.splice(queue.indexOf(copy), 1)
    must(copy?.sent.payload === payload, `the oldest object of ${group} is delivered first`)
    must(copy?.attempt === attempt, 'its attempts are counted')
    must(copy?.deadLetter === deadLetter || isSameText(copy?.deadLetter, deadLetter), 'it is told how it died')
    const avoided = attempt > 1 ? copy?.failedAt : undefined
    must(
      copy?.sent.route.groups[groupIndex] === group.replace(/\.dead$/, ''),
      'its group is told by its place in the route',
    )
    must(leaseNumber === model.nextLease++, 'leases are counted')
    const member = memberOf(model, group)
    const better = this.membersOf(group).find(
      ({ session, member: other }) =>
        session !== model &&
        session.id !== avoided &&
        session.state === 'attached' &&
        other.credit > 0 &&
        session.session?.backlog.count === 0 &&
        (payload.bytes <= session.room || session.room >= session.inboxBytes) &&
        // Anybody is better than who failed.
        (model.id === avoided ||
          other.leases < member.leases ||
          (other.leases === member.leases && other.since < member.since)),
    )
    must(!this.paused.has(group), `nothing of ${group} is lent while it is paused`)
    must(better === undefined, `${better?.session.id} is served before ${model.id} in ${group}`)
    must(member.credit-- > 0, 'only who asked gets something')
    member.leases++
    member.since = ++this.ticks
    if (copy !== undefined) model.leases.set(leaseNumber, { copy, group, id: model.id, isSeen: false })
  }

  private enqueue(sent: Sent): void {
    const { route, sender, sequence } = sent
    for (const [index, name] of route.groups.entries()) {
      must(sequence > (sender.lastIn.get(name) ?? -1), `nothing of ${sender.id} for ${name} is overtaken`)
      sender.lastIn.set(name, sequence)
      const group = this.group(name)
      const order = group.nextOrder++
      for (let copy = 0; copy < (route.copies[index] ?? 0); copy++) {
        group.queue.push({ sent, order, attempt: 1, ...restoredCopy, deadLetter: undefined })
      }
    }
  }

  private spread(sent: Sent): void {
    for (const name of sent.route.groups) {
      this.group(name).broadcasts.push(sent)
      for (const { member } of this.membersOf(name)) member.due.push(sent)
    }
  }

  private keepAsLast(sent: Sent): void {
    const { route, sequence } = sent
    for (const name of route.groups) {
      const group = this.group(name)
      const isNewer = group.clearedAt < sequence && (group.last?.sequence ?? -1) < sequence
      if (route.kind === 'broadcast' && isNewer) group.last = sent
      if (route.kind !== 'clear') continue
      group.last = undefined
      group.clearedAt = sequence
    }
  }

  private forget(sent: Sent): void {
    sent.state = 'aborted'
    for (const name of sent.route.groups) {
      const group = this.group(name)
      group.broadcasts = group.broadcasts.filter((other) => other !== sent)
      for (const { member } of this.membersOf(name)) member.due = member.due.filter((other) => other !== sent)
    }
    for (const group of this.groups.values()) group.queue = group.queue.filter((copy) => copy.sent !== sent)
  }

  private end(model: ModelSession, isGoodbye = false): void {
    model.state = 'ended'
    const giveBack = (lease: ModelLease | undefined): void => {
      if (lease !== undefined) this.requeue(lease, lease.isSeen && !isGoodbye ? { reason: 'lost' } : undefined)
    }
    for (const number of [...model.leases.keys()]) giveBack(this.endLease(model, number))
    for (const [number, lease] of model.reclaimed) {
      this.endReclaimed(model, number)
      giveBack(lease)
    }
    for (const lease of model.earlier) giveBack(lease)
    this.sessions.delete(model.id)
    for (const sent of this.sent) {
      const isUnfinished = sent.sender === model && (sent.state === 'offered' || sent.state === 'admitted')
      if (isUnfinished) sent.state = 'aborted'
    }
  }

  /** After a session may have left: what it had not finished is in no queue, and the broker has told of everything that died. */
  private settled(): void {
    must(this.deaths.length === 0, 'the broker tells of each object that dies')
    for (const sent of this.sent) if (sent.state === 'aborted') this.forget(sent)
  }

  /** A program gives it back. */
  private release(lease: ModelLease, { attemptCounted, isFinal, retryDelayMs, failure }: ModelTerms): void {
    const { retryDelayMs: usual, retryDelayMaxMs } = this.options.limits
    const delayMs = Math.min((retryDelayMs ?? usual) * 2 ** (lease.copy.attempt - 1), retryDelayMaxMs)
    const end = { reason: failure?.reason ?? 'released', isFinal, delayMs, error: failure?.error } as const
    this.requeue(lease, attemptCounted ? end : undefined)
  }

  /** The broker tells what died; it was foreseen. */
  private deadLettered(group: string, deadLetter: DeadLetter): void {
    if (this.deaths.length === 0) this.expireAbsent()
    must(isSameText(this.deaths.shift(), deadLetter), `an object of ${group} dies when and as it should`)
  }

  /** Only what is too much is dropped, and all groups together drop from the one that has most. */
  private checkDeadOverflow(name: string): void {
    const of = (group: string): number =>
      this.deadCopiesOf(group).reduce(
        (bytes, { sent, deadLetter }) => bytes + sent.payload.bytes + bytesOf(deadLetter),
        0,
      )
    const groups = [...this.groups.keys()].filter((group) => group.endsWith('.dead'))
    const total = groups.reduce((bytes, group) => bytes + of(group), 0)
    const accepted = this.options.acceptedGroups?.[name.replace(/\.dead$/, '')]
    if (of(name) > (accepted?.deadBytesMax ?? this.options.limits.deadBytesMax)) return
    must(total > this.options.limits.relayBytesMax, 'dead letters are dropped only if there are too many')
    must(
      groups.every((group) => of(group) <= of(name)),
      'the group with the most dead letters gives way',
    )
  }

  /** Those that wait, and those on lease. */
  private deadCopiesOf(name: string): Copy[] {
    const leases = [...this.sessions.values()].flatMap(allLeases)
    for (const absent of this.absent.values()) leases.push(...absent.leases)
    return [...this.group(name).queue, ...leases.filter(({ group }) => group === name).map(({ copy }) => copy)]
  }

  private availableIn(name: string): Copy[] {
    return this.group(name).queue.filter(({ dueMs }) => dueMs <= this.nowMs)
  }

  private endReclaimed(model: ModelSession, number: number): void {
    const member = model.members.get(model.reclaimed.get(number)?.group ?? '')
    if (member !== undefined) member.leases--
    model.reclaimed.delete(number)
  }

  /** Absent sessions whose time is over lose what they had: after the sessions whose grace time is over, before anything moves. */
  private expireAbsent(): void {
    for (const [id, { leases, endsMs }] of this.absent) {
      if (endsMs > this.nowMs) continue
      this.absent.delete(id)
      for (const lease of leases) this.requeue(lease, lease.isSeen ? { reason: 'lost' } : undefined)
    }
  }

  /** It waits again. `failure`: how an attempt failed, if it was one. */
  private requeue({ copy, group: name, id }: ModelLease, failure: ModelFailure | undefined): void {
    const isLast = failure !== undefined && (failure.isFinal || copy.attempt >= this.options.limits.attemptsMax)
    const isInDead = name.endsWith('.dead')
    const group = this.group(isLast && !isInDead ? `${name}.dead` : name)
    if (failure !== undefined) copy.failedAt = id
    if (isLast && !isInDead) {
      const { reason, error } = failure
      copy.deadLetter = { reason, attempts: copy.attempt, endpoint: id, diedAtMs: dateMs, ...(error && { error }) }
      copy.order = group.nextOrder++
      this.deaths.push(copy.deadLetter)
    }
    // A dead letter that cannot be read rests until another reader comes.
    copy.dueMs = this.nowMs + (isLast ? (isInDead ? Number.POSITIVE_INFINITY : 0) : (failure?.delayMs ?? 0))
    if (failure !== undefined) copy.attempt = isLast ? 1 : copy.attempt + 1
    group.queue.push(copy)
    // Copies of one object share an order: the one that was tried more often is the first.
    group.queue.sort((one, other) => one.order - other.order || other.attempt - one.attempt)
  }

  private endLease(model: ModelSession, number: number): ModelLease | undefined {
    const lease = model.leases.get(number)
    model.abortedLeases.delete(number)
    model.leases.delete(number)
    if (lease !== undefined) memberOf(model, lease.group).leases--
    return lease
  }

  private credit(member: ModelMember, count: number): void {
    if (member.credit === 0 && count > 0) member.since = ++this.ticks
    member.credit += count
  }

  private membersOf(name: string): { session: ModelSession; member: ModelMember }[] {
    const found: { session: ModelSession; member: ModelMember }[] = []
    for (const session of this.sessions.values()) {
      const member = session.members.get(name)
      if (member !== undefined) found.push({ session, member })
    }
    return found
  }

  private group(name: string): ModelGroup {
    let group = this.groups.get(name)
    if (group === undefined) {
      group = { queue: [], nextOrder: 0, broadcasts: [], last: undefined, clearedAt: -1 }
      this.groups.set(name, group)
    }
    return group
  }

  private sentAs(sequence: number): Sent {
    const sent = this.sent[sequence]
    if (sent === undefined) throw new Error(`nothing was sent as ${sequence}`)
    return sent
  }

  private modelOf({ id }: Session): ModelSession {
    const model = this.sessions.get(id)
    if (model === undefined) throw new Error(`${id} is over`)
    return model
  }
}

function memberOf(model: ModelSession, group: string): ModelMember {
  const member = model.members.get(group)
  if (member === undefined) throw new Error(`${model.id} is no member of ${group}`)
  return member
}

function bytesOfCopies(copies: readonly Copy[]): number {
  return copies.reduce((sum, { sent }) => sum + sent.payload.bytes, 0)
}

/** Everything that a session has on lease. */
function allLeases({ leases, reclaimed, earlier }: ModelSession): ModelLease[] {
  return [...leases.values(), ...reclaimed.values(), ...earlier]
}

/** Leases as a restored broker lists them: by object, and of each object equal ones together. */
function inOrderOfRestoring(leases: ModelLease[], rank: (id: number) => number): ModelLease[] {
  const sorted = leases.toSorted(
    (one, other) =>
      rank(one.copy.sent.sequence) - rank(other.copy.sent.sequence) ||
      compareText(one.group, other.group) ||
      one.copy.order - other.copy.order ||
      one.copy.attempt - other.copy.attempt,
  )
  const equal = new Map<string, ModelLease[]>()
  for (const lease of sorted) {
    const key = `${lease.copy.sent.sequence} ${lease.copy.attempt} ${lease.group}`
    equal.set(key, [...(equal.get(key) ?? []), lease])
  }
  // What was seen comes behind what was not.
  return [...equal.values()].flatMap((same) => same.toSorted((one, other) => Number(one.isSeen) - Number(other.isSeen)))
}

function isSameText(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function bytesOf(deadLetter: DeadLetter | undefined): number {
  return deadLetter === undefined ? 0 : deadLetterBytes(deadLetter)
}

function compareText(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}

function sessionOf({ session, id }: ModelSession): Session {
  if (session === undefined) throw new Error(`${id} has not joined`)
  return session
}

function ends(numbers: number[]): [from: number, to: number] {
  return [Math.min(...numbers), Math.max(...numbers)]
}

function isRejectedWith({ code, details }: ObjectRelayError, expected: Expected & object): boolean {
  const facts = new Map<string, unknown>(Object.entries(details))
  return code === expected.code && Object.entries(expected.details).every(([name, value]) => facts.get(name) === value)
}

function codeOf(run: () => unknown): string {
  return refusalOf(run)?.code ?? 'nothing was thrown'
}

function refusalOf(run: () => unknown): ObjectRelayError | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof ObjectRelayError) return error
    throw error
  }
  return undefined
}

function must(holds: boolean, rule: string): void {
  if (!holds) throw new Error(`It does not hold that ${rule}.`)
}
