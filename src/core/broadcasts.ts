import type { BacklogEntry } from './backlog.ts'
import type { DropReason, Payload } from './contract.ts'
import type { Core } from './core.ts'
import { wake } from './dispatch.ts'
import type { Group, LastBroadcast } from './group.ts'
import type { LargeObject } from './largeObject.ts'
import type { Membership } from './membership.ts'
import type { Parcel, Plan } from './parcel.ts'
import type { Session } from './session.ts'

/** Gives a broadcast to all members of all its groups, or into their backlogs. */
export function broadcast<P extends Payload>(core: Core<P>, { groups }: Plan<P>, parcel: Parcel<P>): void {
  for (const [groupIndex, group] of groups.entries()) {
    const order = ++group.broadcastOrder
    const { large } = parcel
    if (large === undefined) {
      keepAsLast(core, group, parcel, order, groupIndex)
    } else {
      large.orders.push(order)
      group.begunBroadcasts.add(large)
    }
    for (const member of group.members) offer(core, member, parcel, order, groupIndex)
  }
}

/** All of a large broadcast has arrived: from now on, it is for members to come too. */
export function completeBroadcast<P extends Payload>(core: Core<P>, large: LargeObject<P>): void {
  for (const [groupIndex, group] of large.plan.groups.entries()) {
    group.begunBroadcasts.delete(large)
    keepAsLast(core, group, large.parcel, large.orders[groupIndex] ?? 0, groupIndex)
  }
}

/** A large broadcast will never be whole: nobody keeps any of it. */
export function abortBroadcast<P extends Payload>(core: Core<P>, large: LargeObject<P>): void {
  const { parcel, plan, recipients, backlogged } = large
  for (const group of plan.groups) {
    group.begunBroadcasts.delete(large)
    core.touch(group)
  }
  for (const session of recipients)
    if (session.state !== 'ended') core.output.abortDelivery(session, parcel.payload, -1)
  // One that is put back in its place may push another of these out.
  for (const entry of [...backlogged]) if (!entry.gone) withdrawEntry(core, entry)
  // Nobody has missed what never was.
  for (const { member, order } of large.missed) if (member.seenOrder < order) member.skipped--
}

/** A new member gets the last broadcast of the group, and what is on its way to all others. */
export function welcome<P extends Payload>(core: Core<P>, member: Membership<P>): void {
  const { group } = member
  const { last, begunBroadcasts } = group
  if (last !== undefined) offer(core, member, last.parcel, last.order, last.groupIndex)
  for (const { parcel, plan, orders } of begunBroadcasts) {
    const groupIndex = plan.groups.indexOf(group)
    const order = orders[groupIndex] ?? 0
    if (order > (last?.order ?? 0)) offer(core, member, parcel, order, groupIndex)
  }
}

/** Delivers what waits for a session, as far as it has room; then it may have produced objects again. */
export function drainBacklog<P extends Payload>(core: Core<P>, session: Session<P>): void {
  const { backlog } = session
  while (session.attached) {
    const entry = backlog.first()
    if (entry === undefined || !session.takesBroadcast(entry.parcel.payload.bytes)) break
    const { parcel } = entry
    leaveBacklog(entry)
    deliver(core, entry.member, parcel, entry.order, entry.groupIndex)
    core.letParcelGo(parcel)
  }
  if (backlog.count === 0) wake(core, session)
}

/** A session is over: nothing waits for it any more. */
export function emptyBacklog<P extends Payload>(core: Core<P>, session: Session<P>): void {
  for (const entry of [...session.backlog]) {
    leaveBacklog(entry)
    core.letParcelGo(entry.parcel)
  }
}

function keepAsLast<P extends Payload>(
  core: Core<P>,
  group: Group<P>,
  parcel: Parcel<P>,
  order: number,
  groupIndex: number,
): void {
  const { last } = group
  group.counts.accepted++
  core.counts.accepted++
  // A small broadcast may have overtaken the rest of a large one that was begun before it.
  if (last !== undefined && last.order > order) return
  parcel.references++
  group.last = { parcel, order, groupIndex }
  core.journal.lastBroadcast(parcel.payload, group.name, groupIndex, order)
  if (last !== undefined) core.letParcelGo(last.parcel)
}

