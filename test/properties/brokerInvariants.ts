import type { Broker } from '../../src/core/broker.ts'
import type { Core } from '../../src/core/core.ts'
import type { DelayedEntry } from '../../src/core/entities/groupQueue.ts'
import {
  type BlockedSends,
  type Group,
  isServedBefore,
  type Lease,
  type Membership,
  type Session,
} from '../../src/core/entities/model.ts'
import type { QueueEntry, SharedPayload } from '../../src/core/entities/queueEntry.ts'
import { keptPayloads } from '../../src/core/payloads.ts'
import type { Payload } from '../../src/core/ports.ts'
import type { DeadLetter } from '../../src/deadLetter.ts'

/** Whether a member may get an object now, by the words of the rule and without any index. */
export function mayGet({ session, credit, group }: Membership, bytes: number): boolean {
  return !group.isPaused && session.takesWork && credit > 0 && session.backlog.count === 0 && hasRoom(session, bytes)
}

/** What must hold between any two calls of a broker. */
export function checkInvariants(broker: Broker): void {
  const { core } = broker
  same('nothing is left to look at', core.dirtyGroups.length, 0)
  for (const group of core.registry.groups.values()) checkGroup(core, group)
  for (const session of core.sessions.values()) checkSession(core, session)
  checkReferences(core)
  checkAllDeadLetters(core)
  atMost('core.keptBytes', core.keptBytes, core.limits.relayBytesMax)
  checkBlocked(core.blocked)
  checkUnattended(core)
}

function hasRoom({ windowEnd, sentBytes, inboxBytes }: Session, bytes: number): boolean {
  return sentBytes + bytes <= windowEnd || windowEnd - sentBytes >= inboxBytes
}

function checkGroup(core: Core, group: Group): void {
  const { queue, members, takers, stalled, name } = group
  const entries = queue.entries()
  const delayed = queue.delayedEntries()
  const all = [...entries, ...delayed.map(({ entry }) => entry)]
  const leases = leasesOf(core, group)
  const leased = new Set(leases.map(({ entry }) => entry))
  same(`${name}: is remembered for nothing`, group.isEmpty && !core.registry.isPermanent(name), false)
  same(
    `${name}: waiting`,
    queue.count,
    sum(all, (entry) => entry.copies * entry.payload.objects),
  )
  same(
    `${name}: waiting bytes`,
    queue.bytes,
    sum(all, (entry) => entry.copies * entry.payload.bytes),
  )
  same(
    `${name}: leased`,
    group.leased,
    sum(leases, ({ entry }) => entry.payload.objects),
  )
  if (group.isDeadLetter) checkDeadLetters(core, group, all)
  else atMost(`${name}: bytes`, group.bytes, core.limits.groupBytesMax)
  // What was requeued before a restart is not known as such any more.
  atMost(
    `${name}: bound`,
    queue.count,
    Math.max(group.maxConsumables, group.countBound) + queue.redeliveryCount + delayed.length,
  )
  for (const [index, entry] of entries.entries()) {
    const before = entries[index - 1]
    atLeast(`${name}: order`, entry.order, before === undefined ? 0 : before.order + before.payload.objects - 1)
    same('what waits is on lease to nobody', leased.has(entry), false)
  }
  for (const entry of delayed) checkDelayed(core, group, entry, leased)
  const first = entries[0]
  const eligible = first === undefined ? [] : [...members].filter((member) => mayGet(member, firstBytes(core, first)))
  same(`${name}: the first object waits although somebody may get it`, eligible.length, 0)
  for (const member of members) checkMember(member)
  for (const heap of [takers, stalled]) {
    for (const [index, member] of heap.values().entries()) same(`${name}: heap`, member.heapIndex, index)
  }
  const waiting = takers.values()
  for (const [index, member] of waiting.entries()) {
    const above = waiting[(index - 1) >> 1]
    same(`${name}: who is served first`, above !== undefined && isServedBefore(member, above), false)
  }
  checkBlocked(group.blocked)
  checkCountAfter(group)
}

function checkDelayed(
  { retries, nowMs }: Core,
  group: Group,
  delayed: DelayedEntry,
  leased: ReadonlySet<QueueEntry>,
): void {
  const { entry, dueMs, dueTimes, dueIndex, index } = delayed
  same('what is delayed is on lease to nobody', leased.has(entry), false)
  same('its index among what is delayed', group.queue.delayedEntries()[index], delayed)
  same('its due time is known', dueTimes === undefined ? undefined : retries.values()[dueIndex], dueTimes && delayed)
  same('only a dead letter rests', dueTimes !== undefined || group.isDeadLetter, true)
  if (dueMs <= nowMs) throw new Error(`${group.name}: what is due at ${dueMs} is delayed at ${nowMs}`)
}

