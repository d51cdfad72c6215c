import type { Group } from './group.ts'
import { Membership } from './membership.ts'
import type { Payload } from './ports.ts'
import type { QueueEntry } from './queueEntry.ts'
import { Session } from './session.ts'

/** Leases of one object that whoever claims them cannot tell apart. */
interface EqualLeases {
  readonly holder: Membership
  readonly attempt: number
  readonly entries: QueueEntry[]
  readonly seenEntries: QueueEntry[]
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
  private readonly seen = new Set<QueueEntry>()

  constructor(id: string) {
    this.session = new Session(id, { broadcasts: 'every', inboxBytes: 1 })
    this.session.state = 'detached'
  }

  get id(): string {
    return this.session.id
  }

  /** `entry` of `group` is on lease to it. */
  add(entry: QueueEntry, group: Group, isSeen: boolean): void {
    const holder = this.membershipOf(group)
    holder.leases++
    entry.holder = holder
    this.size++
    if (isSeen) this.seen.add(entry)
    const { payload, attempt } = entry
    const known = this.leases.get(payload)
    const equal = known?.find((leases) => leases.holder === holder && leases.attempt === attempt)
    if (equal !== undefined) (isSeen ? equal.seenEntries : equal.entries).push(entry)
    else {
      const added = { holder, attempt, entries: isSeen ? [] : [entry], seenEntries: isSeen ? [entry] : [] }
      if (known === undefined) this.leases.set(payload, [added])
      else known.push(added)
    }
  }

  /** Whether its program had seen what it has on lease. */
  hasSeen(entry: QueueEntry): boolean {
    return this.seen.has(entry)
  }

  /** Takes one lease out, of equal ones one that was seen; its holder is as before. */
  take(payload: Payload, group: string, attempt: number): QueueEntry | undefined {
    const known = this.leases.get(payload) ?? []
    const index = known.findIndex((leases) => leases.attempt === attempt && leases.holder.group.name === group)
    const equal = known[index]
    const entry = equal?.seenEntries.pop() ?? equal?.entries.pop()
    if (equal === undefined || entry === undefined) return undefined
    this.size--
    if (equal.entries.length + equal.seenEntries.length === 0) known.splice(index, 1)
    if (known.length === 0) this.leases.delete(payload)
    return entry
  }

  *[Symbol.iterator](): Generator<QueueEntry, void, undefined> {
    for (const known of this.leases.values()) {
      for (const { entries, seenEntries } of known) {
        yield* entries
        yield* seenEntries
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
