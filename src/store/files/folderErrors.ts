import { createError, type ErrorCode, ObjectRelayError } from '../../errors.ts'

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

const meanings: ReadonlyMap<string, Meaning> = new Map([
  ['EACCES', readOnly],
  ['EPERM', readOnly],
  ['EROFS', readOnly],
  ['ENOSPC', full],
  ['EDQUOT', full],
  ['ENOTDIR', foreign],
  ['EEXIST', foreign],
])

/** An error of the operating system about a store's folder, as one of ours; one that is ours stays as it is. */
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

/** The folder is not ours any more, or was not to begin with. `owner` says whose it is, as far as that is known. */
export function inUse(folder: string, owner: string | undefined): ObjectRelayError {
  const who = owner === undefined ? 'Another relay' : `Another relay (${owner})`
  const message = `${who} uses the folder ${folder} of the store. Stop it, or give this one a folder of its own.`
  return createError('STORE_IN_USE', message, { details: { dir: folder, ...(owner === undefined ? {} : { owner }) } })
}

function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}
