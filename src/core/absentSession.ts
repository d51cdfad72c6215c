import type { Group } from './group.ts'
import { Membership } from './membership.ts'
import type { Payload } from './ports.ts'
import type { Item } from './queueEntry.ts'
import { Session } from './session.ts'

/** Leases of one object that whoever claims them cannot tell apart. */
interface EqualLeases {
  readonly holder: Membership
  readonly attempt: number
  readonly items: Item[]
  readonly seenItems: Item[]
}

/**
 * What a session of an earlier run of the relay has on lease. It is no member and gets nothing; it only keeps what it has, until
 * it comes back and claims it, or its grace time is over.
 */
export class AbsentSession {
  /** How many leases it has. */
  size = 0
  /** While it has not come back. */
  graceEndsMs: number = Number.POSITIVE_INFINITY
  /** Stands for it as a holder; nobody else knows it. */
  private readonly session: Session
  private readonly leases = new Map<Payload, EqualLeases[]>()
  private readonly seen = new Set<Item>()

  constructor(id: string) {
    this.session = new Session(id, { broadcasts: 'every', inboxBytes: 1 })
    this.session.state = 'detached'
  }

  get id(): string {
    return this.session.id
  }

  /** `item` of `group` is on lease to it. */
  add(item: Item, group: Group, isSeen: boolean): void {
    const holder = this.membershipOf(group)
    holder.leases++
    item.holder = holder
    this.size++
    if (isSeen) this.seen.add(item)
    const { payload, attempt } = item
    const known = this.leases.get(payload)
    const equal = known?.find((leases) => leases.holder === holder && leases.attempt === attempt)
    if (equal !== undefined) (isSeen ? equal.seenItems : equal.items).push(item)
    else {
      const added = { holder, attempt, items: isSeen ? [] : [item], seenItems: isSeen ? [item] : [] }
      if (known === undefined) this.leases.set(payload, [added])
      else known.push(added)
    }
  }

  /** Whether its program had seen what it has on lease. */
  hasSeen(item: Item): boolean {
    return this.seen.has(item)
  }

  /** Takes one lease out, of equal ones one that was seen; its holder is as before. */
  take(payload: Payload, group: string, attempt: number): Item | undefined {
    const known = this.leases.get(payload) ?? []
    const index = known.findIndex((leases) => leases.attempt === attempt && leases.holder.group.name === group)
    const equal = known[index]
    const item = equal?.seenItems.pop() ?? equal?.items.pop()
    if (equal === undefined || item === undefined) return undefined
    this.size--
    if (equal.items.length + equal.seenItems.length === 0) known.splice(index, 1)
    if (known.length === 0) this.leases.delete(payload)
    return item
  }

  *[Symbol.iterator](): Generator<Item, void, undefined> {
    for (const known of this.leases.values()) {
      for (const { items, seenItems } of known) {
        yield* items
        yield* seenItems
      }
    }
  }

  private membershipOf(group: Group): Membership {
    const { memberships } = this.session
    let membership = memberships.get(group.name)
    if (membership === undefined) {
      membership = new Membership(this.session, group)
      memberships.set(group.name, membership)
    }
    return membership
  }
}
