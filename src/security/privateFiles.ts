import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createError, type ObjectRelayError } from '../errors.ts'
import { type PermissionFault, privateFileFault } from './filePermissions.ts'

const PRIVATE = 0o600
const PUBLIC = 0o644

interface NewFile {
  readonly what: string
  readonly mode: number
}

export interface FileRules {
  /** What the file is, for messages. */
  readonly what: string
  readonly bytesMax: number
  /** Whether nobody but its owner (and the administrator) may read it, see {@link privateFileFault}. */
  readonly isPrivate: boolean
}

/** Reads a small text file; what is missing, too large, no plain file or exposed is an error of its own. */
export async function readBoundedFile(file: string, { what, bytesMax, isPrivate }: FileRules): Promise<string> {
  let handle: FileHandle
  try {
    // Not to block on a named pipe that nobody writes to; Windows does not know the flag.
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (cause) {
    throw unreadable(file, what, cause)
  }
  try {
    const status = await handle.stat()
    if (!status.isFile()) throw createError('KEY_UNREADABLE', `The ${what} ${file} is not a plain file.`, at(file))
    const fault = isPrivate ? await permissionFaultOf(file, handle) : undefined
    if (fault !== undefined) throw exposed(file, what, fault)
    // Read at most one byte more than allowed: a file may grow between the question for its size and the reading.
    const content = Buffer.alloc(Math.min(status.size, bytesMax) + 1)
    const { bytesRead } = await handle.read(content, 0, content.length, 0)
    if (bytesRead > bytesMax) {
      throw createError('KEY_INVALID', `The ${what} ${file} has more than ${bytesMax} bytes.`, at(file))
    }
    return content.toString('utf8', 0, bytesRead)
  } catch (thrown) {
    throw isSystemError(thrown) ? unreadable(file, what, thrown) : thrown
  } finally {
    await handle.close()
  }
}

/**
 * Why an opened file is not private to this user; `undefined` if it is, where there are no such permissions (Windows), and
 * for what is no plain file, such as a pipe.
 */
export async function permissionFaultOf(path: string, handle: FileHandle): Promise<PermissionFault | undefined> {
  const userId = process.geteuid?.()
  if (userId === undefined) return undefined
  // Of what was opened, not of what has its name now.
  const file = await handle.stat()
  if (!file.isFile()) return undefined
  const paths = new Set([dirname(path), dirname(await realpath(path))])
  const folders = await Promise.all([...paths].map(async (folder) => ({ path: folder, ...(await stat(folder)) })))
  return privateFileFault({ path, file, folders }, userId)
}

/** Writes a new file that only its owner can read (0600), whole or not at all; KEY_EXISTS if there is one already. */
export function createPrivateFile(file: string, text: string, what: string): Promise<void> {
  return createFile(file, text, { what, mode: PRIVATE })
}

/** Writes a new file that everybody may read (0644), whole or not at all; KEY_EXISTS if there is one already. */
export function createPublicFile(file: string, text: string, what: string): Promise<void> {
  return createFile(file, text, { what, mode: PUBLIC })
}

async function createFile(file: string, text: string, { what, mode }: NewFile): Promise<void> {
  const temporary = await writeTemporary(file, text, { what, mode })
  try {
    await publish(temporary, file, text, mode)
  } catch (cause) {
    if (errorCodeOf(cause) === 'EEXIST') {
      throw createError(
        'KEY_EXISTS',
        `The ${what} ${file} is there already; it is not overwritten. Move it away first.`,
        {
          cause,
          ...at(file),
        },
      )
    }
    throw unwritable(file, what, cause)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Replaces a file that everybody may read in one step: a reader finds the old or the new one, whole. */
export async function replacePublicFile(file: string, text: string, what: string): Promise<void> {
  const temporary = await writeTemporary(file, text, { what, mode: PUBLIC })
  try {
    await rename(temporary, file)
  } catch (cause) {
    throw unwritable(file, what, cause)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Makes a folder that only its owner can enter; one that is there stays as it is. */
export async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw unwritable(folder, 'folder', cause)
  }
}

async function writeTemporary(file: string, text: string, { what, mode }: NewFile): Promise<string> {
  const temporary = join(dirname(file), `.${randomBytes(8).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    await rm(temporary, { force: true })
    throw unwritable(file, what, cause)
  }
  return temporary
}

/** A link appears whole or fails with EEXIST, also between processes; where there are no links, an exclusive file must do. */
async function publish(temporary: string, file: string, text: string, mode: number): Promise<void> {
  try {
    await link(temporary, file)
  } catch (cause) {
    const code = errorCodeOf(cause)
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw cause
    const handle = await open(file, 'wx', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}

/** The code of an error of the operating system, or of Node. */
export function errorCodeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}

function isSystemError(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown
}

function at(file: string): { details: { path: string } } {
  return { details: { path: file } }
}

function unreadable(file: string, what: string, cause: unknown): ObjectRelayError {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file',
    ENOTDIR: 'a part of its path is not a folder',
    EACCES: 'this user is not allowed to read it',
    EISDIR: 'it is a folder',
  }
  const code = errorCodeOf(cause) ?? 'unknown error'
  return createError('KEY_UNREADABLE', `The ${what} ${file} cannot be read: ${reasons[code] ?? code}.`, {
    cause,
    ...at(file),
  })
}

function unwritable(file: string, what: string, cause: unknown): ObjectRelayError {
  const code = errorCodeOf(cause) ?? 'unknown error'
  return createError('KEY_UNWRITABLE', `The ${what} ${file} cannot be written: ${code}.`, { cause, ...at(file) })
}

function exposed(file: string, what: string, { fault, remedy, mode }: PermissionFault): ObjectRelayError {
  return createError('KEY_EXPOSED', `The ${what} ${file} ${fault}. Run: ${remedy}`, { details: { path: file, mode } })
}
