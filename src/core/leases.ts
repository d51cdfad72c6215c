import type { DeadLetter, DeathReason, LeaseFailure } from '../deadLetter.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import type { AbsentSession } from './absentSession.ts'
import type { Core } from './core.ts'
import { deadLetter } from './deadLetters.ts'
import { addCredit, offerAgain, placeAnew } from './dispatch.ts'
import type { Group } from './group.ts'
import type { Membership } from './membership.ts'
import { cutRun, type QueueEntry } from './queueEntry.ts'
import { park, retryDelay, retryLater } from './retries.ts'
import type { Session } from './session.ts'

/** The session's program took the leases `from` to `to`. */
export function acknowledge(core: Core, session: Session, from: number, to: number): void {
  const first = checkRange(session, from, to, 'acknowledges')
  for (let number = first; number <= to; number++) {
    if (session.leases.get(number)?.shared?.large === undefined) continue
    throw violation(session, `acknowledges the lease ${number}, an object of which it has not got all bytes yet`)
  }
  noteProgress(core, session)
  for (let number = first; number <= to; ) {
    const isSeen = session.leases.isSeen(number)
    const entry = takeLease(core, session, number, to)
    if (entry?.holder === undefined) {
      session.abortedLeases.delete(number++)
      continue
    }
    const { objects } = entry.payload
    const { group } = entry.holder
    number += objects
    endLease(entry, entry.holder)
    group.counts.acknowledged += objects
    core.counts.acknowledged += objects
    core.journal.acknowledged(entry.payload, group.name, entry.attempt, session.id, isSeen, entry.order)
    core.unrefEntry(entry, group)
    if (group.blocked.length > 0) core.markDirty(group)
  }
}

/**
 * The session's program has been given what is on lease as `from` to `to`, and may be working on it. What is settled already is
 * passed over: it does not matter any more.
 */
export function see(core: Core, session: Session, from: number, to: number): void {
  checkDelivered(session, from, to, 'has seen')
  const { leases, revokedBefore } = session
  const first = Math.max(from, revokedBefore)
  leases.visit(first, to, ({ shared }, number) => {
    if (shared?.large === undefined) return
    throw violation(session, `has seen the lease ${number}, an object of which it has not got all bytes yet`)
  })
  const starts: number[] = []
  let last: QueueEntry | undefined
  leases.visit(first, to, (entry, number) => {
    if (entry !== last && !leases.isSeen(number)) starts.push(number)
    last = entry
  })
  for (const number of starts) seePart(core, session, number, to)
}

/** A run is seen as a whole or not at all: what was seen of it, up to `to`, is cut out. */
function seePart(core: Core, session: Session, number: number, to: number): void {
  const { leases } = session
  let entry = leases.get(number)
  if (entry?.holder === undefined) return
  const before = entry.payload.objects === 1 ? 0 : number - leases.firstOf(number)
  if (before > 0) leases.replace(cutRun(core.output, entry, before), number - before, before)
  const wanted = to - number + 1
  if (wanted < entry.payload.objects) {
    entry = cutRun(core.output, entry, wanted)
    leases.replace(entry, number, wanted)
  }
  const { payload, holder, attempt, order } = entry
  for (let index = 0; index < payload.objects; index++) leases.markSeen(number + index)
  if (holder !== undefined) core.journal.seen(payload, holder.group.name, attempt, session.id, order)
}

/** How leases are given back. */
export interface ReleaseTerms {
  /** Whether the program tried, and failed. */
  readonly attemptCounted: boolean
  /** Whether the remaining attempts are skipped. */
  readonly isFinal?: boolean
  /** How long the object waits after its first attempt; `undefined`: as long as its group says. */
  readonly retryDelayMs?: number | undefined
  readonly failure?: LeaseFailure | undefined
}

