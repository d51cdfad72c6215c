/** An object that was delivered and not handed over yet, still encoded. */
export interface InboxEntry {
  /** The body, from `start` to `end`; of a large object nothing. */
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  /** The parts of a large object: its head and its segments. */
  readonly parts: readonly ArrayBuffer[] | undefined
  readonly group: string
  readonly kind: 'broadcast' | 'produce'
  readonly attempt: number
  skipped: number
  readonly sentAtMs: number
  /** -1 for a broadcast. */
  readonly leaseNumber: number
  readonly epoch: number
  /** Bytes as they count for the room that the relay knows of. */
  readonly wireBytes: number
  /** Whether it was acknowledged or given back. */
  settled: boolean
  previous: InboxEntry | undefined
  next: InboxEntry | undefined
}

/**
 * What waits for the program, oldest first. A linked list, since with `broadcasts: 'latest'` objects leave from the middle,
 * and holes would pile up behind an object that nobody takes.
 */
export class Inbox {
  #oldest: InboxEntry | undefined
  #newest: InboxEntry | undefined
  readonly #latest: Map<string, InboxEntry> | undefined
  objects = 0
  bytes = 0

  /** With `onlyLatest` it remembers the newest broadcast of each group, see {@link latestBroadcast}. */
  constructor(onlyLatest = false) {
    this.#latest = onlyLatest ? new Map() : undefined
  }

  get oldest(): InboxEntry | undefined {
    return this.#oldest
  }

  /** The newest broadcast of the group that waits. */
  latestBroadcast(group: string): InboxEntry | undefined {
    return this.#latest?.get(group)
  }

  push(entry: InboxEntry): void {
    entry.previous = this.#newest
    entry.next = undefined
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.next = entry
    this.#newest = entry
    this.#count(1, entry)
  }

  /** Puts an entry back in front of all others. */
  unshift(entry: InboxEntry): void {
    entry.previous = undefined
    entry.next = this.#oldest
    if (this.#oldest === undefined) this.#newest = entry
    else this.#oldest.previous = entry
    this.#oldest = entry
    this.#count(1, entry)
  }

  remove(entry: InboxEntry): void {
    if (entry.previous === undefined) this.#oldest = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.#newest = entry.previous
    else entry.next.previous = entry.previous
    // Links from what is gone would keep young objects alive.
    entry.previous = undefined
    entry.next = undefined
    this.#count(-1, entry)
    if (this.#latest?.get(entry.group) === entry) this.#latest.delete(entry.group)
  }

  #count(objects: 1 | -1, entry: InboxEntry): void {
    this.objects += objects
    this.bytes += objects * entry.wireBytes
    if (objects === 1 && entry.kind === 'broadcast') this.#latest?.set(entry.group, entry)
  }
}
