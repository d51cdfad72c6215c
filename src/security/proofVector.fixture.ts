import { createHash, createHmac } from 'node:crypto'
import type { ChannelBinding } from './channelProof.ts'
import {
  type ClientRandomness,
  makeKe1,
  makeKe2,
  makeKe3,
  type Note,
  register,
  type ServerSetup,
} from './opaque.fixture.ts'
import type { KeyStretching } from './proofMessages.ts'
import { publicKeyOf, readScalar } from './ristretto255.fixture.ts'

/**
 * The password proof once from beginning to end, with fixed randomness: computed as PROTOCOL.md says it and from nothing of src/, so
 * that the page and the code can be compared with it.
 */

/** A frame without its length. */
export interface VectorFrame {
  readonly type: number
  readonly body: Uint8Array
}

/** Values by their names, in the order in which they are computed. */
export type VectorSection = ReadonlyMap<string, Buffer>

export function frameBytes({ type, body }: VectorFrame): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32LE(5 + body.length)
  head[4] = type
  return Buffer.concat([head, body])
}

function inTranscript(type: number, bodyBytes: number, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(type, bodyBytes & 0xff, bodyBytes >> 8), body])
}

/** The hash that a proof covers: earlier frames, and of its own frame what stands before the proof. */
export function transcriptHash(earlier: readonly VectorFrame[], { type, body }: VectorFrame): Buffer {
  const hash = createHash('sha256')
  for (const frame of earlier) hash.update(inTranscript(frame.type, frame.body.length, frame.body))
  return hash.update(inTranscript(type, body.length + 32, body)).digest()
}

export function proofOf(
  key: Uint8Array,
  role: 'endpoint' | 'relay',
  { type, bytes }: ChannelBinding,
  hash: Uint8Array,
): Buffer {
  const label = Buffer.from(`objectrelay/1 ${role} proof\0`)
  const channel = Buffer.concat([Buffer.of(type.length), Buffer.from(type), Buffer.of(bytes.length), bytes])
  return createHmac('sha256', key).update(label).update(channel).update(hash).digest()
}

export function ticketKeyFrom(sessionKey: Uint8Array): Buffer {
  return createHmac('sha256', sessionKey).update('objectrelay/1 ticket\0').digest()
}

export function loginResponseBody({ memoryKiB, iterations, parallelism }: KeyStretching, ke2: Uint8Array): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(memoryKiB, 0)
  head.writeUInt16LE(iterations, 4)
  head.writeUInt16LE(parallelism, 6)
  return Buffer.concat([head, ke2])
}

export function loginProofBody(ticketSeconds: number, ticket: Uint8Array): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(ticketSeconds)
  return Buffer.concat([head, ticket])
}

const bytes = (length: number, fill: number): Buffer => Buffer.alloc(length, fill)
/** Below the order of the group, as every scalar is. */
const scalar = (fill: number): Buffer => Buffer.concat([bytes(31, fill), Buffer.of(1)])

export const vectorStretching: KeyStretching = { memoryKiB: 8192, iterations: 1, parallelism: 1 }
export const vectorPassword = 'correct horse b\u00e4ttery'
export const vectorSetup: ServerSetup = { oprfSeed: bytes(64, 0xa0), serverPrivateKey: scalar(0xa1) }
/** It stands for clients that are not registered, of which there are none. */
const fakePublicKey = publicKeyOf(readScalar(scalar(0xa2)))
const registration = { blind: scalar(0xa3), envelopeNonce: bytes(32, 0xa4) }
export const vectorClient: ClientRandomness = {
  blind: scalar(0xb0),
  clientNonce: bytes(32, 0xb1),
  keyshareSeed: bytes(32, 0xb2),
}
const server = { maskingNonce: bytes(32, 0xc0), serverNonce: bytes(32, 0xc1), keyshareSeed: bytes(32, 0xc2) }
const channel: ChannelBinding = { type: 'tls-exporter', bytes: bytes(32, 0xd0) }
const nextChannel: ChannelBinding = { type: 'tls-exporter', bytes: bytes(32, 0xd1) }
const ticketSeconds = 86_400
const ticket = bytes(72, 0xe0)

class Section {
  readonly values = new Map<string, Buffer>()
  readonly note: Note = (name, value) => {
    this.values.set(name, Buffer.from(value))
  }

  constructor(given: Readonly<Record<string, Uint8Array>>) {
    for (const [name, value] of Object.entries(given)) this.note(name, value)
  }

