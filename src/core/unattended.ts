import type { Group } from './entities/model.ts'

/**
 * Retained broadcasts of groups that have no members: nobody misses them when they go to make room. Those in whose group
 * nothing else is come first, because their group goes with them; then who was used longest ago.
 */
export class UnattendedBroadcasts {
  /** Of all of them; what several groups share counts several times. */
  bytes = 0
  /** Their bytes, for groups with nothing else in them, as far as is known. */
  private readonly alone: Map<Group, number> = new Map()
  private readonly others: Map<Group, number> = new Map()

  /** The retained broadcast of a group is another one, or whether it has members. */
  changed(group: Group): void {
    const before = this.alone.get(group) ?? this.others.get(group)
    if (before !== undefined) {
      this.alone.delete(group)
      this.others.delete(group)
      this.bytes -= before
    }
    if (group.retained === undefined || group.members.size > 0) return
    const { bytes } = group.retained.shared.payload
    this.bytes += bytes
    if (group.hasOnlyRetained) this.alone.set(group, bytes)
    else this.others.set(group, bytes)
  }

  /** Something else in a group, which has no members, may have come or gone. */
  classify(group: Group): void {
    const [from, to] = group.hasOnlyRetained ? [this.others, this.alone] : [this.alone, this.others]
    const bytes = from.get(group)
    if (bytes === undefined) return
    from.delete(group)
    to.set(group, bytes)
  }

  /** Up to `wanted` groups that would be empty without their retained broadcasts, which are not `needed`. */
  findGroups(wanted: number, needed: (group: Group) => boolean): Group[] {
    const found: Group[] = []
    for (const group of this.alone.keys()) {
      if (found.length >= wanted) break
      if (!group.hasOnlyRetained) this.classify(group)
      else if (!needed(group)) found.push(group)
    }
    return found
  }

  *[Symbol.iterator](): Generator<Group, void, undefined> {
    yield* this.alone.keys()
    yield* this.others.keys()
  }
}
