import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { createError } from '../errors.ts'
import type { Validity } from './certificateExpiry.ts'
import { readBoundedFile } from './privateFiles.ts'

export const keyFile = 'key.pem'
export const certificateFile = 'certificate.pem'
const keyBytesMax = 64 * 1024
const certificateBytesMax = 1024 * 1024
const rsaBitsMin = 2048

/** The private key and the certificate of a relay, both PEM. */
export interface RelayKeys {
  readonly key: string
  readonly certificate: string
  /** SHA-256 of the certificate, as openssl prints it: to be compared by eye. */
  readonly fingerprint256: string
  readonly validity: Validity
}

/** A key and its certificate with what is to be known of them; neither is checked. */
export function describeKeys(key: string, certificate: string): RelayKeys {
  const { fingerprint256, validFrom, validTo } = new X509Certificate(certificate)
  return { key, certificate, fingerprint256, validity: { fromMs: Date.parse(validFrom), toMs: Date.parse(validTo) } }
}

/** Reads `key.pem` and `certificate.pem` and checks that they are private, readable, valid today, and belong together. */
export async function loadKeys(
  keysDir: string,
  { nowMs = Date.now() }: { readonly nowMs?: number | undefined } = {},
): Promise<RelayKeys> {
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
  return describeKeys(key, certificate)
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

export function readCertificate(keysDir: string): Promise<string> {
  const rules = { what: 'certificate', bytesMax: certificateBytesMax, isPrivate: false }
  return readBoundedFile(join(keysDir, certificateFile), rules)
}

export async function readKey(keysDir: string): Promise<{ key: string; privateKey: KeyObject }> {
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

export function parseCertificate(certificate: string, where: string): X509Certificate {
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
