import { createError, type ObjectRelayError } from '../errors.ts'
import type { Core } from './core.ts'
import { placeAnew, watch } from './dispatch.ts'
import { endLease, noteProgress, type ReleaseTerms, releasedAs, requeue, requeueAbsent } from './leases.ts'
import type { Payload } from './ports.ts'
import type { QueueEntry } from './queueEntry.ts'
import type { Session } from './session.ts'

/** From this number on, leases are those of an earlier run of the relay, under numbers that the endpoint chose. */
export const reclaimedLeaseMin: number = 2 ** 48

/** So many may one session have at once. */
const reclaimedLeasesMax = 1_000_000

/** Moves one lease of an earlier run to the session that came back. Returns whether there was such a one. */
export function reclaim(
  core: Core,
  session: Session,
  payload: Payload,
  group: string,
  attempt: number,
  number: number,
): boolean {
  const { reclaimed, earlier } = session
  if (!Number.isSafeInteger(number) || number < reclaimedLeaseMin || reclaimed.has(number)) {
    throw violation(session, `claims a lease as ${number}. Choose numbers from 2^48 on, each once.`)
  }
  if (reclaimed.size >= reclaimedLeasesMax) {
    throw violation(session, `claims more than ${reclaimedLeasesMax} leases. Settle some before.`)
  }
  noteProgress(core, session)
  const entry = earlier?.take(payload, group, attempt)
  if (earlier === undefined || entry === undefined) return false
  // What is claimed is what its program has.
  if (!earlier.hasSeen(entry)) core.journal.seen(payload, group, attempt, session.id, entry.order)
  const { holder } = entry
  const member = session.memberships.get(group)
  // Who came back as a member of other groups keeps the lease without being a member.
  if (member !== undefined && holder !== undefined) {
    holder.leases--
    member.leases++
    entry.holder = member
    placeAnew(member)
  }
  reclaimed.set(number, entry)
  if (core.limits.progressMs > 0) watch(core, session, 1)
  return true
}

/** The session has claimed all that it has: the park goes back, and nobody is to blame for it. */
export function endReclaim(core: Core, session: Session): void {
  const { earlier } = session
  session.earlier = undefined
  if (earlier !== undefined) requeueAbsent(core, earlier, 'lost', false)
}

/** The session's program took what it had claimed as `from` to `to`; what is not there, it did not get. */
export function acknowledgeReclaimed(core: Core, session: Session, from: number, to: number): void {
  const entries = takeReclaimed(session, from, to, 'acknowledges')
  noteProgress(core, session)
  for (const entry of entries) {
    const { holder } = entry
    if (holder === undefined) continue
    const { group } = holder
    endLease(entry, holder)
    group.counts.acknowledged++
    core.counts.acknowledged++
    core.journal.acknowledged(entry.payload, group.name, entry.attempt, session.id, true, entry.order)
    core.unrefEntry(entry, group)
    // It may have been the last that was known of the group.
    core.markDirty(group)
  }
}

/** The session gives back what it had claimed as `from` to `to`; what is not there, it did not get. */
export function releaseReclaimed(core: Core, session: Session, from: number, to: number, terms: ReleaseTerms): void {
  const entries = takeReclaimed(session, from, to, 'releases')
  noteProgress(core, session)
  for (const entry of entries) requeue(core, entry, releasedAs(terms, true))
}

/** Takes no more steps than there are claimed leases, however long the range is. */
function takeReclaimed(session: Session, from: number, to: number, does: string): QueueEntry[] {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to) {
    throw violation(session, `${does} the leases ${from} to ${to}, which is not a range.`)
  }
  const { reclaimed } = session
  const entries: QueueEntry[] = []
  const take = (number: number): void => {
    const entry = reclaimed.get(number)
    if (entry === undefined) return
    reclaimed.delete(number)
    entries.push(entry)
  }
  if (to - from < reclaimed.size) for (let number = from; number <= to; number++) take(number)
  else for (const number of reclaimed.keys()) if (number >= from && number <= to) take(number)
  return entries
}

function violation(session: Session, what: string): ObjectRelayError {
  return createError('PROTOCOL_VIOLATION', `The session "${session.id}" ${what}`)
}
