import type { ObjectRelayError } from '../../errors.ts'
import type { EndpointConfiguration } from '../jsonRecords.ts'

/** How far an error's details are to be trusted. */
export interface DelayTrust {
  readonly fromRelay: boolean
  readonly waitMsMax: number
}

/** Those who wait for the same place do not all come for it at the same moment. */
const PLACE_SPREAD_MS = 50

/**
 * The pauses between attempts. Each is drawn around the one before, lengthened by `factor`, so that endpoints that lost their links
 * at the same moment drift ever further apart, and do not stay in step.
 */
export class ReconnectDelays {
  readonly #options: EndpointConfiguration['reconnect']
  readonly #random: () => number
  #nextMs: number

  /** `random` gives a number from 0 up to 1. */
  constructor(options: EndpointConfiguration['reconnect'], random: () => number) {
    this.#options = options
    this.#random = random
    this.#nextMs = options.initialDelayMs
  }

  /** An attempt succeeded. */
  reset(): void {
    this.#nextMs = this.#options.initialDelayMs
  }

  /**
   * How long to wait behind an attempt that failed. The error's details may say more: `waitMs`, in which the next one would be in vain,
   * of which `waitMsMax` is taken seriously; and `retryAfterMs`, at which it need not be, which only the relay itself can know.
   */
  next({ details: { waitMs, retryAfterMs } }: ObjectRelayError, { fromRelay, waitMsMax }: DelayTrust): number {
    const { initialDelayMs, maxDelayMs, factor, jitter } = this.#options
    const lowMs = this.#nextMs * (1 - jitter)
    // At the longest pause there is no more room above: the draw must not pile up there.
    const highMs = Math.min(this.#nextMs * (1 + jitter), Math.max(maxDelayMs, lowMs))
    const drawnMs = lowMs + this.#random() * (highMs - lowMs)
    this.#nextMs = Math.min(Math.max(drawnMs * factor, initialDelayMs), maxDelayMs)
    // A full group says when a place will be free, at the latest.
    if (fromRelay && isDuration(retryAfterMs))
      return Math.round(Math.min(drawnMs, retryAfterMs + this.#random() * PLACE_SPREAD_MS))
    return Math.round(Math.max(drawnMs, isDuration(waitMs) ? Math.min(waitMs, waitMsMax) : 0))
  }
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}
