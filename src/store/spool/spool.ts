import { SpoolBudget, type SpoolOptions } from './spoolBudget.ts'
import { SpooledBody } from './spooledBody.ts'

/**
 * Keeps the bodies of large objects of one store, in memory and in files. This folder imports `wire` and what a store is; what becomes
 * of an object, and when its body goes, is for the store to say.
 */
export class Spool {
  readonly #budget: SpoolBudget

  constructor(options: SpoolOptions) {
    this.#budget = new SpoolBudget(options)
  }

  /** Begins to keep a body, in a file of this name if in any. */
  keep(begin: Buffer, bodyBytes: number, name: string): SpooledBody {
    return new SpooledBody(this.#budget, { begin, bytes: bodyBytes, name, isThere: false })
  }

  /** A body that lies in a file since an earlier run. */
  restore(begin: Buffer, bodyBytes: number, name: string): SpooledBody {
    return new SpooledBody(this.#budget, { begin, bytes: bodyBytes, name, isThere: true })
  }

  /** Bytes of bodies that lie in memory. */
  get memoryBytes(): number {
    return this.#budget.memoryBytes
  }
}