/** All that is in a dead-letter group: `waiting`, and what is on lease. */
function checkDeadLetters(core: Core, group: Group, waiting: readonly QueueEntry[]): void {
  const leased = leasesOf(core, group).map(({ entry }) => entry)
  const orders = new Set([...waiting, ...leased].map(({ order }) => order))
  same(`${group.name}: how each died`, group.deadLetters.size, orders.size)
  const bytes =
    sum([...waiting, ...leased], ({ payload }) => payload.bytes) + sum(group.deadLetters.values(), deadLetterBytes)
  same(`${group.name}: dead bytes`, group.deadBytes, bytes)
  if (group.queue.count > 1) atMost(`${group.name}: dead bytes`, bytes, Math.max(group.deadBytesMax, group.bytesBound))
}

/** What it counts for, besides the object. */
export function deadLetterBytes({ endpoint, name = '', error = {} }: DeadLetter): number {
  const texts = [endpoint, name, error.name, error.message, error.code, error.stack]
  return 100 + sum(texts, (text) => text?.length ?? 0)
}

function checkAllDeadLetters({ registry, limits, ...core }: Core): void {
  const groups = [...registry.groups.values()].filter(({ isDeadLetter }) => isDeadLetter)
  same(
    'core.deadBytes',
    core.deadBytes,
    sum(groups, (group) => group.deadBytes),
  )
  for (const [index, group] of core.deadGroups.values().entries()) same('group.deadIndex', group.deadIndex, index)
  same(
    'core.deadGroups',
    core.deadGroups.size,
    sum(groups, (group) => Number(group.deadBytes > 0)),
  )
  const largest = core.deadGroups.first()
  const isOnLease = largest?.queue.count === 0
  if (!isOnLease) atMost('core.deadBytes', core.deadBytes, Math.max(limits.relayBytesMax, core.deadBytesBound))
}

function firstBytes({ output }: Core, { payload }: QueueEntry): number {
  return payload.objects === 1 ? payload.bytes : output.firstBytes(payload)
}

function checkMember(member: Membership): void {
  const { session, group, credit, heapIndex } = member
  atLeast('credit', credit, 0)
  atLeast('member.skipped', member.skipped, 0)
  same(`${session.id} waits in ${group.name}`, heapIndex >= 0, credit > 0 && session.takesWork && !group.isPaused)
  if (heapIndex >= 0)
    same(
      '(member.stalled ? group.stalled : group.takers).values()[heapIndex]',
      (member.stalled ? group.stalled : group.takers).values()[heapIndex],
      member,
    )
  else same('member.stalled', member.stalled, false)
}

function checkSession(core: Core, session: Session): void {
  const { backlog, leases, memberships } = session
  const entries = [...backlog]
  same(
    'backlog.bytes',
    backlog.bytes,
    sum(entries, (entry) => entry.shared.payload.bytes),
  )
  if (entries.length > 1) atMost('backlog.bytes', backlog.bytes, core.limits.memberBacklogBytesMax)
  const first = entries[0]
  if (first !== undefined && session.attached) {
    const { bytes } = first.shared.payload
    const mayGo = hasRoom(session, bytes) && session.sentBytes - session.arrivedBytes < session.unarrivedBytesMax
    same('the first of the backlog may go', mayGo, false)
  }
  if (session.broadcasts === 'latest') {
    same('one for each group', new Set(entries.map((entry) => entry.member)).size, entries.length)
  }
  same(
    'leases.size',
    leases.size,
    sum(leases, ([, entry]) => entry.payload.objects),
  )
  for (const [number, entry, holder] of leases) {
    same('holder.session', holder.session, session)
    for (let index = 0; index < entry.payload.objects; index++)
      same('a run is seen as a whole', leases.isSeen(number + index), leases.isSeen(number))
  }
  same(
    'leases of memberships',
    leases.size + sum(session.reclaimed.values(), ({ holder }) => Number(holder.session === session)),
    sum(memberships.values(), (member) => member.leases),
  )
  same('earlier.size', session.earlier?.size ?? 0, [...(session.earlier ?? [])].length)
  for (const { holder } of session.reclaimed.values()) same('holder.session.id', holder.session.id, session.id)
  atMost('leases.pageCount', leases.pageCount, leases.size + 1)
  same(
    'session.stalledCount',
    session.stalledCount,
    sum(memberships.values(), (member) => Number(member.stalled)),
  )
  const held = new Set([...session.blockedSends.values()].flatMap((line) => [...line]))
  for (const line of session.blockedSends.values()) same('line.length', line.length, [...line].length)
  same(
    'session.blockedBytes',
    session.blockedBytes,
    sum(held, ({ large, payload }) => (large === undefined ? payload.bytes : 0)),
  )
}

