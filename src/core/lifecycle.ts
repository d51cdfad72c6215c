import type { DeathReason } from '../deadLetter.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import { abandonSend } from './blocking.ts'
import { drainBacklog, emptyBacklog, offerRetained } from './broadcasts.ts'
import type { Core } from './core.ts'
import { offerAgain, watch, withdraw } from './dispatch.ts'
import { Membership, Session } from './entities/model.ts'
import { isWhole } from './entities/queueEntry.ts'
import { isGroupName } from './groupName.ts'
import { notAccepted } from './groupRegistry.ts'
import { abortAllLarge } from './largeObject.ts'
import { requeueAbsent, revokeLeases } from './leases.ts'
import type { JoinOptions } from './ports.ts'
import { retryDue, unpark } from './retries.ts'

/** Makes a session a member of its groups, or throws before anything changed. */
export function join(core: Core, id: string, groups: readonly string[], options: JoinOptions): Session {
  const names = new Set(groups)
  checkJoin(core, id, names, options)
  const session = new Session(id, options)
  core.sessions.set(id, session)
  for (const name of names) {
    const group = core.registry.getOrCreate(name)
    const member = new Membership(session, group)
    session.memberships.set(name, member)
    group.members.add(member)
    core.unattended.changed(group)
    offerRetained(core, member)
    if (group.isDeadLetter) unpark(core, group)
  }
  session.earlier = core.absent.get(id)
  if (session.earlier === undefined) return session
  core.absent.delete(id)
  session.earlier.graceEndsMs = Number.POSITIVE_INFINITY
  if (core.limits.progressMs > 0) watch(core, session, 1)
  return session
}

/** The link of a session is lost. Nothing is given to it until it comes back or its grace time is over. */
export function detach(core: Core, session: Session, nowMs: number): void {
  core.nowMs = nowMs
  if (session.state !== 'attached') return
  session.state = 'detached'
  withdraw(session)
  session.graceEndsMs = nowMs + core.limits.sessionGraceMs
  core.detached.add(session)
}

/** A session has a link again, and gets what waited for it. */
export function attach(core: Core, session: Session): void {
  if (session.state !== 'detached') return
  session.state = 'attached'
  session.progressed = true
  core.detached.delete(session)
  drainBacklog(core, session)
  offerAgain(core, session)
}

/** A session is over: what it had on lease goes back, what it had not finished sending is forgotten. */
export function leave(core: Core, session: Session, reason: DeathReason, attemptsCounted: boolean): void {
  if (session.state === 'ended') return
  session.state = 'ended'
  core.sessions.delete(session.id)
  core.detached.delete(session)
  core.watched.delete(session)
  for (const member of session.memberships.values()) {
    member.end()
    core.unattended.changed(member.group)
    core.markDirty(member.group)
  }
  revokeLeases(core, session, reason, attemptsCounted)
  emptyBacklog(core, session)
  abortAllLarge(core, session)
  const blocked = new Set([...session.blockedSends.values()].flatMap((sends) => [...sends]))
  for (const send of blocked) abandonSend(core, send)
  for (const member of session.memberships.values()) member.forgetCredit()
}

/** The session is about to begin anew: what it had not claimed yet waits for it as before. */
export function keepAbsent(core: Core, session: Session, nowMs: number): void {
  const { earlier, id } = session
  if (earlier === undefined) return
  session.earlier = undefined
  earlier.graceEndsMs = nowMs + core.limits.sessionGraceMs
  core.absent.set(id, earlier)
}

/** Ends the sessions whose grace time is over, takes the leases of those that make no progress, and lets what failed be tried again. */
export function advance(core: Core, nowMs: number): void {
  core.nowMs = nowMs
  for (const session of core.detached) {
    if (session.graceEndsMs > nowMs) break
    core.counts.addExpired()
    core.output.event({ type: 'sessionExpired', session: session.id })
    leave(core, session, 'lost', true)
  }
  for (const absent of core.absent.values()) {
    if (absent.graceEndsMs > nowMs) break
    core.absent.delete(absent.id)
    requeueAbsent(core, absent, 'lost', true)
  }
  for (const session of core.watched) {
    if (session.progressDueMs > nowMs) break
    checkProgress(core, session)
  }
  retryDue(core)
}

