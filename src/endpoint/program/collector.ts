import { createError, type ObjectRelayError } from '../../errors.ts'
import type { CreditRequester } from './creditRequester.ts'
import { CheckedLater, type DeliveryDecoder, Unreadable } from './deliveryDecoder.ts'
import type { Inbox } from './inbox.ts'
import { type InboxEntry, takenAway } from './inboxRun.ts'
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
  /** Taken and not looked at yet, the next one last; with `'newest'` only. */
  readonly newest: InboxEntry[]
  /** How many entries may still be looked at. */
  left: number
  waitsFor: { readonly entry: InboxEntry; readonly later: CheckedLater } | undefined
}

/** Takes objects out of the inbox, opens them, and settles them. */
export class Collector {
  readonly #inbox: Inbox
  readonly #decoder: DeliveryDecoder
  readonly #settlement: Settlement
  readonly #credit: CreditRequester

  constructor(options: { inbox: Inbox; decoder: DeliveryDecoder; settlement: Settlement; credit: CreditRequester }) {
    this.#inbox = options.inbox
    this.#decoder = options.decoder
    this.#settlement = options.settlement
    this.#credit = options.credit
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
    this.#putBack(collection)
    throw needsTime(collection.waitsFor?.entry.group ?? '')
  }

  #putBack({ batch, newest, waitsFor, request }: Unfinished): void {
    const looked = [...batch.entries, ...(waitsFor === undefined ? [] : [waitsFor.entry])]
    // Of the newest, the last one is looked at first.
    const entries = request.order === 'newest' ? [...newest, ...looked.reverse()] : looked
    for (const entry of entries.reverse()) {
      this.#settlement.putBack(entry)
      this.#inbox.putBack(entry)
    }
    this.#settlement.flush()
  }

  #begin(request: TakeRequest): Unfinished {
    const left = request.order === 'oldest' ? Number.POSITIVE_INFINITY : this.#inbox.objects
    const newest: InboxEntry[] = []
    if (request.order === 'newest') for (let count = left; count > 0; count--) this.#takeInto(newest)
    return { batch: { objects: [], entries: [] }, request, newest, left, waitsFor: undefined }
  }

  #takeInto(entries: InboxEntry[]): void {
    const entry = this.#inbox.take()
    if (entry === undefined) return
    this.#settlement.taken(entry)
    entries.push(entry)
  }

  #next({ request, newest }: Unfinished): InboxEntry | undefined {
    if (request.order === 'newest') return newest.pop()
    const entry = this.#inbox.take()
    if (entry !== undefined) this.#settlement.taken(entry)
    return entry
  }

  /** Goes on until all is there (true) or an object has to be waited for (false). */
  #advance(collection: Unfinished): boolean {
    const { batch, request } = collection
    while (batch.objects.length < request.maxItems && collection.left > 0) {
      const entry = this.#next(collection)
      if (entry === undefined) break
      collection.left--
      // Whoever is handed it may end the process by it; so may a schema, or a serializer of the program's own.
      const isHanded = !request.acknowledges || this.#decoder.runsProgram(entry.group)
      if (isHanded && !this.#settlement.hand(entry)) continue
      const object = this.#decoder.decode(entry)
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
      this.#settlement.flush()
      if (waitsFor !== undefined) this.#keep(collection.batch, waitsFor.entry, await waitsFor.later.object)
    } while (!this.#advance(collection))
    return this.#finish(collection)
  }

  #keep(batch: Batch, entry: InboxEntry, object: unknown): void {
    // While its schema was checking, the endpoint was stopped, or its lease was lost: it is another member's.
    if (takenAway(entry) !== undefined) return
    if (object instanceof Unreadable) {
      this.#giveBack(entry, object)
      return
    }
    batch.entries.push(entry)
    batch.objects.push(object)
  }

  /** It was not what the program asked for: another member may read it, and this one is owed another object. */
  #giveBack(entry: InboxEntry, { failure }: Unreadable): void {
    this.#settlement.release(entry, { attemptCounted: true, failure })
    if (entry.kind === 'produce') this.#credit.requestInstead(entry.group)
  }

  #finish({ batch, request, newest }: Unfinished): Batch {
    if (request.order === 'newest') {
      // What is older than the newest that can be read is discarded, as was asked for.
      for (const entry of newest) this.#settlement.acknowledge(entry)
      batch.entries.reverse()
      batch.objects.reverse()
    }
    if (request.acknowledges) for (const entry of batch.entries) this.#settlement.acknowledge(entry)
    this.#settlement.flush()
    return batch
  }
}

function needsTime(group: string): ObjectRelayError {
  return createError(
    'INVALID_ARGUMENT',
    `The schema of the group ${JSON.stringify(group)} checks asynchronously, and a ...Sync call cannot wait for it; use the call without Sync, or another schema.`,
    { details: { argument: 'schemas', group } },
  )
}