function offer<P extends Payload>(
  core: Core<P>,
  member: Membership<P>,
  parcel: Parcel<P>,
  order: number,
  groupIndex: number,
): void {
  const { session } = member
  if (session.attached && session.backlog.count === 0 && session.takesBroadcast(parcel.payload.bytes)) {
    deliver(core, member, parcel, order, groupIndex)
    return
  }
  parcel.references++
  let entry = member.pending
  if (entry === undefined) {
    entry = { member, parcel, order, groupIndex, gone: false }
    session.backlog.push(entry)
    if (session.broadcasts === 'latest') member.pending = entry
  } else {
    const { parcel: replaced, order: replacedOrder } = entry
    replaced.large?.backlogged.delete(entry)
    session.backlog.replace(entry, parcel, order, groupIndex)
    miss(core, member, replaced, replacedOrder, 'latest')
    core.letParcelGo(replaced)
  }
  parcel.large?.backlogged.add(entry)
  keepBound(core, session, entry)
  // What is the first now may be smaller than what was.
  drainBacklog(core, session)
}

function deliver<P extends Payload>(
  core: Core<P>,
  member: Membership<P>,
  parcel: Parcel<P>,
  order: number,
  groupIndex: number,
): void {
  const { session, group, skipped } = member
  const { payload } = parcel
  session.sentBytes += payload.bytes
  member.skipped = 0
  member.seenOrder = order
  group.counts.delivered++
  core.counts.delivered++
  parcel.large?.recipients.push(session)
  const { name } = group
  core.output.deliver(session, {
    payload,
    kind: 'broadcast',
    group: name,
    groupIndex,
    attempt: 1,
    deadLetter: undefined,
    skipped,
    leaseNumber: -1,
  })
}

/** Drops the oldest broadcasts of a backlog beyond its bound, but never the one that has just come. */
function keepBound<P extends Payload>(core: Core<P>, { backlog }: Session<P>, newest: BacklogEntry<P>): void {
  while (backlog.bytes > core.limits.memberBacklogBytesMax) {
    const oldest = backlog.oldestExcept(newest)
    if (oldest === undefined) return
    leaveBacklog(oldest)
    miss(core, oldest.member, oldest.parcel, oldest.order, 'backlog')
    core.letParcelGo(oldest.parcel)
  }
}

function leaveBacklog<P extends Payload>(entry: BacklogEntry<P>): void {
  entry.member.session.backlog.remove(entry)
  entry.member.pending = undefined
  entry.parcel.large?.backlogged.delete(entry)
}

/** An aborted broadcast leaves a backlog. If it had taken the place of another that is still good, that one is wanted again. */
function withdrawEntry<P extends Payload>(core: Core<P>, entry: BacklogEntry<P>): void {
  const { member, parcel } = entry
  const newest = member.pending === entry ? newestOf(member.group) : undefined
  if (newest !== undefined && newest.order > member.seenOrder) {
    const { large } = newest.parcel
    parcel.large?.backlogged.delete(entry)
    large?.backlogged.add(entry)
    if (large !== undefined) large.missed = large.missed.filter((missed) => missed.member !== member)
    newest.parcel.references++
    member.session.backlog.replace(entry, newest.parcel, newest.order, newest.groupIndex)
    member.skipped--
    keepBound(core, member.session, entry)
  } else {
    leaveBacklog(entry)
  }
  // Not now: what is the next may be about to be aborted too.
  core.shortened.add(member.session)
  core.letParcelGo(parcel)
}

/** The newest broadcast of a group, be it whole or on its way. */
function newestOf<P extends Payload>(group: Group<P>): LastBroadcast<P> | undefined {
  let newest = group.last
  for (const { parcel, plan, orders } of group.begunBroadcasts) {
    const groupIndex = plan.groups.indexOf(group)
    const order = orders[groupIndex] ?? 0
    if (order > (newest?.order ?? 0)) newest = { parcel, order, groupIndex }
  }
  return newest
}

/** A member will not get a broadcast, and is told with the next one that it gets. */
function miss<P extends Payload>(
  core: Core<P>,
  member: Membership<P>,
  { large }: Parcel<P>,
  order: number,
  reason: DropReason,
): void {
  const { group, session } = member
  member.skipped++
  large?.missed.push({ member, order })
  group.counts.dropped++
  core.counts.dropped++
  const { name } = group
  core.output.event({ type: 'objectDropped', group: name, kind: 'broadcast', reason, count: 1, session: session.id })
}
