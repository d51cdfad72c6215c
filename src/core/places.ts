import type { Core } from './core.ts'
import type { AbsentSession, Group, GroupBroadcast, Lease } from './entities/model.ts'
import { isWhole, type QueueEntry } from './entities/queueEntry.ts'
import type { KeptPlace } from './journal.ts'

/** Where whole objects wait, who has them on lease, and the retained broadcasts. */
export function* keptPlaces({ registry, sessions, absent }: Core): Generator<KeptPlace> {
  for (const group of registry.groups.values()) {
    for (const entry of group.queue.everything()) if (isWhole(entry)) yield placeOf(entry, group, undefined, false)
    if (group.retained !== undefined) yield retainedPlace(group, group.retained)
  }
  for (const leases of absent.values()) yield* absentPlaces(leases)
  for (const { id, leases, reclaimed, earlier } of sessions.values()) {
    for (const [number, entry, holder] of leases)
      yield* leasedPlace({ entry, holder, isSeen: leases.isSeen(number) }, id)
    for (const lease of reclaimed.values()) yield* leasedPlace(lease, id)
    if (earlier !== undefined) yield* absentPlaces(earlier)
  }
}

function* absentPlaces(absent: AbsentSession): Generator<KeptPlace> {
  for (const lease of absent) yield* leasedPlace(lease, absent.id)
}

function* leasedPlace({ entry, holder, isSeen }: Lease, session: string): Generator<KeptPlace> {
  if (isWhole(entry)) yield placeOf(entry, holder.group, session, isSeen)
}

function retainedPlace({ name }: Group, { shared, order, groupIndex }: GroupBroadcast): KeptPlace {
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

function placeOf(
  { payload, groupIndex, order, attempt, copies }: QueueEntry,
  { name, isDeadLetter, deadLetters }: Group,
  session: string | undefined,
  isSeen: boolean,
): KeptPlace {
  const deadLetter = isDeadLetter ? deadLetters.get(order) : undefined
  return { payload, kind: 'produce', group: name, groupIndex, order, attempt, copies, session, isSeen, deadLetter }
}
