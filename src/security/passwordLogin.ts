import { client, ready, server } from '@serenity-kit/opaque'
import { createError } from '../errors.ts'
import type { KeyStretching } from './proofMessages.ts'

/**
 * The password protocol OPAQUE (RFC 9807) as bytes in and bytes out. Its suite is fixed by the library: ristretto255
 * with SHA-512 for the oblivious function, 3DH over ristretto255, Argon2id for stretching; no context. The library reads
 * and writes base64url without padding, which never goes on the wire.
 */

/** RFC 9807's credential_identifier: a relay has one password, so one record. */
const credentialIdentifier = 'objectrelay'
/** RFC 9807's client_identity and server_identity; they keep a record of another program from being used as one of ours. */
const identifiers = { client: 'objectrelay endpoint', server: 'objectrelay relay' }

/** What a relay keeps instead of the password. */
export interface PasswordRecord {
  readonly serverSetup: Uint8Array
  readonly registrationRecord: Uint8Array
  readonly stretching: KeyStretching
}

export const serverSetupBytes = 128
export const registrationRecordBytes = 192

/** For a relay that holds the password itself: stretching protects nothing there, and a login takes about 10 ms. */
export const lightStretching: KeyStretching = { memoryKiB: 8 * 1024, iterations: 1, parallelism: 1 }
/** For a verifier file: RFC 9106's second recommendation; 64 MiB and about 0.2 s for each guess at a stolen file. */
export const heavyStretching: KeyStretching = { memoryKiB: 64 * 1024, iterations: 3, parallelism: 4 }

/** What a relay may ask of an endpoint before it has proven anything. */
const stretchingMax: KeyStretching = { memoryKiB: 256 * 1024, iterations: 10, parallelism: 4 }
/** Memory times passes, which is what time it takes: five times as much as a verifier file of ours asks for. */
const stretchingWorkMax = 1024 * 1024

type LibraryStretching = NonNullable<Parameters<typeof client.finishLogin>[0]['keyStretching']>

/** Why the parameters are out of bounds, or undefined if they are fine. */
export function stretchingFault({ memoryKiB, iterations, parallelism }: KeyStretching): string | undefined {
  for (const [name, value, max] of [
    ['iterations', iterations, stretchingMax.iterations],
    ['parallelism', parallelism, stretchingMax.parallelism],
    ['memoryKiB', memoryKiB, stretchingMax.memoryKiB],
  ] as const) {
    if (!Number.isInteger(value) || value < 1 || value > max) return `${name} is ${value}, not within 1 to ${max}`
  }
  const work = memoryKiB * iterations
  if (work > stretchingWorkMax) return `memoryKiB times iterations is ${work}, more than ${stretchingWorkMax}`
  // Argon2 itself asks for this (RFC 9106, 3.1).
  return memoryKiB < 8 * parallelism ? `memoryKiB is ${memoryKiB}, below 8 times parallelism` : undefined
}

/** Whether the computation is over so soon that it may be done on the thread that also serves connections. */
export function isLightStretching({ memoryKiB, iterations }: KeyStretching): boolean {
  return memoryKiB * iterations <= lightStretching.memoryKiB * lightStretching.iterations
}

/** Loads the WebAssembly module; to be awaited once before a proof of either side is made. */
export function loadPasswordProof(): Promise<void> {
  return ready
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

function toBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}

function toLibrary({ memoryKiB, iterations, parallelism }: KeyStretching): LibraryStretching {
  return { 'argon2id-custom': { memory: memoryKiB, iterations, parallelism } }
}

/** Both halves of the registration on one machine: the password is at hand there, once. */
export function registerPassword(password: string, stretching: KeyStretching): PasswordRecord {
  const serverSetup = server.createSetup()
  const { clientRegistrationState, registrationRequest } = client.startRegistration({ password })
  const { registrationResponse } = server.createRegistrationResponse({
    serverSetup,
    userIdentifier: credentialIdentifier,
    registrationRequest,
  })
  const { registrationRecord } = client.finishRegistration({
    clientRegistrationState,
    registrationResponse,
    password,
    identifiers,
    keyStretching: toLibrary(stretching),
  })
  return { serverSetup: toBytes(serverSetup), registrationRecord: toBytes(registrationRecord), stretching }
}

/** Whether the relay's library can work with the record; its lengths and curve points are checked. */
export function isUsableRecord(record: PasswordRecord): boolean {
  try {
    answerLogin(record, startLogin('any').ke1)
    return true
  } catch {
    return false
  }
}

/** The endpoint's first step. `state` is secret and stays where it is. */
export function startLogin(password: string): { state: string; ke1: Uint8Array } {
  const { clientLoginState, startLoginRequest } = client.startLogin({ password })
  return { state: clientLoginState, ke1: toBytes(startLoginRequest) }
}

/** The relay's first step. `state` is secret and stays where it is. */
export function answerLogin(record: PasswordRecord, ke1: Uint8Array): { state: string; ke2: Uint8Array } {
  const { serverLoginState, loginResponse } = fromPeer('LOGIN_START', () =>
    server.startLogin({
      userIdentifier: credentialIdentifier,
      identifiers,
      serverSetup: toText(record.serverSetup),
      registrationRecord: toText(record.registrationRecord),
      startLoginRequest: toText(ke1),
    }),
  )
  return { state: serverLoginState, ke2: toBytes(loginResponse) }
}

/** What the endpoint's second step is computed from: all of it secret, but for the stretching and KE2. */
export interface LoginComputation {
  readonly password: string
  readonly state: string
  readonly stretching: KeyStretching
  readonly ke2: Uint8Array
}

/** What it gives: the answer to the relay, and the key that both sides have then. */
export interface LoginResult {
  readonly ke3: Uint8Array
  readonly sessionKey: Uint8Array
}

/** The endpoint's second step: undefined if the two sides do not share the password. Costs what `stretching` says. */
export function finishLogin({ password, state, stretching, ke2 }: LoginComputation): LoginResult | undefined {
  const result = fromPeer('LOGIN_RESPONSE', () =>
    client.finishLogin({
      password,
      identifiers,
      clientLoginState: state,
      loginResponse: toText(ke2),
      keyStretching: toLibrary(stretching),
    }),
  )
  if (result === undefined) return undefined
  return { ke3: toBytes(result.finishLoginRequest), sessionKey: toBytes(result.sessionKey) }
}

/** The relay's second step: undefined if the endpoint did not know the password. */
export function confirmLogin(state: string, ke3: Uint8Array): Uint8Array | undefined {
  try {
    const { sessionKey } = server.finishLogin({ identifiers, serverLoginState: state, finishLoginRequest: toText(ke3) })
    return toBytes(sessionKey)
  } catch {
    // `state` is ours and 64 bytes are always readable: the only way to fail is that the code does not fit.
    return undefined
  }
}

function fromPeer<Result>(frame: string, step: () => Result): Result {
  try {
    return step()
  } catch (cause) {
    throw createError(
      'PROTOCOL_VIOLATION',
      `The content of ${frame} is not a valid message of the password protocol.`,
      {
        cause,
        details: { frame },
      },
    )
  }
}