/** How the lease of one object ended without its being taken. */
export interface LeaseEnd {
  readonly isSeen: boolean
  readonly attemptCounted: boolean
  readonly reason: DeathReason
  /** Set if a program said so itself; otherwise the object may be delivered again at once. */
  readonly terms?: ReleaseTerms
}

/** The session gives the leases `from` to `to` back unused. */
export function release(core: Core, session: Session, from: number, to: number, terms: ReleaseTerms): void {
  const first = checkRange(session, from, to, 'releases')
  noteProgress(core, session)
  for (let number = first; number <= to; ) {
    const isSeen = session.leases.isSeen(number)
    const entry = takeLease(core, session, number, to)
    if (entry === undefined) session.abortedLeases.delete(number++)
    else {
      const { objects } = entry.payload
      requeueFrom(core, session, entry, number, releasedAs(terms, isSeen))
      number += objects
    }
  }
}

export function releasedAs(terms: ReleaseTerms, isSeen: boolean): LeaseEnd {
  return { isSeen, attemptCounted: terms.attemptCounted, reason: terms.failure?.reason ?? 'released', terms }
}

/** Takes the lease `number` out, and those of the same run behind it up to `to`. The park of a run stays on lease. */
function takeLease(core: Core, session: Session, number: number, to: number): QueueEntry | undefined {
  const { leases } = session
  const entry = leases.get(number)
  if (entry === undefined || entry.payload.objects === 1) return leases.take(number)
  const before = number - leases.firstOf(number)
  if (before > 0) leases.replace(cutRun(core.output, entry, before), number - before, before)
  const wanted = to - number + 1
  const { objects } = entry.payload
  leases.take(number, Math.min(wanted, objects))
  return wanted < objects ? cutRun(core.output, entry, wanted) : entry
}

/**
 * Takes all leases from a session that is over, or makes no progress. If `attemptsCounted`, what its program has seen was tried in
 * vain; nobody has tried what it has not seen.
 */
export function revokeLeases(core: Core, session: Session, reason: DeathReason, attemptsCounted: boolean): number {
  const count = session.leaseCount
  const { leases, reclaimed, earlier } = session
  for (const [number, entry] of [...leases]) {
    const isSeen = leases.isSeen(number)
    leases.take(number, entry.payload.objects)
    requeueFrom(core, session, entry, number, { isSeen, attemptCounted: isSeen && attemptsCounted, reason })
  }
  session.revokedBefore = leases.next
  session.abortedLeases.clear()
  const claimed = [...reclaimed.values()]
  reclaimed.clear()
  session.earlier = undefined
  for (const entry of claimed) requeue(core, entry, { isSeen: true, attemptCounted: attemptsCounted, reason })
  if (earlier !== undefined) requeueAbsent(core, earlier, reason, attemptsCounted)
  return count
}

/** Takes everything from a session that has not come back, or does not want it. */
export function requeueAbsent(core: Core, absent: AbsentSession, reason: DeathReason, attemptsCounted: boolean): void {
  for (const entry of absent) {
    const isSeen = absent.hasSeen(entry)
    requeue(core, entry, { isSeen, attemptCounted: isSeen && attemptsCounted, reason })
  }
}

/** A lease is over, or those of a run: its holder, and the group that it is of, have so many less. */
export function endLease(entry: QueueEntry, holder: Membership): void {
  const { group } = holder
  entry.holder = undefined
  const { objects, bytes } = entry.payload
  holder.leases -= objects
  placeAnew(holder)
  group.leased -= objects
  group.leasedBytes -= bytes
}

/** The session did something that only a living program does. */
export function noteProgress(core: Core, session: Session): void {
  session.progressed = true
  if (!session.hung) return
  session.hung = false
  offerAgain(core, session)
}

/** Takes an object from a session, which needs no more of it if it is not whole yet. */
function requeueFrom(core: Core, session: Session, entry: QueueEntry, number: number, end: LeaseEnd): void {
  const { holder } = entry
  requeue(core, entry, end)
  const isPartial = entry.shared?.large !== undefined
  if (!isPartial || holder === undefined || session.state === 'ended') return
  core.output.abortDelivery(session, entry.payload, number)
  // It has got nothing for its credit.
  addCredit(core, holder, 1)
}

