import { constants } from 'node:os'
import { createError, type ErrorCode, ObjectRelayError } from '../../errors.ts'

const { errno } = constants

interface Meaning {
  readonly code: ErrorCode
  readonly advice: string
}

const readOnly: Meaning = {
  code: 'STORE_READ_ONLY',
  advice: 'Give the user that runs the relay the right to write there, or name another folder.',
}
const full: Meaning = { code: 'STORE_FULL', advice: 'Make room on that disk.' }
const foreign: Meaning = { code: 'STORE_FOREIGN', advice: 'Name a folder that is empty, or is not there yet.' }
const failed: Meaning = { code: 'STORE_FAILED', advice: 'See what the operating system says of that disk.' }

const meanings: ReadonlyMap<string | number, Meaning> = new Map<string | number, Meaning>([
  ['EACCES', readOnly],
  ['EPERM', readOnly],
  ['EROFS', readOnly],
  ['ENOSPC', full],
  ['EDQUOT', full],
  ['ENOTDIR', foreign],
  ['EEXIST', foreign],
  // LMDB tells the numbers.
  [errno.EACCES, readOnly],
  [errno.EPERM, readOnly],
  [errno.EROFS, readOnly],
  [errno.ENOSPC, full],
  [errno.EDQUOT, full],
])

/** An error of the operating system or of LMDB about a store's folder, as one of ours; one that is ours stays as it is. */
export function folderError(folder: string, doing: string, cause: unknown): ObjectRelayError {
  if (cause instanceof ObjectRelayError) return cause
  const { code, advice } = meanings.get(codeOf(cause) ?? '') ?? failed
  const why = cause instanceof Error ? cause.message : String(cause)
  return createError(code, `The folder ${folder} of the store cannot be ${doing}: ${why}. ${advice}`, {
    cause,
    details: { dir: folder },
  })
}

/** Whether it says that there is no room on the disk. */
export function isFull(thrown: unknown): boolean {
  return meanings.get(codeOf(thrown) ?? '') === full
}

/** Whether there is no file of that name. */
export function isMissing(thrown: unknown): boolean {
  return codeOf(thrown) === 'ENOENT'
}

/** The store is not ours any more, or was not to begin with. */
export function inUse(folder: string): ObjectRelayError {
  const message = `Another relay uses the folder ${folder} of the store. Stop it, or give this one a folder of its own.`
  return createError('STORE_IN_USE', message, { details: { dir: folder } })
}

function codeOf(thrown: unknown): string | number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' || typeof thrown.code === 'number' ? thrown.code : undefined
}
