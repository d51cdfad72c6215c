import type { FailureError } from '../../deadLetter.ts'
import { messageOf, propertyIn } from '../../thrown.ts'

/** What was thrown, as the text that travels with a release: as much of it as can be read. */
export function failureErrorOf(thrown: unknown): FailureError {
  const name = propertyIn(thrown, 'name')
  const code = propertyIn(thrown, 'code')
  const stack = propertyIn(thrown, 'stack')
  return {
    ...(name === undefined ? {} : { name }),
    message: messageOf(thrown),
    ...(code === undefined ? {} : { code }),
    ...(stack === undefined ? {} : { stack }),
  }
}
