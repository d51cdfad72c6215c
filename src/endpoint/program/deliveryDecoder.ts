import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { LeaseFailure } from '../../deadLetter.ts'
import {
  createError,
  type ErrorCode,
  isObjectRelayError,
  type ObjectRelayError,
  toObjectRelayError,
} from '../../errors.ts'
import { ObjectDecoder } from '../../objects/decoder.ts'
import { validate } from '../../objects/schema.ts'
import type { Serializer } from '../../objects/serializer.ts'
import { failureErrorOf } from './failureError.ts'
import type { EncodedObject, InboxEntry } from './inboxRun.ts'
import { nextAttempt } from './nextAttempt.ts'
import type { EndpointStatus } from './status.ts'

/** Stands for an object that could not be decoded, or does not fit its schema. */
export class Unreadable {
  readonly failure: LeaseFailure

  constructor(failure: LeaseFailure) {
    this.failure = failure
  }
}

/** An object that a schema is still checking; the promise is never rejected, and may give an `Unreadable`. */
export class CheckedLater {
  readonly object: Promise<unknown>

  constructor(object: Promise<unknown>) {
    this.object = object
  }
}

/** Turns what waits in the inbox into objects of the program, when it takes them. */
export class DeliveryDecoder {
  readonly #decoder: ObjectDecoder
  readonly #schemas: ReadonlyMap<string, StandardSchemaV1>
  readonly #hasSerializer: boolean
  readonly #status: EndpointStatus
  readonly #report: (error: ObjectRelayError) => void
  /** How many could not be read. */
  unreadableObjects = 0

  constructor(options: {
    objectBytesMax: number
    serializer: Serializer | undefined
    schemas: ReadonlyMap<string, StandardSchemaV1>
    status: EndpointStatus
    report: (error: ObjectRelayError) => void
  }) {
    const { objectBytesMax, serializer } = options
    this.#decoder = new ObjectDecoder({ objectBytesMax, ...(serializer === undefined ? {} : { serializer }) })
    this.#schemas = options.schemas
    this.#hasSerializer = serializer !== undefined
    this.#status = options.status
    this.#report = options.report
  }

  #decodeBytes({ buffer, start, end, segments }: EncodedObject): unknown {
    if (segments === undefined) return this.#decoder.decode(buffer, start, end)
    return this.#decoder.decodeParts({ head: buffer.subarray(start, end), segments })
  }

  /** Whether reading an object of the group runs code that the program gave for it. */
  runsProgram(group: string): boolean {
    return this.#hasSerializer || (this.#schemas.size > 0 && this.#schemas.has(group))
  }

  /** Gives the object; or `Unreadable`, after an `error` event; or `CheckedLater` when its schema checks asynchronously. */
  decode(entry: InboxEntry): unknown {
    const schema = this.#schemas.size === 0 ? undefined : this.#schemas.get(entry.group)
    let object: unknown
    try {
      object = this.#decodeBytes(entry)
    } catch (thrown) {
      return this.#failed(entry, 'undecodable', thrown)
    }
    if (schema === undefined) return object
    try {
      const checked = validate(schema, object)
      if (!(checked instanceof Promise)) return checked
      return new CheckedLater(checked.catch((thrown: unknown) => this.#failed(entry, 'schema', thrown)))
    } catch (thrown) {
      return this.#failed(entry, 'schema', thrown)
    }
  }

  /** Gives an object of this program that came back; `undefined`, after an `error` event, if its decoding fails. */
  decodeReturned(encoded: EncodedObject, group: string): unknown {
    try {
      return this.#decodeBytes(encoded)
    } catch (thrown) {
      const cause = toObjectRelayError(thrown, 'NOT_DESERIALIZABLE')
      const message = `An object that was not delivered to ${JSON.stringify(group)} cannot be decoded: ${cause.message}`
      this.#report(createError(cause.code, message, { details: { ...cause.details, group }, cause }))
      return undefined
    }
  }

  #failed(entry: InboxEntry, reason: 'undecodable' | 'schema', thrown: unknown): Unreadable {
    this.unreadableObjects++
    const cause = toObjectRelayError(thrown, reason === 'schema' ? 'SCHEMA_MISMATCH' : 'NOT_DESERIALIZABLE')
    this.#report(aboutEntry(entry, cause.code, `${cause.message} ${this.#consequence(entry)}`, cause))
    return new Unreadable({ reason, error: failureErrorOf(cause) })
  }

  /** What is unreadable here is given back, so that another member may read it. */
  #consequence({ kind, group, attempt }: InboxEntry): string {
    if (kind === 'broadcast') return 'The broadcast is left out.'
    const { attemptsMax } = this.#status.relayLimits
    return nextAttempt({ group, attempt, attemptsMax, isFinal: false, retryDelayMs: undefined })
  }
}

/** An error about something that was delivered. */
export function aboutEntry(entry: InboxEntry, code: ErrorCode, what: string, cause: unknown): ObjectRelayError {
  const { group, kind, attempt } = entry
  return createError(code, `In the group ${JSON.stringify(group)}: ${what}`, {
    details: { ...(isObjectRelayError(cause) ? cause.details : {}), group, kind, attempt },
    cause,
  })
}