/** When {@link advance} has something to do. */
export function nextDeadlineMs(core: Core): number | undefined {
  let deadlineMs = Number.POSITIVE_INFINITY
  for (const { graceEndsMs } of core.detached) {
    deadlineMs = graceEndsMs
    break
  }
  for (const { graceEndsMs } of core.absent.values()) {
    deadlineMs = Math.min(deadlineMs, graceEndsMs)
    break
  }
  for (const { progressDueMs } of core.watched) {
    deadlineMs = Math.min(deadlineMs, progressDueMs)
    break
  }
  deadlineMs = Math.min(deadlineMs, core.retries.first()?.dueMs ?? Number.POSITIVE_INFINITY)
  return deadlineMs === Number.POSITIVE_INFINITY ? undefined : deadlineMs
}

/** Whether it has anything that its program could have taken: nobody takes an object of which bytes are still to come. */
function holdsWhole({ leases, leaseCount }: Session): boolean {
  // Those of before a restart are all whole.
  if (leaseCount > leases.size) return true
  for (const [, entry] of leases) if (isWhole(entry)) return true
  return false
}

function checkProgress(core: Core, session: Session): void {
  core.watched.delete(session)
  session.watched = session.leaseCount > 0
  if (!session.watched) return
  if (session.progressed || !session.attached || !holdsWhole(session)) {
    session.checkedUntil(core.nowMs + core.limits.progressMs)
    core.watched.add(session)
    return
  }
  session.watched = false
  session.hung = true
  withdraw(session)
  const count = revokeLeases(core, session, 'progress', true)
  core.output.event({ type: 'leasesRevoked', session: session.id, count })
}

function checkJoin(core: Core, id: string, names: Set<string>, options: JoinOptions): void {
  const { groupsPerEndpointMax } = core.limits
  if (core.sessions.has(id))
    throw wrong('id', `There is a session "${id}" already. Give each session an id of its own.`)
  if (names.size > groupsPerEndpointMax) {
    throw wrong(
      'groups',
      `${names.size} groups are too many. Join at most ${groupsPerEndpointMax} (limits.groupsPerEndpointMax).`,
    )
  }
  for (const name of names) {
    if (!isGroupName(name))
      throw wrong('groups', `${JSON.stringify(name)} is not a name of a group. Use 1 to 128 bytes of text.`)
  }
  const { inboxBytes } = options
  if (!Number.isSafeInteger(inboxBytes) || inboxBytes < 1) {
    throw wrong('inboxBytes', `inboxBytes is ${inboxBytes}. Give a positive integer.`)
  }
  // What is for good goes before what is for a while: nobody waits for a place to be told then that there is none for it.
  for (const name of names) if (!core.registry.accepts(name)) throw notAccepted(name)
  for (const name of names) if (core.registry.memberRoom(name) <= 0) throw groupFull(core, name, options.nowMs)
  const refusal = core.registry.refusal(names)
  if (refusal !== undefined) throw refusal
}

/** The refusal says how long the group stays full at most, if members whose link is lost hold the place. */
function groupFull(core: Core, name: string, nowMs: number | undefined): ObjectRelayError {
  const message = `The group "${name}" has as many members as it may have. Raise its maxCount, or wait until one leaves.`
  const graceEndsMs = placeFreeAtMs(core, name)
  if (nowMs === undefined || graceEndsMs === undefined)
    return createError('GROUP_FULL', message, { details: { group: name } })
  const retryAfterMs = Math.max(0, Math.ceil(graceEndsMs - nowMs))
  const wait = `A member whose link is lost holds the place for ${retryAfterMs} ms at most.`
  return createError('GROUP_FULL', `${message} ${wait}`, { details: { group: name, retryAfterMs } })
}

/** When the first grace time of a member that is away ends; undefined if none is. */
function placeFreeAtMs({ registry }: Core, name: string): number | undefined {
  let freeAtMs = Number.POSITIVE_INFINITY
  for (const { session } of registry.groups.get(name)?.members ?? [])
    if (session.state === 'detached') freeAtMs = Math.min(freeAtMs, session.graceEndsMs)
  return freeAtMs === Number.POSITIVE_INFINITY ? undefined : freeAtMs
}

function wrong(argument: string, message: string): ObjectRelayError {
  return createError('INVALID_ARGUMENT', message, { details: { argument } })
}
