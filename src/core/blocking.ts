import { type BlockedSend, type BlockedSends, createHeldLine } from './blockedSends.ts'
import type { Core } from './core.ts'
import type { LargeObject } from './largeObject.ts'
import type { Payload } from './ports.ts'
import type { Plan } from './queueEntry.ts'
import type { Session } from './session.ts'

/** Whether a session holds back something that the object must not overtake. */
export function waitsBehind({ held }: Session, { groups }: Plan): boolean {
  return held.size > 0 && groups.some((group) => held.has(group))
}

/** Holds an object back: it lacks room at `bound`, or stands behind others of its session. */
export function hold(
  core: Core,
  session: Session,
  sequence: number,
  plan: Plan,
  payload: Payload,
  large: LargeObject | undefined,
  bound: BlockedSends | undefined,
): void {
  const turn = bound === undefined ? 0 : ++core.turns
  const send: BlockedSend = {
    session,
    sequence,
    plan,
    payload,
    large,
    turn,
    bounds: new Set(),
    lacking: undefined,
    gone: false,
  }
  for (const group of plan.groups) {
    let line = session.held.get(group)
    if (line === undefined) {
      line = createHeldLine()
      session.held.set(group, line)
      group.heldLines++
      core.output.blocked(session, group.name)
    }
    line.push(send)
  }
  if (large === undefined) session.heldBytes += payload.bytes
  else large.held = send
  bound?.add(send)
}

/** The sender of a held object gave it up, or left. */
export function giveUpHeld(core: Core, send: BlockedSend): void {
  send.gone = true
  for (const group of send.plan.groups) {
    send.session.held.get(group)?.left()
    core.touch(group)
  }
  stopWaiting(core, send)
  core.output.released(send.payload)
}

/** A held object goes in, or is rejected: it is the first in all lines of its session. */
export function leaveLines(core: Core, send: BlockedSend): void {
  for (const group of send.plan.groups) send.session.held.get(group)?.shift()
  stopWaiting(core, send)
}

/** Who waited behind it, or had less room because of it, may have enough now. */
function stopWaiting(core: Core, send: BlockedSend): void {
  const { session, plan, payload, large, bounds } = send
  if (large === undefined) session.heldBytes -= payload.bytes
  for (const bound of bounds) {
    bound.remove(send)
    if (bound.group !== undefined) core.touch(bound.group)
  }
  for (const group of plan.groups) {
    const line = session.held.get(group)
    const next = line?.first()
    if (next === undefined) {
      if (line === undefined) continue
      session.held.delete(group)
      group.heldLines--
      core.touch(group)
      if (session.state !== 'ended') core.output.unblocked(session, group.name)
    } else if (next.turn === 0 && isFirstEverywhere(next)) {
      next.turn = ++core.turns
      core.nextSends.push(next)
    }
  }
}

function isFirstEverywhere(send: BlockedSend): boolean {
  return send.plan.groups.every((group) => send.session.held.get(group)?.first() === send)
}
