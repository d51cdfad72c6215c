import { createHash, createHmac, type Hash, timingSafeEqual } from 'node:crypto'
import { createError } from '../errors.ts'
import { proofBytes, type ReceivedMessage, type UnprovenMessage } from './proofMessages.ts'

/** What names the channel: RFC 9266 registers the type, the label and the length for TLS 1.3. */
const exporterLabel = 'EXPORTER-Channel-Binding'
const exporterBytes = 32

/**
 * What both ends of a connection know of it, and nobody else: by its type, so that a proof for one kind of channel is never taken on
 * another. `none`: nothing names the channel (`security: 'none'`), and no tickets are handed out.
 */
export interface ChannelBinding {
  readonly type: 'tls-exporter' | 'none'
  /** 32, or for `none` 0. */
  readonly bytes: Uint8Array
}

/** The one thing that is needed of a TLS socket. */
export interface KeyingMaterialExporter {
  exportKeyingMaterial(length: number, label: string, context: Uint8Array): Uint8Array
}

/**
 * What names this one TLS connection and no other: both ends compute the same, and someone in between, who has two
 * connections, computes two. The context is empty, which in TLS 1.3 equals none.
 */
export function channelBindingOf(socket: KeyingMaterialExporter): ChannelBinding {
  const bytes = new Uint8Array(socket.exportKeyingMaterial(exporterBytes, exporterLabel, Buffer.alloc(0)))
  return { type: 'tls-exporter', bytes }
}

export function noChannelBinding(): ChannelBinding {
  return { type: 'none', bytes: new Uint8Array(0) }
}

/** A copy of the binding, after its length was checked. */
export function checkChannelBinding({ type, bytes }: ChannelBinding): ChannelBinding {
  const expected = type === 'none' ? 0 : exporterBytes
  if (bytes.length !== expected) {
    throw createError(
      'INVALID_ARGUMENT',
      `The channel binding of type ${type} has ${bytes.length} bytes instead of ${expected}.`,
    )
  }
  return { type, bytes: Uint8Array.from(bytes) }
}

/** Who proves; the two labels keep a proof from being sent back to the one who made it. */
export type Role = 'endpoint' | 'relay'

const proofLabels: Readonly<Record<Role, string>> = {
  endpoint: 'objectrelay/1 endpoint proof\0',
  relay: 'objectrelay/1 relay proof\0',
}
const ticketLabel = 'objectrelay/1 ticket\0'

/**
 * Everything that the two sides said so far, as a running hash of type u8, body length u16 and body of each frame.
 * Both keep the same; if anything was changed, left out or added on the way, the proofs differ.
 */
export class Transcript {
  readonly #channelBinding: ChannelBinding
  readonly #hash: Hash = createHash('sha256')

  constructor(channelBinding: ChannelBinding) {
    this.#channelBinding = channelBinding
  }

  add({ type, body }: ReceivedMessage): void {
    this.#hash.update(frameHead(type, body.length)).update(body)
  }

  /**
   * HMAC-SHA256(key, label || type length u8 || type || binding length u8 || binding || SHA-256(transcript || head and
   * covered bytes of `message`)), where type and binding are those of the channel.
   * The frame itself is added to the transcript by {@link add} once it is whole.
   */
  proof(key: Uint8Array, role: Role, message: UnprovenMessage): Uint8Array {
    const { type, bytes } = this.#channelBinding
    const transcriptHash = this.#hash
      .copy()
      .update(frameHead(message.type, message.covered.length + proofBytes))
      .update(message.covered)
      .digest()
    return createHmac('sha256', key)
      .update(proofLabels[role], 'latin1')
      .update(Uint8Array.of(type.length))
      .update(type, 'latin1')
      .update(Uint8Array.of(bytes.length))
      .update(bytes)
      .update(transcriptHash)
      .digest()
  }
}

function frameHead(type: number, bodyLength: number): Uint8Array {
  return Uint8Array.of(type, bodyLength & 0xff, bodyLength >>> 8)
}

/** Whether two proofs are equal, in a time that does not tell where they differ. */
export function sameProof(expected: Uint8Array, received: Uint8Array): boolean {
  return expected.length === received.length && timingSafeEqual(expected, received)
}

/**
 * The key of the ticket that a login brings. Both sides derive it from the key of the login, so it never travels in a form that
 * anybody but the relay can read: not even someone who can read the connection gets a ticket that is good for anything.
 */
export function ticketKeyOf(sessionKey: Uint8Array): Uint8Array {
  return createHmac('sha256', sessionKey).update(ticketLabel, 'latin1').digest()
}
