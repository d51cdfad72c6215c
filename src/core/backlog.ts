import type { Membership } from './membership.ts'
import type { SharedPayload } from './queueEntry.ts'
import { TombstoneQueue } from './tombstoneQueue.ts'

/** A broadcast that waits until its member has room. */
export interface BacklogEntry {
  readonly member: Membership
  shared: SharedPayload
  order: number
  groupIndex: number
  gone: boolean
}

/** The broadcasts that wait for one session, of all its groups, the oldest first. */
export class Backlog {
  bytes = 0
  private readonly entries: TombstoneQueue<BacklogEntry> = new TombstoneQueue((entry) => entry.gone)

  get count(): number {
    return this.entries.length
  }

  first(): BacklogEntry | undefined {
    return this.entries.first()
  }

  push(entry: BacklogEntry): void {
    this.entries.push(entry)
    this.bytes += entry.shared.payload.bytes
  }

  remove(entry: BacklogEntry): void {
    entry.gone = true
    this.bytes -= entry.shared.payload.bytes
    this.entries.left()
  }

  /** Another broadcast takes the place of one. */
  replace(entry: BacklogEntry, shared: SharedPayload, order: number, groupIndex: number): void {
    this.bytes += shared.payload.bytes - entry.shared.payload.bytes
    entry.shared = shared
    entry.order = order
    entry.groupIndex = groupIndex
  }

  /** The oldest but `entry`. */
  oldestExcept(entry: BacklogEntry): BacklogEntry | undefined {
    const first = this.entries.first()
    if (first !== entry) return first
    for (const other of this.entries) if (other !== entry) return other
    return undefined
  }

  [Symbol.iterator](): Generator<BacklogEntry, void, undefined> {
    return this.entries[Symbol.iterator]()
  }
}
