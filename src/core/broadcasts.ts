import type { BacklogEntry } from './backlog.ts'
import type { Core } from './core.ts'
import { wake } from './dispatch.ts'
import { accept, reject } from './entering.ts'
import type { Group, RetainedBroadcast } from './group.ts'
import type { LargeObject } from './largeObject.ts'
import type { Membership } from './membership.ts'
import type { DropReason, Payload } from './ports.ts'
import type { ResolvedRoute, SharedPayload } from './queueEntry.ts'
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
  route: ResolvedRoute,
  payload: Payload,
): void {
  const isRetained = kind === 'broadcast'
  if (!makeRoomForBroadcast(core, route, payload.bytes, isRetained)) {
    reject(core, session, sequence, route, payload, relayFullError(core, payload.bytes))
    return
  }
  core.keep(payload.bytes)
  const shared: SharedPayload = {
    payload,
    references: 1,
    deadReferences: 0,
    epoch: core.blocked.epoch,
    large: undefined,
  }
  for (const [groupIndex, group] of route.groups.entries()) {
    const order = ++group.broadcastOrder
    completeIn(core, group, isRetained, { shared, order, groupIndex })
    for (const member of group.members) offer(core, member, shared, order, groupIndex)
  }
  accept(core, session, sequence, route)
  core.unref(shared)
}

/** A large broadcast begins: it takes its place as if it were whole. */
export function beginBroadcast(core: Core, session: Session, large: LargeObject): void {
  const { shared, route, sequence } = large
  const { payload } = shared
  // What is retained now stays so until this one is whole.
  if (!makeRoomForBroadcast(core, route, payload.bytes, false)) {
    reject(core, session, sequence, route, payload, relayFullError(core, payload.bytes))
    return
  }
  core.keep(payload.bytes)
  shared.epoch = core.blocked.epoch
  core.output.admitted(session, sequence)
  for (const [groupIndex, group] of route.groups.entries()) {
    const order = ++group.broadcastOrder
    large.orders.push(order)
    group.begunBroadcasts.add(large)
    for (const member of group.members) offer(core, member, shared, order, groupIndex)
  }
}

/** All of a large broadcast has arrived: from now on, it is for members to come too. */
export function completeBroadcast(core: Core, large: LargeObject): void {
  const { route, shared, orders, kind } = large
  for (const [groupIndex, group] of route.groups.entries()) {
    group.begunBroadcasts.delete(large)
    completeIn(core, group, kind === 'broadcast', { shared, order: orders[groupIndex] ?? 0, groupIndex })
  }
}

/** Nothing that was broadcast to these groups before is retained any more, nor what is still arriving. */
export function clearBroadcasts(core: Core, { groups }: ResolvedRoute): void {
  for (const group of groups) {
    group.clearedOrder = ++group.broadcastOrder
    clearRetained(core, group)
    core.markDirty(group)
  }
}

/** A large broadcast will never be whole: nobody keeps any of it. */
export function abortBroadcast(core: Core, large: LargeObject): void {
  const { shared, route, recipients, backlogged } = large
  for (const group of route.groups) {
    group.begunBroadcasts.delete(large)
    core.markDirty(group)
  }
  for (const session of recipients)
    if (session.state !== 'ended') core.output.abortDelivery(session, shared.payload, -1)
  // One that is put back in its place may push another of these out.
  for (const entry of [...backlogged]) if (!entry.gone) withdrawEntry(core, entry)
  // Nobody has missed what never was.
  for (const { member, order } of large.missed) if (member.seenOrder < order) member.skipped--
}

