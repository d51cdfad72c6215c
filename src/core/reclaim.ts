import { createError, type ObjectRelayError } from '../errors.ts'
import type { Core } from './core.ts'
import { watch } from './dispatch.ts'
import type { Lease, Session } from './entities/model.ts'
import { acknowledgeOne, noteProgress, type ReleaseTerms, releasedAs, requeue, requeueAbsent } from './leases.ts'
import type { Payload } from './ports.ts'

/** From this number on, leases are those of before a restart of the relay, under numbers that the endpoint chose. */
export const reclaimedLeaseMin: number = 2 ** 48

/** So many may one session have at once. */
const reclaimedLeasesMax = 1_000_000

/** Moves one lease of before a restart to the session that came back. Returns whether there was such a one. */
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
  const lease = earlier?.take(payload, group, attempt)
  if (lease === undefined) return false
  const { entry } = lease
  // What is claimed is what its program has.
  if (!lease.isSeen) core.journal.seen(payload, group, attempt, session.id, entry.order)
  // Who came back as a member of other groups keeps the lease without being a member.
  const holder = session.memberships.get(group) ?? lease.holder
  if (holder !== lease.holder) holder.takeOver(payload, lease.holder)
  reclaimed.set(number, { entry, holder, isSeen: true })
  if (core.limits.progressMs > 0) watch(core, session, 1)
  return true
}

/** The session has claimed all that it has: the rest goes back, and nobody is to blame for it. */
export function endReclaim(core: Core, session: Session): void {
  const { earlier } = session
  session.earlier = undefined
  if (earlier !== undefined) requeueAbsent(core, earlier, 'lost', false)
}

/** The session's program took what it had claimed as `from` to `to`; what is not there, it did not get. */
export function acknowledgeReclaimed(core: Core, session: Session, from: number, to: number): void {
  const leases = takeReclaimed(session, from, to, 'acknowledges')
  noteProgress(core, session)
  for (const { entry, holder } of leases) {
    acknowledgeOne(core, session, entry, holder, true)
    // It may have been the last that was known of the group.
    core.markDirty(holder.group)
  }
}

/** The session releases what it had claimed as `from` to `to`; what is not there, it did not get. */
export function releaseReclaimed(core: Core, session: Session, from: number, to: number, terms: ReleaseTerms): void {
  const leases = takeReclaimed(session, from, to, 'releases')
  noteProgress(core, session)
  for (const lease of leases) requeue(core, lease, releasedAs(terms))
}

/** Takes no more steps than there are claimed leases, however long the range is. */
function takeReclaimed(session: Session, from: number, to: number, does: string): Lease[] {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to) {
    throw violation(session, `${does} the leases ${from} to ${to}, which is not a range.`)
  }
  const { reclaimed } = session
  const leases: Lease[] = []
  const take = (number: number): void => {
    const lease = reclaimed.get(number)
    if (lease === undefined) return
    reclaimed.delete(number)
    leases.push(lease)
  }
  if (to - from < reclaimed.size) for (let number = from; number <= to; number++) take(number)
  else for (const number of reclaimed.keys()) if (number >= from && number <= to) take(number)
  return leases
}

function violation(session: Session, what: string): ObjectRelayError {
  return createError('PROTOCOL_VIOLATION', `The session "${session.id}" ${what}`)
}
