import type { ObjectRelayError } from '../errors.ts'
import type { Core } from './core.ts'
import { dispatch } from './dispatch.ts'
import { type Group, type LargeObject, NEWCOMER, type ResolvedRoute, type Session } from './entities/model.ts'
import { SharedPayload } from './entities/queueEntry.ts'
import type { Payload } from './ports.ts'
import { dropOldest, enqueue } from './queueing.ts'
import { free } from './relayRoom.ts'
import { droppingGroup, hasRelayRoom, isNone, relayExcess } from './room.ts'
import { matchTakers } from './takers.ts'

/** An object, or a run, that has room everywhere goes into the queues of its groups. What has to go for it, goes. */
export function enter(
  core: Core,
  session: Session,
  sequence: number,
  route: ResolvedRoute,
  payload: Payload,
  large: LargeObject | undefined,
  turn: number = NEWCOMER,
): void {
  const { groups, copies, copiesTotal, directGroups } = route
  if (route.drops || !hasRelayRoom(core, payload.bytes, turn)) makeRoom(core, route, payload.bytes, turn)
  core.keep(payload.bytes)
  const takers = directGroups > 1 ? matchTakers(route, payload.bytes) : undefined
  const { epoch } = core.blocked
  const shared = large?.shared ?? (copiesTotal > 1 ? new SharedPayload(payload, 0, epoch) : undefined)
  shared?.accept(copiesTotal, epoch)
  if (large !== undefined) large.blocked = undefined
  for (let index = 0; index < groups.length; index++) {
    const group = groups[index]
    const count = copies[index]
    if (group === undefined || count === undefined) continue
    enqueue(core, group, payload, shared, count, index)
    if (large === undefined) group.counts.addAccepted(count * payload.objects)
  }
  if (large === undefined) {
    accept(core, session, sequence, route, payload.objects)
  } else {
    core.output.admitted(session, sequence)
  }
  // What must not wait goes first, before the other groups use up the room of a common member.
  if (takers !== undefined) takers.deliver(core)
  else if (directGroups > 0) for (const group of groups) if (group.maxConsumables === 0) dispatch(core, group)
  for (const group of groups) dispatch(core, group)
}

/** Drops what was found to be in the way. */
function makeRoom(core: Core, route: ResolvedRoute, bytes: number, turn: number): void {
  const { groups, copies } = route
  const dropping = droppingGroup(route)
  const excess = relayExcess(core, bytes, turn, dropping)
  const { keptBytes } = core
  const { bytesAfter } = core.blocked
  for (let index = 0; index < groups.length; index++) {
    const group = groups[index]
    if (group?.overflow === 'drop-oldest') makeRoomInQueue(core, group, copies[index] ?? 0, bytes)
  }
  // What was dropped may have been all that had to be freed.
  const left = {
    bytes: excess.bytes - (keptBytes - core.keptBytes),
    bytesAfter: excess.bytesAfter - (bytesAfter - core.blocked.bytesAfter),
  }
  if (!isNone(left)) free(core, left, { dropping })
}

function makeRoomInQueue(core: Core, group: Group, copies: number, bytes: number): void {
  const countExcess = group.queue.count + copies - group.countMax()
  const bytesExcess = group.bytes + copies * bytes - group.bytesMax(core.limits.groupBytesMax)
  if (countExcess > 0 || bytesExcess > 0) dropOldest(core, group, 'overflow', countExcess, bytesExcess)
}

/** Tells the sender that an object is kept, or a run of them. */
export function accept(core: Core, session: Session, sequence: number, route: ResolvedRoute, objects = 1): void {
  const { groups, memberCounts } = route
  for (let index = 0; index < groups.length; index++) memberCounts[index] = groups[index]?.members.size ?? 0
  core.output.accepted(session, sequence, objects, memberCounts)
}

/** Tells the sender that an object was not taken, which may still be only a beginning. */
export function reject(
  core: Core,
  session: Session,
  sequence: number,
  route: ResolvedRoute | undefined,
  payload: Payload,
  error: ObjectRelayError,
): void {
  session.begun.delete(sequence)
  // Some of its groups may have been made for it.
  for (const group of route?.groups ?? []) core.markDirty(group)
  core.counts.addRejected()
  core.output.rejected(session, sequence, error)
  core.output.released(payload)
}
