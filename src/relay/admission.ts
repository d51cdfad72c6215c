import type { Clock } from '../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { type AddressPrefixes, addressPrefixes } from '../security/address.ts'
import type { RelayAuthenticator, RelayProof, RelayStep } from '../security/relayProof.ts'
import { Link, type LinkHandler } from '../transport/link.ts'
import type { PendingConnection } from '../transport/pendingConnections.ts'
import { encodeJson, readJson } from '../wire/controlFrames.ts'
import { errorInFrame } from '../wire/errorCodes.ts'
import { FRAME_HEADER_BYTES, FrameType } from '../wire/frameTypes.ts'
import { encodeProofFrame } from '../wire/proofFrame.ts'
import type { RefusedPeer } from './eventGate.ts'
import { type Hello, parseHello } from './hello.ts'
import type { LoginQueue, WaitingLogin } from './loginQueue.ts'
import type { EventOfEndpoint } from './relayEvents.ts'

/** What an admission needs of the relay. */
export interface AdmissionHost {
  readonly clock: Clock
  readonly authenticator: RelayAuthenticator
  readonly logins: LoginQueue
  /** Somebody at this address has proven the password, with a ticket. */
  known(from: AddressPrefixes): void
  /** The endpoint has proven the password and said who it is: answers with WELCOME, or throws why not. */
  welcome(hello: Hello, link: Link): void
  refused(error: ObjectRelayError, refused: RefusedPeer): void
}

/** The first frames on a link, from the relay's side: the password proof, then HELLO and WELCOME, or the reason why not. */
export class Admission implements LinkHandler, WaitingLogin {
  readonly from: AddressPrefixes
  readonly #host: AdmissionHost
  readonly #connection: PendingConnection
  readonly #proof: RelayProof
  readonly #link: Link
  #authenticated = false
  #settled = false
  /** Whether the login was answered and it is not known yet how it ends. */
  #isTrying = false
  /** Who it says it is. */
  #said: Partial<EventOfEndpoint> = {}

  constructor(connection: PendingConnection, host: AdmissionHost) {
    this.#host = host
    this.#connection = connection
    this.from = addressPrefixes(connection.transport.peerAddress)
    this.#proof = host.authenticator.begin(connection.transport.channelBinding)
    this.#link = new Link(connection.transport, host.clock, this)
  }

  frame(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.#settled) return
    if (!this.#authenticated) this.#takeProof(type, buffer.subarray(start + FRAME_HEADER_BYTES, end))
    else if (type === FrameType.HELLO) this.#takeHello(readJson(buffer, start, end))
    else throw createError('PROTOCOL_VIOLATION', `A frame of type 0x${type.toString(16)} came where HELLO was due.`)
  }

  chunk(): void {
    throw createError('PROTOCOL_VIOLATION', 'A part of an object came before the endpoint was accepted.')
  }

  confirmed(): void {}

  closed(error: ObjectRelayError): void {
    this.#host.logins.leave(this)
    if (this.#settled) return
    this.#settled = true
    // Somebody who just looked and left is no news, unless what came was wrong.
    if (error.code !== 'LINK_LOST') this.#host.refused(error, this.#peer)
  }

  answer(): void {
    this.#isTrying = true
    this.#connection.reached('answered')
    this.#follow(this.#proof.answer())
  }

  keepWaiting(): void {
    this.#follow(this.#proof.keepWaiting())
  }

  refuse(waitMs: number): void {
    this.#follow(this.#proof.refuseForNow(waitMs))
  }

  #takeProof(type: number, body: Uint8Array): void {
    const step = this.#proof.receive({ type, body }, this.#host.clock.dateMs())
    if (step.queue === true) {
      this.#connection.reached('queued')
      this.#host.logins.enter(this)
      return
    }
    // Who proved the password for another channel has not guessed it: a man in the middle must not lock the user out.
    if (this.#isTrying && !this.#proof.guessing) {
      this.#isTrying = false
      this.#host.logins.succeeded(this.from)
    }
    this.#follow(step)
  }

  #follow({ send, outcome }: RelayStep): void {
    if (send !== undefined) this.#link.write(encodeProofFrame(send))
    if (outcome === undefined) return
    if ('refused' in outcome) {
      this.#refuse(outcome.refused)
      return
    }
    if (outcome.method === 'ticket') this.#host.known(this.from)
    this.#connection.reached('proven')
    this.#authenticated = true
    this.#link.allowControlFrames()
  }

  #takeHello(json: Readonly<Record<string, unknown>>): void {
    try {
      const hello = parseHello(json)
      this.#said = { endpoint: hello.id, name: hello.name }
      this.#host.welcome(hello, this.#link)
      this.#connection.authenticated()
      this.#settled = true
    } catch (thrown) {
      const error = toObjectRelayError(thrown, 'PROTOCOL_VIOLATION')
      this.#link.write(encodeJson(FrameType.REFUSED, { error: errorInFrame('REFUSED', error) }))
      this.#refuse(error)
    }
  }

  get #peer(): RefusedPeer {
    return { peer: this.#connection.transport.peer, ...this.#said }
  }

  #refuse(error: ObjectRelayError): void {
    this.#settled = true
    this.#host.refused(error, this.#peer)
    this.#link.fail(error, false)
  }
}
