import type { Clock, Timer } from '../clock.ts'
import { type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { ExpiryReminder, expiryState } from './certificateExpiry.ts'
import type { RelayKeys } from './keyFiles.ts'
import type { KeySource } from './keySource.ts'

/** How often the files are looked at. By their status only, which works on every file system; a change is read in peace. */
const CHECK_MS = 5_000

/** What the keeper of the keys reports. */
export interface LiveKeysEvents {
  /** Other keys are to be used from now on. What it throws refuses them. */
  changed(keys: RelayKeys): void
  /** The files have changed and are unfit; the old keys stay. */
  unfit(error: ObjectRelayError): void
  /** The certificate comes to its end, or is past it. */
  expiry(state: 'expiring' | 'expired', keys: RelayKeys): void
}

export interface LiveKeysParts {
  readonly source: KeySource
  readonly clock: Clock
  readonly events: LiveKeysEvents
}

/** The keys of a relay that runs: they are replaced when their files are, and it is told when their time comes to its end. */
export class LiveKeys {
  readonly #parts: LiveKeysParts
  readonly #reminder = new ExpiryReminder()
  #keys: RelayKeys
  /** Of the files that the keys were read from. */
  #readFingerprint: string
  /** Of unfit files: seen once, when the other one of the two may be about to follow, and reported when they stay so. */
  #seenFingerprint = ''
  #reportedFingerprint = ''
  #timer: Timer | undefined
  /** One thing at a time. */
  #work: Promise<unknown> = Promise.resolve()
  #isClosed = false

  private constructor(parts: LiveKeysParts, keys: RelayKeys, fingerprint: string) {
    this.#parts = parts
    this.#keys = keys
    this.#readFingerprint = fingerprint
  }

  /** Loads the keys. Rejects with why they are unfit. */
  static async open(parts: LiveKeysParts): Promise<LiveKeys> {
    const fingerprint = await fingerprintOf(parts.source)
    const keys = await parts.source.load(parts.clock.dateMs())
    return new LiveKeys(parts, keys, fingerprint)
  }

  get current(): RelayKeys {
    return this.#keys
  }

  /** Begins to look after them. */
  watch(): void {
    void this.#next(() => this.#remind())
    this.#later()
  }

  /** Reads the files again, whether they have changed or not. Rejects with why they are unfit, and the old keys stay. */
  reload(): Promise<RelayKeys> {
    return this.#next(async () => {
      await this.#read(await fingerprintOf(this.#parts.source))
      await this.#remind()
      return this.#keys
    })
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #later(): void {
    if (this.#isClosed) return
    this.#timer = this.#parts.clock.after(
      CHECK_MS,
      () => void this.#next(() => this.#check()).then(() => this.#later()),
    )
  }

  #next<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#work.then(task)
    this.#work = result.catch(() => undefined)
    return result
  }

  async #check(): Promise<void> {
    const fingerprint = await fingerprintOf(this.#parts.source)
    const isKnown = fingerprint === this.#readFingerprint || fingerprint === this.#reportedFingerprint
    if (!isKnown) await this.#readChanged(fingerprint)
    await this.#remind()
  }

  async #readChanged(fingerprint: string): Promise<void> {
    try {
      await this.#read(fingerprint)
    } catch (thrown) {
      if (fingerprint !== this.#seenFingerprint) {
        this.#seenFingerprint = fingerprint
        return
      }
      this.#reportedFingerprint = fingerprint
      if (!this.#isClosed) this.#parts.events.unfit(toObjectRelayError(thrown, 'KEY_INVALID'))
    }
  }

  /** `fingerprint` is from before: what changes meanwhile is read once more. */
  async #read(fingerprint: string): Promise<void> {
    const keys = await this.#parts.source.load(this.#parts.clock.dateMs())
    if (this.#isClosed) return
    if (keys.key !== this.#keys.key || keys.certificate !== this.#keys.certificate) this.#parts.events.changed(keys)
    this.#keys = keys
    this.#readFingerprint = fingerprint
    this.#seenFingerprint = ''
    this.#reportedFingerprint = ''
  }

  async #remind(): Promise<void> {
    const { source, clock, events } = this.#parts
    if (this.#reminder.next(this.#keys.validity, clock.dateMs()) === undefined) return
    // Loading renews a certificate of the relay's own; of any other it is enough to know that there is no newer one.
    const fingerprint = await fingerprintOf(source)
    await this.#read(fingerprint).catch(() => undefined)
    const state = expiryState(this.#keys.validity, clock.dateMs())
    if (state !== 'valid' && !this.#isClosed) events.expiry(state, this.#keys)
  }
}

/** A user whose home is gone has no folder, and so no files that could change. */
async function fingerprintOf(source: KeySource): Promise<string> {
  try {
    return await source.fingerprint()
  } catch {
    return ''
  }
}
