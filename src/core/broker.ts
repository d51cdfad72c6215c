// Who gets which object: groups, queues, broadcasts, credit, leases, grace times. No clock, no sockets, no bytes.
// It may import errors, limits and dead letters of src/, and nothing else; its own files form an acyclic list, types included.
// What an object's way depends on is changed here: counters in entities/, decisions in the files beside this one, what the shell sees in ports.ts.

import type { DeathReason } from '../deadLetter.ts'
import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { admitBlocked, admitNew, admitNext, mayEnterTogether } from './admission.ts'
import { broadcastWhole, clearBroadcasts, drainBacklog } from './broadcasts.ts'
import { Core } from './core.ts'
import { trimDeadLetters } from './deadLetters.ts'
import { addCredit, dispatch } from './dispatch.ts'
import { accept } from './entering.ts'
import type { ResolvedRoute, Session } from './entities/model.ts'
import { applySetting, setPaused, setPolicy } from './groupSetting.ts'
import type { BrokerJournal, KeptPlace } from './journal.ts'
import { abortLarge, beginLarge, checkBegin, completeLarge } from './largeObject.ts'
import { acknowledge, noteProgress, type ReleaseTerms, release, see } from './leases.ts'
import * as lifecycle from './lifecycle.ts'
import { keptPayloads } from './payloads.ts'
import { keptPlaces } from './places.ts'
import type { AcceptedGroup, BrokerOptions, BrokerOutput, GroupSetting, JoinOptions, Payload, Route } from './ports.ts'
import { acknowledgeReclaimed, endReclaim, reclaim, reclaimedLeaseMin, releaseReclaimed } from './reclaim.ts'
import { Restoration } from './restore.ts'
import { evictGroups } from './retained.ts'
import { resolveRoute } from './routing.ts'
import { type BrokerStats, readStats } from './stats.ts'

/** How a session ends. */
export interface LeaveOptions {
  /** Whether what its program has seen was tried in vain. Default true. */
  readonly attemptCounted?: boolean
  /** Its endpoint is about to join anew, at this time. */
  readonly absentFromMs?: number
}

/**
 * Decides who gets which object. It has no clock, no sockets and no bytes: the shell calls it for what happened, and is told
 * through {@link BrokerOutput} what to do before the call returns. When a call throws, nothing has changed.
 */
export class Broker {
  /** The state, for the other parts of the core and for tests. */
  readonly core: Core
  private restoration: Restoration | undefined = undefined

  constructor(options: BrokerOptions, output: BrokerOutput, journal: BrokerJournal) {
    this.core = new Core(options, output, journal)
  }

  /**
   * A new session, attached, as a member of `groups`; the retained broadcast of each is delivered before this returns.
   * Throws `GROUP_NOT_ACCEPTED`, `GROUP_FULL`, `TOO_MANY_GROUPS` or `INVALID_ARGUMENT`.
   */
  join(id: string, groups: readonly string[], options: JoinOptions): Session {
    const session = lifecycle.join(this.core, id, groups, options)
    this.runDirty()
    return session
  }

  /** The link of the session is lost; its grace time begins. */
  detach(session: Session, nowMs: number): void {
    lifecycle.detach(this.core, session, nowMs)
  }

  /** The session is resumed over a new link. */
  attach(session: Session): void {
    checkNotEnded(session)
    lifecycle.attach(this.core, session)
    this.runDirty()
  }

  /**
   * The session is over. All its leases go back, with an attempt counted for what its program has seen, unless it took its leave itself; what it was
   * sending and what waited for room is forgotten. If its endpoint is about to join again, give the time as `absentFromMs`: what
   * it had not claimed yet of before a restart waits for it again.
   */
  leave(session: Session, reason: DeathReason, { attemptCounted = true, absentFromMs }: LeaveOptions = {}): void {
    if (absentFromMs !== undefined) lifecycle.keepAbsent(this.core, session, absentFromMs)
    lifecycle.leave(this.core, session, reason, attemptCounted)
    this.runDirty()
  }

  /**
   * A whole object arrived, or a run of them, whose sequences follow each other from `sequence` on. Each is accepted or rejected, now
   * or when there is room.
   */
  send(session: Session, sequence: number, route: Route, payload: Payload): void {
    checkNotEnded(session)
    this.sendWhole(session, sequence, route, payload)
    this.runDirty()
  }

  /** A large object of `payload.bytes` begins. It is admitted or rejected, now or when there is room. */
  begin(session: Session, sequence: number, route: Route, payload: Payload): void {
    checkNotEnded(session)
    checkBegin(this.core, session, sequence, route.kind)
    const resolved = resolveRoute(this.core, session, sequence, route, payload)
    if (resolved !== undefined) beginLarge(this.core, session, sequence, route.kind, resolved, payload)
    this.runDirty()
  }

