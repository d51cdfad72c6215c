import {
  type DeadLetter,
  type DeathReason,
  type FailureError,
  failureBytesMax,
  type LeaseFailure,
  releaseReasons,
} from '../deadLetter.ts'
import { createError } from '../errors.ts'

/**
 * The JSON of a RELEASE, which says why an object is given back, and that of a CONTEXT, which says how an object died. Both
 * are drawn in PROTOCOL.md.
 */

const deathReasons: readonly DeathReason[] = [...releaseReasons, 'lost', 'progress', 'violation']
const errorFields = ['name', 'message', 'code', 'stack'] as const

/** Of each field of an error, no more than so many characters are sent, and of a long stack or message less if need be. */
const charactersMax: Readonly<Record<(typeof errorFields)[number], number>> = {
  name: 100,
  message: 1_000,
  code: 100,
  stack: 2_000,
}

/** A failure in at most `failureBytesMax` bytes: of what is too long the end is left out. */
export function encodeFailure({ reason, error }: LeaseFailure): Buffer {
  if (error === undefined) return Buffer.from(JSON.stringify({ reason }))
  const texts: Record<string, string> = {}
  for (const field of errorFields) {
    const text = error[field]
    if (text !== undefined) texts[field] = text.slice(0, charactersMax[field])
  }
  for (;;) {
    const bytes = Buffer.from(JSON.stringify({ reason, error: texts }))
    if (bytes.length <= failureBytesMax) return bytes
    // A character takes up to six bytes. What is left without stack and message always fits.
    const field = texts.stack ? 'stack' : 'message'
    const text = texts[field] ?? ''
    texts[field] = text.slice(0, text.length >>> 1)
  }
}

/** Throws `PROTOCOL_VIOLATION` unless every field is of its type. */
export function readFailure(json: Readonly<Record<string, unknown>>): LeaseFailure {
  const { reason = 'released', error } = json
  const known = releaseReasons.find((one) => one === reason)
  if (known === undefined) throw malformed('reason of a RELEASE')
  return error === undefined ? { reason: known } : { reason: known, error: readError(error) }
}

export function encodeDeadLetter({ reason, attempts, endpoint, name, diedAtMs, error }: DeadLetter): Buffer {
  return Buffer.from(JSON.stringify({ reason, attempts, endpoint, name, diedAtMs, error }))
}

/** Throws `PROTOCOL_VIOLATION` unless every field is of its type. */
export function readDeadLetter(json: Readonly<Record<string, unknown>>): DeadLetter {
  const { reason, attempts, endpoint, name, diedAtMs, error } = json
  const known = deathReasons.find((one) => one === reason)
  if (known === undefined) throw malformed('reason of a dead letter')
  if (!isCount(attempts) || !isCount(diedAtMs)) throw malformed('number of a dead letter')
  if (typeof endpoint !== 'string' || (name !== undefined && typeof name !== 'string')) {
    throw malformed('endpoint of a dead letter')
  }
  return {
    reason: known,
    attempts,
    endpoint,
    ...(name === undefined ? {} : { name }),
    diedAtMs,
    ...(error === undefined ? {} : { error: readError(error) }),
  }
}

function readError(value: unknown): FailureError {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('error')
  const given = new Map<string, unknown>(Object.entries(value))
  const error: { -readonly [Field in keyof FailureError]: FailureError[Field] } = {}
  for (const field of errorFields) {
    const text = given.get(field)
    if (text === undefined) continue
    if (typeof text !== 'string') throw malformed(`${field} of an error`)
    error[field] = text
  }
  return error
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function malformed(what: string): Error {
  return createError('PROTOCOL_VIOLATION', `The peer sent a ${what} that cannot be.`)
}
