import { constants, X509Certificate } from 'node:crypto'
import type { ConnectionOptions, PeerCertificate, TlsOptions } from 'node:tls'
import { createError, type ObjectRelayError } from '../errors.ts'
import { isHostName, parseAddress } from './address.ts'
import { loadCertificateAuthority, type RelayKeys } from './keyFiles.ts'

/** Names the protocol and its version in the TLS handshake, so that other versions and protocols can share the port. */
export const applicationProtocol = 'objectrelay/1'

/** TLS 1.3 only: its exporter needs no further conditions, and there is nothing older to speak to. */
const versions = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const

/** What node:tls needs to accept endpoints. */
export function tlsOptionsForRelay({ key, certificate }: Pick<RelayKeys, 'key' | 'certificate'>): TlsOptions {
  return {
    ...versions,
    key,
    cert: certificate,
    ALPNProtocols: [applicationProtocol],
    // TLS's own tickets would be sent to every endpoint and used by none: each connection proves the password or a ticket again, which is cheap.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}

export interface EndpointTlsSource {
  /** Where the endpoint connects to; what the certificate is checked against when no `hostname` is given. */
  readonly host: string
  readonly hostname?: string | undefined
  readonly keysDir?: string | undefined
  readonly ca?: string | Uint8Array | undefined
}

/**
 * What node:tls needs to connect, without host and port. With `keysDir` or `ca` the relay's certificate must descend from
 * that one and be for that name. Without, any certificate is taken: it is the password, proven on this very channel,
 * that shows that the relay is the right one, and nothing is sent before.
 */
export async function tlsOptionsForEndpoint(source: EndpointTlsSource): Promise<ConnectionOptions> {
  const { host, keysDir, ca, hostname } = source
  if (keysDir !== undefined && ca !== undefined) throw invalid('ca', 'cannot be given together with keysDir')
  if (hostname !== undefined && keysDir === undefined && ca === undefined) {
    throw invalid('hostname', 'says whose certificate to expect, and needs keysDir or ca to check it with')
  }
  if (hostname !== undefined && (typeof hostname !== 'string' || hostname === '')) {
    throw invalid('hostname', 'must be a non-empty string')
  }
  const name = hostname ?? host
  // An address must not be sent as a server name (RFC 6066); node:tls sends none for an empty one.
  const servername = isHostName(name) && parseAddress(name) === undefined ? name : ''
  const common: ConnectionOptions = { ...versions, ALPNProtocols: [applicationProtocol], servername }
  if (keysDir === undefined && ca === undefined) return { ...common, rejectUnauthorized: false }
  return {
    ...common,
    rejectUnauthorized: true,
    ca: await loadCertificateAuthority(keysDir === undefined ? { ca: ca ?? '' } : { keysDir }),
    checkServerIdentity: (_servername, certificate) => checkRelayName(name, certificate),
  }
}

/**
 * Whether the certificate is for that name or address; one without alternative names is for its common name. For an address
 * RFC 9525 knows no common name. But whoever gives us the certificate has made it for this relay, and openssl asks for one.
 */
function checkRelayName(name: string, { raw, subject }: PeerCertificate): ObjectRelayError | undefined {
  const certificate = new X509Certificate(raw)
  const address = parseAddress(name)
  const isRight =
    address === undefined
      ? certificate.checkHost(name, { subject: 'default' }) !== undefined
      : certificate.checkIP(name) !== undefined ||
        (certificate.subjectAltName === undefined && isCommonAddress(subject, address))
  if (isRight) return undefined
  const names = (certificate.subjectAltName ?? certificate.subject.replaceAll('\n', ', ')).slice(0, 500)
  const missing =
    address === undefined
      ? ''
      : `, or make a certificate that has the address among its names (subjectAltName=IP:${name})`
  return createError(
    'CERTIFICATE_WRONG_HOST',
    `The certificate of the relay is for "${names}" and not for "${name}". Give the option hostname one of its names${missing}.`,
    { details: { hostname: name } },
  )
}

/** There may be several common names, and of each address several ways to write it. */
function isCommonAddress({ CN }: Readonly<{ CN?: string | string[] }>, address: Uint8Array): boolean {
  const names = CN === undefined ? [] : [CN].flat()
  return names.some((name) => Buffer.from(parseAddress(name) ?? []).equals(address))
}

function invalid(option: string, fault: string): ObjectRelayError {
  return createError('INVALID_OPTION', `The option ${option} ${fault}.`, { details: { option } })
}
