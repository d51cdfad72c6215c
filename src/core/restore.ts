import type { Core } from './core.ts'
import { FreshQueue } from './entities/freshQueue.ts'
import { AbsentSession, type Group } from './entities/model.ts'
import { type QueueEntry, queueEntry, SharedPayload } from './entities/queueEntry.ts'
import { isDeadLetterName } from './groupName.ts'
import type { KeptPlace } from './journal.ts'

/** Part of a group's queue that came in its order. */
interface SortedPart {
  readonly entries: FreshQueue
  lastOrder: number
  lastAttempt: number
}

/**
 * Puts back what was kept when the relay ended. Queues of millions come, as a rule, in their order, and are packed as they come; what
 * comes out of order is kept in parts of its own until all are merged.
 */
export class Restoration {
  private readonly core: Core
  /** The first place of an object, and its others as far as they have come. */
  private first: KeptPlace | undefined
  private others: KeptPlace[] = []
  /** Most objects wait in the same group as the one before. */
  private recentGroup: Group | undefined
  private recentParts: SortedPart[] = []
  private readonly parts = new Map<Group, SortedPart[]>()
  /** The highest order of what is on lease. */
  private readonly leasedOrders = new Map<Group, number>()

  constructor(core: Core) {
    this.core = core
  }

  add(place: KeptPlace): void {
    if (this.first?.payload === place.payload) {
      this.others.push(place)
      return
    }
    this.putObject()
    this.first = place
  }

  /** Everything has been told: absent sessions have until `graceEndsMs`. */
  finish(graceEndsMs: number): void {
    const { core } = this
    this.putObject()
    for (const [group, parts] of this.parts) {
      const queues = parts.map(({ entries }) => entries)
      group.queue.restore(queues, core.packing, this.leasedOrders.get(group) ?? -1)
    }
    core.keepWhatIsThere()
    for (const absent of core.absent.values()) absent.graceEndsMs = graceEndsMs
  }

  private putObject(): void {
    const { first, others, core } = this
    if (first === undefined) return
    this.first = undefined
    const { payload } = first
    if (others.length === 0 && first.kind === 'produce' && first.copies === 1) {
      const group = this.groupOf(first.group)
      if (!group.isDeadLetter) core.keep(payload.bytes)
      this.putProduced(group, first, undefined)
      return
    }
    this.others = []
    const places = [first, ...others]
    const references = places.reduce((sum, { copies }) => sum + copies, 0)
    const isShared = references > 1 || first.kind === 'broadcast'
    const deadReferences = places.reduce((sum, { group, copies }) => sum + (isDeadLetterName(group) ? copies : 0), 0)
    const shared = isShared ? new SharedPayload(payload, references, 0, deadReferences) : undefined
    if (references > deadReferences) core.keep(payload.bytes)
    for (const place of places) {
      const group = this.groupOf(place.group)
      if (place.kind === 'produce') this.putProduced(group, place, shared)
      else if (shared !== undefined) putRetained(core, group, place, shared)
    }
  }

  private putProduced(group: Group, place: KeptPlace, shared: SharedPayload | undefined): void {
    const { payload, order, attempt, copies, groupIndex, session, isSeen } = place
    group.passOrder(order + payload.objects - 1)
    if (group.isDeadLetter) this.core.addDeadLetter(group, place, place.deadLetter)
    if (session === undefined) {
      this.queue(group, queueEntry(payload, shared, order, attempt, copies, groupIndex))
      return
    }
    const absent = this.absentSession(session)
    this.leasedOrders.set(group, Math.max(order, this.leasedOrders.get(group) ?? 0))
    for (let copy = 0; copy < copies; copy++)
      absent.add(queueEntry(payload, shared, order, attempt, 1, groupIndex), group, isSeen)
  }

  private groupOf(name: string): Group {
    if (this.recentGroup?.name !== name) {
      const group = this.core.registry.getOrCreate(name)
      let parts = this.parts.get(group)
      if (parts === undefined) {
        parts = []
        this.parts.set(group, parts)
      }
      this.recentGroup = group
      this.recentParts = parts
    }
    return this.recentGroup
  }

  private absentSession(id: string): AbsentSession {
    const { absent } = this.core
    let session = absent.get(id)
    if (session === undefined) {
      session = new AbsentSession(id)
      absent.set(id, session)
    }
    return session
  }

  private queue(group: Group, entry: QueueEntry): void {
    const parts = this.recentParts
    let part = parts[firstThatTakes(parts, entry)]
    if (part === undefined) {
      part = { entries: new FreshQueue(this.core.packing), lastOrder: 0, lastAttempt: 0 }
      parts.push(part)
    }
    part.lastOrder = entry.order
    part.lastAttempt = entry.attempt
    part.entries.push(entry)
    group.queue.countRestored(entry)
  }
}

/** The ends of the parts are in falling order, because each entry goes to the first part that it fits behind. */
function firstThatTakes(parts: readonly SortedPart[], entry: QueueEntry): number {
  let low = 0
  let high = parts.length
  while (low < high) {
    const middle = (low + high) >> 1
    const part = parts[middle]
    if (part === undefined || fitsBehind(part, entry)) high = middle
    else low = middle + 1
  }
  return low
}

/** Of copies of one object, that which was tried more often comes first. */
function fitsBehind({ lastOrder, lastAttempt }: SortedPart, { order, attempt }: QueueEntry): boolean {
  return order === lastOrder ? attempt <= lastAttempt : order > lastOrder
}

function putRetained(core: Core, group: Group, { order, groupIndex }: KeptPlace, shared: SharedPayload): void {
  const { retained } = group
  if (retained !== undefined && retained.order > order) {
    core.unref(shared)
    return
  }
  group.restoreRetained({ shared, order, groupIndex })
  core.unattended.changed(group)
  if (retained !== undefined) core.unref(retained.shared)
}
