import { createError, type ObjectRelayError } from '../errors.ts'
import type { Payload } from './contract.ts'
import type { Core } from './core.ts'
import { addCredit, offerAgain, placeAnew } from './dispatch.ts'
import type { Group } from './group.ts'
import type { Membership } from './membership.ts'
import { cutRun, type Item } from './parcel.ts'
import type { Session } from './session.ts'

/** The session's program took the leases `from` to `to`. */
export function acknowledge<P extends Payload>(core: Core<P>, session: Session<P>, from: number, to: number): void {
  const first = checkRange(session, from, to, 'acknowledges')
  for (let number = first; number <= to; number++) {
    if (session.leases.get(number)?.parcel?.large === undefined) continue
    throw violation(session, `acknowledges the lease ${number}, an object of which it has not got all bytes yet`)
  }
  noteProgress(core, session)
  for (let number = first; number <= to; ) {
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
    core.journal.acknowledged(item.payload, group.name, item.attempt, session.id, item.order)
    core.letItemGo(item)
    if (group.rotation.length > 0) core.touch(group)
  }
}

/**
 * The session's program has been given what is on lease as `from` to `to`, and may be working on it. What is settled already is
 * passed over: it does not matter any more.
 */
export function see<P extends Payload>(session: Session<P>, from: number, to: number): void {
  checkDelivered(session, from, to, 'has seen')
  const { leases, revokedBefore } = session
  const first = Math.max(from, revokedBefore)
  leases.visit(first, to, ({ parcel }, number) => {
    if (parcel?.large === undefined) return
    throw violation(session, `has seen the lease ${number}, an object of which it has not got all bytes yet`)
  })
  leases.visit(first, to, (_, number) => void leases.markSeen(number))
}

/** The session gives the leases `from` to `to` back unused. */
export function release<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  from: number,
  to: number,
  attemptCounted: boolean,
): void {
  const first = checkRange(session, from, to, 'releases')
  noteProgress(core, session)
  for (let number = first; number <= to; ) {
    const item = takeLease(core, session, number, to)
    if (item === undefined) session.abortedLeases.delete(number++)
    else {
      const { objects } = item.payload
      giveBackFrom(core, session, item, number, attemptCounted, 'released')
      number += objects
    }
  }
}

/** Takes the lease `number` out, and those of the same run behind it up to `to`. The rest of a run stays on lease. */
function takeLease<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  number: number,
  to: number,
): Item<P> | undefined {
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

/** Takes all leases from a session that is over, or makes no progress. */
export function takeLeasesBack<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  reason: string,
  attemptCounted: boolean,
): number {
  const count = session.leaseCount
  for (const [number, item] of [...session.leases]) {
    session.leases.take(number, item.payload.objects)
    giveBackFrom(core, session, item, number, attemptCounted, reason)
  }
  session.revokedBefore = session.leases.next
  session.abortedLeases.clear()
  const before = [...session.reclaimed.values(), ...(session.earlier ?? [])]
  session.reclaimed.clear()
  session.earlier = undefined
  for (const item of before) giveBack(core, item, attemptCounted, reason)
  return count
}

/** A lease is over, or those of a run: its holder, and the group that it is of, have so many less. */
export function endLease<P extends Payload>(item: Item<P>, holder: Membership<P>): void {
  const { group } = holder
  item.holder = undefined
  const { objects, bytes } = item.payload
  holder.leases -= objects
  placeAnew(holder)
  group.leased -= objects
  group.leasedBytes -= bytes
}

/** The session did something that only a living program does. */
export function noteProgress<P extends Payload>(core: Core<P>, session: Session<P>): void {
  session.progressed = true
  if (!session.hung) return
  session.hung = false
  offerAgain(core, session)
}

/** Takes an object from a session, which needs no more of it if it is not whole yet. */
function giveBackFrom<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  item: Item<P>,
  number: number,
  attemptCounted: boolean,
  reason: string,
): void {
  const { holder } = item
  giveBack(core, item, attemptCounted, reason)
  const isPartial = item.parcel?.large !== undefined
  if (!isPartial || holder === undefined || session.state === 'ended') return
  core.output.abortDelivery(session, item.payload, number)
  // It has got nothing for its credit.
  addCredit(core, holder, 1)
}

/** A lease is over, and the object waits again. A run is one no more: each of its objects has a fate of its own now. */
export function giveBack<P extends Payload>(
  core: Core<P>,
  item: Item<P>,
  attemptCounted: boolean,
  reason: string,
): void {
  while (item.payload.objects > 1) giveBackOne(core, cutRun(core.output, item, 1), attemptCounted, reason)
  giveBackOne(core, item, attemptCounted, reason)
}

function giveBackOne<P extends Payload>(core: Core<P>, item: Item<P>, attemptCounted: boolean, reason: string): void {
  const { holder, attempt } = item
  if (holder === undefined) return
  const { group, session } = holder
  endLease(item, holder)
  core.counts.released++
  core.touch(group)
  if (attemptCounted) item.attempt++
  const large = item.parcel?.large
  large?.leases.delete(item)
  if (item.attempt > core.limits.attemptsMax && !group.isDeadLetter) {
    bury(core, group, session.id, item, attempt, reason)
    return
  }
  group.ready.giveBack(item)
  if (large !== undefined) large.waiting.set(item, group)
  else core.journal.returned(item.payload, group.name, attempt, session.id, item.attempt, item.order)
}

/** An object was delivered too often: it goes to the dead-letter group. */
function bury<P extends Payload>(
  core: Core<P>,
  group: Group<P>,
  sessionId: string,
  item: Item<P>,
  attempt: number,
  reason: string,
): void {
  const dead = core.directory.deadLettersOf(group)
  group.counts.dead++
  core.counts.dead++
  core.output.event({ type: 'objectDead', group: group.name, attempts: item.attempt - 1, reason })
  const { payload, order } = item
  item.order = dead.nextOrder++
  const large = item.parcel?.large
  if (large !== undefined) large.waiting.set(item, dead)
  else core.journal.buried(payload, group.name, attempt, sessionId, dead.name, item.order, item.attempt, order)
  dead.ready.push(item)
  core.touch(dead)
}

/** Checks a range of lease numbers, and returns the first that is of consequence. Nothing has changed when it throws. */
function checkRange<P extends Payload>(session: Session<P>, from: number, to: number, does: string): number {
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

function checkDelivered<P extends Payload>(session: Session<P>, from: number, to: number, does: string): void {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || from > to) {
    throw violation(session, `${does} the leases ${from} to ${to}, which is not a range`)
  }
  const { next } = session.leases
  if (to < next) return
  throw violation(session, `${does} the leases ${from} to ${to}, but only ${next} were delivered`)
}

function violation<P extends Payload>(session: Session<P>, what: string): ObjectRelayError {
  return createError('PROTOCOL_VIOLATION', `The session "${session.id}" ${what}. Settle each delivered lease once.`)
}
