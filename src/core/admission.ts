import { createError, type ObjectRelayError } from '../errors.ts'
import type { Overflow, Payload, Route } from './contract.ts'
import type { Core } from './core.ts'
import { countTakers, dispatch, findTaker } from './dispatch.ts'
import type { Group } from './group.ts'
import { createHeldLine, type HeldObject } from './heldObject.ts'
import type { LargeObject } from './largeObject.ts'
import type { Parcel, Plan } from './parcel.ts'
import { bytesBound, countBound, dropOldest, enqueue, keptBytesBound } from './queueing.ts'
import type { Session } from './session.ts'

/** What may lack room: the queue of one group, or the relay as a whole. */
type Gate<P extends Payload> = Core<P> | Group<P>

/** A produced object wants to enter the queues of its groups: all of them or none. */
export function admitNew<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  sequence: number,
  plan: Plan<P>,
  payload: P,
  large: LargeObject<P> | undefined,
): void {
  const waitsBehind = session.held.size > 0 && plan.groups.some((group) => session.held.has(group))
  const obstacle = waitsBehind ? undefined : findObstacle(core, plan, payload.bytes, true)
  if (obstacle === undefined && !waitsBehind) {
    enter(core, session, sequence, plan, payload, large)
  } else if (obstacle !== undefined && overflowAt(obstacle, plan) !== 'block') {
    reject(core, session, sequence, plan, payload, fullError(core, obstacle))
  } else {
    hold(core, { session, sequence, plan, payload, large, rotation: obstacle?.rotation, gone: false })
  }
}

/** Whether a run goes to the queue of one group, in which there is room for all of it, so that it can enter as one object does. */
export function mayEnterTogether<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  route: Route,
  { bytes, objects }: P,
): boolean {
  const plan = route.kind === 'produce' && !core.stopped ? core.directory.plan(session, route) : undefined
  if (plan === undefined || plan instanceof Error || plan.copiesTotal !== 1 || bytes > plan.bytesMax) return false
  const group = plan.groups[0]
  if (group === undefined) return false
  if (session.held.has(group) || group.rotation.length > 0 || core.rotation.length > 0) return false
  const fitsGroup =
    group.ready.count + objects <= group.maxConsumables && group.bytes + bytes <= core.limits.groupBytesMax
  return fitsGroup && core.keptBytes + bytes <= core.limits.relayBytesMax
}

/** There may be room at `gate` again: what waits for it enters, one of each session in turn. */
export function admitHeld<P extends Payload>(core: Core<P>, gate: Gate<P>): void {
  for (;;) {
    const held = gate.rotation.first()
    if (held === undefined) return
    const { session, sequence, plan, payload, large } = held
    const obstacle = findObstacle(core, plan, payload.bytes, false)
    if (obstacle === gate) return
    gate.rotation.shift()
    if (obstacle !== undefined && overflowAt(obstacle, plan) === 'block') {
      held.rotation = obstacle.rotation
      obstacle.rotation.push(held)
      continue
    }
    leaveLines(held)
    if (obstacle === undefined) enter(core, session, sequence, plan, payload, large)
    else reject(core, session, sequence, plan, payload, fullError(core, obstacle))
    advanceLines(core, held)
  }
}

/** The sender of a held object gave it up, or left. */
export function giveUpHeld<P extends Payload>(core: Core<P>, held: HeldObject<P>): void {
  held.gone = true
  held.rotation?.left()
  for (const group of held.plan.groups) {
    held.session.held.get(group)?.left()
    // Who waited behind it may need less room.
    core.touch(group)
  }
  if (held.large === undefined) held.session.heldBytes -= held.payload.bytes
  advanceLines(core, held)
  core.output.released(held.payload)
}

/** Tells the sender that an object was not taken, which may still be only a beginning. */
export function reject<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  sequence: number,
  plan: Plan<P> | undefined,
  payload: P,
  error: ObjectRelayError,
): void {
  session.begun.delete(sequence)
  // Some of its groups may have been made for it.
  for (const group of plan?.groups ?? []) core.touch(group)
  core.counts.rejected++
  core.output.rejected(session, sequence, error)
  core.output.released(payload)
}

/** Tells the sender that an object is kept, or a run of them. */
export function accept<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  sequence: number,
  plan: Plan<P>,
  objects = 1,
): void {
  const { groups, memberCounts } = plan
  for (let index = 0; index < groups.length; index++) memberCounts[index] = groups[index]?.members.size ?? 0
  core.output.accepted(session, sequence, objects, memberCounts)
}

function enter<P extends Payload>(
  core: Core<P>,
  session: Session<P>,
  sequence: number,
  plan: Plan<P>,
  payload: P,
  large: LargeObject<P> | undefined,
): void {
  const { groups, copies, copiesTotal } = plan
  core.keptBytes += payload.bytes
  let parcel: Parcel<P> | undefined = large?.parcel
  if (parcel === undefined && copiesTotal > 1) parcel = { payload, references: 0, deadReferences: 0, large: undefined }
  if (parcel !== undefined) parcel.references += copiesTotal
  if (large !== undefined) large.held = undefined
  for (let index = 0; index < groups.length; index++) {
    const group = groups[index]
    const count = copies[index]
    if (group === undefined || count === undefined) continue
    if (group.overflow === 'drop-oldest') makeRoom(core, group, count, payload.bytes)
    enqueue(core, group, payload, parcel, count, index)
    if (large === undefined) group.counts.accepted += count * payload.objects
  }
  if (large === undefined) {
    core.counts.accepted += copiesTotal * payload.objects
    accept(core, session, sequence, plan, payload.objects)
  } else {
    core.output.admitted(session, sequence)
  }
  // What must not wait goes first, before the other groups use up the room of a common member.
  if (groups.length > 1) for (const group of groups) if (group.maxConsumables === 0) dispatch(core, group)
  for (const group of groups) dispatch(core, group)
}

