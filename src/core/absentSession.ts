import type { Payload } from './contract.ts'
import type { Group } from './group.ts'
import { Membership } from './membership.ts'
import type { Item } from './parcel.ts'
import { Session } from './session.ts'

/** Leases of one object that whoever claims them cannot tell apart. */
interface EqualLeases<P extends Payload> {
  readonly holder: Membership<P>
  readonly attempt: number
  readonly items: Item<P>[]
  readonly seenItems: Item<P>[]
}

/**
 * What a session of an earlier run of the relay has on lease. It is no member and gets nothing; it only keeps what it has, until
 * it comes back and claims it, or its grace time is over.
 */
export class AbsentSession<P extends Payload> {
  /** How many leases it has. */
  size = 0
  /** While it has not come back. */
  graceEndsMs: number = Number.POSITIVE_INFINITY
  /** Stands for it as a holder; nobody else knows it. */
  private readonly session: Session<P>
  private readonly leases = new Map<P, EqualLeases<P>[]>()
  private readonly seen = new Set<Item<P>>()

  constructor(id: string) {
    this.session = new Session<P>(id, { broadcasts: 'every', inboxBytes: 1 })
    this.session.state = 'detached'
  }

  get id(): string {
    return this.session.id
  }

  /** `item` of `group` is on lease to it. */
  add(item: Item<P>, group: Group<P>, isSeen: boolean): void {
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
  hasSeen(item: Item<P>): boolean {
    return this.seen.has(item)
  }

  /** Takes one lease out, of equal ones one that was seen; its holder is as before. */
  take(payload: P, group: string, attempt: number): Item<P> | undefined {
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

  *[Symbol.iterator](): Generator<Item<P>, void, undefined> {
    for (const known of this.leases.values()) {
      for (const { items, seenItems } of known) {
        yield* items
        yield* seenItems
      }
    }
  }

  private membershipOf(group: Group<P>): Membership<P> {
    const { memberships } = this.session
    let membership = memberships.get(group.name)
    if (membership === undefined) {
      membership = new Membership(this.session, group)
      memberships.set(group.name, membership)
    }
    return membership
  }
}
