import { createError } from '../errors.ts'
import type { Inbox } from './inbox.ts'
import type { InboxEntry } from './inboxRun.ts'
import { CheckedLater, type ObjectOpener, unreadable } from './objectOpener.ts'
import type { Settlement } from './settlement.ts'
import type { TakeRequest } from './takeRequest.ts'

/** Objects that leave the inbox together, each with what it came in. */
export interface Batch {
  readonly objects: unknown[]
  readonly entries: InboxEntry[]
}

interface Unfinished {
  readonly batch: Batch
  readonly request: TakeRequest
  /** How many entries may still be looked at. */
  left: number
  waitsFor: { readonly entry: InboxEntry; readonly later: CheckedLater } | undefined
}

/** Takes objects out of the inbox, opens them, and settles them. */
export class Collector {
  readonly #inbox: Inbox
  readonly #opener: ObjectOpener
  readonly #settlement: Settlement

  constructor(inbox: Inbox, opener: ObjectOpener, settlement: Settlement) {
    this.#inbox = inbox
    this.#opener = opener
    this.#settlement = settlement
  }

  /** What the request wants of what is there now; a promise if schemas check asynchronously. */
  collect(request: TakeRequest): Batch | Promise<Batch> {
    const collection = this.#begin(request)
    if (this.#advance(collection)) return this.#finish(collection)
    return this.#collectLater(collection)
  }

  /** The same at once. Throws `INVALID_ARGUMENT`, and puts back what it took, if a schema checks asynchronously. */
  collectSync(request: TakeRequest): Batch {
    const collection = this.#begin(request)
    if (this.#advance(collection)) return this.#finish(collection)
    const { batch, waitsFor } = collection
    const group = waitsFor?.entry.group ?? ''
    for (const entry of [...batch.entries, ...(waitsFor === undefined ? [] : [waitsFor.entry])].reverse()) {
      this.#inbox.putBack(entry)
    }
    throw createError(
      'INVALID_ARGUMENT',
      `The schema of the group ${JSON.stringify(group)} checks asynchronously, and a ...Sync call cannot wait for it; use the call without Sync, or another schema.`,
      { details: { argument: 'schemas', group } },
    )
  }

  #begin(request: TakeRequest): Unfinished {
    if (request.order === 'newest') this.#discardAllBut(request.maxItems)
    const left = request.order === 'oldest' ? Number.POSITIVE_INFINITY : this.#inbox.objects
    return { batch: { objects: [], entries: [] }, request, left, waitsFor: undefined }
  }

  #discardAllBut(count: number): void {
    while (this.#inbox.objects > count) {
      const entry = this.#inbox.take()
      if (entry === undefined) return
      this.#settlement.taken(entry)
      this.#settlement.acknowledge(entry)
    }
  }

  /** Goes on until all is there (true) or an object has to be waited for (false). */
  #advance(collection: Unfinished): boolean {
    const { batch, request } = collection
    while (batch.objects.length < request.maxItems && collection.left > 0) {
      const entry = this.#inbox.take()
      if (entry === undefined) break
      collection.left--
      const object = this.#opener.open(entry)
      if (object instanceof CheckedLater) {
        collection.waitsFor = { entry, later: object }
        return false
      }
      this.#keep(batch, entry, object)
    }
    return true
  }

  async #collectLater(collection: Unfinished): Promise<Batch> {
    do {
      const { waitsFor } = collection
      if (waitsFor !== undefined) this.#keep(collection.batch, waitsFor.entry, await waitsFor.later.object)
    } while (!this.#advance(collection))
    return this.#finish(collection)
  }

  #keep(batch: Batch, entry: InboxEntry, object: unknown): void {
    if (object === unreadable) {
      // It would be as unreadable for every other member: it counts as taken.
      this.#settlement.taken(entry)
      this.#settlement.acknowledge(entry)
      return
    }
    batch.entries.push(entry)
    batch.objects.push(object)
  }

  #finish({ batch, request }: Unfinished): Batch {
    for (const entry of batch.entries) {
      this.#settlement.taken(entry)
      if (request.acknowledges) this.#settlement.acknowledge(entry)
    }
    this.#settlement.flush()
    return batch
  }
}
