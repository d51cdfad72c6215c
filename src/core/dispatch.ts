import type { Core } from './core.ts'
import type { Group } from './group.ts'
import { isServedBefore, type Membership } from './membership.ts'
import { cutRun, type QueueEntry } from './queueEntry.ts'
import type { Session } from './session.ts'

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
  const roomiest = stalled.first()
  if (roomiest !== undefined && roomiest.stalledRoom >= 0) return 1
  const ahead = Math.min(leasesOf(takers.values()[1]), leasesOf(takers.values()[2])) - leases
  const inTurn = Math.min(objects, credit, Math.max(1, ahead))
  return inTurn === objects && bytes > session.workRoom ? objects >>> 1 : inTurn
}

function leasesOf(member: Membership | undefined): number {
  return member?.leases ?? Number.POSITIVE_INFINITY
}

/** The member that is to have an object of so many bytes; that of the session `avoided` only if there is no other. */
export function findTaker(group: Group, bytes: number, avoided?: string): Membership | undefined {
  for (;;) {
    const roomiest = group.stalled.first()
    if (roomiest === undefined || roomiest.stalledRoom < bytes) break
    unstall(roomiest)
  }
  for (;;) {
    const member = group.takers.first()
    if (member === undefined) return undefined
    if (!mayTake(member, bytes)) stall(member)
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
  if (member.credit === 0) member.since = ++core.ticks
  member.credit = Math.min(member.credit + count, Number.MAX_SAFE_INTEGER)
  offer(core, member)
  core.markDirty(member.group)
}

/** A member may be served: if it has asked, its session takes work and its group is not paused, it stands in a heap from now on. */
export function offer(core: Core, member: Membership): void {
  const { group, session, credit, heapIndex } = member
  if (credit === 0 || heapIndex >= 0 || group.isPaused || !session.takesWork) return
  group.takers.push(member)
  core.markDirty(group)
}

/** The number of leases of a member changed. */
export function placeAnew(member: Membership): void {
  if (member.heapIndex >= 0 && !member.stalled) member.group.takers.update(member.heapIndex)
}

/** Nothing may be given to this session's members for now. */
export function withdraw(session: Session): void {
  for (const member of session.memberships.values()) leaveHeap(member)
}

/** What was waiting for this session may be given to it again. */
export function offerAgain(core: Core, session: Session): void {
  for (const member of session.memberships.values()) offer(core, member)
}

/** The session has more room than before: its stalled members are looked at again, who waits longest first. */
export function wake(core: Core, session: Session): void {
  if (core.registry.hasDirectGroups) touchDirect(core, session)
  if (session.stalledCount === 0) return
  const stalled = [...session.memberships.values()].filter((member) => member.stalled)
  stalled.sort((one, other) => one.since - other.since)
  for (const member of stalled) {
    unstall(member)
    core.markDirty(member.group)
  }
}

/** An object that waits to be taken at once may need more room than a member has who could take a smaller one, and is not stalled. */
function touchDirect(core: Core, { memberships }: Session): void {
  for (const { group } of memberships.values())
    if (group.maxConsumables === 0 && group.blocked.length > 0) core.markDirty(group)
}

/** Takes a member out of the heap that it is in, if any. */
export function leaveHeap(member: Membership): void {
  if (member.heapIndex < 0) return
  if (member.stalled) {
    member.group.stalled.removeAt(member.heapIndex)
    member.stalled = false
    member.session.stalledCount--
  } else {
    member.group.takers.removeAt(member.heapIndex)
  }
}

function mayTake({ session }: Membership, bytes: number): boolean {
  return session.backlog.count === 0 && session.hasRoom(bytes)
}

function stall(member: Membership): void {
  leaveHeap(member)
  member.stalled = true
  member.stalledRoom = member.session.workRoom
  member.session.stalledCount++
  member.group.stalled.push(member)
}

/** A member that had no room for what was the first object may be looked at again. */
export function unstall(member: Membership): void {
  leaveHeap(member)
  member.group.takers.push(member)
}

/** Lends an object, or a run, to a member. */
export function deliver(core: Core, member: Membership, entry: QueueEntry): void {
  const { session, group } = member
  const { payload, groupIndex, attempt } = entry
  const { bytes, objects } = payload
  entry.holder = member
  session.sentBytes += bytes
  member.leases += objects
  member.credit -= objects
  member.since = ++core.ticks
  if (member.credit === 0) leaveHeap(member)
  else group.takers.update(member.heapIndex)
  group.leased += objects
  group.leasedBytes += bytes
  group.counts.delivered += objects
  core.counts.delivered += objects
  const leaseNumber = session.leases.add(entry, objects)
  const large = entry.shared?.large
  if (large === undefined) {
    core.journal.leased(payload, group.name, attempt, session.id, entry.order)
  } else {
    large.waiting.delete(entry)
    large.leases.set(entry, leaseNumber)
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
  session.watched = true
  session.progressDueMs = core.nowMs + core.limits.progressMs
  core.watched.add(session)
}
