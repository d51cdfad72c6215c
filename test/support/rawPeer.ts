import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { channelBindingOf } from '../../src/security/channelProof.ts'
import { EndpointProof } from '../../src/security/endpointProof.ts'
import { loadPasswordProof } from '../../src/security/passwordLogin.ts'
import type { Ticket } from '../../src/security/tickets.ts'
import { applicationProtocol } from '../../src/security/tlsOptions.ts'
import { encodeJson, readJson } from '../../src/wire/controlFrames.ts'
import { FrameReader } from '../../src/wire/frameReader.ts'
import { FRAME_HEADER_BYTES, FrameType, PROTOCOL_VERSION } from '../../src/wire/frameTypes.ts'
import { encodeProofFrame } from '../../src/wire/proofFrame.ts'
import { host, password } from './network.ts'
import { within } from './waiting.ts'

/** A frame that came, as a whole. */
export interface ReceivedFrame {
  readonly type: number
  readonly bytes: Buffer
}

/** A peer that speaks the protocol byte by byte, as far as the test wants it to. */
export class RawPeer {
  readonly socket: TLSSocket
  /** All frames that came. */
  readonly frames: ReceivedFrame[] = []
  /** All bytes that were written by `send`. */
  readonly sent: Buffer[] = []
  readonly closed: Promise<unknown>
  /** What it may prove itself with next time. */
  ticket: Ticket | undefined
  #read = 0
  #arrived: () => void = () => undefined

  private constructor(socket: TLSSocket) {
    this.socket = socket
    // Unlike `once` of node:events it does not mind an error before.
    this.closed = new Promise((resolve) => socket.once('close', resolve))
    const reader = new FrameReader({
      frame: (type, buffer, start, end) => this.#take(type, Buffer.from(buffer.subarray(start, end))),
      chunk: (_stream, _offset, buffer, start, end) =>
        this.#take(FrameType.STREAM_CHUNK, Buffer.from(buffer.subarray(start, end))),
    })
    socket.on('data', (bytes: Buffer) => reader.push(bytes))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#arrived())
  }

  /** A connection with TLS on which nothing was said yet. */
  static async connect({ port }: { readonly port: number }): Promise<RawPeer> {
    const socket = connect({ host, port, ALPNProtocols: [applicationProtocol], rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    return new RawPeer(socket)
  }

  /** A connection on which the password was proven, or a ticket if there is one. */
  static async authenticated(relay: { readonly port: number }, ticket?: Ticket): Promise<RawPeer> {
    const peer = await RawPeer.connect(relay)
    await loadPasswordProof()
    const proof = new EndpointProof({ password, channelBinding: channelBindingOf(peer.socket), ticket })
    peer.send(encodeProofFrame(proof.start()))
    for (;;) {
      const { type, bytes } = await peer.next()
      const { send, outcome } = proof.receive({ type, body: bytes.subarray(FRAME_HEADER_BYTES) })
      if (send !== undefined) peer.send(encodeProofFrame(send))
      if (outcome === undefined) continue
      if ('refused' in outcome) throw outcome.refused
      peer.ticket = outcome.ticket
      return peer
    }
  }

  /** A connection of an endpoint that the relay has accepted. */
  static async joined(
    relay: { readonly port: number },
    groups: readonly string[],
    inboxBytes = 1_000_000,
  ): Promise<RawPeer> {
    const peer = await RawPeer.authenticated(relay)
    peer.send(encodeJson(FrameType.HELLO, helloOf({ groups, inboxBytes })))
    const { type } = await peer.next()
    if (type !== FrameType.WELCOME) throw new Error(`The relay answered with a frame of type ${type}.`)
    return peer
  }

  send(bytes: Buffer): void {
    this.sent.push(bytes)
    this.socket.write(bytes)
  }

  /** The next frame, in the order in which they came. */
  async next(): Promise<ReceivedFrame> {
    return await within(this.#next(), 'a frame of the relay')
  }

  /** The code of the error with which the relay ended the connection, which it has told in a CLOSE or REFUSED. */
  async toldCode(): Promise<string> {
    await within(this.closed, 'the end of the connection')
    const last = this.frames.findLast(({ type }) => type === FrameType.CLOSE || type === FrameType.REFUSED)
    if (last === undefined) throw new Error('The relay ended the connection without saying why.')
    const { error } = readJson(last.bytes, 0, last.bytes.length)
    return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'none'
  }

  #take(type: number, bytes: Buffer): void {
    this.frames.push({ type, bytes })
    this.#arrived()
  }

  async #next(): Promise<ReceivedFrame> {
    for (;;) {
      const frame = this.frames[this.#read]
      if (frame !== undefined) {
        this.#read++
        return frame
      }
      if (this.socket.closed) throw new Error('The relay ended the connection.')
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
  }
}

let sessions = 0

/** A HELLO that the relay takes, with what the test wants to be different. */
export function helloOf(different: object): object {
  sessions++
  return {
    version: PROTOCOL_VERSION,
    agent: 'a raw peer',
    session: String(sessions).padStart(22, 'A'),
    name: 'raw',
    received: null,
    groups: [],
    broadcasts: 'every',
    inboxBytes: 1_000_000,
    objectBytesMax: 1_000_000_000,
    ...different,
  }
}