  /** Adds the proof to a body, and notes it; gives the frame. */
  prove(
    key: Uint8Array,
    role: 'endpoint' | 'relay',
    on: ChannelBinding,
    earlier: VectorFrame[],
    unproven: VectorFrame,
  ) {
    const hash = transcriptHash(earlier, unproven)
    this.note('transcript_hash', hash)
    const proof = proofOf(key, role, on, hash)
    this.note(`${role}_proof`, proof)
    const whole = { type: unproven.type, body: Buffer.concat([unproven.body, proof]) }
    this.frame(whole, earlier)
  }

  frame(frame: VectorFrame, earlier: VectorFrame[]): void {
    earlier.push(frame)
    this.note('frame', frameBytes(frame))
  }
}

/** All sections of the vector by their names. */
export function computeVector(): ReadonlyMap<string, VectorSection> {
  const password = Buffer.from(vectorPassword)
  const { record, section: registered } = registerVector(password)
  const frames: VectorFrame[] = []

  const start = new Section({
    blind: vectorClient.blind,
    client_nonce: vectorClient.clientNonce,
    client_keyshare_seed: vectorClient.keyshareSeed,
  })
  const ke1 = makeKe1(vectorPassword, vectorClient, start.note)
  start.frame({ type: 1, body: ke1 }, frames)

  const response = new Section({
    masking_nonce: server.maskingNonce,
    server_nonce: server.serverNonce,
    server_keyshare_seed: server.keyshareSeed,
  })
  const { ke2 } = makeKe2(vectorSetup, record, ke1, server, response.note)
  response.frame({ type: 2, body: loginResponseBody(vectorStretching, ke2) }, frames)

  const result = makeKe3(vectorPassword, vectorStretching, ke1, ke2, vectorClient)
  if (result === undefined) throw new Error('The two sides of the vector do not share the password')
  const { ke3, sessionKey } = result
  const finish = new Section({ client_mac: ke3, session_key: sessionKey, binding: channel.bytes })
  const unproven = { type: 3, body: ke3 }
  const bare = proofOf(sessionKey, 'endpoint', { type: 'none', bytes: bytes(0, 0) }, transcriptHash(frames, unproven))
  finish.prove(sessionKey, 'endpoint', channel, frames, unproven)
  finish.note('endpoint_proof_without_tls', bare)

  const proof = new Section({ ticket })
  proof.prove(sessionKey, 'relay', channel, frames, { type: 4, body: loginProofBody(ticketSeconds, ticket) })

  const key = ticketKeyFrom(sessionKey)
  const again: VectorFrame[] = []
  const ticketStart = new Section({ ticket_key: key, binding: nextChannel.bytes })
  ticketStart.prove(key, 'endpoint', nextChannel, again, { type: 5, body: ticket })
  const ticketProof = new Section({})
  ticketProof.prove(key, 'relay', nextChannel, again, { type: 6, body: bytes(0, 0) })

  return new Map([
    ['registration', registered.values],
    ['LOGIN_START', start.values],
    ['LOGIN_RESPONSE', response.values],
    ['LOGIN_FINISH', finish.values],
    ['LOGIN_PROOF', proof.values],
    ['TICKET_START', ticketStart.values],
    ['TICKET_PROOF', ticketProof.values],
  ])
}

function registerVector(password: Buffer): { record: Buffer; section: Section } {
  const section = new Section({
    password,
    oprf_seed: vectorSetup.oprfSeed,
    server_private_key: vectorSetup.serverPrivateKey,
    fake_public_key: fakePublicKey,
    blind: registration.blind,
    envelope_nonce: registration.envelopeNonce,
  })
  const record = register(vectorPassword, vectorSetup, vectorStretching, registration, section.note)
  section.note('server_setup', vectorServerSetup())
  section.note('registration_record', record)
  return { record, section }
}

/** As the library and a verifier file hold it. */
export function vectorServerSetup(): Buffer {
  return Buffer.concat([vectorSetup.oprfSeed, vectorSetup.serverPrivateKey, fakePublicKey])
}

/** A section as PROTOCOL.md prints it: 32 bytes in a line. */
export function printSection(section: VectorSection): string {
  const lines = [...section].flatMap(([name, value]) => {
    const parts = value.toString('hex').match(/.{1,64}/g) ?? []
    return parts.map((part, index) => `${(index === 0 ? name : '').padEnd(28)}${part}`)
  })
  return `${lines.join('\n')}\n`
}
