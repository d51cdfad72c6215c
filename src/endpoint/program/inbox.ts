import { type InboxEntry, InboxRun } from './inboxRun.ts'

/**
 * What waits for the program, oldest first. A linked list, since with `broadcasts: 'latest'` objects leave from the middle,
 * and holes would pile up behind an object that nobody takes.
 */
export class Inbox {
  #oldest: InboxRun | undefined
  #newest: InboxRun | undefined
  readonly #latest: Map<string, InboxRun> | undefined
  objects = 0
  bytes = 0

  /** With `onlyLatest` it remembers the newest broadcast of each group, see {@link latestBroadcast}. */
  constructor(onlyLatest = false) {
    this.#latest = onlyLatest ? new Map() : undefined
  }

  get onlyLatest(): boolean {
    return this.#latest !== undefined
  }

  get oldest(): InboxRun | undefined {
    return this.#oldest
  }

  /** The newest broadcast of the group that waits. */
  latestBroadcast(group: string): InboxRun | undefined {
    return this.#latest?.get(group)
  }

  push(run: InboxRun): void {
    run.previous = this.#newest
    run.next = undefined
    if (this.#newest === undefined) this.#oldest = run
    else this.#newest.next = run
    this.#newest = run
    this.#added(run)
  }

  /** Takes the oldest object. */
  take(): InboxEntry | undefined {
    const run = this.#oldest
    if (run === undefined) return undefined
    const entry = run.take()
    this.objects--
    this.bytes -= entry.wireBytes
    if (run.objects === 0) this.#unlink(run)
    return entry
  }

  /** Puts an object that was taken back in front of all others. */
  putBack(entry: InboxEntry): void {
    const run = InboxRun.of(entry)
    run.next = this.#oldest
    if (this.#oldest === undefined) this.#newest = run
    else this.#oldest.previous = run
    this.#oldest = run
    this.#added(run)
  }

  remove(run: InboxRun): void {
    this.objects -= run.objects
    this.bytes -= run.wireBytes
    this.#unlink(run)
  }

  #unlink(run: InboxRun): void {
    if (run.previous === undefined) this.#oldest = run.next
    else run.previous.next = run.next
    if (run.next === undefined) this.#newest = run.previous
    else run.next.previous = run.previous
    // Links from what is gone would keep young objects alive.
    run.previous = undefined
    run.next = undefined
    if (this.#latest?.get(run.group) === run) this.#latest.delete(run.group)
  }

  #added(run: InboxRun): void {
    this.objects += run.objects
    this.bytes += run.wireBytes
    if (run.kind === 'broadcast') this.#latest?.set(run.group, run)
  }
}
