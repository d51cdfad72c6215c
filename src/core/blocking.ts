import { type BlockedSend, type BlockedSends, createBlockedQueue } from './blockedSends.ts'
import type { Core } from './core.ts'
import type { LargeObject } from './largeObject.ts'
import type { Payload } from './ports.ts'
import type { ResolvedRoute } from './queueEntry.ts'
import type { Session } from './session.ts'

/** Whether a session holds back something that the object must not overtake. */
export function waitsBehind({ blockedSends }: Session, { groups }: ResolvedRoute): boolean {
  return blockedSends.size > 0 && groups.some((group) => blockedSends.has(group))
}

/** Holds an object back: it lacks room at `bound`, or stands behind others of its session. */
export function hold(
  core: Core,
  session: Session,
  sequence: number,
  route: ResolvedRoute,
  payload: Payload,
  large: LargeObject | undefined,
  bound: BlockedSends | undefined,
): void {
  const turn = bound === undefined ? 0 : ++core.turns
  const send: BlockedSend = {
    session,
    sequence,
    route,
    payload,
    large,
    turn,
    bounds: new Set(),
    lacking: undefined,
    gone: false,
  }
  for (const group of route.groups) {
    let line = session.blockedSends.get(group)
    if (line === undefined) {
      line = createBlockedQueue()
      session.blockedSends.set(group, line)
      group.blockedSenders++
      core.output.blocked(session, group.name)
    }
    line.push(send)
  }
  if (large === undefined) session.blockedBytes += payload.bytes
  else large.blocked = send
  bound?.add(send)
}

/** The sender of a held object gave it up, or left. */
export function abandonSend(core: Core, send: BlockedSend): void {
  send.gone = true
  for (const group of send.route.groups) {
    send.session.blockedSends.get(group)?.left()
    core.markDirty(group)
  }
  stopWaiting(core, send)
  core.output.released(send.payload)
}

/** A held object goes in, or is rejected: it is the first in all lines of its session. */
export function unblock(core: Core, send: BlockedSend): void {
  for (const group of send.route.groups) send.session.blockedSends.get(group)?.shift()
  stopWaiting(core, send)
}

/** Who waited behind it, or had less room because of it, may have enough now. */
function stopWaiting(core: Core, send: BlockedSend): void {
  const { session, route, payload, large, bounds } = send
  if (large === undefined) session.blockedBytes -= payload.bytes
  for (const bound of bounds) {
    bound.remove(send)
    if (bound.group !== undefined) core.markDirty(bound.group)
  }
  for (const group of route.groups) {
    const line = session.blockedSends.get(group)
    const next = line?.first()
    if (next === undefined) {
      if (line === undefined) continue
      session.blockedSends.delete(group)
      group.blockedSenders--
      core.markDirty(group)
      if (session.state !== 'ended') core.output.unblocked(session, group.name)
    } else if (next.turn === 0 && isFirstEverywhere(next)) {
      next.turn = ++core.turns
      core.nextSends.push(next)
    }
  }
}

function isFirstEverywhere(send: BlockedSend): boolean {
  return send.route.groups.every((group) => send.session.blockedSends.get(group)?.first() === send)
}
