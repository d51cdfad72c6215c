/** Time for the shells. The pure rooms are given times as arguments; tests give the shells a clock of their own. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  nowMs(): number
  /** Milliseconds since 1970, for what people and other machines read. */
  dateMs(): number
  /** Calls `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): Timer
  /** Calls `run` as soon as what is at hand is done. */
  soon(run: () => void): void
  /** A number from 0 up to 1, for jitter. */
  random(): number
}

export interface Timer {
  cancel(): void
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  dateMs: () => Date.now(),
  after(delayMs, run) {
    // A delay beyond 2^31 - 1 would fire at once.
    const timer = setTimeout(run, Math.min(delayMs, 0x7fff_ffff))
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (run) => void setImmediate(run),
  random: Math.random,
}

/** For what must not keep a program alive by itself. */
export const backgroundClock: Clock = {
  ...systemClock,
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, 0x7fff_ffff)).unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
