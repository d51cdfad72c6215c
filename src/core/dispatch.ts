import type { Payload } from './contract.ts'
import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { Membership } from './membership.ts'
import type { Item } from './parcel.ts'
import type { Session } from './session.ts'

/** Gives the waiting objects of `group` to its members, the oldest first, as long as the oldest finds one that may have it. */
export function dispatch<P extends Payload>(core: Core<P>, group: Group<P>): void {
  for (;;) {
    const first = group.ready.first()
    if (first === undefined) return
    const member = findTaker(group, first.payload.bytes)
    if (member === undefined) return
    const item = group.ready.take()
    if (item !== undefined) deliver(core, member, item)
  }
}

/** The member that is to have an object of so many bytes. */
export function findTaker<P extends Payload>(group: Group<P>, bytes: number): Membership<P> | undefined {
  for (;;) {
    const roomiest = group.stalled.first()
    if (roomiest === undefined || roomiest.stalledRoom < bytes) break
    unstall(roomiest)
  }
  for (;;) {
    const member = group.takers.first()
    if (member === undefined || mayTake(member, bytes)) return member
    stall(member)
  }
}

/** How many objects of so many bytes the members of `group` would take at once; it counts no further than `enough`. */
export function countTakers<P extends Payload>(group: Group<P>, bytes: number, enough: number): number {
  // Brings those that may have enough room now among the takers.
  if (findTaker(group, bytes) === undefined) return 0
  let count = 0
  for (const member of group.takers.values()) {
    const { session } = member
    if (!mayTake(member, bytes)) continue
    const fitting = bytes === 0 ? enough : Math.max(1, Math.floor(session.workRoom / bytes))
    count += Math.min(member.credit, fitting)
    if (count >= enough) return enough
  }
  return count
}

/** Adds credit to a member, who waits from now on if it did not before. */
export function addCredit<P extends Payload>(core: Core<P>, member: Membership<P>, count: number): void {
  if (member.credit === 0) member.since = ++core.ticks
  member.credit = Math.min(member.credit + count, Number.MAX_SAFE_INTEGER)
  if (member.heapIndex < 0 && member.session.takesWork) member.group.takers.push(member)
  core.touch(member.group)
}

/** The number of leases of a member changed. */
export function placeAnew<P extends Payload>(member: Membership<P>): void {
  if (member.heapIndex >= 0 && !member.stalled) member.group.takers.update(member.heapIndex)
}

/** Nothing may be given to this session's members for now. */
export function withdraw<P extends Payload>(session: Session<P>): void {
  for (const member of session.memberships.values()) leaveHeap(member)
}

/** What was waiting for this session may be given to it again. */
export function offerAgain<P extends Payload>(core: Core<P>, session: Session<P>): void {
  if (!session.takesWork) return
  for (const member of session.memberships.values()) {
    if (member.credit === 0 || member.heapIndex >= 0) continue
    member.group.takers.push(member)
    core.touch(member.group)
  }
}

/** The session has more room than before: its stalled members are looked at again, who waits longest first. */
export function wake<P extends Payload>(core: Core<P>, session: Session<P>): void {
  if (session.stalledCount === 0) return
  const stalled = [...session.memberships.values()].filter((member) => member.stalled)
  stalled.sort((one, other) => one.since - other.since)
  for (const member of stalled) {
    unstall(member)
    core.touch(member.group)
  }
}

/** Takes a member out of the heap that it is in, if any. */
export function leaveHeap<P extends Payload>(member: Membership<P>): void {
  if (member.heapIndex < 0) return
  if (member.stalled) {
    member.group.stalled.removeAt(member.heapIndex)
    member.stalled = false
    member.session.stalledCount--
  } else {
    member.group.takers.removeAt(member.heapIndex)
  }
}

function mayTake<P extends Payload>({ session }: Membership<P>, bytes: number): boolean {
  return session.backlog.count === 0 && session.hasRoom(bytes)
}

function stall<P extends Payload>(member: Membership<P>): void {
  leaveHeap(member)
  member.stalled = true
  member.stalledRoom = member.session.workRoom
  member.session.stalledCount++
  member.group.stalled.push(member)
}

function unstall<P extends Payload>(member: Membership<P>): void {
  leaveHeap(member)
  member.group.takers.push(member)
}

function deliver<P extends Payload>(core: Core<P>, member: Membership<P>, item: Item<P>): void {
  const { session, group } = member
  const { payload, groupIndex, attempt } = item
  const { bytes } = payload
  item.holder = member
  session.sentBytes += bytes
  member.leases++
  member.credit--
  member.since = ++core.ticks
  if (member.credit === 0) leaveHeap(member)
  else group.takers.update(member.heapIndex)
  group.leased++
  group.leasedBytes += bytes
  group.counts.delivered++
  core.counts.delivered++
  const leaseNumber = session.leases.add(item)
  const large = item.parcel?.large
  if (large === undefined) {
    core.journal.leased(payload, group.name, attempt, session.id, item.order)
  } else {
    large.waiting.delete(item)
    large.leases.set(item, leaseNumber)
  }
  if (core.limits.progressMs > 0) watch(core, session)
  core.output.deliver(session, {
    payload,
    kind: 'produce',
    group: group.name,
    groupIndex,
    attempt,
    skipped: 0,
    leaseNumber,
  })
}

/** It has leases: whether its program makes progress is looked at from now on. */
export function watch<P extends Payload>(core: Core<P>, session: Session<P>): void {
  // Its time counts from the next check on, since the broker has no clock: a check comes late rather than early.
  if (session.leaseCount === 1) session.progressed = true
  if (session.watched) return
  session.watched = true
  session.progressDueMs = core.nowMs + core.limits.progressMs
  core.watched.add(session)
}
