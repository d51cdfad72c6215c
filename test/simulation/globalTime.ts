import type { Timer } from '../../src/clock.ts'
import type { Scheduler } from './scheduler.ts'

/** What objects that are sent now are stamped with. */
export interface SendingTime {
  /** Read by `Date.now()`; each object of a simulation gets one of its own, by which it is known everywhere. */
  dateMs: number
}

/**
 * Lets the global functions of time, which the program's side of the library uses, go by the scheduler while `run` runs.
 * The timers belong to the thread that sets them.
 */
export async function withSimulatedTime<Result>(
  scheduler: Scheduler,
  sending: SendingTime,
  run: () => Promise<Result>,
): Promise<Result> {
  const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout, setImmediate: realSetImmediate } = globalThis
  const realDateNow = Date.now
  const realNow = performance.now
  const realRandom = Math.random
  const planTimeout = (callback: () => void, delayMs = 0) => new SimulatedTimeout(scheduler, callback, delayMs)
  // The library uses no more of a timer than a SimulatedTimeout has.
  globalThis.setTimeout = planTimeout as unknown as typeof setTimeout
  globalThis.clearTimeout = ((timer: ReturnType<typeof planTimeout> | undefined) =>
    timer?.cancel()) as typeof clearTimeout
  // Nobody asks for what it gives.
  globalThis.setImmediate = ((callback: () => void) =>
    scheduler.current.soon(callback)) as unknown as typeof setImmediate
  Date.now = () => sending.dateMs
  performance.now = () => scheduler.nowMs
  Math.random = () => scheduler.random.next()
  try {
    return await run()
  } finally {
    globalThis.setTimeout = realSetTimeout
    globalThis.clearTimeout = realClearTimeout
    globalThis.setImmediate = realSetImmediate
    Date.now = realDateNow
    performance.now = realNow
    Math.random = realRandom
  }
}

/** What `setTimeout` gives. */
class SimulatedTimeout {
  readonly #plan: () => Timer
  #timer: Timer

  constructor(scheduler: Scheduler, callback: () => void, delayMs: number) {
    const thread = scheduler.current
    this.#plan = () => thread.after(Math.max(1, delayMs), callback)
    this.#timer = this.#plan()
  }

  cancel(): void {
    this.#timer.cancel()
  }

  /** Begins anew, also when it was over. */
  refresh(): this {
    this.#timer.cancel()
    this.#timer = this.#plan()
    return this
  }

  unref(): this {
    return this
  }
}
