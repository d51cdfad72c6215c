import { createError, fromPlainError, isErrorCode, type ObjectRelayError } from '../errors.ts'

/** An error that came as plain data from the relay, of which nothing is taken for granted. */
export function reportedError(json: Readonly<Record<string, unknown>>): ObjectRelayError {
  const { code, message, details, cause } = json
  const text = typeof message === 'string' ? message : 'The relay gave no message.'
  if (!isErrorCode(code)) {
    return createError('PROTOCOL_VIOLATION', `The relay reports an error that this version does not know: ${text}`, {
      details: typeof code === 'string' ? { code } : {},
    })
  }
  return fromPlainError({
    code,
    message: text,
    details: plainDetails(details),
    ...(typeof cause === 'string' ? { cause } : {}),
  })
}

function plainDetails(details: unknown): Readonly<Record<string, string | number | boolean>> {
  if (typeof details !== 'object' || details === null) return {}
  return Object.fromEntries(
    Object.entries(details).filter(
      (entry): entry is [string, string | number | boolean] =>
        typeof entry[1] === 'string' || typeof entry[1] === 'number' || typeof entry[1] === 'boolean',
    ),
  )
}
