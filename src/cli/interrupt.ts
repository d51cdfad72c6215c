import { exitCodes, Interrupted, type InterruptSignal } from './exitCodes.ts'

/** Turns the signals that end a command into an abort: the first asks it to come to an end, a second ends it at once. */
export class Interrupt {
  readonly #controller = new AbortController()
  readonly #listeners: readonly (readonly [InterruptSignal, () => void])[]

  constructor() {
    const names: readonly InterruptSignal[] = ['SIGINT', 'SIGTERM']
    this.#listeners = names.map((name) => [name, () => this.#take(name)] as const)
    for (const [name, listener] of this.#listeners) process.on(name, listener)
  }

  /** Aborted by the first signal; its reason is an {@link Interrupted}. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Takes the listeners away. */
  dispose(): void {
    for (const [name, listener] of this.#listeners) process.off(name, listener)
  }

  /** What `promise` settles to, or a rejection as soon as a signal comes. */
  race<Result>(promise: Promise<Result>): Promise<Result> {
    return raceSignal(promise, this.signal)
  }

  #take(name: InterruptSignal): void {
    if (this.signal.aborted) process.exit(name === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated)
    this.#controller.abort(new Interrupted(name))
  }
}

/** What `promise` settles to, or a rejection with the signal's reason if that is first. */
export async function raceSignal<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  // Nobody may be waiting for it any more when it fails.
  promise.catch(() => undefined)
  signal.throwIfAborted()
  let onAbort = (): void => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
