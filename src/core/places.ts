import type { Payload } from './contract.ts'
import type { Core } from './core.ts'
import type { KeptPlace } from './journal.ts'
import type { Item } from './parcel.ts'

/** Where whole objects wait, who has them on lease, and the last broadcasts. */
export function* keptPlaces<P extends Payload>({ directory, sessions, absent }: Core<P>): Generator<KeptPlace<P>> {
  for (const { name, ready, last } of directory.groups.values()) {
    for (const item of ready.everything()) if (isWhole(item)) yield placeOf(item, name, undefined)
    if (last === undefined) continue
    const { parcel, order, groupIndex } = last
    const { payload } = parcel
    yield { payload, kind: 'broadcast', group: name, groupIndex, order, attempt: 1, copies: 1, session: undefined }
  }
  for (const leases of absent.values()) for (const item of leases) yield* leasedPlace(item, leases.id)
  for (const { id, leases, reclaimed, earlier } of sessions.values()) {
    for (const [, item] of leases) yield* leasedPlace(item, id)
    for (const item of reclaimed.values()) yield* leasedPlace(item, id)
    for (const item of earlier ?? []) yield* leasedPlace(item, id)
  }
}

function* leasedPlace<P extends Payload>(item: Item<P>, session: string): Generator<KeptPlace<P>> {
  if (isWhole(item) && item.holder !== undefined) yield placeOf(item, item.holder.group.name, session)
}

function isWhole<P extends Payload>({ parcel }: Item<P>): boolean {
  return parcel?.large === undefined
}

function placeOf<P extends Payload>(
  { payload, groupIndex, order, attempt, copies }: Item<P>,
  group: string,
  session: string | undefined,
): KeptPlace<P> {
  return { payload, kind: 'produce', group, groupIndex, order, attempt, copies, session }
}
