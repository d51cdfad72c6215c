import { createHmac, timingSafeEqual } from 'node:crypto'
import { argon2id } from './argon2id.fixture.ts'
import type { KeyStretching } from './proofMessages.ts'
import {
  derivePrivateKey,
  encodeElement,
  hashToGroup,
  invertScalar,
  multiply,
  multiplyEncoded,
  publicKeyOf,
  readScalar,
  sha512,
} from './ristretto255.fixture.ts'

/**
 * OPAQUE-3DH (RFC 9807) with the suite of PROTOCOL.md, written from the RFC and that page only, and with randomness from outside: for
 * the vector that PROTOCOL.md prints, and to check the library in both roles. Names in texts are those of the RFC.
 */

const credentialIdentifier = 'objectrelay'
const clientIdentity = 'objectrelay endpoint'
const serverIdentity = 'objectrelay relay'
const envelopeBytes = 96

/** Is told each value by its name in the RFC. */
export type Note = (name: string, bytes: Uint8Array) => void
const silent: Note = () => undefined

export interface ServerSetup {
  readonly oprfSeed: Uint8Array
  readonly serverPrivateKey: Uint8Array
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha512', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}

/** HKDF-Expand (RFC 5869) with SHA-512. */
function expand(key: Uint8Array, info: Uint8Array, bytes: number): Buffer {
  const blocks: Buffer[] = []
  for (let block: Buffer = Buffer.alloc(0); blocks.length * 64 < bytes; blocks.push(block))
    block = hmac(key, block, info, Buffer.of(blocks.length + 1))
  return Buffer.concat(blocks).subarray(0, bytes)
}

function extract(inputKey: Uint8Array): Buffer {
  return hmac(new Uint8Array(0), inputKey)
}

function withLabel(bytes: Uint8Array, label: string): Buffer {
  return Buffer.concat([bytes, Buffer.from(label)])
}

/** Two bytes of length, big-endian, and the bytes. */
function prefixed(bytes: Uint8Array | string): Buffer {
  const content = Buffer.from(bytes)
  return Buffer.concat([Buffer.of(content.length >> 8, content.length & 0xff), content])
}

function deriveSecret(secret: Uint8Array, label: string, context: Uint8Array): Buffer {
  const fullLabel = Buffer.from(`OPAQUE-${label}`)
  const info = Buffer.concat([Buffer.of(0, 64, fullLabel.length), fullLabel, Buffer.of(context.length), context])
  return expand(secret, info, 64)
}

function derivePrivate(seed: Uint8Array): bigint {
  return derivePrivateKey(seed, 'OPAQUE-DeriveDiffieHellmanKeyPair')
}

function xor(one: Uint8Array, other: Uint8Array): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ (other[index] ?? 0)))
}

export function blind(password: string, by: Uint8Array): Buffer {
  return encodeElement(multiply(hashToGroup(Buffer.from(password.normalize('NFC'))), readScalar(by)))
}

function evaluate({ oprfSeed }: ServerSetup, blinded: Uint8Array, note: Note): Buffer {
  const seed = expand(oprfSeed, Buffer.from(`${credentialIdentifier}OprfKey`), 32)
  const key = derivePrivateKey(seed, 'OPAQUE-DeriveKeyPair')
  const evaluated = multiplyEncoded(blinded, key)
  note('evaluated_message', evaluated)
  return evaluated
}

/** What the password, the relay's key and the stretching make together. */
function randomizedPassword(
  password: string,
  by: Uint8Array,
  evaluated: Uint8Array,
  stretching: KeyStretching,
  note: Note,
): Buffer {
  const unblinded = multiplyEncoded(evaluated, invertScalar(readScalar(by)))
  const output = sha512(prefixed(password.normalize('NFC')), prefixed(unblinded), Buffer.from('Finalize'))
  note('oprf_output', output)
  const stretched = argon2id(output, new Uint8Array(16), stretching)
  note('stretched_oprf_output', stretched)
  const randomized = extract(Buffer.concat([output, stretched]))
  note('randomized_password', randomized)
  return randomized
}

function authTag(randomized: Uint8Array, nonce: Uint8Array, serverKey: Uint8Array): Buffer {
  const credentials = Buffer.concat([serverKey, prefixed(serverIdentity), prefixed(clientIdentity)])
  return hmac(expand(randomized, withLabel(nonce, 'AuthKey'), 64), nonce, credentials)
}

function exportKey(randomized: Uint8Array, nonce: Uint8Array): Buffer {
  return expand(randomized, withLabel(nonce, 'ExportKey'), 64)
}

function clientPrivateKey(randomized: Uint8Array, nonce: Uint8Array): bigint {
  return derivePrivate(expand(randomized, withLabel(nonce, 'PrivateKey'), 32))
}

export interface RegistrationRandomness {
  readonly blind: Uint8Array
  readonly envelopeNonce: Uint8Array
}