/** Everything that anybody has on lease. */
function allLeases({ sessions, absent }: Core): Lease[] {
  const all = [...absent.values()].flatMap((leases) => [...leases])
  for (const { leases, reclaimed, earlier } of sessions.values()) {
    for (const [number, entry, holder] of leases) all.push({ entry, holder, isSeen: leases.isSeen(number) })
    all.push(...reclaimed.values(), ...(earlier ?? []))
  }
  return all
}

function leasesOf(core: Core, group: Group): Lease[] {
  return allLeases(core).filter(({ holder }) => holder.group === group)
}

/** Every shared payload counts those that refer to it, and the bytes are those of all payloads together. */
function checkReferences(core: Core): void {
  const references = new Map<SharedPayload, number>()
  const dead = new Map<SharedPayload, number>()
  const payloads = new Set<Payload>()
  /** What is not only dead letters. */
  const living = new Set<Payload>()
  function refer(payload: Payload, shared: SharedPayload | undefined, count: number, isDead = false): void {
    payloads.add(payload)
    if (!isDead) living.add(payload)
    if (shared !== undefined && isDead) dead.set(shared, (dead.get(shared) ?? 0) + count)
    if (shared !== undefined) references.set(shared, (references.get(shared) ?? 0) + count)
  }
  for (const { queue, retained, isDeadLetter } of core.registry.groups.values()) {
    for (const { payload, shared, copies } of queue.everything()) refer(payload, shared, copies, isDeadLetter)
    if (retained !== undefined) refer(retained.shared.payload, retained.shared, 1)
  }
  for (const { entry, holder } of allLeases(core)) refer(entry.payload, entry.shared, 1, holder.group.isDeadLetter)
  for (const session of core.sessions.values()) {
    for (const { shared } of session.backlog) refer(shared.payload, shared, 1)
    for (const { shared, blocked } of session.begun.values())
      if (blocked === undefined) refer(shared.payload, shared, 1)
  }
  const listed = new Set(keptPayloads(core))
  const begun = new Set([...core.sessions.values()].flatMap((session) => [...session.begun.values()]))
  for (const { shared } of begun) listed.add(shared.payload)
  for (const payload of payloads) same('payload is listed', listed.has(payload), true)
  for (const [shared, count] of references) {
    same('shared.references', shared.references, count)
    same('shared.deadReferences', shared.deadReferences, dead.get(shared) ?? 0)
  }
  same(
    'core.keptBytes',
    core.keptBytes,
    sum(living, (payload) => payload.bytes),
  )
}

/** Who waits for room at a bound, waits by its turn, and is the first in all lines of its session. */
function checkBlocked(blocked: BlockedSends): void {
  let turn = 0
  for (let index = 0; index < blocked.length; index++) {
    const send = blocked.at(index)
    if (send === undefined) throw new Error('there are fewer blocked sends than it says')
    atLeast('turns ascend', send.turn, turn + 1)
    turn = send.turn
    same('send.gone', send.gone, false)
    same('it stands there', send.bounds.has(blocked), true)
    same('it lacks something', send.lacking !== undefined && send.bounds.has(send.lacking), true)
    for (const group of send.route.groups)
      same('it is the first of its session', send.session.blockedSends.get(group)?.first(), send)
  }
  if (blocked.length === 0) same('nothing is after nobody', blocked.bytesAfter, 0)
}

/** What came after the first that waits for room in a queue is counted. */
function checkCountAfter({ name, queue, blocked }: Group): void {
  const after = [...queue.oldestFirst()].filter(({ order }) => order >= queue.from)
  same(
    `${name}: waiting after the first`,
    queue.fromCount,
    sum(after, ({ copies, payload }) => copies * payload.objects),
  )
  same(`${name}: counts what is after`, queue.from < Number.POSITIVE_INFINITY, blocked.length > 0)
}

/** Which retained broadcasts nobody is there for. */
function checkUnattended({ registry, unattended }: Core): void {
  const found = new Set(unattended)
  let bytes = 0
  for (const group of registry.groups.values()) {
    const { name, retained, members } = group
    same(`${name}: is unattended`, found.has(group), retained !== undefined && members.size === 0)
    if (found.delete(group)) bytes += retained?.shared.payload.bytes ?? 0
  }
  same('unattended groups that there are not', found.size, 0)
  same('unattended.bytes', unattended.bytes, bytes)
}

// Thousands of runs check this after each step: plain comparisons, for those of the test runner take microseconds each.

function same(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} and not ${String(expected)}`)
}

function atMost(what: string, actual: number, bound: number): void {
  if (!(actual <= bound)) throw new Error(`${what}: ${actual} is more than ${bound}`)
}

function atLeast(what: string, actual: number, bound: number): void {
  if (!(actual >= bound)) throw new Error(`${what}: ${actual} is less than ${bound}`)
}

function sum<T>(values: Iterable<T>, measure: (value: T) => number): number {
  let total = 0
  for (const value of values) total += measure(value)
  return total
}
