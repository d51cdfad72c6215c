import type { Core } from './core.ts'
import { deliver } from './dispatch.ts'
import { type Group, isServedBefore, type Membership, type ResolvedRoute, type Session } from './entities/model.ts'

/** Whether the members of `group` would take so many objects of so many bytes each at once. */
export function wouldTake(group: Group, bytes: number, copies: number): boolean {
  let count = 0
  for (const member of askingMembers(group)) {
    count += Math.min(member.credit, windowFor(member.session, bytes))
    if (count >= copies) return true
  }
  return false
}

/** Whether anybody asks for objects of `group`. */
export function isAskedFor({ takers, stalled }: Group): boolean {
  return takers.size + stalled.size > 0
}

/** How many objects of so many bytes may be sent to a session now; the first of any size if its inbox is empty. */
function windowFor({ backlog, workWindow, inboxBytes }: Session, bytes: number): number {
  const least = Math.min(bytes, inboxBytes)
  if (backlog.count > 0 || workWindow < least) return 0
  return bytes === 0 ? Number.POSITIVE_INFINITY : Math.floor((workWindow - least) / bytes) + 1
}

function* askingMembers({ takers, stalled }: Group): Generator<Membership> {
  yield* takers.values()
  yield* stalled.values()
}

/** Who of one group takes how many. */
interface Takers {
  readonly group: Group
  /** Who is served first comes first. */
  readonly members: readonly Membership[]
  readonly taken: Map<Membership, number>
}

/**
 * Finds takers for the copies of one object in several groups that keep nothing, all or none: a member of several of them
 * has one inbox for all. Where the fairest choice for one group would leave none for another, it is given up.
 */
export class TakerMatching {
  private readonly bytes: number
  private readonly groups: Takers[] = []
  /** How many more each session has room for. */
  private readonly room = new Map<Session, number>()

  constructor(bytes: number) {
    this.bytes = bytes
  }

  /** Finds takers for `copies` in `group`, beside those of the groups that were added before; returns whether there are. */
  add(group: Group, copies: number): boolean {
    const members = [...askingMembers(group)].sort((one, other) => (isServedBefore(one, other) ? -1 : 1))
    const takers: Takers = { group, members, taken: new Map() }
    this.groups.push(takers)
    for (let missing = copies; missing > 0; ) {
      const found = this.find(takers, missing, new Set([takers]))
      if (found === 0) return false
      missing -= found
    }
    return true
  }

  /** Gives the waiting copies to those that were found. */
  deliver(core: Core): void {
    for (const { group, taken } of this.groups) {
      for (const [member, copies] of taken) {
        for (let left = copies; left > 0; left--) {
          const entry = group.queue.take()
          if (entry === undefined) return
          if (member.stalled) member.unstall()
          deliver(core, member, entry)
        }
      }
    }
  }

  /** Up to `wanted` takers of a group. Where all room is taken, others of the groups that were not `visited` look elsewhere. */
  private find(takers: Takers, wanted: number, visited: Set<Takers>): number {
    let missing = wanted
    for (const member of takers.members) {
      const count = Math.min(missing, creditLeft(takers, member), this.windowOf(member.session))
      this.give(takers, member, count)
      missing -= count
      if (missing === 0) return wanted
    }
    for (const member of takers.members) {
      for (const others of this.groups) {
        const count = Math.min(missing, creditLeft(takers, member))
        if (count === 0) break
        if (visited.has(others)) continue
        const rival = member.session.memberships.get(others.group.name)
        const theirs = rival === undefined ? 0 : (others.taken.get(rival) ?? 0)
        if (rival === undefined || theirs === 0) continue
        visited.add(others)
        const moved = this.find(others, Math.min(count, theirs), visited)
        this.give(others, rival, -moved)
        this.give(takers, member, moved)
        missing -= moved
      }
    }
    return wanted - missing
  }

  private give({ taken }: Takers, member: Membership, count: number): void {
    if (count === 0) return
    taken.set(member, (taken.get(member) ?? 0) + count)
    this.room.set(member.session, this.windowOf(member.session) - count)
  }

  private windowOf(session: Session): number {
    return this.room.get(session) ?? windowFor(session, this.bytes)
  }
}

function creditLeft({ taken }: Takers, member: Membership): number {
  return member.credit - (taken.get(member) ?? 0)
}

/** Takers for an object in all groups of its route that keep nothing, if there are several; `undefined` if there are not enough. */
export function matchTakers({ groups, copies }: ResolvedRoute, bytes: number): TakerMatching | undefined {
  const matching = new TakerMatching(bytes)
  for (const [index, group] of groups.entries()) {
    if (group.maxConsumables === 0 && !matching.add(group, copies[index] ?? 0)) return undefined
  }
  return matching
}