/** A lease is over, and the object waits again. A run is one no more: each of its objects has a fate of its own now. */
export function requeue(core: Core, entry: QueueEntry, end: LeaseEnd): void {
  while (entry.payload.objects > 1) requeueOne(core, cutRun(core.output, entry, 1), end)
  requeueOne(core, entry, end)
}

function requeueOne(core: Core, entry: QueueEntry, end: LeaseEnd): void {
  const { holder, attempt } = entry
  if (holder === undefined) return
  const { group, session } = holder
  endLease(entry, holder)
  core.counts.released++
  core.markDirty(group)
  const large = entry.shared?.large
  large?.leases.delete(entry)
  const isLast = end.attemptCounted && (attempt >= core.limits.attemptsMax || end.terms?.isFinal === true)
  if (isLast && !group.isDeadLetter) {
    deadLetter(core, group, entry, { attempt, isSeen: end.isSeen }, deadLetterOf(core, session, attempt, end))
    return
  }
  if (end.attemptCounted) entry.attempt = isLast ? 1 : attempt + 1
  if (large === undefined) {
    core.journal.returned(entry.payload, group.name, attempt, session.id, end.isSeen, entry.attempt, entry.order)
  } else {
    large.waiting.set(entry, group)
  }
  if (end.attemptCounted) core.failedAt.set(entry, session.id)
  if (isLast) park(group, entry)
  else waitAgain(core, group, entry, attempt, end)
}

/** After an attempt that failed it waits for a while; what nobody has tried, or a vanished program tried, may be delivered at once. */
function waitAgain(
  core: Core,
  group: Group,
  entry: QueueEntry,
  attempt: number,
  { attemptCounted, terms }: LeaseEnd,
): void {
  const isFailed = attemptCounted && terms !== undefined
  const delayMs = isFailed
    ? retryDelay(terms.retryDelayMs ?? group.retryDelayMs, attempt, core.limits.retryDelayMaxMs)
    : 0
  if (delayMs > 0) retryLater(core, group, entry, delayMs)
  else group.queue.requeue(entry)
}

function deadLetterOf(core: Core, { id, name }: Session, attempts: number, { reason, terms }: LeaseEnd): DeadLetter {
  const error = terms?.failure?.error
  return {
    reason,
    attempts,
    endpoint: id,
    ...(name === '' ? {} : { name }),
    diedAtMs: core.output.dateMs(),
    ...(error === undefined ? {} : { error }),
  }
}

/** Checks a range of lease numbers, and returns the first that is of consequence. Nothing has changed when it throws. */
function checkRange(session: Session, from: number, to: number, does: string): number {
  checkDelivered(session, from, to, does)
  const { leases, abortedLeases, revokedBefore } = session
  const first = Math.max(from, revokedBefore)
  // Whoever names more numbers than there are leases is wrong in one of them: no need to find out in which.
  const isTooLong = to - first + 1 > leases.size + abortedLeases.size
  for (let number = first; number <= to; number++) {
    if (!isTooLong && (leases.get(number) !== undefined || abortedLeases.has(number))) continue
    throw violation(session, `${does} the leases ${from} to ${to}, some of which are settled already`)
  }
  return first
}

function checkDelivered(session: Session, from: number, to: number, does: string): void {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || from > to) {
    throw violation(session, `${does} the leases ${from} to ${to}, which is not a range`)
  }
  const { next } = session.leases
  if (to < next) return
  throw violation(session, `${does} the leases ${from} to ${to}, but only ${next} were delivered`)
}

function violation(session: Session, what: string): ObjectRelayError {
  return createError('PROTOCOL_VIOLATION', `The session "${session.id}" ${what}. Settle each delivered lease once.`)
}
