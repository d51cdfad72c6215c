import type { Clock, Timer } from './clock.ts'

interface FakeTimer {
  readonly dueMs: number
  readonly order: number
  readonly run: () => void
}

/** For tests: time that passes only when the test says so. */
export class FakeClock implements Clock {
  #nowMs = 0
  #orders = 0
  #timers: FakeTimer[] = []
  #soon: (() => void)[] = []
  #randomState: number

  constructor(seed = 1) {
    this.#randomState = seed
  }

  nowMs(): number {
    return this.#nowMs
  }

  dateMs(): number {
    return 1_700_000_000_000 + this.#nowMs
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.length
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = { dueMs: this.#nowMs + delayMs, order: this.#orders++, run }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  soon(run: () => void): void {
    this.#soon.push(run)
  }

  /** The same numbers for the same seed. */
  random(): number {
    this.#randomState = (Math.imul(this.#randomState, 1_103_515_245) + 12_345) >>> 0
    return this.#randomState / 0x1_0000_0000
  }

  /** Runs one thing that was to run soon. Returns whether there was one. */
  step(): boolean {
    const run = this.#soon.shift()
    run?.()
    return run !== undefined
  }

  /** Runs all that was to run soon, and what that makes run soon. Returns whether there was anything. */
  settle(): boolean {
    const ran = this.#soon.length > 0
    for (let rounds = 0; this.#soon.length > 0; rounds++) {
      if (rounds > 100_000) throw new Error('What runs soon makes more run soon, forever.')
      const batch = this.#soon
      this.#soon = []
      for (const run of batch) run()
    }
    return ran
  }

  /** Lets time pass, timer by timer. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    this.settle()
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.run()
      this.settle()
    }
    this.#nowMs = untilMs
  }

  /** Time passes while nothing can run: a machine that sleeps, a process that is stopped. */
  suspend(ms: number): void {
    this.#nowMs += ms
    this.advance(0)
  }

  #next(untilMs: number): FakeTimer | undefined {
    let next: FakeTimer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs > untilMs) continue
      if (next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order))
        next = timer
    }
    return next
  }
}
