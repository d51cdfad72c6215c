import type { Core } from './core.ts'
import type { Group, LastBroadcast } from './group.ts'

/** A group has another retained broadcast, or a first one, to which `retained.parcel` counts a reference. */
export function retain(core: Core, group: Group, retained: LastBroadcast): void {
  const before = group.last
  group.last = retained
  core.unattended.changed(group)
  core.journal.lastBroadcast(retained.parcel.payload, group.name, retained.groupIndex, retained.order)
  if (before !== undefined) core.letParcelGo(before.parcel)
}

/** A group has no retained broadcast any more. */
export function clearRetained(core: Core, group: Group): void {
  const { last } = group
  if (last === undefined) return
  group.last = undefined
  // One that was begun before it does not take its place.
  group.clearedOrder = Math.max(group.clearedOrder, last.order)
  core.unattended.changed(group)
  core.journal.lastCleared(last.parcel.payload, group.name, last.order)
  core.letParcelGo(last.parcel)
  core.touch(group)
}

/** A retained broadcast that nobody is there for makes room. */
export function evict(core: Core, group: Group): void {
  clearRetained(core, group)
  group.counts.dropped++
  core.counts.dropped++
  core.output.event({ type: 'objectDropped', group: group.name, kind: 'broadcast', reason: 'evicted', count: 1 })
}

/** Groups came beyond `groupsMax`, in place of others of which only the retained broadcast is left. */
export function evictGroups(core: Core): void {
  const { directory, unattended } = core
  for (const group of unattended.findGroups(directory.takeSurplus(), () => false)) evict(core, group)
}
