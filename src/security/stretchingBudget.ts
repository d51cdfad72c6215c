import { createError, type ObjectRelayError } from '../errors.ts'
import type { KeyStretching } from './proofMessages.ts'
import { TokenBucket } from './tokenBucket.ts'

/** What one login with a verifier file takes, about 0.4 s, is one unit. */
const unitKiB = 64 * 1024 * 3
/** About 8 s of computing at first, and then about 4 s in each minute, which is 7 % of one processor. */
const budgetRate = { burst: 20, tokenMs: 6_000 }
/** Even the lightest has a price. */
const unitsMin = 0.05

function unitsOf({ memoryKiB, iterations }: KeyStretching): number {
  return Math.max((memoryKiB * iterations) / unitKiB, unitsMin)
}

/**
 * Bounds how much password stretching this process does for whatever answers at one address and does not prove the password: anybody
 * can answer there, and ask for it. Who proves the password gives back what it took.
 */
export class StretchingBudget {
  readonly #nowMs: () => number
  readonly #bucket: TokenBucket

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
    this.#bucket = new TokenBucket(budgetRate, nowMs())
  }

  /** Takes what the stretching costs, or says why it is not to be done now. */
  spend(stretching: KeyStretching): ObjectRelayError | undefined {
    const nowMs = this.#nowMs()
    const units = unitsOf(stretching)
    const waitMs = Math.ceil(this.#bucket.waitMs(nowMs, units))
    if (waitMs === 0) {
      this.#bucket.take(nowMs, units)
      return undefined
    }
    return createError(
      'TOO_MANY_ATTEMPTS',
      `What answers as the relay has asked for much password stretching and not proven the password; the next attempt comes in ${waitMs} ms.`,
      { details: { waitMs } },
    )
  }

  /** The relay that asked for it has proven the password. */
  giveBack(stretching: KeyStretching): void {
    this.#bucket.giveBack(this.#nowMs(), unitsOf(stretching))
  }
}
