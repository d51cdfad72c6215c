import type { AbsentSession } from './absentSession.ts'
import type { Core } from './core.ts'
import type { Group, RetainedBroadcast } from './group.ts'
import type { KeptPlace } from './journal.ts'
import type { QueueEntry } from './queueEntry.ts'

/** Where whole objects wait, who has them on lease, and the last broadcasts. */
export function* keptPlaces({ registry, sessions, absent }: Core): Generator<KeptPlace> {
  for (const group of registry.groups.values()) {
    for (const entry of group.queue.everything()) if (isWhole(entry)) yield placeOf(entry, group, undefined, false)
    if (group.retained !== undefined) yield retainedPlace(group, group.retained)
  }
  for (const leases of absent.values()) yield* absentPlaces(leases)
  for (const { id, leases, reclaimed, earlier } of sessions.values()) {
    for (const [number, entry] of leases) yield* leasedPlace(entry, id, leases.isSeen(number))
    for (const entry of reclaimed.values()) yield* leasedPlace(entry, id, true)
    if (earlier !== undefined) yield* absentPlaces(earlier)
  }
}

function* absentPlaces(absent: AbsentSession): Generator<KeptPlace> {
  for (const entry of absent) yield* leasedPlace(entry, absent.id, absent.hasSeen(entry))
}

function* leasedPlace(entry: QueueEntry, session: string, isSeen: boolean): Generator<KeptPlace> {
  if (isWhole(entry) && entry.holder !== undefined) yield placeOf(entry, entry.holder.group, session, isSeen)
}

function retainedPlace({ name }: Group, { shared, order, groupIndex }: RetainedBroadcast): KeptPlace {
  return {
    payload: shared.payload,
    kind: 'broadcast',
    group: name,
    groupIndex,
    order,
    attempt: 1,
    copies: 1,
    session: undefined,
    isSeen: false,
    deadLetter: undefined,
  }
}

function isWhole({ shared }: QueueEntry): boolean {
  return shared?.large === undefined
}

function placeOf(
  { payload, groupIndex, order, attempt, copies }: QueueEntry,
  { name, isDeadLetter, deadLetters }: Group,
  session: string | undefined,
  isSeen: boolean,
): KeptPlace {
  const deadLetter = isDeadLetter ? deadLetters.get(order) : undefined
  return { payload, kind: 'produce', group: name, groupIndex, order, attempt, copies, session, isSeen, deadLetter }
}
