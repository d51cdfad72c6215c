import type { DeadLetter, DeathReason, LeaseFailure } from '../deadLetter.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import type { AbsentSession } from './absentSession.ts'
import type { Core } from './core.ts'
import { bury } from './deadLetters.ts'
import { addCredit, offerAgain, placeAnew } from './dispatch.ts'
import type { Group } from './group.ts'
import type { Membership } from './membership.ts'
import { cutRun, type Item } from './queueEntry.ts'
import { rest, retryDelay, retryLater } from './retries.ts'
import type { Session } from './session.ts'

/** The session's program took the leases `from` to `to`. */
export function acknowledge(core: Core, session: Session, from: number, to: number): void {
  const first = checkRange(session, from, to, 'acknowledges')
  for (let number = first; number <= to; number++) {
    if (session.leases.get(number)?.parcel?.large === undefined) continue
    throw violation(session, `acknowledges the lease ${number}, an object of which it has not got all bytes yet`)
  }
  noteProgress(core, session)
  for (let number = first; number <= to; ) {
    const isSeen = session.leases.isSeen(number)
    const item = takeLease(core, session, number, to)
    if (item?.holder === undefined) {
      session.abortedLeases.delete(number++)
      continue
    }
    const { objects } = item.payload
    const { group } = item.holder
    number += objects
    endLease(item, item.holder)
    group.counts.acknowledged += objects
    core.counts.acknowledged += objects
    core.journal.acknowledged(item.payload, group.name, item.attempt, session.id, isSeen, item.order)
    core.letItemGo(item, group)
    if (group.blocked.length > 0) core.touch(group)
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
  leases.visit(first, to, ({ parcel }, number) => {
    if (parcel?.large === undefined) return
    throw violation(session, `has seen the lease ${number}, an object of which it has not got all bytes yet`)
  })
  const starts: number[] = []
  let last: Item | undefined
  leases.visit(first, to, (item, number) => {
    if (item !== last && !leases.isSeen(number)) starts.push(number)
    last = item
  })
  for (const number of starts) seePart(core, session, number, to)
}

/** A run is seen as a whole or not at all: what was seen of it, up to `to`, is cut out. */
function seePart(core: Core, session: Session, number: number, to: number): void {
  const { leases } = session
  let item = leases.get(number)
  if (item?.holder === undefined) return
  const before = item.payload.objects === 1 ? 0 : number - leases.firstOf(number)
  if (before > 0) leases.replace(cutRun(core.output, item, before), number - before, before)
  const wanted = to - number + 1
  if (wanted < item.payload.objects) {
    item = cutRun(core.output, item, wanted)
    leases.replace(item, number, wanted)
  }
  const { payload, holder, attempt, order } = item
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
    const item = takeLease(core, session, number, to)
    if (item === undefined) session.abortedLeases.delete(number++)
    else {
      const { objects } = item.payload
      giveBackFrom(core, session, item, number, releasedAs(terms, isSeen))
      number += objects
    }
  }
}

export function releasedAs(terms: ReleaseTerms, isSeen: boolean): LeaseEnd {
  return { isSeen, attemptCounted: terms.attemptCounted, reason: terms.failure?.reason ?? 'released', terms }
}

/** Takes the lease `number` out, and those of the same run behind it up to `to`. The rest of a run stays on lease. */
function takeLease(core: Core, session: Session, number: number, to: number): Item | undefined {
  const { leases } = session
  const item = leases.get(number)
  if (item === undefined || item.payload.objects === 1) return leases.take(number)
  const before = number - leases.firstOf(number)
  if (before > 0) leases.replace(cutRun(core.output, item, before), number - before, before)
  const wanted = to - number + 1
  const { objects } = item.payload
  leases.take(number, Math.min(wanted, objects))
  return wanted < objects ? cutRun(core.output, item, wanted) : item
}

