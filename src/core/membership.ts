import type { BacklogEntry } from './backlog.ts'
import type { Group } from './group.ts'
import type { Session } from './session.ts'

/** A session as a member of one group. */
export class Membership {
  readonly session: Session
  readonly group: Group
  /** So many more produced objects did it ask for. */
  credit = 0
  /** So many objects of this group does it have on lease. */
  leases = 0
  /** When it began to wait: a count, not a time. */
  since = 0
  /** Its place among the takers of the group, or among the stalled if {@link Membership.stalled}; -1 if in neither. */
  heapIndex = -1
  /** It asked, and its endpoint had no room for what was the first object of the queue. */
  stalled = false
  /** The room that its endpoint had then. It cannot have more before its window moves. */
  stalledRoom = 0
  /** Broadcasts that it did not get since the last one that it got. */
  skipped = 0
  /** The order of the last broadcast that it got. */
  seenOrder = 0
  /** With `broadcasts: 'latest'`: the one that waits for it. */
  pending: BacklogEntry | undefined = undefined

  constructor(session: Session, group: Group) {
    this.session = session
    this.group = group
  }
}

/** Fairness: the fewest outstanding first, then the longest waiting. */
export function isServedBefore(one: Membership, other: Membership): boolean {
  return one.leases === other.leases ? one.since < other.since : one.leases < other.leases
}

/** Who had the most room is the first to have enough. */
export function hadMoreRoom(one: Membership, other: Membership): boolean {
  return one.stalledRoom > other.stalledRoom
}

/** Keeps the place of a member in the heap that it is in. */
export function keepHeapIndex(member: Membership, index: number): void {
  member.heapIndex = index
}
