import type { DeadLetter, DeathReason, LeaseFailure } from '../deadLetter.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import type { Core } from './core.ts'
import { deadLetter } from './deadLetters.ts'
import { addCredit, offerAgain } from './dispatch.ts'
import type { AbsentSession, Group, Lease, Membership, Session } from './entities/model.ts'
import { cutRun, isWhole, type QueueEntry } from './entities/queueEntry.ts'
import { park, retryDelay, retryLater } from './retries.ts'

/** The session's program took the leases `from` to `to`. */
export function acknowledge(core: Core, session: Session, from: number, to: number): void {
  const first = checkRange(session, from, to, 'acknowledges')
  for (let number = first; number <= to; number++) {
    const entry = session.leases.get(number)
    if (entry === undefined || isWhole(entry)) continue
    throw violation(session, `acknowledges the lease ${number}, an object of which it has not got all bytes yet`)
  }
  noteProgress(core, session)
  for (let number = first; number <= to; ) {
    const isSeen = session.leases.isSeen(number)
    const holder = session.leases.holderOf(number)
    const entry = takeLease(core, session, number, to)
    if (entry === undefined || holder === undefined) {
      session.abortedLeases.delete(number++)
      continue
    }
    number += entry.payload.objects
    acknowledgeOne(core, session, entry, holder, isSeen)
    if (holder.group.blocked.length > 0) core.markDirty(holder.group)
  }
}

/** An object, or a run, that `holder` had on lease is gone. */
export function acknowledgeOne(
  core: Core,
  session: Session,
  entry: QueueEntry,
  holder: Membership,
  isSeen: boolean,
): void {
  const { payload, attempt, order } = entry
  const { group } = holder
  holder.endLease(payload)
  group.counts.addAcknowledged(payload.objects)
  core.journal.acknowledged(payload, group.name, attempt, session.id, isSeen, order)
  core.unrefEntry(entry, group)
}

/**
 * The session's program has been given what is on lease as `from` to `to`, and may be working on it. What is settled already is
 * passed over: it does not matter any more.
 */
export function see(core: Core, session: Session, from: number, to: number): void {
  checkDelivered(session, from, to, 'has seen')
  const { leases, revokedBefore } = session
  const first = Math.max(from, revokedBefore)
  leases.visit(first, to, (entry, number) => {
    if (isWhole(entry)) return
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
  const holder = leases.holderOf(number)
  if (entry === undefined || holder === undefined) return
  const before = entry.payload.objects === 1 ? 0 : number - leases.firstOf(number)
  if (before > 0) leases.replace(cutRun(core.output, entry, before), number - before, before)
  const wanted = to - number + 1
  if (wanted < entry.payload.objects) {
    entry = cutRun(core.output, entry, wanted)
    leases.replace(entry, number, wanted)
  }
  const { payload, attempt, order } = entry
  for (let index = 0; index < payload.objects; index++) leases.markSeen(number + index)
  core.journal.seen(payload, holder.group.name, attempt, session.id, order)
}

/** How leases are released. */
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
    const holder = session.leases.holderOf(number)
    const entry = takeLease(core, session, number, to)
    if (entry === undefined || holder === undefined) session.abortedLeases.delete(number++)
    else {
      const { objects } = entry.payload
      requeueFrom(core, { entry, holder, isSeen }, number, releasedAs(terms))
      number += objects
    }
  }
}

export function releasedAs(terms: ReleaseTerms): LeaseEnd {
  return { attemptCounted: terms.attemptCounted, reason: terms.failure?.reason ?? 'released', terms }
}

/** Takes the lease `number` out, and those of the same run behind it up to `to`. The rest of a run stays on lease. */
function takeLease(core: Core, session: Session, number: number, to: number): QueueEntry | undefined {
  const { leases } = session
  const entry = leases.get(number)
  if (entry === undefined || entry.payload.objects === 1) return leases.take(number)
  const before = number - leases.firstOf(number)
  if (before > 0) leases.replace(cutRun(core.output, entry, before), number - before, before)
  const wanted = to - number + 1
  const { objects } = entry.payload
  leases.takeRun(number, Math.min(wanted, objects))
  return wanted < objects ? cutRun(core.output, entry, wanted) : entry
}

/**
 * Takes all leases from a session that is over, or makes no progress. If `attemptsCounted`, what its program has seen was tried in
 * vain; nobody has tried what it has not seen.
 */
export function revokeLeases(core: Core, session: Session, reason: DeathReason, attemptsCounted: boolean): number {
  const count = session.leaseCount
  const { leases, reclaimed, earlier } = session
  for (const [number, entry, holder] of [...leases]) {
    const isSeen = leases.isSeen(number)
    leases.takeRun(number, entry.payload.objects)
    requeueFrom(core, { entry, holder, isSeen }, number, { attemptCounted: isSeen && attemptsCounted, reason })
  }
  session.revokedBefore = leases.next
  session.abortedLeases.clear()
  const claimed = [...reclaimed.values()]
  reclaimed.clear()
  session.earlier = undefined
  for (const lease of claimed) requeue(core, lease, { attemptCounted: attemptsCounted, reason })
  if (earlier !== undefined) requeueAbsent(core, earlier, reason, attemptsCounted)
  return count
}

/** Takes everything from a session that has not come back, or does not want it. */
export function requeueAbsent(core: Core, absent: AbsentSession, reason: DeathReason, attemptsCounted: boolean): void {
  for (const lease of absent) requeue(core, lease, { attemptCounted: lease.isSeen && attemptsCounted, reason })
}

/** The session did something that only a living program does. */
export function noteProgress(core: Core, session: Session): void {
  if (session.noteProgress()) offerAgain(core, session)
}

/** Takes an object from a session, which needs no more of it if it is not whole yet. */
function requeueFrom(core: Core, lease: Lease, number: number, end: LeaseEnd): void {
  const { entry, holder } = lease
  const { session } = holder
  requeue(core, lease, end)
  if (isWhole(entry) || session.state === 'ended') return
  core.output.abortDelivery(session, entry.payload, number)
  // It has got nothing for its credit.
  addCredit(core, holder, 1)
}

/** A lease is over, and the object waits again. A run is one no more: each of its objects has a fate of its own now. */
export function requeue(core: Core, lease: Lease, end: LeaseEnd): void {
  const { entry } = lease
  while (entry.payload.objects > 1) requeueOne(core, { ...lease, entry: cutRun(core.output, entry, 1) }, end)
  requeueOne(core, lease, end)
}

function requeueOne(core: Core, { entry, holder, isSeen }: Lease, end: LeaseEnd): void {
  const { attempt } = entry
  const { group, session } = holder
  holder.endLease(entry.payload)
  core.counts.addReleased()
  core.markDirty(group)
  const isLast = end.attemptCounted && (attempt >= core.limits.attemptsMax || end.terms?.isFinal === true)
  if (isLast && !group.isDeadLetter) {
    deadLetter(core, group, entry, isSeen, deadLetterOf(core, session, attempt, end))
    return
  }
  if (end.attemptCounted) entry.attempt = isLast ? 1 : attempt + 1
  const large = core.largeOf(entry.shared)
  if (large !== undefined) large.waits(entry, group)
  else core.journal.returned(entry.payload, group.name, attempt, session.id, isSeen, entry.attempt, entry.order)
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
