import { createError, type ObjectRelayError } from '../errors.ts'
import { admitNew } from './admission.ts'
import { abandonSend } from './blocking.ts'
import { abortBroadcast, beginBroadcast, completeBroadcast } from './broadcasts.ts'
import type { Core } from './core.ts'
import { addCredit } from './dispatch.ts'
import { accept } from './entering.ts'
import { type Group, LargeObject, type Membership, type ResolvedRoute, type Session } from './entities/model.ts'
import { type QueueEntry, SharedPayload } from './entities/queueEntry.ts'
import type { Payload, RouteKind } from './ports.ts'

/** So many aborted deliveries are remembered, in case the endpoint speaks of them before it knows. */
const abortedLeasesMax = 1024

/** Copies of a large object in the queue of one group at one order. */
interface LargePlace {
  readonly group: Group
  readonly groupIndex: number
  readonly order: number
  /** With who has each on lease. */
  readonly entries: [QueueEntry, Membership | undefined][]
}

/** A large object begins: it is queued as if it were whole. */
export function beginLarge(
  core: Core,
  session: Session,
  sequence: number,
  kind: RouteKind,
  route: ResolvedRoute,
  payload: Payload,
): void {
  const shared = new SharedPayload(payload, 1, 0)
  shared.isPartial = true
  const large = new LargeObject(sequence, kind, route, shared)
  core.largeObjects.set(shared, large)
  session.begun.set(sequence, large)
  if (kind === 'produce') admitNew(core, session, sequence, route, payload, large)
  else beginBroadcast(core, session, large)
}

/** The last byte of a large object arrived: from now on it is as any other. */
export function completeLarge(core: Core, session: Session, sequence: number): void {
  const large = session.begun.get(sequence)
  if (large === undefined || large.blocked !== undefined) {
    throw violation(session, sequence, 'completes an object that was not begun or not admitted')
  }
  const { route, shared, kind } = large
  session.begun.delete(sequence)
  if (kind !== 'produce') {
    completeBroadcast(core, large)
  } else {
    for (const [index, group] of route.groups.entries()) group.counts.addAccepted(route.copies[index] ?? 0)
    journalWhole(core, session, large)
  }
  shared.endArrival()
  accept(core, session, sequence, route)
  for (const group of route.groups) core.markDirty(group)
  core.unref(shared)
}

/** Nothing was told of it before. So all copies are told of as if they had been queued now, and then what became of them. */
function journalWhole({ journal }: Core, { id }: Session, large: LargeObject): void {
  const { payload } = large.shared
  for (const { group, groupIndex, order, entries } of placesOf(large)) {
    const copies = entries.reduce((sum, [entry]) => sum + entry.copies, 0)
    journal.queued(payload, group.name, groupIndex, order, copies)
    const deadLetter = group.deadLetters.get(order)
    if (deadLetter !== undefined) journal.died(payload, group.name, order, deadLetter)
    for (const [{ attempt }, holder] of entries) {
      // Who gave it back before is not known any more, and does not matter: its sender is a session that there is.
      for (let tried = 1; tried < attempt; tried++) {
        journal.leased(payload, group.name, tried, id, order)
        journal.returned(payload, group.name, tried, id, false, tried + 1, order)
      }
      if (holder !== undefined) journal.leased(payload, group.name, attempt, holder.session.id, order)
    }
  }
}

/** All its copies by where they are. */
function placesOf({ waiting, leases }: LargeObject): Iterable<LargePlace> {
  const places = new Map<string, LargePlace>()
  function add(entry: QueueEntry, group: Group, holder: Membership | undefined): void {
    const { order, groupIndex } = entry
    const key = `${order} ${group.name}`
    const place = places.get(key)
    if (place === undefined) places.set(key, { group, groupIndex, order, entries: [[entry, holder]] })
    else place.entries.push([entry, holder])
  }
  for (const [entry, group] of waiting) add(entry, group, undefined)
  for (const [entry, { holder }] of leases) add(entry, holder.group, holder)
  return places.values()
}

/** The rest of a large object will not come. An object that was rejected meanwhile is no mistake of the sender. */
export function abortLarge(core: Core, session: Session, sequence: number): void {
  const large = session.begun.get(sequence)
  if (large === undefined) return
  session.begun.delete(sequence)
  const { shared, blocked, kind } = large
  if (blocked !== undefined) {
    abandonSend(core, blocked)
    return
  }
  if (kind !== 'produce') {
    abortBroadcast(core, large)
  } else {
    abortWaiting(core, large)
    abortLeases(core, large)
  }
  shared.endArrival()
  core.unref(shared)
}

/** A sender is over: what it did not complete will never be whole. */
export function abortAllLarge(core: Core, session: Session): void {
  for (const sequence of [...session.begun.keys()]) abortLarge(core, session, sequence)
}

/** Whether a large object may be begun under this number; it throws if not. */
export function checkBegin(core: Core, session: Session, sequence: number, kind: RouteKind): void {
  const { streamsMax } = core.limits
  if (kind === 'clear') throw violation(session, sequence, 'begins an object where none can be')
  if (session.begun.has(sequence)) throw violation(session, sequence, 'begins an object twice')
  if (session.begun.size < streamsMax) return
  throw violation(session, sequence, `begins more than ${streamsMax} objects at once (limits.streamsMax)`)
}

function abortWaiting(core: Core, { waiting }: LargeObject): void {
  for (const [entry, group] of waiting) {
    const { copies } = entry
    group.queue.remove(entry)
    core.unrefEntry(entry, group, copies)
    core.markDirty(group)
  }
}

/** Its receivers get their credit back, for they have got nothing for it. */
function abortLeases(core: Core, { leases, shared }: LargeObject): void {
  for (const [entry, { holder, number }] of leases) {
    const { session } = holder
    session.leases.take(number)
    holder.endLease(entry.payload)
    rememberAborted(session.abortedLeases, number)
    core.output.abortDelivery(session, shared.payload, number)
    core.unrefEntry(entry, holder.group)
    addCredit(core, holder, 1)
  }
}

function rememberAborted(numbers: Set<number>, number: number): void {
  numbers.add(number)
  if (numbers.size <= abortedLeasesMax) return
  for (const oldest of numbers) {
    numbers.delete(oldest)
    return
  }
}

function violation(session: Session, sequence: number, does: string): ObjectRelayError {
  const message = `The session "${session.id}" ${does} (sequence ${sequence}). Begin, await admission, complete or abort, once each.`
  return createError('PROTOCOL_VIOLATION', message)
}
