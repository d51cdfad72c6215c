import { X509Certificate } from 'node:crypto'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { certificateFile, keyFile, loadKeys, parseCertificate, readCertificate } from '../security/keyFiles.ts'
import { printable } from './output.ts'

/** What people want to know of a certificate. */
export interface CertificateFacts {
  readonly subject: string
  readonly names: readonly string[]
  readonly validFrom: string
  readonly validTo: string
  readonly fingerprint256: string
}

/** The facts of a certificate in PEM or DER form. */
export function certificateFacts(certificate: string | Uint8Array): CertificateFacts {
  const { subject, subjectAltName, validFrom, validTo, fingerprint256 } = new X509Certificate(certificate)
  return {
    subject: subject.split('\n').join(', '),
    names: subjectAltName === undefined ? [] : subjectAltName.split(', ').map(withoutKind),
    validFrom: new Date(validFrom).toISOString(),
    validTo: new Date(validTo).toISOString(),
    fingerprint256,
  }
}

/** The same for people; a certificate from outside may hold anything. */
export function describeCertificate({ subject, names, validFrom, validTo, fingerprint256 }: CertificateFacts): string {
  const lines: readonly (readonly [string, string])[] = [
    ['subject', subject],
    ['names', names.length === 0 ? 'none; the common name of the subject counts' : names.join(', ')],
    ['valid', `${validFrom} to ${validTo}`],
    ['SHA-256', fingerprint256],
  ]
  return lines.map(([name, value]) => `${name.padEnd(12)} ${printable(value)}`).join('\n')
}

/** The certificate of a folder; when there is a key beside it, both are checked as a relay checks them. */
export async function showKeys(keysDir: string): Promise<CertificateFacts & { keysDir: string; hasKey: boolean }> {
  const hasKey = await isThere(join(keysDir, keyFile))
  const certificate = hasKey ? (await loadKeys(keysDir)).certificate : await readCertificate(keysDir)
  parseCertificate(certificate, join(keysDir, certificateFile))
  return { keysDir, hasKey, ...certificateFacts(certificate) }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** `DNS:localhost` and `IP Address:127.0.0.1` without their kinds. */
function withoutKind(name: string): string {
  return name.replace(/^(?:DNS|IP Address):/, '')
}
