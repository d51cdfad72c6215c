import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { folderError } from './folderErrors.ts'
import { folderNames, syncFolder } from './storeFolder.ts'

const KEY_BYTES = 32
const hasPermissions = process.platform !== 'win32'

/**
 * The secret from which a relay derives what seals its tickets, in a file of its own that nobody else can read. One that is missing,
 * damaged, or was readable for others, is replaced: that costs the endpoints a password exchange each, and nothing else.
 */
export async function loadTicketKey(folder: string): Promise<Uint8Array> {
  const path = join(folder, folderNames.ticketKey)
  return (await readKey(path)) ?? (await makeKey(folder, path))
}

async function readKey(path: string): Promise<Uint8Array | undefined> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    const { size, mode } = await handle.stat()
    if (size !== KEY_BYTES || (hasPermissions && (mode & 0o077) !== 0)) return undefined
    const key = new Uint8Array(KEY_BYTES)
    const { bytesRead } = await handle.read(key, 0, KEY_BYTES, 0)
    return bytesRead === KEY_BYTES ? key : undefined
  } catch {
    return undefined
  } finally {
    await handle?.close()
  }
}

/** Whole or not at all, also if the machine stops meanwhile. */
async function makeKey(folder: string, path: string): Promise<Uint8Array> {
  const key = new Uint8Array(randomBytes(KEY_BYTES))
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(key)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (thrown) {
    await rm(temporary, { force: true })
    throw folderError(folder, 'written', thrown)
  }
  await syncFolder(folder)
  return key
}
