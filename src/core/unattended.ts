import type { Group } from './group.ts'

/**
 * Retained broadcasts of groups that have no members: nobody misses them when they go to make room. Those in whose group
 * nothing else is come first, because their group goes with them; then who was used longest ago.
 */
export class UnattendedBroadcasts {
  /** Of all of them; what several groups share counts several times. */
  bytes = 0
  /** Those of groups with nothing else in them, as far as is known. */
  private readonly alone: Set<Group> = new Set()
  private readonly others: Set<Group> = new Set()

  /** The retained broadcast of a group is another one, or whether it has members. */
  changed(group: Group): void {
    if (group.unattendedBytes >= 0) {
      this.alone.delete(group)
      this.others.delete(group)
      this.bytes -= group.unattendedBytes
      group.unattendedBytes = -1
    }
    if (group.retained === undefined || group.members.size > 0) return
    group.unattendedBytes = group.retained.shared.payload.bytes
    this.bytes += group.unattendedBytes
    if (group.hasOnlyRetained) this.alone.add(group)
    else this.others.add(group)
  }

  /** Something else in a group, which has no members, may have come or gone. */
  classify(group: Group): void {
    if (group.unattendedBytes < 0) return
    if (group.hasOnlyRetained) {
      if (this.others.delete(group)) this.alone.add(group)
    } else if (this.alone.delete(group)) this.others.add(group)
  }

  /** Up to `wanted` groups that would be empty without their retained broadcasts, which are not `needed`. */
  findGroups(wanted: number, needed: (group: Group) => boolean): Group[] {
    const found: Group[] = []
    for (const group of this.alone) {
      if (found.length >= wanted) break
      if (!group.hasOnlyRetained) this.classify(group)
      else if (!needed(group)) found.push(group)
    }
    return found
  }

  *[Symbol.iterator](): Generator<Group, void, undefined> {
    yield* this.alone
    yield* this.others
  }
}