/** A new member gets the retained broadcast of the group, and what is on its way to all others and will be retained. */
export function offerRetained(core: Core, member: Membership): void {
  const { group } = member
  const { retained, begunBroadcasts } = group
  if (retained !== undefined) offer(core, member, retained.shared, retained.order, retained.groupIndex)
  for (const large of begunBroadcasts) {
    const groupIndex = large.route.groups.indexOf(group)
    const order = large.orders[groupIndex] ?? 0
    if (large.kind === 'broadcast' && isToBeRetained(group, order)) {
      offer(core, member, large.shared, order, groupIndex)
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
    if (entry === undefined || !session.takesBroadcast(entry.shared.payload.bytes)) break
    const { shared } = entry
    leaveBacklog(entry)
    deliver(core, entry.member, shared, entry.order, entry.groupIndex)
    core.unref(shared)
  }
  if (backlog.count === 0) wake(core, session)
}

/** A session is over: nothing waits for it any more. */
export function emptyBacklog(core: Core, session: Session): void {
  for (const entry of [...session.backlog]) {
    leaveBacklog(entry)
    core.unref(entry.shared)
  }
}

/** A broadcast is whole in one of its groups. */
function completeIn(core: Core, group: Group, isRetained: boolean, whole: RetainedBroadcast): void {
  group.counts.accepted++
  core.counts.accepted++
  group.wholeOrder = Math.max(group.wholeOrder, whole.order)
  if (isRetained && isToBeRetained(group, whole.order)) {
    whole.shared.references++
    retain(core, group, whole)
  } else if (group.members.size === 0) {
    // It may have been made for this one.
    core.markDirty(group)
  }
}

/** A small broadcast may have overtaken the park of a large one that was begun before it; and what was cleared since is not wanted. */
function isToBeRetained({ retained, clearedOrder }: Group, order: number): boolean {
  return order > clearedOrder && order > (retained?.order ?? 0)
}

function offer(core: Core, member: Membership, shared: SharedPayload, order: number, groupIndex: number): void {
  const { session } = member
  if (session.attached && session.backlog.count === 0 && session.takesBroadcast(shared.payload.bytes)) {
    deliver(core, member, shared, order, groupIndex)
    return
  }
  shared.references++
  let entry = member.pending
  if (entry === undefined) {
    entry = { member, shared, order, groupIndex, gone: false }
    session.backlog.push(entry)
    if (session.broadcasts === 'latest') member.pending = entry
  } else {
    const { shared: replaced, order: replacedOrder } = entry
    replaced.large?.backlogged.delete(entry)
    session.backlog.replace(entry, shared, order, groupIndex)
    miss(core, member, replaced, replacedOrder, 'latest')
    core.unref(replaced)
  }
  shared.large?.backlogged.add(entry)
  keepBound(core, session, entry)
  // What is the first now may be smaller than what was.
  drainBacklog(core, session)
}

function deliver(core: Core, member: Membership, shared: SharedPayload, order: number, groupIndex: number): void {
  const { session, group, skipped } = member
  const { payload } = shared
  session.sentBytes += payload.bytes
  member.skipped = 0
  member.seenOrder = order
  group.counts.delivered++
  core.counts.delivered++
  shared.large?.recipients.push(session)
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
    miss(core, oldest.member, oldest.shared, oldest.order, 'backlog')
    core.unref(oldest.shared)
  }
}

function leaveBacklog(entry: BacklogEntry): void {
  entry.member.session.backlog.remove(entry)
  entry.member.pending = undefined
  entry.shared.large?.backlogged.delete(entry)
}

/** An aborted broadcast leaves a backlog. If it had taken the place of another that is still good, that one is wanted again. */
function withdrawEntry(core: Core, entry: BacklogEntry): void {
  const { member, shared } = entry
  const newest = member.pending === entry ? newestOf(member) : undefined
  if (newest !== undefined && newest.order > member.seenOrder) {
    const { large } = newest.shared
    shared.large?.backlogged.delete(entry)
    large?.backlogged.add(entry)
    if (large !== undefined) large.missed = large.missed.filter((missed) => missed.member !== member)
    newest.shared.references++
    member.session.backlog.replace(entry, newest.shared, newest.order, newest.groupIndex)
    member.skipped--
    keepBound(core, member.session, entry)
  } else {
    leaveBacklog(entry)
  }
  // Not now: what is the next may be about to be aborted too.
  core.sessionsToDrain.add(member.session)
  core.unref(shared)
}

/** The newest broadcast that was for a member, be it whole or on its way, if it is still there. */
function newestOf(member: Membership): RetainedBroadcast | undefined {
  const { group } = member
  let newest = group.retained
  for (const { shared, route, orders, strangers } of group.begunBroadcasts) {
    const groupIndex = route.groups.indexOf(group)
    const order = orders[groupIndex] ?? 0
    if (order > (newest?.order ?? 0) && !strangers.has(member)) newest = { shared, order, groupIndex }
  }
  // What is older than one that is gone would come out of its order.
  return newest !== undefined && newest.order >= group.wholeOrder ? newest : undefined
}

/** A member will not get a broadcast, and is told with the next one that it gets. */
function miss(core: Core, member: Membership, { large }: SharedPayload, order: number, reason: DropReason): void {
  const { group, session } = member
  member.skipped++
  large?.missed.push({ member, order })
  group.counts.dropped++
  core.counts.dropped++
  const { name } = group
  core.output.event({ type: 'objectDropped', group: name, kind: 'broadcast', reason, count: 1, session: session.id })
}
