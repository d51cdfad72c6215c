import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createError, type ObjectRelayError } from '../errors.ts'

/** Permissions mean this only where there are POSIX permissions. */
const hasPermissions = process.platform !== 'win32'

export interface FileRules {
  /** What the file is, for messages. */
  readonly what: string
  readonly bytesMax: number
  /** Whether nobody but its owner (and the administrator) may read it. */
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
    if (isPrivate && hasPermissions && (status.mode & 0o077) !== 0) throw exposed(file, what, status.mode)
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

/** Writes a new file with mode 0600, whole or not at all; KEY_EXISTS if there is one already. */
export async function createPrivateFile(file: string, text: string, what: string): Promise<void> {
  const temporary = await writeTemporary(file, text, what)
  try {
    await publish(temporary, file, text)
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

/** Replaces a file with mode 0600 in one step: a reader finds the old or the new one, whole. */
export async function replacePrivateFile(file: string, text: string, what: string): Promise<void> {
  const temporary = await writeTemporary(file, text, what)
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

async function writeTemporary(file: string, text: string, what: string): Promise<string> {
  const temporary = join(dirname(file), `.${randomBytes(8).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx', 0o600)
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
async function publish(temporary: string, file: string, text: string): Promise<void> {
  try {
    await link(temporary, file)
  } catch (cause) {
    const code = errorCodeOf(cause)
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw cause
    const handle = await open(file, 'wx', 0o600)
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

function exposed(file: string, what: string, mode: number): ObjectRelayError {
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  return createError(
    'KEY_EXPOSED',
    `The ${what} ${file} can be read by other users of this machine (mode ${octal}). Run: chmod 600 '${file}'`,
    { details: { path: file, mode: octal } },
  )
}
