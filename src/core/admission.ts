import { block, unblock, waitsBehind } from './blocking.ts'
import type { Core } from './core.ts'
import { enter, reject } from './entering.ts'
import {
  type BlockedSend,
  type BlockedSends,
  type LargeObject,
  NEWCOMER,
  type ResolvedRoute,
  type Session,
} from './entities/model.ts'
import type { Payload, Route } from './ports.ts'
import { findObstacle, fullError, hasRelayRoom, hasRoomInQueue, overflowAt } from './room.ts'
import { isAskedFor } from './takers.ts'

/** A produced object wants to enter the queues of its groups: all of them or none. */
export function admitNew(
  core: Core,
  session: Session,
  sequence: number,
  route: ResolvedRoute,
  payload: Payload,
  large: LargeObject | undefined,
): void {
  if (waitsBehind(session, route)) {
    block(core, session, sequence, route, payload, large, undefined)
    return
  }
  const obstacle = findObstacle(core, route, payload.bytes, NEWCOMER)
  if (obstacle === undefined) enter(core, session, sequence, route, payload, large)
  else if (overflowAt(obstacle, route) === 'block') block(core, session, sequence, route, payload, large, obstacle)
  else reject(core, session, sequence, route, payload, fullError(core, obstacle, payload.bytes))
}

/** Whether a run goes to the queue of one group, in which there is room for all of it, so that it can enter as one object does. */
export function mayEnterTogether(core: Core, session: Session, route: Route, { bytes, objects }: Payload): boolean {
  const resolved = route.kind === 'produce' && !core.stopped ? core.registry.resolve(session, route) : undefined
  if (resolved === undefined || resolved instanceof Error || resolved.copiesTotal !== 1 || bytes > resolved.bytesMax)
    return false
  const group = resolved.groups[0]
  if (group === undefined || session.blockedSends.has(group)) return false
  return hasRoomInQueue(core, group, objects, bytes, NEWCOMER) && hasRelayRoom(core, bytes, NEWCOMER)
}

/** There may be room at `bound` again: who lacked it enters, if there is enough, by their turns. */
export function admitBlocked(core: Core, bound: BlockedSends): void {
  for (let again = true; again; ) again = admitSome(core, bound)
}

/** Sends that stood behind others of their session have their turn. */
export function admitNext(core: Core): void {
  for (const send of core.nextSends.splice(0)) {
    if (!send.gone) tryToEnter(core, send)
  }
}

/** Tries all that lack room at `bound`; returns whether any got in, so that it is worth trying again. */
function admitSome(core: Core, bound: BlockedSends): boolean {
  let bytesMin = Number.POSITIVE_INFINITY
  let hasEntered = false
  for (let index = 0; ; ) {
    const send = bound.at(index)
    if (send === undefined) break
    if (send.lacking !== bound) {
      index++
    } else if (tryToEnter(core, send)) {
      hasEntered = true
    } else {
      index++
      if (send.lacking === bound) bytesMin = Math.min(bytesMin, bound.needOf(send).bytes)
      if (!mayHaveRoom(core, bound)) return hasEntered
    }
  }
  bound.noteSmallest(bytesMin)
  return hasEntered
}

/** Whether there may be room for any that is behind another; it may be wrong in saying yes. */
function mayHaveRoom(core: Core, bound: BlockedSends): boolean {
  const { group } = bound
  const { relayBytesMax, groupBytesMax } = core.limits
  if (group === undefined) {
    const { keptBytes, unattended } = core
    const left = Math.min(relayBytesMax - keptBytes, bound.bytesLeft(NEWCOMER, relayBytesMax, keptBytes))
    return bound.mayAnyNeed(left + unattended.bytes)
  }
  const { queue, maxConsumables } = group
  if (maxConsumables === 0 ? !isAskedFor(group) : queue.count >= maxConsumables) return false
  return bound.mayAnyNeed(Math.min(groupBytesMax - group.bytes, bound.bytesLeft(NEWCOMER, groupBytesMax, group.bytes)))
}

/** Returns whether the send waits no more: it got in, or was rejected. */
function tryToEnter(core: Core, send: BlockedSend): boolean {
  const { session, sequence, route, payload, large, turn } = send
  const obstacle = findObstacle(core, route, payload.bytes, turn)
  // Since it began to wait, the policy may have become one that it can never fit.
  if (obstacle !== undefined && route.tooManyFor === undefined && overflowAt(obstacle, route) === 'block') {
    obstacle.add(send)
    return false
  }
  // It is there before another one becomes the first, and not after that.
  if (obstacle === undefined) enter(core, session, sequence, route, payload, large, turn)
  else reject(core, session, sequence, route, payload, fullError(core, obstacle, payload.bytes))
  unblock(core, send)
  return true
}
