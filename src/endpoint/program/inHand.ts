import type { ObjectRelayError } from '../../errors.ts'
import { type InboxEntry, takenAway } from './inboxRun.ts'

/**
 * The produced objects that the program works on: it has been handed them, and has not settled them. And the signals of deliveries:
 * made only for those whose program asks for one.
 */
export class InHand {
  readonly #entries = new Set<InboxEntry>()
  readonly #signals = new Map<InboxEntry, AbortController>()
  /** Why every signal is aborted, once the endpoint stops. */
  #end: ObjectRelayError | undefined
  #emptied: (() => void)[] = []

  get size(): number {
    return this.#entries.size
  }

  add(entry: InboxEntry): void {
    this.#entries.add(entry)
  }

  /** It is settled, or its lease is gone. */
  remove(entry: InboxEntry): void {
    if (this.#signals.size > 0) this.#signals.delete(entry)
    if (!this.#entries.delete(entry) || this.#entries.size > 0) return
    for (const resolve of this.#emptied.splice(0)) resolve()
  }

  /** Resolves as soon as the program has settled all that it has. */
  whenEmpty(): Promise<void> {
    if (this.#entries.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#emptied.push(resolve))
  }

  /** Those that fit, to be gone through while they are removed. */
  those(fits: (entry: InboxEntry) => boolean): InboxEntry[] {
    return this.#entries.size === 0 ? [] : [...this.#entries].filter(fits)
  }

  /** Aborted when the lease is lost before the program has settled the object, or when the endpoint stops. */
  signalOf(entry: InboxEntry): AbortSignal {
    let controller = this.#signals.get(entry)
    if (controller === undefined) {
      controller = new AbortController()
      const lost = takenAway(entry)
      // What is settled, or lost, will be told of nothing more.
      if (lost !== undefined) controller.abort(lost)
      else if (entry.state !== 'settled') {
        this.#signals.set(entry, controller)
        if (this.#end !== undefined) controller.abort(this.#end)
      }
    }
    return controller.signal
  }

  /** Whether the program has asked for the signal of a delivery, and it is aborted. */
  isAborted(entry: InboxEntry): boolean {
    return this.#signals.get(entry)?.signal.aborted === true
  }

  abort(entry: InboxEntry, reason: ObjectRelayError): void {
    this.#signals.get(entry)?.abort(reason)
  }

  /** The endpoint stops: whoever wants to know may end early. */
  abortAll(reason: ObjectRelayError): void {
    this.#end ??= reason
    for (const controller of [...this.#signals.values()]) controller.abort(reason)
  }
}
