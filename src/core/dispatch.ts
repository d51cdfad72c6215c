import type { Core } from './core.ts'
import { type Group, isServedBefore, type Membership, type Session } from './entities/model.ts'
import { cutRun, type QueueEntry } from './entities/queueEntry.ts'

/** Gives the waiting objects of `group` to its members, the oldest first, as long as the oldest finds one that may have it. */
export function dispatch(core: Core, group: Group): void {
  for (;;) {
    const first = group.queue.first()
    if (first === undefined) return
    const { objects, bytes } = first.payload
    // What was tried in vain goes to another member if it can.
    const failedAt = first.attempt === 1 ? undefined : core.failedAt.get(first)
    const member = findTaker(group, objects === 1 ? bytes : core.output.firstBytes(first.payload), failedAt)
    if (member === undefined) return
    const part = objects === 1 ? 1 : partFor(member, objects, bytes)
    if (part < objects) {
      group.queue.putFirst(cutRun(core.output, first, part))
      continue
    }
    const entry = group.queue.take()
    if (entry !== undefined) deliver(core, member, entry)
  }
}

/**
 * How many objects of the run that is the oldest can be given, or looked at, as one: `member`, who gets the first, is the next to be
 * served before each of the others.
 */
function partFor(member: Membership, objects: number, bytes: number): number {
  const { session, credit, leases } = member
  const { takers, stalled } = member.group
  // Who had no room for the first may have it for the second.
  const widest = stalled.first()
  if (widest !== undefined && widest.stalledWindow >= 0) return 1
  const ahead = Math.min(leasesOf(takers.values()[1]), leasesOf(takers.values()[2])) - leases
  const inTurn = Math.min(objects, credit, Math.max(1, ahead))
  return inTurn === objects && bytes > session.workWindow ? objects >>> 1 : inTurn
}

function leasesOf(member: Membership | undefined): number {
  return member?.leases ?? Number.POSITIVE_INFINITY
}

/** The member that is to have an object of so many bytes; that of the session `avoided` only if there is no other. */
export function findTaker(group: Group, bytes: number, avoided?: string): Membership | undefined {
  for (;;) {
    const widest = group.stalled.first()
    if (widest === undefined || widest.stalledWindow < bytes) break
    widest.unstall()
  }
  for (;;) {
    const member = group.takers.first()
    if (member === undefined) return undefined
    if (!mayTake(member, bytes)) member.stall()
    else return member.session.id === avoided ? (findOther(group, bytes, member) ?? member) : member
  }
}

/** Who is served after `avoided`. */
function findOther(group: Group, bytes: number, avoided: Membership): Membership | undefined {
  let best: Membership | undefined
  for (const member of group.takers.values()) {
    if (member === avoided || !mayTake(member, bytes)) continue
    if (best === undefined || isServedBefore(member, best)) best = member
  }
  return best
}

/** Adds credit to a member, who waits from now on if it did not before. */
export function addCredit(core: Core, member: Membership, count: number): void {
  member.addCredit(count, core.tick())
  offer(core, member)
  core.markDirty(member.group)
}

/** A member may be served: if it has asked, its session takes work and its group is not paused, it is among the takers from now on. */
export function offer(core: Core, member: Membership): void {
  if (member.offer()) core.markDirty(member.group)
}

/** Nothing may be given to this session's members for now. */
export function withdraw(session: Session): void {
  for (const member of session.memberships.values()) member.withdraw()
}

/** What was waiting for this session may be given to it again. */
export function offerAgain(core: Core, session: Session): void {
  for (const member of session.memberships.values()) offer(core, member)
}

/** The session has more window than before: its stalled members are looked at again, who waits longest first. */
export function wake(core: Core, session: Session): void {
  if (core.registry.hasDirectGroups) markDirectDirty(core, session)
  if (session.stalledCount === 0) return
  const stalled = [...session.memberships.values()].filter((member) => member.stalled)
  stalled.sort((one, other) => one.since - other.since)
  for (const member of stalled) {
    member.unstall()
    core.markDirty(member.group)
  }
}

/** An object that waits to be taken at once may need more room than a member has who could take a smaller one, and is not stalled. */
function markDirectDirty(core: Core, { memberships }: Session): void {
  for (const { group } of memberships.values())
    if (group.maxConsumables === 0 && group.blocked.length > 0) core.markDirty(group)
}

function mayTake({ session }: Membership, bytes: number): boolean {
  return session.backlog.count === 0 && session.hasWindowFor(bytes)
}

/** Lends an object, or a run, to a member. */
export function deliver(core: Core, member: Membership, entry: QueueEntry): void {
  const { session, group } = member
  const { payload, groupIndex, attempt } = entry
  const { bytes, objects } = payload
  session.sent(bytes)
  member.lend(payload, core.tick())
  group.counts.addDelivered(objects)
  const leaseNumber = session.leases.add(entry, member, objects)
  const large = core.largeOf(entry.shared)
  if (large === undefined) {
    core.journal.leased(payload, group.name, attempt, session.id, entry.order)
  } else {
    large.lent(entry, { holder: member, number: leaseNumber })
  }
  if (core.limits.progressMs > 0) watch(core, session, objects)
  core.output.deliver(session, {
    payload,
    kind: 'produce',
    group: group.name,
    groupIndex,
    attempt,
    deadLetter: group.isDeadLetter ? group.deadLetters.get(entry.order) : undefined,
    skipped: 0,
    leaseNumber,
  })
}

/** It has so many new leases: whether its program makes progress is looked at from now on. */
export function watch(core: Core, session: Session, added: number): void {
  // Its time counts from the next check on, since the broker has no clock: a check comes late rather than early.
  if (session.leaseCount === added) session.progressed = true
  if (session.watched) return
  session.watchUntil(core.nowMs + core.limits.progressMs)
  core.watched.add(session)
}
