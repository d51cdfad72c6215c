import type { Core } from './core.ts'
import type { Group, GroupBroadcast } from './entities/model.ts'

/** A group has another retained broadcast, or a first one, to which `retained.shared` counts a reference. */
export function retain(core: Core, group: Group, retained: GroupBroadcast): void {
  const before = group.retain(retained)
  core.unattended.changed(group)
  core.journal.retained(retained.shared.payload, group.name, retained.groupIndex, retained.order)
  if (before !== undefined) core.unref(before.shared)
}

/** A group has no retained broadcast any more. */
export function clearRetained(core: Core, group: Group): void {
  const retained = group.clearRetained()
  if (retained === undefined) return
  core.unattended.changed(group)
  core.journal.cleared(retained.shared.payload, group.name, retained.order)
  core.unref(retained.shared)
  core.markDirty(group)
}

/** A retained broadcast that nobody is there for makes room. */
export function evict(core: Core, group: Group): void {
  clearRetained(core, group)
  group.counts.addDropped(1)
  core.output.event({ type: 'objectDropped', group: group.name, kind: 'broadcast', reason: 'evicted', count: 1 })
}

/** Groups came beyond `groupsMax`, in place of others of which only the retained broadcast is left. */
export function evictGroups(core: Core): void {
  const { registry, unattended } = core
  for (const group of unattended.findGroups(registry.takeSurplus(), () => false)) evict(core, group)
}