/** Both halves of the registration; gives the record. */
export function register(
  password: string,
  setup: ServerSetup,
  stretching: KeyStretching,
  random: RegistrationRandomness,
  note: Note = silent,
): Buffer {
  const serverKey = publicKeyOf(readScalar(setup.serverPrivateKey))
  note('server_public_key', serverKey)
  const evaluated = evaluate(setup, blind(password, random.blind), note)
  const randomized = randomizedPassword(password, random.blind, evaluated, stretching, note)
  const clientKey = publicKeyOf(clientPrivateKey(randomized, random.envelopeNonce))
  note('client_public_key', clientKey)
  const maskingKey = expand(randomized, Buffer.from('MaskingKey'), 64)
  note('masking_key', maskingKey)
  const tag = authTag(randomized, random.envelopeNonce, serverKey)
  note('auth_tag', tag)
  note('export_key', exportKey(randomized, random.envelopeNonce))
  return Buffer.concat([clientKey, maskingKey, random.envelopeNonce, tag])
}

export interface ClientRandomness {
  readonly blind: Uint8Array
  readonly clientNonce: Uint8Array
  readonly keyshareSeed: Uint8Array
}

export function makeKe1(password: string, random: ClientRandomness, note: Note = silent): Buffer {
  const blinded = blind(password, random.blind)
  note('blinded_message', blinded)
  const keyshare = publicKeyOf(derivePrivate(random.keyshareSeed))
  note('client_public_keyshare', keyshare)
  return Buffer.concat([blinded, random.clientNonce, keyshare])
}

/** What both sides hash, up to the MAC of the server. */
function preambleOf(ke1: Uint8Array, ke2: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from('OPAQUEv1-'),
    prefixed(''),
    prefixed(clientIdentity),
    ke1,
    prefixed(serverIdentity),
    ke2.subarray(0, 256),
  ])
}

interface Keys {
  readonly serverMac: Buffer
  readonly clientMac: Buffer
  readonly sessionKey: Buffer
}

function keysOf(shared: readonly Uint8Array[], preamble: Buffer, note: Note): Keys {
  const key = extract(Buffer.concat(shared))
  const hash = sha512(preamble)
  note('preamble_hash', hash)
  const handshake = deriveSecret(key, 'HandshakeSecret', hash)
  note('handshake_secret', handshake)
  const none = new Uint8Array(0)
  const serverMac = hmac(deriveSecret(handshake, 'ServerMAC', none), hash)
  const clientMac = hmac(deriveSecret(handshake, 'ClientMAC', none), sha512(preamble, serverMac))
  return { serverMac, clientMac, sessionKey: deriveSecret(key, 'SessionKey', hash) }
}

export interface ServerRandomness {
  readonly maskingNonce: Uint8Array
  readonly serverNonce: Uint8Array
  readonly keyshareSeed: Uint8Array
}

/** The answer of the server, and what it knows then: the KE3 that it expects, and the session key. */
export function makeKe2(
  setup: ServerSetup,
  record: Uint8Array,
  ke1: Uint8Array,
  random: ServerRandomness,
  note: Note = silent,
): { ke2: Buffer; ke3: Buffer; sessionKey: Buffer } {
  const privateKey = readScalar(setup.serverPrivateKey)
  const ephemeral = derivePrivate(random.keyshareSeed)
  const evaluated = evaluate(setup, ke1.subarray(0, 32), note)
  const pad = expand(
    record.subarray(32, 96),
    withLabel(random.maskingNonce, 'CredentialResponsePad'),
    32 + envelopeBytes,
  )
  const masked = xor(pad, Buffer.concat([publicKeyOf(privateKey), record.subarray(96)]))
  note('masked_response', masked)
  const keyshare = publicKeyOf(ephemeral)
  note('server_public_keyshare', keyshare)
  const start = Buffer.concat([evaluated, random.maskingNonce, masked, random.serverNonce, keyshare])
  const clientShare = ke1.subarray(64)
  const shared = [
    multiplyEncoded(clientShare, ephemeral),
    multiplyEncoded(clientShare, privateKey),
    multiplyEncoded(record.subarray(0, 32), ephemeral),
  ]
  const { serverMac, clientMac, sessionKey } = keysOf(shared, preambleOf(ke1, start), note)
  note('server_mac', serverMac)
  return { ke2: Buffer.concat([start, serverMac]), ke3: clientMac, sessionKey }
}

/** The second step of the client; `undefined` if the two sides do not share the password. */
export function makeKe3(
  password: string,
  stretching: KeyStretching,
  ke1: Uint8Array,
  ke2: Uint8Array,
  random: ClientRandomness,
): { ke3: Buffer; sessionKey: Buffer } | undefined {
  const randomized = randomizedPassword(password, random.blind, ke2.subarray(0, 32), stretching, silent)
  const maskingKey = expand(randomized, Buffer.from('MaskingKey'), 64)
  const pad = expand(maskingKey, withLabel(ke2.subarray(32, 64), 'CredentialResponsePad'), 32 + envelopeBytes)
  const response = xor(pad, ke2.subarray(64, 192))
  const serverKey = response.subarray(0, 32)
  const nonce = response.subarray(32, 64)
  if (!timingSafeEqual(authTag(randomized, nonce, serverKey), response.subarray(64))) return undefined
  const ephemeral = derivePrivate(random.keyshareSeed)
  const serverShare = ke2.subarray(224, 256)
  const shared = [
    multiplyEncoded(serverShare, ephemeral),
    multiplyEncoded(serverKey, ephemeral),
    multiplyEncoded(serverShare, clientPrivateKey(randomized, nonce)),
  ]
  const { serverMac, clientMac, sessionKey } = keysOf(shared, preambleOf(ke1, ke2), silent)
  return timingSafeEqual(serverMac, ke2.subarray(256)) ? { ke3: clientMac, sessionKey } : undefined
}
