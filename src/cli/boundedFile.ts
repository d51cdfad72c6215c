import { type FileHandle, open } from 'node:fs/promises'
import { createError, type ObjectRelayError } from '../errors.ts'
import type { PermissionFault } from '../security/filePermissions.ts'
import { errorCodeOf, permissionFaultOf } from '../security/privateFiles.ts'

/** A small file that was read, and why it is not private to this user, if it is not. */
export interface SmallFile {
  readonly text: string
  readonly exposure: PermissionFault | undefined
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of its path is not a folder',
  EACCES: 'this user is not allowed to',
  EPERM: 'this user is not allowed to',
  EISDIR: 'it is a folder',
  EEXIST: 'it is there already; --force overwrites it',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
}

function reasonOf(cause: unknown): string {
  const code = errorCodeOf(cause)
  if (code !== undefined) return reasons[code] ?? code
  return cause instanceof Error ? cause.message : 'unknown error'
}

/** The error about a file that a command should read. */
export function unreadableFile(path: string, what: string, cause: unknown): ObjectRelayError {
  return createError('FILE_UNREADABLE', `The ${what} ${path} cannot be read: ${reasonOf(cause)}.`, {
    cause,
    details: { path },
  })
}

/** The error about a file that a command should write. */
export function unwritableFile(path: string, what: string, cause: unknown): ObjectRelayError {
  return createError('FILE_UNWRITABLE', `The ${what} ${path} cannot be written: ${reasonOf(cause)}.`, {
    cause,
    details: { path },
  })
}

/**
 * Reads a text file of at most `bytesMax` bytes; a pipe will do too, such as the one of `<(pass show relay)`, and so it
 * is read until its end instead of asked for its size.
 */
export async function readSmallFile(path: string, what: string, bytesMax: number): Promise<SmallFile> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (cause) {
    throw unreadableFile(path, what, cause)
  }
  try {
    const exposure = await permissionFaultOf(path, handle)
    const content = Buffer.alloc(bytesMax + 1)
    let bytes = 0
    for (;;) {
      const { bytesRead } = await handle.read(content, bytes, content.length - bytes, null)
      bytes += bytesRead
      if (bytes > bytesMax) {
        throw createError('FILE_UNREADABLE', `The ${what} ${path} has more than ${bytesMax} bytes.`, {
          details: { path },
        })
      }
      if (bytesRead === 0) break
    }
    return { text: content.toString('utf8', 0, bytes), exposure }
  } catch (thrown) {
    throw errorCodeOf(thrown) === 'FILE_UNREADABLE' ? thrown : unreadableFile(path, what, thrown)
  } finally {
    await handle.close()
  }
}
