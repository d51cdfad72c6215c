import { AbsentSession } from './absentSession.ts'
import type { Core } from './core.ts'
import { keepDeadLetter } from './deadLetters.ts'
import { FreshQueue } from './freshQueue.ts'
import type { Group } from './group.ts'
import { isDeadLetterName } from './groupName.ts'
import { Heap } from './heap.ts'
import type { KeptPlace } from './journal.ts'
import { type QueueEntry, type SharedPayload, waitingEntry } from './queueEntry.ts'

/** Part of a group's queue that came in its order. */
interface SortedLine {
  readonly line: FreshQueue
  lastOrder: number
  lastAttempt: number
}

/**
 * Puts what an earlier run of the relay kept back into its places. Queues of millions come, as a rule, in their order, and
 * are packed as they come; what comes out of order stands in lines of its own until all are merged.
 */
export class Restoration {
  private readonly core: Core
  /** The first place of an object, and its others as far as they have come. */
  private first: KeptPlace | undefined
  private others: KeptPlace[] = []
  /** Most objects wait in the same group as the one before. */
  private recentGroup: Group | undefined
  private recentLines: SortedLine[] = []
  private readonly lines = new Map<Group, SortedLine[]>()
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
    for (const [group, lines] of this.lines) {
      if (lines.length > 1) group.queue.fresh = merge(lines, new FreshQueue(core.packing))
    }
    for (const [group, order] of this.leasedOrders) group.queue.separate(order)
    for (const group of core.registry.groups.values()) group.keepWhatIsThere()
    core.keptBytesBound = core.keptBytes
    core.deadBytesBound = core.deadBytes
    for (const absent of core.absent.values()) absent.graceEndsMs = graceEndsMs
  }

  private putObject(): void {
    const { first, others, core } = this
    if (first === undefined) return
    this.first = undefined
    const { payload } = first
    if (others.length === 0 && first.kind === 'produce' && first.copies === 1) {
      const group = this.groupOf(first.group)
      if (!group.isDeadLetter) core.keptBytes += payload.bytes
      this.putProduced(group, first, undefined)
      return
    }
    this.others = []
    const places = [first, ...others]
    const references = places.reduce((sum, { copies }) => sum + copies, 0)
    const isShared = references > 1 || first.kind === 'broadcast'
    const deadReferences = places.reduce((sum, { group, copies }) => sum + (isDeadLetterName(group) ? copies : 0), 0)
    const shared: SharedPayload | undefined = isShared
      ? { payload, references, deadReferences, epoch: 0, large: undefined }
      : undefined
    if (references > deadReferences) core.keptBytes += payload.bytes
    for (const place of places) {
      const group = this.groupOf(place.group)
      if (place.kind === 'produce') this.putProduced(group, place, shared)
      else if (shared !== undefined) putLast(core, group, place, shared)
    }
  }

  private putProduced(group: Group, place: KeptPlace, shared: SharedPayload | undefined): void {
    const { payload, order, attempt, copies, groupIndex, session, isSeen } = place
    group.nextOrder = Math.max(group.nextOrder, order + 1)
    if (group.isDeadLetter) keepDeadLetter(this.core, group, place, place.deadLetter)
    if (session === undefined) {
      this.queue(group, waitingEntry(payload, shared, order, attempt, copies, groupIndex))
      return
    }
    const absent = this.absentSession(session)
    this.leasedOrders.set(group, Math.max(order, this.leasedOrders.get(group) ?? 0))
    for (let copy = 0; copy < copies; copy++) {
      absent.add(waitingEntry(payload, shared, order, attempt, 1, groupIndex), group, isSeen)
      group.leased++
      group.leasedBytes += payload.bytes
    }
  }

  private groupOf(name: string): Group {
    if (this.recentGroup?.name !== name) {
      const group = this.core.registry.getOrCreate(name)
      let lines = this.lines.get(group)
      if (lines === undefined) {
        lines = []
        this.lines.set(group, lines)
      }
      this.recentGroup = group
      this.recentLines = lines
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
    const { queue } = group
    const lines = this.recentLines
    const index = firstThatTakes(lines, entry)
    let sorted = lines[index]
    if (sorted === undefined) {
      const line = index === 0 ? queue.fresh : new FreshQueue(this.core.packing)
      sorted = { line, lastOrder: 0, lastAttempt: 0 }
      lines.push(sorted)
    }
    sorted.lastOrder = entry.order
    sorted.lastAttempt = entry.attempt
    queue.pushTo(sorted.line, entry)
  }
}

/** The ends of the lines are in falling order, because each entry goes to the first line that it fits behind. */
function firstThatTakes(lines: readonly SortedLine[], entry: QueueEntry): number {
  let low = 0
  let high = lines.length
  while (low < high) {
    const middle = (low + high) >> 1
    const line = lines[middle]
    if (line === undefined || fitsBehind(line, entry)) high = middle
    else low = middle + 1
  }
  return low
}

/** Of copies of one object, that which was tried more often comes first. */
function fitsBehind({ lastOrder, lastAttempt }: SortedLine, { order, attempt }: QueueEntry): boolean {
  return order === lastOrder ? attempt <= lastAttempt : order > lastOrder
}

/** Each line gives its memory back as it is read. */
function merge(lines: readonly SortedLine[], merged: FreshQueue): FreshQueue {
  const sources = new Heap<FreshQueue>(startsBefore, () => {})
  for (const { line } of lines) sources.push(line)
  for (let source = sources.first(); source !== undefined; source = sources.first()) {
    const entry = source.shift()
    if (entry !== undefined) merged.push(entry)
    if (source.first() === undefined) sources.removeAt(0)
    else sources.update(0)
  }
  return merged
}

function startsBefore(one: FreshQueue, other: FreshQueue): boolean {
  const entry = one.first()
  const otherItem = other.first()
  if (entry === undefined || otherItem === undefined) return entry !== undefined
  return entry.order === otherItem.order ? entry.attempt > otherItem.attempt : entry.order < otherItem.order
}

function putLast(core: Core, group: Group, { order, groupIndex }: KeptPlace, shared: SharedPayload): void {
  const { retained } = group
  if (retained !== undefined && retained.order > order) {
    core.unref(shared)
    return
  }
  group.retained = { shared, order, groupIndex }
  group.broadcastOrder = order
  group.wholeOrder = order
  core.unattended.changed(group)
  if (retained !== undefined) core.unref(retained.shared)
}
