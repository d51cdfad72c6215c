import type { Clock } from '../clock.ts'
import { type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import type { Store } from '../store/store.ts'

/** One that has something to say, or was told something. */
export interface Gated {
  /** Whether it waits at the gate; the gate's own. */
  isWaiting: boolean
  /** Tells the store what it has to know of it, and returns what lets everything up to now leave. */
  seal(): () => void
}

/**
 * Lets nothing leave the relay that speaks of what is not kept. All that happens in one turn of the event loop is one
 * change for the store; several turns become one if the store is busy. A store that keeps everything at once holds nothing up.
 */
export class CommitGate {
  readonly #clock: Clock
  readonly #store: Pick<Store, 'commit' | 'beforeCommit'>
  readonly #failed: (error: ObjectRelayError) => void
  #waiting: Gated[] = []
  #scheduled = false
  #underWay = 0

  constructor(clock: Clock, store: Pick<Store, 'commit' | 'beforeCommit'>, failed: (error: ObjectRelayError) => void) {
    this.#clock = clock
    this.#store = store
    this.#failed = failed
    store.beforeCommit = () => {
      if (this.#waiting.length > 0) this.#commit()
    }
  }

  /** Whether nothing is held back. */
  get isOpen(): boolean {
    return this.#waiting.length === 0 && this.#underWay === 0
  }

  /** Something happened with `gated`: it is let out at the end of this turn, or when it is kept. */
  request(gated: Gated): void {
    if (gated.isWaiting) return
    gated.isWaiting = true
    this.#waiting.push(gated)
    this.schedule()
  }

  /** Something happened that nobody is to be told of. */
  schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#clock.soon(() => {
      this.#scheduled = false
      this.#commit()
    })
  }

  /** Calls back when all that happened until now is kept. */
  afterCommit(done: () => void): void {
    this.request({ isWaiting: false, seal: () => done })
  }

  /** Nothing leaves any more: the store is told what it has to know of those that wait, as part of what it keeps last. */
  close(): void {
    for (const gated of this.#waiting.splice(0)) gated.seal()
  }

  #commit(): void {
    const outlets: (() => void)[] = []
    const waiting = this.#waiting
    this.#waiting = []
    for (const gated of waiting) {
      gated.isWaiting = false
      outlets.push(gated.seal())
    }
    // Who sent something is here before who gets it, and has to wait less urgently for its answer.
    outlets.reverse()
    const kept = this.#store.commit()
    if (kept === undefined) {
      for (const open of outlets) open()
      return
    }
    this.#underWay++
    kept.then(
      () => {
        this.#underWay--
        for (const open of outlets) open()
      },
      (cause: unknown) => this.#failed(toObjectRelayError(cause, 'BACKGROUND_FAILED')),
    )
  }
}
