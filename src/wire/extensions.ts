import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { readUint16 } from './integers.ts'

/** Before the extensions of an object: u16, the bytes of all of them. */
export const EXTENSIONS_HEAD_BYTES = 2
/** Before the value of each: u16 type, u16 valueBytes. */
export const EXTENSION_HEAD_BYTES = 4

/**
 * Where the extensions of an object end that begin at `at`. This version knows no type of extension and skips them all; only that
 * they are whole is checked, so that whoever knows a type may read it. Throws `PROTOCOL_VIOLATION`.
 */
export function checkExtensions(buffer: Buffer, at: number, frameEnd: number): number {
  const bytes = at + EXTENSIONS_HEAD_BYTES > frameEnd ? 0 : readUint16(buffer, at)
  const end = at + EXTENSIONS_HEAD_BYTES + bytes
  if (bytes === 0 || bytes > fixedLimits.extensionBytesMax || end > frameEnd) throw malformed()
  for (let next = at + EXTENSIONS_HEAD_BYTES; next < end; ) {
    const valueAt = next + EXTENSION_HEAD_BYTES
    next = valueAt > end ? end + 1 : valueAt + readUint16(buffer, next + 2)
    if (next > end) throw malformed()
  }
  return end
}

function malformed(): Error {
  return createError('PROTOCOL_VIOLATION', 'The peer sent an object with extensions that are cut, empty or too long.')
}
