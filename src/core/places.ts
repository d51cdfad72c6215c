import type { Payload } from './contract.ts'
import type { Core } from './core.ts'
import type { KeptPlace } from './journal.ts'
import type { Item } from './parcel.ts'

/** Where whole objects wait, who has them on lease, and the last broadcasts. */
export function* keptPlaces<P extends Payload>({ directory, sessions }: Core<P>): Generator<KeptPlace<P>> {
  for (const { name, ready, last } of directory.groups.values()) {
    for (const item of ready.everything()) if (isWhole(item)) yield placeOf(item, name, undefined)
    if (last === undefined) continue
    const { parcel, order, groupIndex } = last
    const { payload } = parcel
    yield { payload, kind: 'broadcast', group: name, groupIndex, order, attempt: 1, copies: 1, session: undefined }
  }
  for (const { id, leases } of sessions.values()) {
    for (const [, item] of leases) {
      if (isWhole(item) && item.holder !== undefined) yield placeOf(item, item.holder.group.name, id)
    }
  }
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
