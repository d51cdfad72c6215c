import type { Core } from './core.ts'
import type { BlockedSend, BlockedSends, LargeObject, ResolvedRoute, Session } from './entities/model.ts'
import type { Payload } from './ports.ts'

/** Whether something of its session waits for room that the object must not overtake. */
export function waitsBehind({ blockedSends }: Session, { groups }: ResolvedRoute): boolean {
  return blockedSends.size > 0 && groups.some((group) => blockedSends.has(group))
}

/** An object has to wait: it lacks room at `bound`, or is behind others of its session. */
export function block(
  core: Core,
  session: Session,
  sequence: number,
  route: ResolvedRoute,
  payload: Payload,
  large: LargeObject | undefined,
  bound: BlockedSends | undefined,
): void {
  const send: BlockedSend = {
    session,
    sequence,
    route,
    payload,
    large,
    turn: bound === undefined ? 0 : core.takeTurn(),
    bounds: new Set(),
    lacking: undefined,
    gone: false,
  }
  for (const group of session.block(send)) core.output.blocked(session, group.name)
  bound?.add(send)
}

/** The sender of a blocked object gave it up, or left. */
export function abandonSend(core: Core, send: BlockedSend): void {
  send.session.abandon(send)
  for (const group of send.route.groups) core.markDirty(group)
  stopWaiting(core, send)
  core.output.released(send.payload)
}

/** A blocked object goes in, or is rejected: it is the first of its session for all of its groups. */
export function unblock(core: Core, send: BlockedSend): void {
  send.session.unblock(send)
  stopWaiting(core, send)
}

/** Who waited behind it, or had less room because of it, may have enough now. */
function stopWaiting(core: Core, send: BlockedSend): void {
  const { session, route, bounds } = send
  for (const bound of bounds) {
    bound.remove(send)
    if (bound.group !== undefined) core.markDirty(bound.group)
  }
  for (const group of route.groups) {
    const sends = session.blockedSends.get(group)
    const next = sends?.first()
    if (next === undefined) {
      if (sends === undefined) continue
      session.endBlocking(group)
      core.markDirty(group)
      if (session.state !== 'ended') core.output.unblocked(session, group.name)
    } else if (next.turn === 0 && session.isFirstEverywhere(next)) {
      next.turn = core.takeTurn()
      core.nextSends.push(next)
    }
  }
}
