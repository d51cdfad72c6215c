import type { Clock, Timer } from '../../src/clock.ts'
import type { SeededRandom } from './random.ts'

/** Something that will happen to a thread. */
class PlannedEvent implements Timer {
  atMs: number
  readonly order: number
  readonly thread: SimulatedThread
  readonly run: () => void
  /** What it is, for the report of what is left in the end. */
  readonly what: string
  over = false

  constructor(atMs: number, order: number, thread: SimulatedThread, run: () => void, what: string) {
    this.atMs = atMs
    this.order = order
    this.thread = thread
    this.run = run
    this.what = what
  }

  cancel(): void {
    this.over = true
  }
}

/**
 * Time that passes from event to event. All that happens in a simulation happens here, one thing after the other, in an
 * order that depends on the seed alone.
 */
export class Scheduler {
  nowMs = 0
  readonly random: SeededRandom
  /** Whose code runs: what it plans by way of global timers is its own. */
  current: SimulatedThread
  readonly #events: PlannedEvent[] = []
  readonly #outside = new Set<Promise<unknown>>()
  #orders = 0
  steps = 0

  constructor(random: SeededRandom) {
    this.random = random
    this.current = new SimulatedThread('world', this)
  }

  plan(thread: SimulatedThread, delayMs: number, run: () => void, what: string): Timer {
    const event = new PlannedEvent(this.nowMs + Math.max(0, delayMs), this.#orders++, thread, run, what)
    this.#push(event)
    return event
  }

  /** Waits for what takes real time, in threads that the simulation does not know. In it, that takes none: nothing else happens meanwhile. */
  async outside<Result>(promise: Promise<Result>): Promise<Result> {
    this.#outside.add(promise)
    try {
      return await promise
    } finally {
      this.#outside.delete(promise)
    }
  }

  /** Runs what comes next, and all that follows from it at once; returns false if that is later than `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    for (;;) {
      const first = this.#events[0]
      if (first === undefined || first.atMs > untilMs) {
        this.nowMs = untilMs
        return false
      }
      this.#shift()
      if (first.over || !first.thread.alive) continue
      if (first.atMs < first.thread.frozenUntilMs) {
        // It keeps its number, and so its place among what had to wait as well.
        first.atMs = first.thread.frozenUntilMs
        this.#push(first)
        continue
      }
      this.nowMs = first.atMs
      first.over = true
      this.current = first.thread
      first.run()
      await settled()
      while (this.#outside.size > 0) {
        await Promise.allSettled(this.#outside)
        await settled()
      }
      this.steps++
      return true
    }
  }

  /** What is still to happen to threads that are alive. */
  get left(): string[] {
    return this.#events
      .filter(({ over, thread }) => !over && thread.alive)
      .map(({ what, thread }) => `${thread.name}: ${what}`)
  }

  #push(event: PlannedEvent): void {
    const events = this.#events
    let index = events.length
    events.push(event)
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = events[above]
      if (parent === undefined || !isBefore(event, parent)) break
      events[index] = parent
      index = above
    }
    events[index] = event
  }

  #shift(): void {
    const events = this.#events
    const last = events.pop()
    if (last === undefined || events.length === 0) return
    let index = 0
    for (;;) {
      let below = 2 * index + 1
      let child = events[below]
      const other = events[below + 1]
      if (child === undefined) break
      if (other !== undefined && isBefore(other, child)) {
        below++
        child = other
      }
      if (!isBefore(child, last)) break
      events[index] = child
      index = below
    }
    events[index] = last
  }
}

function isBefore(one: PlannedEvent, other: PlannedEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}

// That of the library goes by the scheduler while a simulation runs.
const { setImmediate: realSetImmediate } = globalThis

/** Resolves when all promises that can have run have run: they come before any immediate. */
function settled(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve))
}

/** A thread of a simulated process, with its own sight of time: it may be frozen for a while, or killed. */
export class SimulatedThread implements Clock {
  readonly name: string
  alive = true
  frozenUntilMs = 0
  readonly #scheduler: Scheduler
  #lastSoonMs = 0
  /** How long its turns are at most: with much at hand, what is to run soon runs later. */
  readonly #soonMs: number

  constructor(name: string, scheduler: Scheduler, soonMs = 0.2) {
    this.name = name
    this.#scheduler = scheduler
    this.#soonMs = soonMs
  }

  nowMs(): number {
    return this.#scheduler.nowMs
  }

  dateMs(): number {
    return Math.floor(this.#scheduler.nowMs)
  }

  after(delayMs: number, run: () => void, what = `a timer of ${Math.round(delayMs)} ms`): Timer {
    return this.#scheduler.plan(this, delayMs, run, what)
  }

  /** A moment later, in the order of the calls. Whatever else was at hand comes before it. */
  soon(run: () => void): void {
    const { nowMs, random } = this.#scheduler
    this.#lastSoonMs = Math.max(this.#lastSoonMs, nowMs + random.next() * this.#soonMs)
    this.#scheduler.plan(this, this.#lastSoonMs - nowMs, run, 'an immediate')
  }

  random(): number {
    return this.#scheduler.random.next()
  }

  /** Nothing of it runs for so long: a stopped process, a machine that sleeps, a program that computes. */
  freeze(durationMs: number): void {
    this.frozenUntilMs = Math.max(this.frozenUntilMs, this.#scheduler.nowMs + durationMs)
  }

  thaw(): void {
    this.frozenUntilMs = 0
  }

  kill(): void {
    this.alive = false
  }
}