/**
 * Takes all leases from a session that is over, or makes no progress. If `attemptsCounted`, what its program has seen was tried in
 * vain; nobody has tried what it has not seen.
 */
export function takeLeasesBack(core: Core, session: Session, reason: DeathReason, attemptsCounted: boolean): number {
  const count = session.leaseCount
  const { leases, reclaimed, earlier } = session
  for (const [number, item] of [...leases]) {
    const isSeen = leases.isSeen(number)
    leases.take(number, item.payload.objects)
    giveBackFrom(core, session, item, number, { isSeen, attemptCounted: isSeen && attemptsCounted, reason })
  }
  session.revokedBefore = leases.next
  session.abortedLeases.clear()
  const claimed = [...reclaimed.values()]
  reclaimed.clear()
  session.earlier = undefined
  for (const item of claimed) giveBack(core, item, { isSeen: true, attemptCounted: attemptsCounted, reason })
  if (earlier !== undefined) giveBackAbsent(core, earlier, reason, attemptsCounted)
  return count
}

/** Takes everything from a session that has not come back, or does not want it. */
export function giveBackAbsent(core: Core, absent: AbsentSession, reason: DeathReason, attemptsCounted: boolean): void {
  for (const item of absent) {
    const isSeen = absent.hasSeen(item)
    giveBack(core, item, { isSeen, attemptCounted: isSeen && attemptsCounted, reason })
  }
}

/** A lease is over, or those of a run: its holder, and the group that it is of, have so many less. */
export function endLease(item: Item, holder: Membership): void {
  const { group } = holder
  item.holder = undefined
  const { objects, bytes } = item.payload
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
function giveBackFrom(core: Core, session: Session, item: Item, number: number, end: LeaseEnd): void {
  const { holder } = item
  giveBack(core, item, end)
  const isPartial = item.parcel?.large !== undefined
  if (!isPartial || holder === undefined || session.state === 'ended') return
  core.output.abortDelivery(session, item.payload, number)
  // It has got nothing for its credit.
  addCredit(core, holder, 1)
}

/** A lease is over, and the object waits again. A run is one no more: each of its objects has a fate of its own now. */
export function giveBack(core: Core, item: Item, end: LeaseEnd): void {
  while (item.payload.objects > 1) giveBackOne(core, cutRun(core.output, item, 1), end)
  giveBackOne(core, item, end)
}

function giveBackOne(core: Core, item: Item, end: LeaseEnd): void {
  const { holder, attempt } = item
  if (holder === undefined) return
  const { group, session } = holder
  endLease(item, holder)
  core.counts.released++
  core.touch(group)
  const large = item.parcel?.large
  large?.leases.delete(item)
  const isLast = end.attemptCounted && (attempt >= core.limits.attemptsMax || end.terms?.isFinal === true)
  if (isLast && !group.isDeadLetter) {
    bury(core, group, item, { attempt, isSeen: end.isSeen }, deadLetterOf(core, session, attempt, end))
    return
  }
  if (end.attemptCounted) item.attempt = isLast ? 1 : attempt + 1
  if (large === undefined) {
    core.journal.returned(item.payload, group.name, attempt, session.id, end.isSeen, item.attempt, item.order)
  } else {
    large.waiting.set(item, group)
  }
  if (end.attemptCounted) core.failedAt.set(item, session.id)
  if (isLast) rest(group, item)
  else waitAgain(core, group, item, attempt, end)
}

/** After an attempt that failed it waits for a while; what nobody has tried, or a vanished program tried, may be delivered at once. */
function waitAgain(core: Core, group: Group, item: Item, attempt: number, { attemptCounted, terms }: LeaseEnd): void {
  const isFailed = attemptCounted && terms !== undefined
  const delayMs = isFailed
    ? retryDelay(terms.retryDelayMs ?? group.retryDelayMs, attempt, core.limits.retryDelayMaxMs)
    : 0
  if (delayMs > 0) retryLater(core, group, item, delayMs)
  else group.ready.giveBack(item)
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
