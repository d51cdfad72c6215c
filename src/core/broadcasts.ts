import type { BacklogEntry } from './backlog.ts'
import type { Core } from './core.ts'
import { wake } from './dispatch.ts'
import { accept, reject } from './entering.ts'
import type { Group, LastBroadcast } from './group.ts'
import type { LargeObject } from './largeObject.ts'
import type { Membership } from './membership.ts'
import type { DropReason, Payload } from './ports.ts'
import type { Parcel, Plan } from './queueEntry.ts'
import { clearRetained, retain } from './retained.ts'
import { makeRoomForBroadcast, relayFullError } from './room.ts'
import type { Session } from './session.ts'

/** Which of them is retained. */
export type BroadcastKind = 'broadcast' | 'unretained'

/** A whole broadcast arrived: it goes to all members of all its groups, or into their backlogs. */
export function broadcastWhole(
  core: Core,
  session: Session,
  sequence: number,
  kind: BroadcastKind,
  plan: Plan,
  payload: Payload,
): void {
  const isRetained = kind === 'broadcast'
  if (!makeRoomForBroadcast(core, plan, payload.bytes, isRetained)) {
    reject(core, session, sequence, plan, payload, relayFullError(core, payload.bytes))
    return
  }
  core.keep(payload.bytes)
  const parcel: Parcel = { payload, references: 1, deadReferences: 0, epoch: core.blocked.epoch, large: undefined }
  for (const [groupIndex, group] of plan.groups.entries()) {
    const order = ++group.broadcastOrder
    completeIn(core, group, isRetained, { parcel, order, groupIndex })
    for (const member of group.members) offer(core, member, parcel, order, groupIndex)
  }
  accept(core, session, sequence, plan)
  core.letParcelGo(parcel)
}

/** A large broadcast begins: it takes its place as if it were whole. */
export function beginBroadcast(core: Core, session: Session, large: LargeObject): void {
  const { parcel, plan, sequence } = large
  const { payload } = parcel
  // What is retained now stays so until this one is whole.
  if (!makeRoomForBroadcast(core, plan, payload.bytes, false)) {
    reject(core, session, sequence, plan, payload, relayFullError(core, payload.bytes))
    return
  }
  core.keep(payload.bytes)
  parcel.epoch = core.blocked.epoch
  core.output.admitted(session, sequence)
  for (const [groupIndex, group] of plan.groups.entries()) {
    const order = ++group.broadcastOrder
    large.orders.push(order)
    group.begunBroadcasts.add(large)
    for (const member of group.members) offer(core, member, parcel, order, groupIndex)
  }
}

/** All of a large broadcast has arrived: from now on, it is for members to come too. */
export function completeBroadcast(core: Core, large: LargeObject): void {
  const { plan, parcel, orders, kind } = large
  for (const [groupIndex, group] of plan.groups.entries()) {
    group.begunBroadcasts.delete(large)
    completeIn(core, group, kind === 'broadcast', { parcel, order: orders[groupIndex] ?? 0, groupIndex })
  }
}

/** Nothing that was broadcast to these groups before is retained any more, nor what is still arriving. */
export function clearBroadcasts(core: Core, { groups }: Plan): void {
  for (const group of groups) {
    group.clearedOrder = ++group.broadcastOrder
    clearRetained(core, group)
    core.touch(group)
  }
}

/** A large broadcast will never be whole: nobody keeps any of it. */
export function abortBroadcast(core: Core, large: LargeObject): void {
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

/** A new member gets the retained broadcast of the group, and what is on its way to all others and will be retained. */
export function welcome(core: Core, member: Membership): void {
  const { group } = member
  const { last, begunBroadcasts } = group
  if (last !== undefined) offer(core, member, last.parcel, last.order, last.groupIndex)
  for (const large of begunBroadcasts) {
    const groupIndex = large.plan.groups.indexOf(group)
    const order = large.orders[groupIndex] ?? 0
    if (large.kind === 'broadcast' && isToBeRetained(group, order)) {
      offer(core, member, large.parcel, order, groupIndex)
    } else {
      large.strangers.add(member)
    }
  }
}

/** Delivers what waits for a session, as far as it has room; then it may have produced objects again. */
export function drainBacklog(core: Core, session: Session): void {
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
export function emptyBacklog(core: Core, session: Session): void {
  for (const entry of [...session.backlog]) {
    leaveBacklog(entry)
    core.letParcelGo(entry.parcel)
  }
}

/** A broadcast is whole in one of its groups. */
function completeIn(core: Core, group: Group, isRetained: boolean, whole: LastBroadcast): void {
  group.counts.accepted++
  core.counts.accepted++
  group.wholeOrder = Math.max(group.wholeOrder, whole.order)
  if (isRetained && isToBeRetained(group, whole.order)) {
    whole.parcel.references++
    retain(core, group, whole)
  } else if (group.members.size === 0) {
    // It may have been made for this one.
    core.touch(group)
  }
}

/** A small broadcast may have overtaken the rest of a large one that was begun before it; and what was cleared since is not wanted. */
function isToBeRetained({ last, clearedOrder }: Group, order: number): boolean {
  return order > clearedOrder && order > (last?.order ?? 0)
}

function offer(core: Core, member: Membership, parcel: Parcel, order: number, groupIndex: number): void {
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

function deliver(core: Core, member: Membership, parcel: Parcel, order: number, groupIndex: number): void {
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
function keepBound(core: Core, { backlog }: Session, newest: BacklogEntry): void {
  while (backlog.bytes > core.limits.memberBacklogBytesMax) {
    const oldest = backlog.oldestExcept(newest)
    if (oldest === undefined) return
    leaveBacklog(oldest)
    miss(core, oldest.member, oldest.parcel, oldest.order, 'backlog')
    core.letParcelGo(oldest.parcel)
  }
}

function leaveBacklog(entry: BacklogEntry): void {
  entry.member.session.backlog.remove(entry)
  entry.member.pending = undefined
  entry.parcel.large?.backlogged.delete(entry)
}

/** An aborted broadcast leaves a backlog. If it had taken the place of another that is still good, that one is wanted again. */
function withdrawEntry(core: Core, entry: BacklogEntry): void {
  const { member, parcel } = entry
  const newest = member.pending === entry ? newestOf(member) : undefined
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

/** The newest broadcast that was for a member, be it whole or on its way, if it is still there. */
function newestOf(member: Membership): LastBroadcast | undefined {
  const { group } = member
  let newest = group.last
  for (const { parcel, plan, orders, strangers } of group.begunBroadcasts) {
    const groupIndex = plan.groups.indexOf(group)
    const order = orders[groupIndex] ?? 0
    if (order > (newest?.order ?? 0) && !strangers.has(member)) newest = { parcel, order, groupIndex }
  }
  // What is older than one that is gone would come out of its order.
  return newest !== undefined && newest.order >= group.wholeOrder ? newest : undefined
}

/** A member will not get a broadcast, and is told with the next one that it gets. */
function miss(core: Core, member: Membership, { large }: Parcel, order: number, reason: DropReason): void {
  const { group, session } = member
  member.skipped++
  large?.missed.push({ member, order })
  group.counts.dropped++
  core.counts.dropped++
  const { name } = group
  core.output.event({ type: 'objectDropped', group: name, kind: 'broadcast', reason, count: 1, session: session.id })
}
