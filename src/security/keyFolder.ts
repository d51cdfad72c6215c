import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import envPaths from 'env-paths'
import { createError } from '../errors.ts'
import { defaultHostnames, makeCertificate, makePrivateKey, selfMadeOrganization } from './certificate.ts'
import {
  createPrivateFile,
  errorCodeOf,
  makePrivateFolder,
  readBoundedFile,
  replacePrivateFile,
} from './privateFiles.ts'

const keyFile = 'key.pem'
const certificateFile = 'certificate.pem'
const keyBytesMax = 64 * 1024
const certificateBytesMax = 1024 * 1024
const rsaBitsMin = 2048
/** A certificate of our own making is replaced this long before its last day. */
const renewMs = 30 * 24 * 60 * 60 * 1000

/** The private key and the certificate of a relay, both PEM. */
export interface RelayKeys {
  readonly key: string
  readonly certificate: string
  /** SHA-256 of the certificate, as openssl prints it: to be compared by eye. */
  readonly fingerprint256: string
}

export interface KeyOptions {
  /** For which names a certificate is made; by default those of this machine. */
  readonly hostnames?: readonly string[] | undefined
  readonly nowMs?: number | undefined
}

/** Where a relay without the option `keysDir` keeps its keys: in the user's data folder (`XDG_DATA_HOME` is respected). */
export function defaultKeyFolder(): string {
  return join(envPaths('objectrelay', { suffix: '' }).data, 'keys')
}

/** Reads `key.pem` and `certificate.pem` and checks that they are private, readable, valid today, and belong together. */
export async function loadKeys(keysDir: string, { nowMs = Date.now() }: KeyOptions = {}): Promise<RelayKeys> {
  const { key, privateKey } = await readKey(keysDir)
  const certificate = await readCertificate(keysDir)
  const parsed = parseCertificate(certificate, join(keysDir, certificateFile))
  if (!parsed.checkPrivateKey(privateKey)) {
    throw createError(
      'KEY_MISMATCH',
      `The private key in ${join(keysDir, keyFile)} does not belong to the certificate beside it. Make or copy both together.`,
      { details: { path: keysDir } },
    )
  }
  checkDates(parsed, join(keysDir, certificateFile), nowMs)
  return { key, certificate, fingerprint256: parsed.fingerprint256 }
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
export async function loadOrMakeKeys(
  keysDir: string = defaultKeyFolder(),
  options: KeyOptions = {},
): Promise<RelayKeys> {
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
  const { key } = await readKey(keysDir)
  const certificate = makeCertificate({ key, hostnames, nowMs })
  await unlessThere(createPrivateFile(join(keysDir, certificateFile), certificate, 'certificate'))
}

async function renew(
  keysDir: string,
  { hostnames = defaultHostnames(), nowMs = Date.now() }: KeyOptions,
): Promise<void> {
  const path = join(keysDir, certificateFile)
  const old = parseCertificate(await readCertificate(keysDir), path)
  const isOurs = old.subject.split('\n').includes(`O=${selfMadeOrganization}`)
  if (!isOurs || Date.parse(old.validTo) - nowMs > renewMs) return
  const { key, privateKey } = await readKey(keysDir)
  if (!old.checkPrivateKey(privateKey)) return
  await replacePrivateFile(path, makeCertificate({ key, hostnames, nowMs }), 'certificate')
}

/** The certificate that an endpoint trusts: of a folder (its `key.pem` is not needed), or given as PEM or as a path. */
export async function loadCertificateAuthority(
  source: { readonly keysDir: string } | { readonly ca: string | Uint8Array },
): Promise<string> {
  if ('keysDir' in source) {
    const certificate = await readCertificate(source.keysDir)
    parseCertificate(certificate, join(source.keysDir, certificateFile))
    return certificate
  }
  const text = typeof source.ca === 'string' ? source.ca : Buffer.from(source.ca).toString('latin1')
  const isContent = typeof source.ca !== 'string' || text.includes('-----BEGIN')
  const certificate = isContent
    ? text
    : await readBoundedFile(text, { what: 'certificate', bytesMax: certificateBytesMax, isPrivate: false })
  parseCertificate(certificate, isContent ? 'of the option ca' : text)
  return certificate
}

async function unlessThere(creation: Promise<void>): Promise<void> {
  try {
    await creation
  } catch (thrown) {
    if (errorCodeOf(thrown) !== 'KEY_EXISTS') throw thrown
  }
}

async function exists(keysDir: string, name: string): Promise<boolean> {
  try {
    await readBoundedFile(join(keysDir, name), { what: name, bytesMax: certificateBytesMax, isPrivate: false })
    return true
  } catch (thrown) {
    if (thrown instanceof Error && errorCodeOf(thrown.cause) === 'ENOENT') return false
    throw thrown
  }
}

function readCertificate(keysDir: string): Promise<string> {
  const rules = { what: 'certificate', bytesMax: certificateBytesMax, isPrivate: false }
  return readBoundedFile(join(keysDir, certificateFile), rules)
}

async function readKey(keysDir: string): Promise<{ key: string; privateKey: KeyObject }> {
  const path = join(keysDir, keyFile)
  const key = await readBoundedFile(path, { what: 'private key', bytesMax: keyBytesMax, isPrivate: true })
  if (/BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type:.*ENCRYPTED/m.test(key)) {
    throw createError(
      'KEY_ENCRYPTED',
      `The private key ${path} is protected by a passphrase. Write it without: openssl pkey -in '${path}' -out new.pem`,
      { details: { path } },
    )
  }
  return { key, privateKey: parseKey(key, path) }
}

function parseKey(key: string, path: string): KeyObject {
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(key)
  } catch (cause) {
    throw createError('KEY_INVALID', `The file ${path} does not hold a private key in PEM form.`, {
      cause,
      details: { path },
    })
  }
  const type = privateKey.asymmetricKeyType ?? 'unknown'
  const bits = privateKey.asymmetricKeyDetails?.modulusLength
  if (!['rsa', 'rsa-pss', 'ec', 'ed25519'].includes(type) || (bits !== undefined && bits < rsaBitsMin)) {
    throw createError(
      'KEY_INVALID',
      `The private key ${path} is ${type}${bits === undefined ? '' : ` with ${bits} bits`}; TLS needs RSA from ${rsaBitsMin} bits, EC or Ed25519.`,
      { details: { path } },
    )
  }
  return privateKey
}

function parseCertificate(certificate: string, where: string): X509Certificate {
  try {
    return new X509Certificate(certificate)
  } catch (cause) {
    throw createError('KEY_INVALID', `The certificate ${where} is not a certificate in PEM form.`, {
      cause,
      details: { path: where },
    })
  }
}

function checkDates({ validFrom, validTo }: X509Certificate, path: string, nowMs: number): void {
  const today = new Date(nowMs).toISOString()
  if (nowMs > Date.parse(validTo)) {
    throw createError(
      'CERTIFICATE_EXPIRED',
      `The certificate ${path} was valid until ${validTo}; now it is ${today}. Make a new one.`,
      {
        details: { path, validTo },
      },
    )
  }
  if (nowMs < Date.parse(validFrom)) {
    throw createError(
      'CERTIFICATE_NOT_YET_VALID',
      `The certificate ${path} is valid from ${validFrom} on; now it is ${today}. Check the clock of this machine.`,
      { details: { path, validFrom } },
    )
  }
}
