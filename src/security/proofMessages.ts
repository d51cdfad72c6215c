import { createError } from '../errors.ts'
import { sealedTicketBytes } from './tickets.ts'

/**
 * The bodies of the frames by which the two sides prove that they know the password. Integers are little-endian; every
 * body has one exact length. A proof is always the last 32 bytes, so that it can cover all bytes before it.
 *
 *     0x01 LOGIN_START     endpoint -> relay    96 bytes
 *          0 KE1 (RFC 9807) ........................... 96
 *
 *     0x02 LOGIN_RESPONSE  relay -> endpoint   328 bytes
 *          0 memoryKiB u32    4 iterations u16    6 parallelism u16
 *          8 KE2 (RFC 9807) .......................... 328
 *
 *     0x03 LOGIN_FINISH    endpoint -> relay    96 bytes
 *          0 KE3 (RFC 9807) ........................... 64
 *         64 proof of the endpoint .................... 96
 *
 *     0x04 LOGIN_PROOF     relay -> endpoint   108 bytes
 *          0 ticketSeconds u32 (0: no ticket)
 *          4 sealed ticket ............................ 76
 *         76 proof of the relay ...................... 108
 *
 *     0x05 TICKET_START    endpoint -> relay   104 bytes
 *          0 sealed ticket ............................ 72
 *         72 proof of the endpoint ................... 104
 *
 *     0x06 TICKET_PROOF    relay -> endpoint    32 bytes
 *          0 proof of the relay ....................... 32
 *
 *     0x07 TICKET_UNKNOWN  relay -> endpoint     0 bytes
 *
 *     0x08 LOGIN_FAILED    either direction      5 bytes
 *          0 reason u8 (1 password, 2 channel, 3 too many logins wait)
 *          1 waitMs u32 (0 unless reason 3)
 *
 *     0x09 LOGIN_QUEUED    relay -> endpoint     0 bytes
 */
export const proofMessageTypes = {
  LOGIN_START: 0x01,
  LOGIN_RESPONSE: 0x02,
  LOGIN_FINISH: 0x03,
  LOGIN_PROOF: 0x04,
  TICKET_START: 0x05,
  TICKET_PROOF: 0x06,
  TICKET_UNKNOWN: 0x07,
  LOGIN_FAILED: 0x08,
  LOGIN_QUEUED: 0x09,
} as const

export type ProofMessageName = keyof typeof proofMessageTypes
export type ProofMessageType = (typeof proofMessageTypes)[ProofMessageName]

/** A handshake frame that is to be sent: its type and its body, without the header of the wire. */
export interface ProofMessage {
  readonly type: ProofMessageType
  readonly body: Uint8Array
}

/** A handshake frame as it came in: nothing about it has been checked yet. */
export interface ReceivedMessage {
  readonly type: number
  readonly body: Uint8Array
}

/** The parameters of Argon2id, by which a guess at the password is made expensive. */
export interface KeyStretching {
  readonly memoryKiB: number
  readonly iterations: number
  readonly parallelism: number
}

export const proofBytes = 32
const ke1Bytes = 96
const ke2Bytes = 320
const ke3Bytes = 64
const stretchingBytes = 8

const bodyBytes: Readonly<Record<ProofMessageName, number>> = {
  LOGIN_START: ke1Bytes,
  LOGIN_RESPONSE: stretchingBytes + ke2Bytes,
  LOGIN_FINISH: ke3Bytes + proofBytes,
  LOGIN_PROOF: 4 + sealedTicketBytes + proofBytes,
  TICKET_START: sealedTicketBytes + proofBytes,
  TICKET_PROOF: proofBytes,
  TICKET_UNKNOWN: 0,
  LOGIN_FAILED: 5,
  LOGIN_QUEUED: 0,
}

const failureReasons = ['password', 'channel', 'attempts'] as const
/** Why a side gave up: the password differs, it was proven for another channel, or too many logins wait. */
export type FailureReason = (typeof failureReasons)[number]

/** The names of the types, for a message about one; undefined for a type that is none of ours. */
function nameOfProofMessage(type: number): ProofMessageName | undefined {
  for (const [name, value] of Object.entries(proofMessageTypes)) {
    // Object.entries forgets that the keys are the names; the table above holds no others.
    if (value === type) return name as ProofMessageName
  }
  return undefined
}

/** Names the frame and checks its length; whether it may come now is for the caller to say. */
export function identifyProofMessage({ type, body }: ReceivedMessage): ProofMessageName {
  const name = nameOfProofMessage(type)
  if (name === undefined) {
    throw createError(
      'PROTOCOL_VIOLATION',
      `A frame of type ${type} came before the password was proven; only types 1 to 9 may.`,
      { details: { type } },
    )
  }
  if (body.length !== bodyBytes[name]) {
    throw createError(
      'PROTOCOL_VIOLATION',
      `The body of ${name} has ${body.length} bytes instead of ${bodyBytes[name]}.`,
      { details: { frame: name, bytes: body.length } },
    )
  }
  return name
}

