import { createError, type ObjectRelayError } from '../../errors.ts'

/** What a store holds is not what was written. `where` names the segment or value, `what` is wrong with it. */
export function storeCorrupt(where: string, what: string): ObjectRelayError {
  const message = `${where} of the store ${what}. Put a backup of the store in its place, or move it away and start with an empty one.`
  return createError('STORE_CORRUPT', message, { details: { where } })
}

/** The same for a segment. */
export function segmentCorrupt(segment: number, what: string): ObjectRelayError {
  return storeCorrupt(`Segment ${segment}`, what)
}

/** The same for the block of a segment that begins at `offset`. */
export function blockCorrupt(segment: number, offset: number, what: string): ObjectRelayError {
  return storeCorrupt(`The block at ${offset} of segment ${segment}`, what)
}

/** It was written by a version of this library that is newer than this one. */
export function storeVersion(where: string, version: number, known: number): ObjectRelayError {
  const message = `${where} of the store has the format ${version}; this version of objectrelay knows the format ${known}. Install the version that wrote it.`
  return createError('STORE_VERSION', message, { details: { where, version, known } })
}
