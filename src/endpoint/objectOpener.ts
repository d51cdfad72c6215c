import type { StandardSchemaV1 } from '@standard-schema/spec'
import { createError, type ErrorCode, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { ObjectDecoder } from '../objects/decoder.ts'
import { validate } from '../objects/schema.ts'
import type { Serializer } from '../objects/serializer.ts'
import type { EncodedObject, InboxEntry } from './inboxRun.ts'

/** Stands for an object that could not be decoded, or does not fit its schema. */
export const unreadable: unique symbol = Symbol('unreadable')

/** An object that a schema is still checking; the promise is never rejected, and may give `unreadable`. */
export class CheckedLater {
  readonly object: Promise<unknown>

  constructor(object: Promise<unknown>) {
    this.object = object
  }
}

/** Turns what waits in the inbox into objects of the program, when it takes them. */
export class ObjectOpener {
  readonly #decoder: ObjectDecoder
  readonly #schemas: ReadonlyMap<string, StandardSchemaV1>
  readonly #report: (error: ObjectRelayError) => void
  /** How many could not be read. */
  unreadableObjects = 0

  constructor(options: {
    objectBytesMax: number
    serializer: Serializer | undefined
    schemas: ReadonlyMap<string, StandardSchemaV1>
    report: (error: ObjectRelayError) => void
  }) {
    const { objectBytesMax, serializer } = options
    this.#decoder = new ObjectDecoder({ objectBytesMax, ...(serializer === undefined ? {} : { serializer }) })
    this.#schemas = options.schemas
    this.#report = options.report
  }

  decode({ buffer, start, end, segments }: EncodedObject): unknown {
    if (segments === undefined) return this.#decoder.decode(buffer, start, end)
    return this.#decoder.decodeParts({ head: buffer.subarray(start, end), segments })
  }

  /** Gives the object; or `unreadable`, after an `error` event; or `CheckedLater` when its schema checks asynchronously. */
  open(entry: InboxEntry): unknown {
    const schema = this.#schemas.size === 0 ? undefined : this.#schemas.get(entry.group)
    try {
      const object = this.decode(entry)
      if (schema === undefined) return object
      const checked = validate(schema, object)
      if (!(checked instanceof Promise)) return checked
      return new CheckedLater(checked.catch((thrown: unknown) => this.#failed(entry, thrown)))
    } catch (thrown) {
      return this.#failed(entry, thrown)
    }
  }

  /** Gives an object of this program that came back; `undefined`, after an `error` event, if its decoding fails. */
  reopen(encoded: EncodedObject, group: string): unknown {
    try {
      return this.decode(encoded)
    } catch (thrown) {
      const cause = toObjectRelayError(thrown, 'NOT_DESERIALIZABLE')
      const message = `An object that was not delivered to ${JSON.stringify(group)} cannot be decoded: ${cause.message}`
      this.#report(createError(cause.code, message, { details: { ...cause.details, group }, cause }))
      return undefined
    }
  }

  #failed(entry: InboxEntry, thrown: unknown): typeof unreadable {
    this.unreadableObjects++
    const cause = toObjectRelayError(thrown, 'NOT_DESERIALIZABLE')
    this.#report(aboutEntry(entry, cause.code, cause.message, cause))
    return unreadable
  }
}

/** An error about something that was delivered. */
export function aboutEntry(entry: InboxEntry, code: ErrorCode, what: string, cause: unknown): ObjectRelayError {
  const { group, kind, attempt } = entry
  const details = { group, kind, attempt }
  const already = cause instanceof Error && 'details' in cause ? cause.details : {}
  return createError(code, `In the group ${JSON.stringify(group)}: ${what}`, {
    details: { ...(typeof already === 'object' ? already : {}), ...details },
    cause,
  })
}
