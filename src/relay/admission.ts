import type { Clock } from '../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError, toPlainError } from '../errors.ts'
import type { GuessLimiter } from '../security/guessLimiter.ts'
import { proofMessageTypes } from '../security/proofMessages.ts'
import type { RelayAuthenticator, RelayProof, RelayStep } from '../security/relayProof.ts'
import { Link, type LinkHandler } from '../transport/link.ts'
import type { Newcomer } from '../transport/listen.ts'
import { encodeJson, readJson } from '../wire/controlFrames.ts'
import { FRAME_HEADER_BYTES, FrameType } from '../wire/frameTypes.ts'
import { encodeProofFrame } from '../wire/proofFrame.ts'
import type { RefusedPeer } from './eventGate.ts'
import { type Hello, parseHello } from './hello.ts'
import type { EventOfEndpoint } from './relayEvents.ts'

/** What an admission needs of the relay. */
export interface AdmissionHost {
  readonly clock: Clock
  readonly authenticator: RelayAuthenticator
  readonly guesses: GuessLimiter
  /** The endpoint has proven the password and said who it is: answers with WELCOME, or throws why not. */
  welcome(hello: Hello, link: Link): void
  refused(error: ObjectRelayError, refused: RefusedPeer): void
}

/** The first frames on a link, from the relay's side: the password proof, then HELLO and WELCOME, or the reason why not. */
export class Admission implements LinkHandler {
  readonly #host: AdmissionHost
  readonly #newcomer: Newcomer
  readonly #proof: RelayProof
  readonly #link: Link
  #authenticated = false
  #settled = false
  #countsAsGuess = false
  /** Who it says it is. */
  #said: Partial<EventOfEndpoint> = {}

  constructor(newcomer: Newcomer, host: AdmissionHost) {
    this.#host = host
    this.#newcomer = newcomer
    this.#proof = host.authenticator.begin(newcomer.transport.channelBinding)
    this.#link = new Link(newcomer.transport, host.clock, this)
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
    // Who proved the password for another channel has not guessed it: a man in the middle must not lock the user out.
    this.#settleGuess(!this.#proof.guessing)
    if (this.#settled) return
    this.#settled = true
    // Somebody who just looked and left is no news, unless what came was wrong.
    if (error.code !== 'LINK_LOST') this.#host.refused(error, this.#peer)
  }

  #takeProof(type: number, body: Uint8Array): void {
    const step = this.#delayed(type) ?? this.#proof.receive({ type, body }, this.#host.clock.nowMs())
    if (this.#proof.guessing && !this.#countsAsGuess) {
      this.#countsAsGuess = true
      this.#host.guesses.started(this.#newcomer.transport.peerAddress, this.#host.clock.nowMs())
    }
    if (step.send !== undefined) this.#link.write(encodeProofFrame(step.send))
    if (step.outcome === undefined) return
    if ('refused' in step.outcome) {
      this.#refuse(step.outcome.refused)
      return
    }
    this.#settleGuess(true)
    this.#authenticated = true
    this.#link.allowControlFrames()
  }

  /** Who guessed wrongly has to wait; who has a ticket does not guess. */
  #delayed(type: number): RelayStep | undefined {
    if (type !== proofMessageTypes.LOGIN_START) return undefined
    const waitMs = this.#host.guesses.delayMs(this.#newcomer.transport.peerAddress, this.#host.clock.nowMs())
    return waitMs > 0 ? this.#proof.refuseForNow(waitMs) : undefined
  }

  #settleGuess(proven: boolean): void {
    if (!this.#countsAsGuess) return
    this.#countsAsGuess = false
    const { guesses, clock } = this.#host
    if (proven) guesses.proven(this.#newcomer.transport.peerAddress, clock.nowMs())
    else guesses.failed(this.#newcomer.transport.peerAddress, clock.nowMs())
  }

  #takeHello(json: Readonly<Record<string, unknown>>): void {
    try {
      const hello = parseHello(json)
      this.#said = { endpoint: hello.id, name: hello.name }
      this.#host.welcome(hello, this.#link)
      this.#newcomer.authenticated()
      this.#settled = true
    } catch (thrown) {
      const error = toObjectRelayError(thrown, 'PROTOCOL_VIOLATION')
      this.#link.write(encodeJson(FrameType.REFUSED, { error: toPlainError(error) }))
      this.#refuse(error)
    }
  }

  get #peer(): RefusedPeer {
    return { peer: this.#newcomer.transport.peer, ...this.#said }
  }

  #refuse(error: ObjectRelayError): void {
    this.#settled = true
    this.#host.refused(error, this.#peer)
    this.#link.fail(error, false)
  }
}
