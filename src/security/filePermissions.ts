/** What POSIX permissions say of a file or folder; on Windows, where they say nothing, nobody asks. */
export interface Permissions {
  /** The number of the user that owns it. */
  readonly uid: number
  readonly mode: number
}

/** A private file and the folders that it is found in: the one that was named and, behind symbolic links, the one where it lies. */
export interface PrivatePlace {
  readonly path: string
  readonly file: Permissions
  readonly folders: readonly (Permissions & { readonly path: string })[]
}

/** Why a file is not private. */
export interface PermissionFault {
  /** Completes "the file ...". */
  readonly fault: string
  /** The command that fixes it. */
  readonly remedy: string
  /** What is at fault, as four octal digits. */
  readonly mode: string
}

const READ_BY_GROUP = 0o040
const ANY_BY_GROUP = 0o070
const ANY_BY_OTHERS = 0o007
const WRITE_BY_OTHERS = 0o002
const STICKY = 0o1000
const ROOT = 0

/**
 * Whether nobody but `userId` and the administrator can read or replace a file, by the rule that PostgreSQL has for its keys:
 *
 * - It belongs to the user that the program runs as, and only that user can read it (0600, 0400); or it belongs to root,
 *   which may let a group read it, too (0640, 0440): whoever reads it then is in the group because root put them there. So
 *   Kubernetes mounts secrets with `fsGroup`, and Debian keeps keys for the group `ssl-cert`.
 * - No group can write it, and others can do nothing with it.
 * - Its folder belongs to one of the two as well, and not everybody can write there, unless it is sticky as /tmp is: whoever
 *   can write in a folder can put another file in the place of this one.
 */
export function privateFileFault({ path, file, folders }: PrivatePlace, userId: number): PermissionFault | undefined {
  return fileFault(path, file, userId) ?? folders.map((folder) => folderFault(folder, userId)).find(Boolean)
}

function fileFault(path: string, { uid, mode }: Permissions, userId: number): PermissionFault | undefined {
  const octal = octalMode(mode)
  if (uid !== ROOT && uid !== userId) {
    const fault = `belongs to another user (number ${uid}), who can read and replace it; this program runs as user ${userId}`
    return { fault, remedy: `chown ${userId} '${path}'`, mode: octal }
  }
  const allowedToGroup = uid === ROOT ? READ_BY_GROUP : 0
  if ((mode & ANY_BY_OTHERS) === 0 && (mode & ANY_BY_GROUP & ~allowedToGroup) === 0) return undefined
  // A program that is not root may need the group to read what belongs to root.
  const remedy = `chmod ${uid === ROOT && userId !== ROOT ? '640' : '600'} '${path}'`
  return { fault: `is open to other users of this machine (mode ${octal})`, remedy, mode: octal }
}

function folderFault(
  { path, uid, mode }: Permissions & { readonly path: string },
  userId: number,
): PermissionFault | undefined {
  const octal = octalMode(mode)
  if (uid !== ROOT && uid !== userId) {
    const fault = `lies in the folder ${path} of another user (number ${uid}), who can replace it; this program runs as user ${userId}`
    return { fault, remedy: `chown ${userId} '${path}'`, mode: octal }
  }
  if ((mode & WRITE_BY_OTHERS) === 0 || (mode & STICKY) !== 0) return undefined
  const fault = `lies in the folder ${path}, where every user of this machine can replace it (mode ${octal})`
  return { fault, remedy: `chmod o-w '${path}'`, mode: octal }
}

function octalMode(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}
