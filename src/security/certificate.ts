import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { hostname } from 'node:os'
import { domainToASCII } from 'node:url'
import { createError } from '../errors.ts'
import { isHostName, parseAddress } from './address.ts'
import {
  bitString,
  boolean,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  tagged,
  time,
  utf8String,
} from './der.ts'

const dayMs = 24 * 60 * 60 * 1000
/** Long, since nobody is there to renew it on the day; a relay renews its own when it starts. */
const validDays = 3_650
const hostnamesMax = 100

/** How we recognise a certificate that we made ourselves. */
export const selfMadeOrganization = 'objectrelay self-made'

export interface CertificateOptions {
  /** The private key, PEM. */
  readonly key: string
  /** Host names and addresses by which the relay is reached. */
  readonly hostnames: readonly string[]
  readonly nowMs: number
}

/** A new private key for a relay: ECDSA on P-256, as PKCS #8 in PEM. */
export function makePrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** `localhost`, its two addresses and the name of this machine, if that can be a host name. */
export function defaultHostnames(): readonly string[] {
  const own = domainToASCII(hostname())
  return [...new Set([...(isHostName(own) ? [own] : []), 'localhost', '127.0.0.1', '::1'])]
}

/**
 * A self-signed certificate (RFC 5280) for a P-256 key, as PEM: valid from a day ago, for clocks that differ. It
 * identifies a server and cannot issue others.
 */
export function makeCertificate({ key, hostnames, nowMs }: CertificateOptions): string {
  const privateKey = createPrivateKey(key)
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const names = checkHostnames(hostnames)
  const name = distinguishedName(names[0] ?? 'localhost')
  const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  const content = sequence(
    tagged(0, integer(Uint8Array.of(2)), 'constructed'), // version 3
    integer(serialNumber()),
    algorithm,
    name,
    sequence(time(new Date(nowMs - dayMs)), time(new Date(nowMs + validDays * dayMs))),
    name,
    publicKey,
    tagged(3, extensions(publicKey, names), 'constructed'),
  )
  const signature = sign('sha256', content, { key: privateKey, dsaEncoding: 'der' })
  return pem(sequence(content, algorithm, bitString(signature)))
}

function checkHostnames(hostnames: readonly string[]): readonly string[] {
  if (hostnames.length === 0 || hostnames.length > hostnamesMax) {
    throw createError(
      'INVALID_OPTION',
      `A certificate needs 1 to ${hostnamesMax} host names, not ${hostnames.length}.`,
      {
        details: { option: 'hostnames' },
      },
    )
  }
  return hostnames.map((given) => {
    const ascii = parseAddress(given) === undefined ? domainToASCII(given) : given
    if (parseAddress(ascii) !== undefined || isHostName(ascii)) return ascii
    throw createError('INVALID_OPTION', `"${given}" is neither a host name nor an address.`, {
      details: { option: 'hostnames' },
    })
  })
}

/** Positive, not zero, 16 bytes: nobody else will have it. */
function serialNumber(): Uint8Array {
  const serial = new Uint8Array(randomBytes(16))
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  return serial
}

function distinguishedName(commonName: string): Uint8Array {
  const part = (identifier: string, value: string): Uint8Array =>
    set(sequence(objectIdentifier(identifier), utf8String(value)))
  // X.520 allows a common name 64 characters; the whole name stands among the alternative ones anyway.
  return sequence(part('2.5.4.10', selfMadeOrganization), part('2.5.4.3', commonName.slice(0, 64)))
}

function extensions(publicKey: Uint8Array, names: readonly string[]): Uint8Array {
  const keyIdentifier = createHash('sha1').update(publicKeyBits(publicKey)).digest()
  const serverAuthentication = objectIdentifier('1.3.6.1.5.5.7.3.1')
  return sequence(
    extension('2.5.29.19', true, sequence()), // basicConstraints: issues no others
    extension('2.5.29.15', true, bitString(Uint8Array.of(0x80), 7)), // keyUsage: digitalSignature
    extension('2.5.29.37', false, sequence(serverAuthentication)),
    extension('2.5.29.14', false, octetString(keyIdentifier)), // subjectKeyIdentifier
    extension('2.5.29.35', false, sequence(tagged(0, keyIdentifier, 'primitive'))), // authorityKeyIdentifier
    extension('2.5.29.17', false, sequence(...names.map(alternativeName))),
  )
}

/** The bits of the public key without their surroundings: the uncompressed point at the end of the SPKI structure. */
function publicKeyBits(publicKey: Uint8Array): Uint8Array {
  return publicKey.subarray(publicKey.length - 65)
}

function extension(identifier: string, isCritical: boolean, content: Uint8Array): Uint8Array {
  return sequence(objectIdentifier(identifier), ...(isCritical ? [boolean(true)] : []), octetString(content))
}

function alternativeName(name: string): Uint8Array {
  const address = parseAddress(name)
  return address === undefined ? tagged(2, Buffer.from(name, 'latin1'), 'primitive') : tagged(7, address, 'primitive')
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
