import { createError } from '../../errors.ts'
import { isRecord } from '../../options.ts'
import type { LogValues } from './logValues.ts'
import type { RecoveredValue } from './readLog.ts'
import { storeCorrupt } from './storeCorrupt.ts'

/** The name of the value that tells whose log it is: JSON, `{ relay, sources }`. */
const IDENTITY_VALUE = 'relay'
/** So many numbers are set aside at once. */
const SOURCES_AT_ONCE = 256
const SOURCE_MAX = 2 ** 32 - 1

/** Whose log it is, and which numbers its sessions have had. */
export class LogIdentity {
  readonly relayName: string
  readonly #values: LogValues
  #nextSource: number
  /** Numbers below this may have been given. */
  #sourcesEnd: number

  /** Throws `STORE_CORRUPT`. */
  constructor(values: LogValues, recovered: ReadonlyMap<string, RecoveredValue>, newRelayName: string) {
    const { relay, sources } = read(recovered.get(IDENTITY_VALUE)?.value) ?? { relay: newRelayName, sources: 1 }
    this.#values = values
    this.relayName = relay
    this.#nextSource = sources
    this.#sourcesEnd = sources
    if (recovered.size === 0) this.#write()
  }

  /** A number that no session has had. */
  takeSource(): number {
    const source = this.#nextSource++
    if (source > SOURCE_MAX) {
      const message = 'The store has given all numbers that there are for sessions. Begin with an empty one.'
      throw createError('STORE_FAILED', message)
    }
    if (source >= this.#sourcesEnd) {
      this.#sourcesEnd = source + SOURCES_AT_ONCE
      this.#write()
    }
    return source
  }

  #write(): void {
    const text = JSON.stringify({ relay: this.relayName, sources: this.#sourcesEnd })
    this.#values.set(IDENTITY_VALUE, Buffer.from(text))
  }
}

/** Whose log it is, by its values; `undefined` if nobody has kept anything yet. */
export function relayNameIn(values: ReadonlyMap<string, RecoveredValue>): string | undefined {
  return read(values.get(IDENTITY_VALUE)?.value)?.relay
}

function read(value: Buffer | undefined): { readonly relay: string; readonly sources: number } | undefined {
  if (value === undefined) return undefined
  const told: unknown = JSON.parse(value.toString())
  if (isRecord(told) && typeof told.relay === 'string' && typeof told.sources === 'number')
    return { relay: told.relay, sources: told.sources }
  throw storeCorrupt('The value "relay"', 'does not say whose store it is')
}
