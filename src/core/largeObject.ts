import { createError, type ObjectRelayError } from '../errors.ts'
import { admitNew } from './admission.ts'
import type { BacklogEntry } from './backlog.ts'
import type { BlockedSend } from './blockedSends.ts'
import { giveUpHeld } from './blocking.ts'
import { abortBroadcast, beginBroadcast, completeBroadcast } from './broadcasts.ts'
import type { Core } from './core.ts'
import { addCredit } from './dispatch.ts'
import { accept } from './entering.ts'
import type { Group } from './group.ts'
import { endLease } from './leases.ts'
import type { Membership } from './membership.ts'
import type { Payload, RouteKind } from './ports.ts'
import type { Item, Parcel, Plan } from './queueEntry.ts'
import type { Session } from './session.ts'

/** So many aborted deliveries are remembered, in case the endpoint speaks of them before it knows. */
const abortedLeasesMax = 1024

/** An object that was begun and has not arrived as a whole: all places that must forget it if it never will. */
export interface LargeObject {
  readonly sequence: number
  readonly kind: RouteKind
  readonly plan: Plan
  readonly parcel: Parcel
  /** Set while it is held back and not admitted. */
  held: BlockedSend | undefined
  /** Produced: where it waits. */
  readonly waiting: Map<Item, Group>
  /** Produced: the lease number of each delivery that is on lease. */
  readonly leases: Map<Item, number>
  /** Broadcast: its order in each group of the plan. */
  readonly orders: number[]
  /** Broadcast: who is getting it, once for each delivery. */
  readonly recipients: Session[]
  /** Broadcast: the backlogs that it waits in. */
  readonly backlogged: Set<BacklogEntry>
  /** Broadcast: members that joined meanwhile, and whom it is not for. */
  readonly strangers: Set<Membership>
  /** Broadcast: the members that it was dropped for, with its order in their group. */
  missed: { readonly member: Membership; readonly order: number }[]
}

/** Copies of a large object in the queue of one group at one order. */
interface LargePlace {
  readonly group: Group
  readonly groupIndex: number
  readonly order: number
  readonly items: Item[]
}

/** A large object begins: it takes its place as if it were whole. */
export function beginLarge(
  core: Core,
  session: Session,
  sequence: number,
  kind: RouteKind,
  plan: Plan,
  payload: Payload,
): void {
  const parcel: Parcel = { payload, references: 1, deadReferences: 0, epoch: 0, large: undefined }
  const large: LargeObject = {
    sequence,
    kind,
    plan,
    parcel,
    held: undefined,
    waiting: new Map(),
    leases: new Map(),
    orders: [],
    recipients: [],
    backlogged: new Set(),
    strangers: new Set(),
    missed: [],
  }
  parcel.large = large
  session.begun.set(sequence, large)
  if (kind === 'produce') admitNew(core, session, sequence, plan, payload, large)
  else beginBroadcast(core, session, large)
}

/** The last byte of a large object arrived: from now on it is as any other. */
export function completeLarge(core: Core, session: Session, sequence: number): void {
  const large = session.begun.get(sequence)
  if (large === undefined || large.held !== undefined) {
    throw violation(session, sequence, 'completes an object that was not begun or not admitted')
  }
  const { plan, parcel, kind } = large
  session.begun.delete(sequence)
  if (kind !== 'produce') {
    completeBroadcast(core, large)
  } else {
    for (const [index, group] of plan.groups.entries()) group.counts.accepted += plan.copies[index] ?? 0
    core.counts.accepted += plan.copiesTotal
    journalWhole(core, session, large)
  }
  parcel.large = undefined
  accept(core, session, sequence, plan)
  for (const group of plan.groups) core.touch(group)
  core.letParcelGo(parcel)
}

/** Nothing was told of it before. So all copies are told of as if they had been queued now, and then what became of them. */
function journalWhole({ journal }: Core, { id }: Session, large: LargeObject): void {
  const { payload } = large.parcel
  for (const { group, groupIndex, order, items } of placesOf(large)) {
    const copies = items.reduce((sum, item) => sum + item.copies, 0)
    journal.queued(payload, group.name, groupIndex, order, copies)
    const deadLetter = group.deadLetters.get(order)
    if (deadLetter !== undefined) journal.died(payload, group.name, order, deadLetter)
    for (const { attempt, holder } of items) {
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
  function add(item: Item, group: Group): void {
    const { order, groupIndex } = item
    const key = `${order} ${group.name}`
    const place = places.get(key)
    if (place === undefined) places.set(key, { group, groupIndex, order, items: [item] })
    else place.items.push(item)
  }
  for (const [item, group] of waiting) add(item, group)
  for (const item of leases.keys()) if (item.holder !== undefined) add(item, item.holder.group)
  return places.values()
}

/** The rest of a large object will not come. An object that was rejected meanwhile is no mistake of the sender. */
export function abortLarge(core: Core, session: Session, sequence: number): void {
  const large = session.begun.get(sequence)
  if (large === undefined) return
  session.begun.delete(sequence)
  const { parcel, held, kind } = large
  if (held !== undefined) {
    giveUpHeld(core, held)
    return
  }
  if (kind !== 'produce') {
    abortBroadcast(core, large)
  } else {
    abortWaiting(core, large)
    abortLeases(core, large)
  }
  parcel.large = undefined
  core.letParcelGo(parcel)
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
  for (const [item, group] of waiting) {
    const { copies } = item
    group.ready.remove(item)
    core.letItemGo(item, group, copies)
    core.touch(group)
  }
}

/** Its receivers get their credit back, for they have got nothing for it. */
function abortLeases(core: Core, { leases, parcel }: LargeObject): void {
  for (const [item, number] of leases) {
    const { holder } = item
    if (holder === undefined) continue
    const { session } = holder
    session.leases.take(number)
    endLease(item, holder)
    rememberAborted(session.abortedLeases, number)
    core.output.abortDelivery(session, parcel.payload, number)
    core.letItemGo(item, holder.group)
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
