import type { BlockedSends } from '../../src/core/blockedSends.ts'
import type { Broker } from '../../src/core/broker.ts'
import type { Core } from '../../src/core/core.ts'
import type { Group } from '../../src/core/group.ts'
import { isServedBefore, type Membership } from '../../src/core/membership.ts'
import { keptPayloads } from '../../src/core/payloads.ts'
import type { Payload } from '../../src/core/ports.ts'
import type { Item, Parcel } from '../../src/core/queueEntry.ts'
import type { SetAside } from '../../src/core/retries.ts'
import type { Session } from '../../src/core/session.ts'
import type { DeadLetter } from '../../src/deadLetter.ts'

/** Whether a member may get an object now, by the words of the rule and without any index. */
export function mayGet({ session, credit, group }: Membership, bytes: number): boolean {
  return !group.isPaused && session.takesWork && credit > 0 && session.backlog.count === 0 && hasRoom(session, bytes)
}

/** What must hold between any two calls of a broker. */
export function checkInvariants(broker: Broker): void {
  const { core } = broker
  same('nothing is left to look at', core.touched.length, 0)
  for (const group of core.directory.groups.values()) checkGroup(core, group)
  for (const session of core.sessions.values()) checkSession(core, session)
  checkReferences(core)
  checkAllDeadLetters(core)
  atMost('core.keptBytes', core.keptBytes, core.limits.relayBytesMax)
  checkBlocked(core.blocked)
  checkUnattended(core)
}

function hasRoom({ limitBytes, sentBytes, inboxBytes }: Session, bytes: number): boolean {
  return sentBytes + bytes <= limitBytes || limitBytes - sentBytes >= inboxBytes
}

function checkGroup(core: Core, group: Group): void {
  const { ready, members, takers, stalled, name } = group
  const items = ready.items()
  const aside = ready.asideEntries()
  const all = [...items, ...aside.map(({ item }) => item)]
  same(`${name}: is remembered for nothing`, group.isEmpty && !core.directory.isPermanent(name), false)
  same(
    `${name}: waiting`,
    ready.count,
    sum(all, (item) => item.copies * item.payload.objects),
  )
  same(
    `${name}: waiting bytes`,
    ready.bytes,
    sum(all, (item) => item.copies * item.payload.bytes),
  )
  same(
    `${name}: leased`,
    group.leased,
    sum(allLeases(core), (item) => (item.holder?.group === group ? item.payload.objects : 0)),
  )
  if (group.isDeadLetter) checkDeadLetters(core, group, all)
  else atMost(`${name}: bytes`, group.bytes, core.limits.groupBytesMax)
  // What was given back before a restart is not known as such any more.
  atMost(
    `${name}: bound`,
    ready.count,
    Math.max(group.maxConsumables, group.countBound) + ready.returnedCount + aside.length,
  )
  for (const [index, item] of items.entries()) {
    const before = items[index - 1]
    atLeast(`${name}: order`, item.order, before === undefined ? 0 : before.order + before.payload.objects - 1)
    same('item.holder', item.holder, undefined)
  }
  for (const entry of aside) checkAside(core, entry)
  const first = items[0]
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

function checkAside({ retries, nowMs }: Core, entry: SetAside): void {
  const { item, group, dueMs, dueTimes, dueIndex, index } = entry
  same('item.holder', item.holder, undefined)
  same('its place among what is set aside', group.ready.asideEntries()[index], entry)
  same('its due time is known', dueTimes === undefined ? undefined : retries.values()[dueIndex], dueTimes && entry)
  same('only a dead letter rests', dueTimes !== undefined || group.isDeadLetter, true)
  if (dueMs <= nowMs) throw new Error(`${group.name}: what is due at ${dueMs} is set aside at ${nowMs}`)
}

/** All that is in a dead-letter group: `waiting`, and what is on lease. */
function checkDeadLetters(core: Core, group: Group, waiting: readonly Item[]): void {
  const leased = allLeases(core).filter(({ holder }) => holder?.group === group)
  const orders = new Set([...waiting, ...leased].map(({ order }) => order))
  same(`${group.name}: how each died`, group.deadLetters.size, orders.size)
  const bytes =
    sum([...waiting, ...leased], ({ payload }) => payload.bytes) + sum(group.deadLetters.values(), deadLetterBytes)
  same(`${group.name}: dead bytes`, group.deadBytes, bytes)
  if (group.ready.count > 1) atMost(`${group.name}: dead bytes`, bytes, Math.max(group.deadBytesMax, group.bytesBound))
}

/** What it counts for, besides the object. */
export function deadLetterBytes({ endpoint, name = '', error = {} }: DeadLetter): number {
  const texts = [endpoint, name, error.name, error.message, error.code, error.stack]
  return 100 + sum(texts, (text) => text?.length ?? 0)
}

function checkAllDeadLetters({ directory, limits, ...core }: Core): void {
  const groups = [...directory.groups.values()].filter(({ isDeadLetter }) => isDeadLetter)
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
  const isOnLease = largest?.ready.count === 0
  if (!isOnLease) atMost('core.deadBytes', core.deadBytes, Math.max(limits.relayBytesMax, core.deadBytesBound))
}

function firstBytes({ output }: Core, { payload }: Item): number {
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
    sum(entries, (entry) => entry.parcel.payload.bytes),
  )
  if (entries.length > 1) atMost('backlog.bytes', backlog.bytes, core.limits.memberBacklogBytesMax)
  const first = entries[0]
  if (first !== undefined && session.attached) {
    const { bytes } = first.parcel.payload
    const mayGo = hasRoom(session, bytes) && session.sentBytes - session.arrivedBytes < session.unarrivedBytesMax
    same('the first of the backlog may go', mayGo, false)
  }
  if (session.broadcasts === 'latest') {
    same('one for each group', new Set(entries.map((entry) => entry.member)).size, entries.length)
  }
  same(
    'leases.size',
    leases.size,
    sum(leases, ([, item]) => item.payload.objects),
  )
  for (const [number, item] of leases) {
    same('item.holder?.session', item.holder?.session, session)
    for (let index = 0; index < item.payload.objects; index++)
      same('a run is seen as a whole', leases.isSeen(number + index), leases.isSeen(number))
  }
  same(
    'leases of memberships',
    leases.size + sum(session.reclaimed.values(), (item) => Number(item.holder?.session === session)),
    sum(memberships.values(), (member) => member.leases),
  )
  same('earlier.size', session.earlier?.size ?? 0, [...(session.earlier ?? [])].length)
  for (const item of session.reclaimed.values()) same('item.holder?.session.id', item.holder?.session.id, session.id)
  atMost('leases.pageCount', leases.pageCount, leases.size + 1)
  same(
    'session.stalledCount',
    session.stalledCount,
    sum(memberships.values(), (member) => Number(member.stalled)),
  )
  const held = new Set([...session.held.values()].flatMap((line) => [...line]))
  for (const line of session.held.values()) same('line.length', line.length, [...line].length)
  same(
    'session.heldBytes',
    session.heldBytes,
    sum(held, ({ large, payload }) => (large === undefined ? payload.bytes : 0)),
  )
}