  /** The last byte of an admitted large object arrived. */
  complete(session: Session, sequence: number): void {
    checkNotEnded(session)
    completeLarge(this.core, session, sequence)
    this.runDirty()
  }

  /** The sender gives a large object up. */
  abort(session: Session, sequence: number): void {
    abortLarge(this.core, session, sequence)
    this.runDirty()
  }

  /** The session asks for `count` more objects of a group, or with -1 for all that wait now. Returns the credit that this added. */
  notify(session: Session, group: string, count: number): number {
    checkNotEnded(session)
    const member = session.memberships.get(group)
    if (member === undefined) {
      const message = `The endpoint is not a member of the group "${group}". Join it at connect to ask for its objects.`
      throw createError('NOT_A_MEMBER', message, { details: { group } })
    }
    if (count !== -1 && (!Number.isInteger(count) || count < 1 || count > fixedLimits.countMax)) {
      const message = `${count} objects of the group "${group}" were asked for. Ask for 1 to ${fixedLimits.countMax}, or for -1: all.`
      throw createError('INVALID_ARGUMENT', message, { details: { group, count } })
    }
    // Who asks for all twice, before its window let the first lot through, does not ask for more.
    const added = count === -1 ? Math.max(0, member.group.queue.availableCount - member.credit) : count
    noteProgress(this.core, session)
    if (added > 0) addCredit(this.core, member, added)
    this.runDirty()
    return added
  }

  /**
   * The program took the objects of the leases `from` to `to`, both included. Throws `PROTOCOL_VIOLATION` unless all are out.
   * From {@link reclaimedLeaseMin} on, what the session has not claimed is passed over.
   */
  acknowledge(session: Session, from: number, to: number): void {
    checkNotEnded(session)
    if (from >= reclaimedLeaseMin) acknowledgeReclaimed(this.core, session, from, to)
    else acknowledge(this.core, session, from, to)
    this.runDirty()
  }

  /**
   * The program has been given the objects of the leases `from` to `to`, both included, and has not settled them: should it vanish now,
   * that was an attempt. Throws `PROTOCOL_VIOLATION` unless all were delivered. What was claimed counts as seen anyway.
   */
  seen(session: Session, from: number, to: number): void {
    checkNotEnded(session)
    if (from < reclaimedLeaseMin) see(this.core, session, from, to)
  }

  /**
   * The leases `from` to `to`, both included, go back unused; otherwise as {@link Broker.acknowledge}. Give the time if an attempt is
   * counted: it is from then on that the objects wait for their next attempt.
   */
  release(session: Session, from: number, to: number, terms: ReleaseTerms, nowMs: number = this.core.nowMs): void {
    checkNotEnded(session)
    this.core.nowMs = nowMs
    if (from >= reclaimedLeaseMin) releaseReclaimed(this.core, session, from, to, terms)
    else release(this.core, session, from, to, terms)
    this.runDirty()
  }

  /**
   * A paused group takes objects and lends none of them, until it is resumed; what is on lease stays there, and broadcasts go on.
   * Throws `GROUP_NOT_ACCEPTED`, `TOO_MANY_GROUPS` or `INVALID_ARGUMENT`.
   */
  setPaused(group: string, isPaused: boolean): void {
    setPaused(this.core, group, isPaused)
    this.runDirty()
  }

  /**
   * From now on, `policy` holds for a group, and nothing of what the options say of it; with `undefined` they hold again. What is
   * there stays, even if it is too much now. Throws as {@link Broker.setPaused}, and `INVALID_OPTION`.
   */
  setPolicy(group: string, policy: AcceptedGroup | undefined): void {
    setPolicy(this.core, group, policy)
    this.runDirty()
  }

  /** What was set of a group before a restart holds again: call it before {@link Broker.restore}. */
  restoreGroup(group: string, setting: GroupSetting): void {
    applySetting(this.core, group, setting)
  }

  /**
   * Puts back what was kept before a restart: call it for all places, then {@link Broker.restored}, before anything else. The places
   * of one payload come one after another, otherwise in any order. Nothing is dropped because it is beyond the bounds of this
   * run; they hold for what is new.
   */
  restore(place: KeptPlace): void {
    const { core } = this
    this.restoration ??= new Restoration(core)
    this.restoration.add(place)
  }

  /** All that was kept has been restored. The sessions that had leases have `sessionGraceMs` from now on to come back. */
  restored(nowMs: number): void {
    const { core, restoration } = this
    core.nowMs = nowMs
    this.restoration = undefined
    restoration?.finish(nowMs + core.limits.sessionGraceMs)
  }

  /** Whether there are leases of before a restart that the session of this name may claim, be it back already or not. */
  isAbsent(id: string): boolean {
    return this.core.absent.has(id) || this.core.sessions.get(id)?.earlier !== undefined
  }