function viewOf(body: Uint8Array): DataView {
  return new DataView(body.buffer, body.byteOffset, body.byteLength)
}

export function loginStart(ke1: Uint8Array): ProofMessage {
  return { type: proofMessageTypes.LOGIN_START, body: ke1 }
}

export function loginResponse(stretching: KeyStretching, ke2: Uint8Array): ProofMessage {
  const body = new Uint8Array(stretchingBytes + ke2.length)
  const view = viewOf(body)
  view.setUint32(0, stretching.memoryKiB, true)
  view.setUint16(4, stretching.iterations, true)
  view.setUint16(6, stretching.parallelism, true)
  body.set(ke2, stretchingBytes)
  return { type: proofMessageTypes.LOGIN_RESPONSE, body }
}

export function parseLoginResponse(body: Uint8Array): { stretching: KeyStretching; ke2: Uint8Array } {
  const view = viewOf(body)
  const stretching = {
    memoryKiB: view.getUint32(0, true),
    iterations: view.getUint16(4, true),
    parallelism: view.getUint16(6, true),
  }
  return { stretching, ke2: body.subarray(stretchingBytes) }
}

/** The part of a body that its proof covers; the proof itself is appended by {@link appendProof}. */
export interface UnprovenMessage {
  readonly type: ProofMessageType
  readonly covered: Uint8Array
}

export function loginFinish(ke3: Uint8Array): UnprovenMessage {
  return { type: proofMessageTypes.LOGIN_FINISH, covered: ke3 }
}

/** What a relay offers with its proof: the ticket as it travels, and how long it takes it. */
export interface TicketOffer {
  readonly sealed: Uint8Array
  readonly seconds: number
}

export function loginProof(ticket: TicketOffer | undefined): UnprovenMessage {
  const covered = new Uint8Array(4 + sealedTicketBytes)
  if (ticket !== undefined) {
    viewOf(covered).setUint32(0, ticket.seconds, true)
    covered.set(ticket.sealed, 4)
  }
  return { type: proofMessageTypes.LOGIN_PROOF, covered }
}

export function parseLoginProof(body: Uint8Array): TicketOffer | undefined {
  const seconds = viewOf(body).getUint32(0, true)
  return seconds === 0 ? undefined : { seconds, sealed: new Uint8Array(body.subarray(4, 4 + sealedTicketBytes)) }
}

export function ticketStart(sealed: Uint8Array): UnprovenMessage {
  return { type: proofMessageTypes.TICKET_START, covered: sealed }
}

export function ticketProof(): UnprovenMessage {
  return { type: proofMessageTypes.TICKET_PROOF, covered: new Uint8Array(0) }
}

export function ticketUnknown(): ProofMessage {
  return { type: proofMessageTypes.TICKET_UNKNOWN, body: new Uint8Array(0) }
}

export function loginQueued(): ProofMessage {
  return { type: proofMessageTypes.LOGIN_QUEUED, body: new Uint8Array(0) }
}

export function appendProof({ type, covered }: UnprovenMessage, proof: Uint8Array): ProofMessage {
  const body = new Uint8Array(covered.length + proof.length)
  body.set(covered)
  body.set(proof, covered.length)
  return { type, body }
}

/** Splits a body that ends in a proof. */
export function splitProof(body: Uint8Array): { covered: Uint8Array; proof: Uint8Array } {
  const at = body.length - proofBytes
  return { covered: body.subarray(0, at), proof: body.subarray(at) }
}

export function loginFailed(reason: FailureReason, waitMs = 0): ProofMessage {
  const body = new Uint8Array(5)
  body[0] = failureReasons.indexOf(reason) + 1
  viewOf(body).setUint32(1, waitMs, true)
  return { type: proofMessageTypes.LOGIN_FAILED, body }
}

export function parseLoginFailed(body: Uint8Array): { reason: FailureReason; waitMs: number } {
  const code = viewOf(body).getUint8(0)
  const reason = failureReasons[code - 1]
  if (reason === undefined) {
    throw createError('PROTOCOL_VIOLATION', `LOGIN_FAILED gives the unknown reason ${code}.`, { details: { code } })
  }
  const waitMs = viewOf(body).getUint32(1, true)
  if (reason !== 'attempts' && waitMs !== 0) {
    throw createError(
      'PROTOCOL_VIOLATION',
      `LOGIN_FAILED asks to wait ${waitMs} ms for a reason that does not allow it.`,
    )
  }
  return { reason, waitMs }
}
