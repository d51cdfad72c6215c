const dayMs = 24 * 60 * 60 * 1000
const warnBeforeMsMax = 30 * dayMs

/** From when to when a certificate is valid, in milliseconds since 1970. */
export interface Validity {
  readonly fromMs: number
  readonly toMs: number
}

/** Where a certificate stands: in its last part, when whoever renews it should have done so, or beyond. */
export type ExpiryState = 'valid' | 'expiring' | 'expired'

/** The last part is a month, or a third of a certificate that does not live so long: then those who renew by themselves do it. */
export function expiryState({ fromMs, toMs }: Validity, nowMs: number): ExpiryState {
  if (nowMs > toMs) return 'expired'
  return nowMs >= toMs - Math.min(warnBeforeMsMax, (toMs - fromMs) / 3) ? 'expiring' : 'valid'
}

/** Says when to warn: at once when the state gets worse, then once a day. */
export class ExpiryReminder {
  #state: ExpiryState = 'valid'
  #warnedAtMs = 0

  /** The state to warn of now, if there is one. */
  next(validity: Validity, nowMs: number): Exclude<ExpiryState, 'valid'> | undefined {
    const before = this.#state
    this.#state = expiryState(validity, nowMs)
    if (this.#state === 'valid') return undefined
    if (this.#state === before && Math.abs(nowMs - this.#warnedAtMs) < dayMs) return undefined
    this.#warnedAtMs = nowMs
    return this.#state
  }
}
