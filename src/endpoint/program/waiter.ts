import type { ObjectRelayError } from '../../errors.ts'
import { TIMER_MS_MAX } from '../../options.ts'
import type { Batch } from './collector.ts'
import type { TakeRequest } from './takeRequest.ts'

/**
 * A call that waits for objects. A class, and not closures that know each other: with those each batch survived until the
 * next full garbage collection, at twice the cost of all the rest.
 */
export class Waiter {
  readonly request: TakeRequest
  readonly #resolve: (batch: Batch) => void
  readonly #reject: (reason: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #aborted: (() => void) | undefined
  #over: 'late' | 'aborted' | undefined

  constructor(request: TakeRequest, resolve: (batch: Batch) => void, reject: (reason: unknown) => void) {
    this.request = request
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Whether its time is over, or its signal aborted it: what it is to end with as soon as it has no object in sight. */
  get over(): boolean {
    return this.#over !== undefined
  }

  /** Calls `whenOver` when its time is over or its signal aborts it. */
  watch(whenOver: (waiter: Waiter) => void): void {
    const { timeoutMs, signal } = this.request
    if (timeoutMs <= TIMER_MS_MAX) {
      // What keeps the program alive is the endpoint.
      this.#timer = setTimeout(() => {
        this.#over ??= 'late'
        whenOver(this)
      }, timeoutMs).unref()
    }
    if (signal === undefined) return
    this.#aborted = () => {
      this.#over ??= 'aborted'
      whenOver(this)
    }
    signal.addEventListener('abort', this.#aborted, { once: true })
  }

  resolve(batch: Batch): void {
    this.#unwatch()
    this.#resolve(batch)
  }

  /** Ends it with an error; or without objects; or, if it was over already, with what that means. */
  end(error?: ObjectRelayError): void {
    this.#unwatch()
    if (this.#over === 'aborted') this.#reject(this.request.signal?.reason)
    else if (this.#over === 'late' || error === undefined) this.#resolve({ objects: [], entries: [] })
    else this.#reject(error)
  }

  #unwatch(): void {
    clearTimeout(this.#timer)
    if (this.#aborted !== undefined) this.request.signal?.removeEventListener('abort', this.#aborted)
  }
}
