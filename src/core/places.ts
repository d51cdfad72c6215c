import type { AbsentSession } from './absentSession.ts'
import type { Core } from './core.ts'
import type { Group, LastBroadcast } from './group.ts'
import type { KeptPlace } from './journal.ts'
import type { Item } from './queueEntry.ts'

/** Where whole objects wait, who has them on lease, and the last broadcasts. */
export function* keptPlaces({ directory, sessions, absent }: Core): Generator<KeptPlace> {
  for (const group of directory.groups.values()) {
    for (const item of group.ready.everything()) if (isWhole(item)) yield placeOf(item, group, undefined, false)
    if (group.last !== undefined) yield lastPlace(group, group.last)
  }
  for (const leases of absent.values()) yield* absentPlaces(leases)
  for (const { id, leases, reclaimed, earlier } of sessions.values()) {
    for (const [number, item] of leases) yield* leasedPlace(item, id, leases.isSeen(number))
    for (const item of reclaimed.values()) yield* leasedPlace(item, id, true)
    if (earlier !== undefined) yield* absentPlaces(earlier)
  }
}

function* absentPlaces(absent: AbsentSession): Generator<KeptPlace> {
  for (const item of absent) yield* leasedPlace(item, absent.id, absent.hasSeen(item))
}

function* leasedPlace(item: Item, session: string, isSeen: boolean): Generator<KeptPlace> {
  if (isWhole(item) && item.holder !== undefined) yield placeOf(item, item.holder.group, session, isSeen)
}

function lastPlace({ name }: Group, { parcel, order, groupIndex }: LastBroadcast): KeptPlace {
  return {
    payload: parcel.payload,
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

function isWhole({ parcel }: Item): boolean {
  return parcel?.large === undefined
}

function placeOf(
  { payload, groupIndex, order, attempt, copies }: Item,
  { name, isDeadLetter, deadLetters }: Group,
  session: string | undefined,
  isSeen: boolean,
): KeptPlace {
  const deadLetter = isDeadLetter ? deadLetters.get(order) : undefined
  return { payload, kind: 'produce', group: name, groupIndex, order, attempt, copies, session, isSeen, deadLetter }
}