/** Everything that anybody has on lease. */
function allLeases({ sessions, absent }: Core): Item[] {
  const items = [...absent.values()].flatMap((leases) => [...leases])
  for (const { leases, reclaimed, earlier } of sessions.values()) {
    for (const [, item] of leases) items.push(item)
    items.push(...reclaimed.values(), ...(earlier ?? []))
  }
  return items
}

/** Every parcel counts those that refer to it, and the bytes are those of all payloads together. */
function checkReferences(core: Core): void {
  const references = new Map<Parcel, number>()
  const dead = new Map<Parcel, number>()
  const payloads = new Set<Payload>()
  /** What is not only dead letters. */
  const living = new Set<Payload>()
  function refer(payload: Payload, parcel: Parcel | undefined, count: number, isDead = false): void {
    payloads.add(payload)
    if (!isDead) living.add(payload)
    if (parcel !== undefined && isDead) dead.set(parcel, (dead.get(parcel) ?? 0) + count)
    if (parcel !== undefined) references.set(parcel, (references.get(parcel) ?? 0) + count)
  }
  for (const { ready, last, isDeadLetter } of core.directory.groups.values()) {
    for (const { payload, parcel, copies } of ready.everything()) refer(payload, parcel, copies, isDeadLetter)
    if (last !== undefined) refer(last.parcel.payload, last.parcel, 1)
  }
  for (const { payload, parcel, holder } of allLeases(core)) refer(payload, parcel, 1, holder?.group.isDeadLetter)
  for (const session of core.sessions.values()) {
    for (const { parcel } of session.backlog) refer(parcel.payload, parcel, 1)
    for (const { parcel, held } of session.begun.values()) if (held === undefined) refer(parcel.payload, parcel, 1)
  }
  const listed = new Set(keptPayloads(core))
  const begun = new Set([...core.sessions.values()].flatMap((session) => [...session.begun.values()]))
  for (const { parcel } of begun) listed.add(parcel.payload)
  for (const payload of payloads) same('payload is listed', listed.has(payload), true)
  for (const [parcel, count] of references) {
    same('parcel.references', parcel.references, count)
    same('parcel.deadReferences', parcel.deadReferences, dead.get(parcel) ?? 0)
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
    for (const group of send.plan.groups)
      same('it is the first of its session', send.session.held.get(group)?.first(), send)
  }
  if (blocked.length === 0) same('nothing is after nobody', blocked.bytesAfter, 0)
}

/** What came after the first that waits for room in a queue is counted. */
function checkCountAfter({ name, ready, blocked }: Group): void {
  const after = [...ready.oldestFirst()].filter(({ order }) => order >= ready.from)
  same(
    `${name}: waiting after the first`,
    ready.fromCount,
    sum(after, ({ copies, payload }) => copies * payload.objects),
  )
  same(`${name}: counts what is after`, ready.from < Number.POSITIVE_INFINITY, blocked.length > 0)
}

/** Which retained broadcasts nobody is there for. */
function checkUnattended({ directory, unattended }: Core): void {
  const found = new Set(unattended)
  let bytes = 0
  for (const group of directory.groups.values()) {
    const { name, last, members } = group
    same(`${name}: is unattended`, found.has(group), last !== undefined && members.size === 0)
    if (found.delete(group)) bytes += last?.parcel.payload.bytes ?? 0
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