  /**
   * The endpoint of a session that came back has taken an object that it had on lease before a restart: the lease is its own
   * again, as `leaseNumber` from now on. Returns whether there was such a lease. Throws `PROTOCOL_VIOLATION` if the number
   * is lower than {@link reclaimedLeaseMin} or used already.
   */
  reclaim(session: Session, payload: Payload, group: string, attempt: number, leaseNumber: number): boolean {
    checkNotEnded(session)
    const isFound = reclaim(this.core, session, payload, group, attempt, leaseNumber)
    this.runDirty()
    return isFound
  }

  /** The session has claimed all that it will: the rest goes back to the front of the queues, without an attempt counted. */
  endReclaim(session: Session): void {
    checkNotEnded(session)
    endReclaim(this.core, session)
    this.runDirty()
  }

  /** The endpoint is ready to take `limitBytes` bytes of objects in all since it joined. */
  setWindow(session: Session, limitBytes: number): void {
    checkNotEnded(session)
    if (!Number.isSafeInteger(limitBytes) || limitBytes < session.windowEnd) {
      const message = `The session "${session.id}" set its window from ${session.windowEnd} to ${limitBytes}. It is an integer that never falls.`
      throw createError('PROTOCOL_VIOLATION', message)
    }
    session.setWindow(limitBytes)
    drainBacklog(this.core, session)
    this.runDirty()
  }

  /** Of all bytes that were delivered to the session, `bytes` have come to its endpoint. */
  setArrived(session: Session, bytes: number): void {
    checkNotEnded(session)
    if (bytes <= session.arrivedBytes) return
    session.setArrived(bytes)
    if (session.backlog.count === 0) return
    drainBacklog(this.core, session)
    this.runDirty()
  }

  /** Time has come to `nowMs`. */
  advance(nowMs: number): void {
    lifecycle.advance(this.core, nowMs)
    this.runDirty()
  }

  /** When {@link Broker.advance} should be called next. */
  nextDeadlineMs(): number | undefined {
    return lifecycle.nextDeadlineMs(this.core)
  }

  stats(): BrokerStats {
    return readStats(this.core)
  }

  /** Everything that is kept; what several places refer to, several times. */
  payloads(): Generator<Payload> {
    return keptPayloads(this.core)
  }

  /** Where whole objects are: what the journal was told, summed up. Nothing may happen while it is read. */
  places(): Generator<KeptPlace> {
    return keptPlaces(this.core)
  }

  /** From now on, new objects are rejected; those that were begun or wait for room may still be accepted. */
  stopAccepting(): void {
    this.core.stopped = true
  }

  /** A run goes the way of one object if nothing is in the way of any of them. Otherwise its halves are tried. */
  private sendWhole(session: Session, sequence: number, route: Route, payload: Payload): void {
    const { core } = this
    const { objects } = payload
    if (objects > 1 && !mayEnterTogether(core, session, route, payload)) {
      const firstObjects = objects >>> 1
      this.sendWhole(session, sequence, route, core.output.cut(payload, firstObjects))
      this.sendWhole(session, sequence + firstObjects, route, payload)
      return
    }
    const resolved = resolveRoute(core, session, sequence, route, payload)
    if (resolved === undefined) return
    if (route.kind === 'produce') admitNew(core, session, sequence, resolved, payload, undefined)
    else if (route.kind === 'clear') this.clear(session, sequence, resolved, payload)
    else broadcastWhole(core, session, sequence, route.kind, resolved, payload)
  }

  private clear(session: Session, sequence: number, resolved: ResolvedRoute, payload: Payload): void {
    clearBroadcasts(this.core, resolved)
    accept(this.core, session, sequence, resolved)
    this.core.output.released(payload)
  }

  /** Moves what can move in the groups that are dirty, until nothing more can. */
  private runDirty(): void {
    const { core } = this
    const { dirtyGroups, sessionsToDrain } = core
    if (sessionsToDrain.size > 0) {
      for (const session of sessionsToDrain) drainBacklog(core, session)
      sessionsToDrain.clear()
    }
    do {
      for (let index = 0; index < dirtyGroups.length; index++) {
        const group = dirtyGroups[index]
        if (group === undefined) continue
        group.isDirty = false
        dispatch(core, group)
        if (group.isDeadLetter) trimDeadLetters(core, group)
        if (group.blocked.length > 0) admitBlocked(core, group.blocked)
        if (group.members.size > 0) continue
        core.unattended.classify(group)
        core.registry.forgetIfEmpty(group)
      }
      // To set its length is a slow call, even if there is nothing in it.
      while (dirtyGroups.length > 0) dirtyGroups.pop()
      if (core.nextSends.length > 0) admitNext(core)
      if (core.blocked.length > 0) admitBlocked(core, core.blocked)
      if (core.registry.surplus > 0) evictGroups(core)
    } while (dirtyGroups.length > 0 || core.nextSends.length > 0)
  }
}

function checkNotEnded(session: Session): void {
  if (session.state !== 'ended') return
  throw createError('SESSION_LOST', `The session "${session.id}" is over. Join again.`)
}
