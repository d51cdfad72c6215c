import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { createError } from '../errors.ts'
import { defaultHostnames, makeCertificate, makePrivateKey, selfMadeOrganization } from './certificate.ts'
import {
  certificateFile,
  keyFile,
  loadKeys,
  parseCertificate,
  type RelayKeys,
  readCertificate,
  readKey,
} from './keyFiles.ts'
import {
  createPrivateFile,
  createPublicFile,
  errorCodeOf,
  makePrivateFolder,
  replacePublicFile,
} from './privateFiles.ts'

/** A certificate of our own making is replaced this long before its last day. */
const renewMs = 30 * 24 * 60 * 60 * 1000

export interface KeyOptions {
  /** For which names a certificate is made; by default those of this machine. */
  readonly hostnames?: readonly string[] | undefined
  readonly nowMs?: number | undefined
}

/**
 * Where a relay without the option `keysDir` keeps its keys: in the user's data folder (`XDG_DATA_HOME` is respected).
 * Rejects with KEY_UNWRITABLE for a user without a home, as a container may have.
 */
export async function defaultKeyFolder(): Promise<string> {
  try {
    // Only here: the package asks for the home when it is loaded, and fails if there is none.
    const { default: envPaths } = await import('env-paths')
    return join(envPaths('objectrelay', { suffix: '' }).data, 'keys')
  } catch (cause) {
    const { XDG_DATA_HOME } = process.env
    if (XDG_DATA_HOME !== undefined && XDG_DATA_HOME !== '') return join(XDG_DATA_HOME, 'objectrelay', 'keys')
    throw createError('KEY_UNWRITABLE', 'There is no folder for keys: this user has no home folder.', { cause })
  }
}

/** Makes a key and a certificate in a folder that has neither; KEY_EXISTS if it has one. */
export async function makeKeys(keysDir: string, options: KeyOptions = {}): Promise<RelayKeys> {
  await makePrivateFolder(keysDir)
  if (await exists(keysDir, certificateFile)) {
    throw createError(
      'KEY_EXISTS',
      `There is a certificate in ${keysDir} already; it is not overwritten. Choose another folder, or move it away first.`,
      { details: { path: keysDir } },
    )
  }
  await createPrivateFile(join(keysDir, keyFile), makePrivateKey(), 'private key')
  await makeMissing(keysDir, options)
  return loadKeys(keysDir, options)
}

/**
 * Loads the keys of a folder, makes what is missing, and renews a certificate of our own making that comes to its end.
 * Two relays may do so at the same time: whoever is first makes the key, the certificate is always made for the key that
 * is there, and both end up with the same.
 */
export async function loadOrMakeKeys(keysDir: string, options: KeyOptions = {}): Promise<RelayKeys> {
  await makePrivateFolder(keysDir)
  const hasCertificate = await exists(keysDir, certificateFile)
  // A certificate without its key is somebody's, or a mistake: not ours to complete.
  if (!hasCertificate || (await exists(keysDir, keyFile))) await makeMissing(keysDir, options)
  if (hasCertificate) await renew(keysDir, options)
  return loadKeys(keysDir, options)
}

async function makeMissing(
  keysDir: string,
  { hostnames = defaultHostnames(), nowMs = Date.now() }: KeyOptions,
): Promise<void> {
  if (!(await exists(keysDir, keyFile))) {
    await unlessThere(createPrivateFile(join(keysDir, keyFile), makePrivateKey(), 'private key'))
  }
  if (await exists(keysDir, certificateFile)) return
  const { key, privateKey } = await readKey(keysDir)
  // Somebody else's key, whose certificate is missing, is reported by whoever loads the folder.
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return
  const certificate = makeCertificate({ key, hostnames, nowMs })
  await unlessThere(createPublicFile(join(keysDir, certificateFile), certificate, 'certificate'))
}

async function renew(
  keysDir: string,
  { hostnames = defaultHostnames(), nowMs = Date.now() }: KeyOptions,
): Promise<void> {
  const path = join(keysDir, certificateFile)
  const old = parseCertificate(await readCertificate(keysDir), path)
  const isOurs = old.subject.split('\n').includes(`O=${selfMadeOrganization}`)
  const remainingMs = Date.parse(old.validTo) - nowMs
  if (!isOurs || remainingMs > renewMs) return
  const { key, privateKey } = await readKey(keysDir)
  if (!old.checkPrivateKey(privateKey)) return // loadKeys says so
  try {
    await replacePublicFile(path, makeCertificate({ key, hostnames, nowMs }), 'certificate')
  } catch (thrown) {
    // In a folder that cannot be written the old one still serves, to its last day.
    if (errorCodeOf(thrown) !== 'KEY_UNWRITABLE' || remainingMs < 0) throw thrown
  }
}

async function unlessThere(creation: Promise<void>): Promise<void> {
  try {
    await creation
  } catch (thrown) {
    if (errorCodeOf(thrown) !== 'KEY_EXISTS') throw thrown
  }
}

/** Whether there is something of that name; whether it can be read and is what it should be is found out later. */
async function exists(keysDir: string, name: string): Promise<boolean> {
  try {
    await access(join(keysDir, name))
    return true
  } catch (thrown) {
    return errorCodeOf(thrown) !== 'ENOENT'
  }
}
