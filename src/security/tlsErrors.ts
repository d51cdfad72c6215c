import { createError, type ErrorCode, ObjectRelayError } from '../errors.ts'
import { hostAndPort } from '../hostAndPort.ts'
import { errorCodeOf } from './privateFiles.ts'
import { applicationProtocol } from './tlsOptions.ts'

/** Where an error happened, for its message. */
export interface LinkContext {
  /** The relay's for an endpoint; the endpoint's for a relay. */
  readonly host: string
  readonly port: number
  readonly hostname?: string | undefined
  /** Who we are; an endpoint if nothing is said. */
  readonly side?: 'endpoint' | 'relay' | undefined
}

type Explanation = readonly [code: ErrorCode, text: string]

const untrusted: Explanation = [
  'CERTIFICATE_UNTRUSTED',
  'its certificate was not issued by the one in keysDir or ca. Copy certificate.pem of the relay again ("objectrelay keys fetch").',
]
const notTls = 'what it says is not TLS'
const noCommonVersion: Explanation = [
  'INCOMPATIBLE_VERSION',
  'the two sides have no version of TLS in common; TLS 1.3 is needed.',
]

/** What the codes of node:tls, OpenSSL and the operating system mean here. */
const explanations: Readonly<Record<string, Explanation>> = {
  CERT_HAS_EXPIRED: [
    'CERTIFICATE_EXPIRED',
    'its certificate has expired. Make a new one on the relay ("objectrelay keys generate").',
  ],
  CERT_NOT_YET_VALID: [
    'CERTIFICATE_NOT_YET_VALID',
    'its certificate is not valid yet. Check the clocks of both machines.',
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'CERTIFICATE_WRONG_HOST',
    'its certificate is for another host name. Check the option hostname.',
  ],
  HOSTNAME_MISMATCH: ['CERTIFICATE_WRONG_HOST', 'its certificate is for another host name. Check the option hostname.'],
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_UNTRUSTED: untrusted,
  CERT_REJECTED: untrusted,
  CERT_REVOKED: untrusted,
  CERT_CHAIN_TOO_LONG: untrusted,
  INVALID_CA: untrusted,
  INVALID_PURPOSE: untrusted,
  ERR_SSL_WRONG_VERSION_NUMBER: ['SECURITY_MISMATCH', `${notTls}. Give both sides the same option security.`],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['SECURITY_MISMATCH', `${notTls}. Give both sides the same option security.`],
  ERR_SSL_RECORD_LAYER_FAILURE: ['SECURITY_MISMATCH', `${notTls}. Give both sides the same option security.`],
  ERR_SSL_HTTP_REQUEST: ['SECURITY_MISMATCH', 'it sent an HTTP request without TLS; this is not a web server.'],
  ERR_SSL_HTTPS_PROXY_REQUEST: ['SECURITY_MISMATCH', 'it asked for an HTTP proxy; this is not one.'],
  ERR_SSL_UNSUPPORTED_PROTOCOL: noCommonVersion,
  ERR_SSL_VERSION_TOO_LOW: noCommonVersion,
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: noCommonVersion,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: noCommonVersion,
  ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY: noCommonVersion,
  ERR_SSL_NO_SHARED_CIPHER: ['INCOMPATIBLE_VERSION', 'the two sides have no cipher in common.'],
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: ['INCOMPATIBLE_VERSION', 'it does not accept our TLS handshake.'],
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: ['INCOMPATIBLE_VERSION', `it does not speak ${applicationProtocol}.`],
  ERR_SSL_NO_APPLICATION_PROTOCOL: ['INCOMPATIBLE_VERSION', `it does not speak ${applicationProtocol}.`],
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: [
    'CERTIFICATE_UNTRUSTED',
    'it does not trust our certificate. Give it certificate.pem of this relay.',
  ],
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: ['CERTIFICATE_UNTRUSTED', 'it does not take our certificate.'],
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: ['CERTIFICATE_UNTRUSTED', 'it does not take our certificate.'],
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: ['CERTIFICATE_EXPIRED', 'it says that our certificate has expired.'],
  ERR_TLS_HANDSHAKE_TIMEOUT: ['HANDSHAKE_TIMEOUT', 'the TLS handshake took too long.'],
  ECONNREFUSED: ['CONNECT_FAILED', 'nothing listens there. Check host and port, and whether the relay runs.'],
  ENOTFOUND: ['CONNECT_FAILED', 'there is no host of that name.'],
  EAI_AGAIN: ['CONNECT_FAILED', 'the name of the host cannot be looked up at the moment.'],
  ETIMEDOUT: ['CONNECT_FAILED', 'it does not answer. Check the address, the network and the firewall.'],
  EHOSTUNREACH: ['CONNECT_FAILED', 'no way leads to that host.'],
  ENETUNREACH: ['CONNECT_FAILED', 'no way leads to that network.'],
  EHOSTDOWN: ['CONNECT_FAILED', 'that host is down.'],
  EADDRNOTAVAIL: ['CONNECT_FAILED', 'that address cannot be used from this machine.'],
  EACCES: ['CONNECT_FAILED', 'the operating system does not allow the connection.'],
  EPERM: ['CONNECT_FAILED', 'the operating system does not allow the connection.'],
  ECONNRESET: ['LINK_LOST', 'the other side, or something on the way, cut the connection.'],
  EPIPE: ['LINK_LOST', 'the connection was closed while something was being sent.'],
  ECONNABORTED: ['LINK_LOST', 'the connection was given up.'],
  ENETDOWN: ['LINK_LOST', 'the network of this machine is down.'],
}

/** Turns an error of a socket, at either end, into one of ours that says what it means and what to do. */
export function explainTlsError(error: unknown, context: LinkContext): ObjectRelayError {
  if (error instanceof ObjectRelayError) return error
  const found = firstExplained(error)
  if (found !== undefined) return make(found.explanation, context, error, found.code)
  const code = errorCodeOf(error) ?? 'UNKNOWN'
  const message = (error instanceof Error ? error.message : String(error)).slice(0, 300)
  const kind: ErrorCode = code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') ? 'HANDSHAKE_FAILED' : 'LINK_LOST'
  return make([kind, `${message}.`], context, error, code)
}

/** Connecting to a name with several addresses fails with one error for each, in an AggregateError. */
function firstExplained(error: unknown): { explanation: Explanation; code: string } | undefined {
  const candidates: readonly unknown[] =
    error instanceof AggregateError ? [error, ...error.errors.slice(0, 10)] : [error]
  for (const candidate of candidates) {
    const code = errorCodeOf(candidate)
    if (code === undefined || !Object.hasOwn(explanations, code)) continue
    const explanation = explanations[code]
    if (explanation !== undefined) return { explanation, code }
  }
  return undefined
}

function make([code, text]: Explanation, context: LinkContext, cause: unknown, systemCode: string): ObjectRelayError {
  const { host, port, hostname, side = 'endpoint' } = context
  const peer = side === 'relay' ? 'peer' : 'relay'
  const details = { host, port, systemCode, ...(hostname === undefined ? {} : { hostname }) }
  return createError(code, `The ${peer} at ${hostAndPort(host, port)}: ${text}`, { cause, details })
}

/** After the TLS handshake: undefined if the peer agreed to our protocol, else what is wrong with it. */
export function explainApplicationProtocol(
  agreed: string | false | null,
  context: LinkContext,
): ObjectRelayError | undefined {
  if (agreed === applicationProtocol) return undefined
  const text = `it speaks TLS, but not ${applicationProtocol}. Check host and port.`
  return make(['NOT_A_RELAY', text], context, undefined, 'NO_ALPN')
}
