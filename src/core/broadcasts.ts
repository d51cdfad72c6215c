import type { Core } from './core.ts'
import { wake } from './dispatch.ts'
import { accept, reject } from './entering.ts'
import type {
  BacklogEntry,
  Group,
  GroupBroadcast,
  LargeObject,
  Membership,
  ResolvedRoute,
  Session,
} from './entities/model.ts'
import { SharedPayload } from './entities/queueEntry.ts'
import type { DropReason, Payload } from './ports.ts'
import { clearRetained, retain } from './retained.ts'
import { makeRoomForBroadcast, relayFullError } from './room.ts'

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
  const shared = new SharedPayload(payload, 1, core.blocked.epoch)
  for (const [groupIndex, group] of route.groups.entries()) {
    const broadcast = { shared, order: group.takeBroadcastOrder(), groupIndex }
    completeIn(core, group, isRetained, broadcast)
    for (const member of group.members) offer(core, member, broadcast)
  }
  accept(core, session, sequence, route)
  core.unref(shared)
}

/** A large broadcast begins: it is offered as if it were whole. */
export function beginBroadcast(core: Core, session: Session, large: LargeObject): void {
  const { shared, route, sequence } = large
  const { payload } = shared
  // What is retained now stays so until this one is whole.
  if (!makeRoomForBroadcast(core, route, payload.bytes, false)) {
    reject(core, session, sequence, route, payload, relayFullError(core, payload.bytes))
    return
  }
  core.keep(payload.bytes)
  shared.accept(0, core.blocked.epoch)
  core.output.admitted(session, sequence)
  for (const group of route.groups) {
    const broadcast = large.beginIn(group)
    for (const member of group.members) offer(core, member, broadcast)
  }
}

/** All of a large broadcast has arrived: from now on, it is for members to come too. */
export function completeBroadcast(core: Core, large: LargeObject): void {
  for (const group of large.route.groups) {
    group.begunBroadcasts.delete(large)
    completeIn(core, group, large.kind === 'broadcast', large.broadcastIn(group))
  }
}

/** Nothing that was broadcast to these groups before is retained any more, nor what is still arriving. */
export function clearBroadcasts(core: Core, { groups }: ResolvedRoute): void {
  for (const group of groups) {
    group.clearBegun()
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
  // One that is put back may push another of these out.
  for (const entry of [...backlogged]) if (!entry.gone) withdrawEntry(core, entry)
  // Nobody has missed what never was.
  for (const { member, order } of large.missed) member.unmiss(order)
}

/** A new member gets the retained broadcast of the group, and what is on its way to all others and will be retained. */
export function offerRetained(core: Core, member: Membership): void {
  const { group } = member
  const { retained, begunBroadcasts } = group
  if (retained !== undefined) offer(core, member, retained)
  for (const large of begunBroadcasts) {
    const broadcast = large.broadcastIn(group)
    if (large.kind === 'broadcast' && group.mayRetain(broadcast.order)) offer(core, member, broadcast)
    else large.strangers.add(member)
  }
}

/** Delivers what waits for a session, as far as its window goes; then it may have produced objects again. */
export function drainBacklog(core: Core, session: Session): void {
  const { backlog } = session
  while (session.attached) {
    const entry = backlog.first()
    if (entry === undefined || !session.takesBroadcast(entry.shared.payload.bytes)) break
    leaveBacklog(core, entry)
    deliver(core, entry.member, entry)
    core.unref(entry.shared)
  }
  if (backlog.count === 0) wake(core, session)
}

/** A session is over: nothing waits for it any more. */
export function emptyBacklog(core: Core, session: Session): void {
  for (const entry of [...session.backlog]) {
    leaveBacklog(core, entry)
    core.unref(entry.shared)
  }
}

/** A broadcast is whole in one of its groups. */
function completeIn(core: Core, group: Group, isRetained: boolean, whole: GroupBroadcast): void {
  group.counts.addAccepted(1)
  group.broadcastWhole(whole.order)
  // A small one may have overtaken the rest of a large one that was begun before it; and what was cleared since is not wanted.
  if (isRetained && group.mayRetain(whole.order)) {
    whole.shared.ref()
    retain(core, group, whole)
  } else if (group.members.size === 0) {
    // It may have been made for this one.
    core.markDirty(group)
  }
}

function offer(core: Core, member: Membership, broadcast: GroupBroadcast): void {
  const { session } = member
  const { shared, order, groupIndex } = broadcast
  if (session.attached && session.backlog.count === 0 && session.takesBroadcast(shared.payload.bytes)) {
    deliver(core, member, broadcast)
    return
  }
  shared.ref()
  let entry = member.newest
  if (entry === undefined) {
    entry = { member, shared, order, groupIndex, gone: false }
    session.backlog.push(entry)
    if (session.broadcasts === 'latest') member.newest = entry
  } else {
    const { shared: replaced, order: replacedOrder } = entry
    core.largeOf(replaced)?.backlogged.delete(entry)
    session.backlog.replace(entry, broadcast)
    miss(core, member, replaced, replacedOrder, 'latest')
    core.unref(replaced)
  }
  core.largeOf(shared)?.backlogged.add(entry)
  keepBound(core, session, entry)
  // What is the first now may be smaller than what was.
  drainBacklog(core, session)
}

function deliver(core: Core, member: Membership, { shared, order, groupIndex }: GroupBroadcast): void {
  const { session, group } = member
  const { payload } = shared
  session.sent(payload.bytes)
  const skipped = member.receive(order)
  group.counts.addDelivered(1)
  core.largeOf(shared)?.recipients.push(session)
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
    leaveBacklog(core, oldest)
    miss(core, oldest.member, oldest.shared, oldest.order, 'backlog')
    core.unref(oldest.shared)
  }
}