/** The first place without room for an object. A newcomer finds none either where others wait. */
function findObstacle<P extends Payload>(
  core: Core<P>,
  plan: Plan<P>,
  bytes: number,
  isNewcomer: boolean,
): Gate<P> | undefined {
  const { groups, copies } = plan
  for (let index = 0; index < groups.length; index++) {
    const group = groups[index]
    const count = copies[index]
    if (group === undefined || count === undefined) continue
    if (isNewcomer && group.rotation.length > 0) return group
    if (hasRoom(core, group, count, bytes)) continue
    if (group.overflow === 'drop-oldest' && canMakeRoom(core, group, count, bytes)) continue
    return group
  }
  const first = groups[0]
  let bound = core.limits.relayBytesMax
  if (first?.overflow === 'drop-oldest') {
    bound = keptBytesBound(core)
    dropOldest(core, first, 'overflow', 0, core.keptBytes + bytes - bound)
  }
  const isFull = core.keptBytes + bytes > bound || (isNewcomer && core.rotation.length > 0)
  return isFull ? core : undefined
}

function hasRoom<P extends Payload>(core: Core<P>, group: Group<P>, copies: number, bytes: number): boolean {
  if (group.bytes + copies * bytes > core.limits.groupBytesMax) return false
  if (group.maxConsumables > 0) return group.ready.count + copies <= group.maxConsumables
  if (group.ready.availableCount > 0) return false
  return copies === 1 ? findTaker(group, bytes) !== undefined : countTakers(group, bytes, copies) >= copies
}

function canMakeRoom<P extends Payload>(core: Core<P>, group: Group<P>, copies: number, bytes: number): boolean {
  return group.leasedBytes + copies * bytes <= core.limits.groupBytesMax && copies <= group.maxConsumables
}

function makeRoom<P extends Payload>(core: Core<P>, group: Group<P>, copies: number, bytes: number): void {
  const countExcess = group.ready.count + copies - countBound(group)
  const bytesExcess = group.bytes + copies * bytes - bytesBound(core, group)
  if (countExcess > 0 || bytesExcess > 0) dropOldest(core, group, 'overflow', countExcess, bytesExcess)
}

/** The relay as a whole has no policy of its own: that of the first group decides. */
function overflowAt<P extends Payload>(gate: Gate<P>, { groups }: Plan<P>): Overflow {
  const group = 'overflow' in gate ? gate : groups[0]
  return group?.overflow ?? 'block'
}

function fullError<P extends Payload>(core: Core<P>, gate: Gate<P>): ObjectRelayError {
  if ('name' in gate) {
    const message = `The queue of the group "${gate.name}" is full. Consume from it, or raise maxConsumables or limits.groupBytesMax.`
    return createError('QUEUE_FULL', message, {
      details: { group: gate.name, waiting: gate.ready.count, bytes: gate.bytes },
    })
  }
  return relayFullError(core)
}

/** All groups and backlogs together have no room. */
export function relayFullError<P extends Payload>({ keptBytes, limits }: Core<P>): ObjectRelayError {
  const { relayBytesMax } = limits
  const message = `The relay keeps ${keptBytes} bytes of at most ${relayBytesMax}. Consume, or raise limits.relayBytesMax.`
  return createError('QUEUE_FULL', message, { details: { keptBytes, relayBytesMax } })
}

function hold<P extends Payload>(core: Core<P>, held: HeldObject<P>): void {
  const { session, plan, payload, large } = held
  for (const group of plan.groups) {
    let line = session.held.get(group)
    if (line === undefined) {
      line = createHeldLine()
      session.held.set(group, line)
      group.heldLines++
      core.output.blocked(session, group.name)
    }
    line.push(held)
  }
  if (large === undefined) session.heldBytes += payload.bytes
  else large.held = held
  held.rotation?.push(held)
}

/** A held object goes in, or is rejected: it is the first in all its lines. */
function leaveLines<P extends Payload>({ session, plan, payload, large }: HeldObject<P>): void {
  for (const group of plan.groups) session.held.get(group)?.shift()
  if (large === undefined) session.heldBytes -= payload.bytes
}

/** After an object left the lines of its session: what stood behind it may wait for room now, behind that of other sessions. */
function advanceLines<P extends Payload>(core: Core<P>, { session, plan }: HeldObject<P>): void {
  for (const group of plan.groups) {
    const line = session.held.get(group)
    const next = line?.first()
    if (next === undefined) {
      if (line === undefined) continue
      session.held.delete(group)
      group.heldLines--
      core.touch(group)
      if (session.state !== 'ended') core.output.unblocked(session, group.name)
    } else if (next.rotation === undefined && isFirstEverywhere(next)) {
      next.rotation = group.rotation
      group.rotation.push(next)
      core.touch(group)
    }
  }
}

function isFirstEverywhere<P extends Payload>(held: HeldObject<P>): boolean {
  return held.plan.groups.every((group) => held.session.held.get(group)?.first() === held)
}