function leaveBacklog(core: Core, entry: BacklogEntry): void {
  const { member, shared } = entry
  member.session.backlog.remove(entry)
  member.newest = undefined
  core.largeOf(shared)?.backlogged.delete(entry)
}

/** An aborted broadcast leaves a backlog. If it had replaced another that is still good, that one is wanted again. */
function withdrawEntry(core: Core, entry: BacklogEntry): void {
  const { member, shared } = entry
  const newest = member.newest === entry ? newestOf(member) : undefined
  if (newest !== undefined && newest.order > member.seenOrder) {
    const large = core.largeOf(newest.shared)
    core.largeOf(shared)?.backlogged.delete(entry)
    large?.backlogged.add(entry)
    large?.recoveredBy(member)
    newest.shared.ref()
    member.session.backlog.replace(entry, newest)
    member.unmiss(newest.order)
    keepBound(core, member.session, entry)
  } else {
    leaveBacklog(core, entry)
  }
  // Not now: what is the next may be about to be aborted too.
  core.sessionsToDrain.add(member.session)
  core.unref(shared)
}

/** The newest broadcast that was for a member, be it whole or on its way, if it is still there. */
function newestOf(member: Membership): GroupBroadcast | undefined {
  const { group } = member
  let newest = group.retained
  for (const large of group.begunBroadcasts) {
    const broadcast = large.broadcastIn(group)
    if (broadcast.order > (newest?.order ?? 0) && !large.strangers.has(member)) newest = broadcast
  }
  // What is older than one that is gone would come out of its order.
  return newest !== undefined && newest.order >= group.wholeOrder ? newest : undefined
}

/** A member will not get a broadcast, and is told with the next one that it gets. */
function miss(core: Core, member: Membership, shared: SharedPayload, order: number, reason: DropReason): void {
  const { group, session } = member
  member.miss()
  core.largeOf(shared)?.missedBy(member, order)
  group.counts.addDropped(1)
  const { name } = group
  core.output.event({ type: 'objectDropped', group: name, kind: 'broadcast', reason, count: 1, session: session.id })
}
