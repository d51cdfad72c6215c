import { AGENT } from '../agent.ts'
import type { EndpointConfiguration } from '../background/endpointState.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { isRecord } from '../options.ts'
import type { EndpointProof } from '../security/endpointProof.ts'
import type { Ticket } from '../security/tickets.ts'
import type { Link, LinkHandler } from '../transport/link.ts'
import { encodeJson, readJson } from '../wire/controlFrames.ts'
import { FRAME_HEADER_BYTES, FrameType, PROTOCOL_VERSION } from '../wire/frameTypes.ts'
import { encodeProofFrame } from '../wire/proofFrame.ts'
import { reportedError } from './reportedError.ts'
import { parseWelcome, type Welcome } from './welcome.ts'

/** What the endpoint says of the session that it wants to go on with. */
export interface Greeting {
  /** Frames of the relay received in the session so far; `undefined` for a session that never began. */
  readonly received: number | undefined
  /** How many sessions the endpoint has been welcomed to. */
  readonly epoch: number
  readonly inboxBytes: number
}

/** The first frames on a link, from the endpoint's side: the password proof, then HELLO and WELCOME. */
export class Handshake implements LinkHandler {
  readonly #link: Link
  readonly #proof: EndpointProof
  readonly #configuration: EndpointConfiguration
  readonly #greeting: () => Greeting
  readonly #proven: (ticket: Ticket | undefined) => void
  readonly #welcomed: (welcome: Welcome) => void
  #authenticated = false
  #resolve: () => void = () => undefined
  #reject: (error: ObjectRelayError) => void = () => undefined

  constructor(options: {
    link: Link
    proof: EndpointProof
    configuration: EndpointConfiguration
    greeting: () => Greeting
    /** Called once the relay has proven itself, so that others may use the ticket. */
    proven: (ticket: Ticket | undefined) => void
    /** The relay has accepted the endpoint. The link's handler is to be changed before this returns: more may lie behind WELCOME in the same bytes. */
    welcomed: (welcome: Welcome) => void
  }) {
    this.#link = options.link
    this.#proof = options.proof
    this.#configuration = options.configuration
    this.#greeting = options.greeting
    this.#proven = options.proven
    this.#welcomed = options.welcomed
  }

  /** Resolves once the relay has accepted the endpoint; rejects with the reason why not. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#link.write(encodeProofFrame(this.#proof.start()))
    })
  }

  frame(type: number, buffer: Buffer, start: number, end: number): void {
    // Before the relay is proven, its words count for nothing: not even for a refusal.
    if (!this.#authenticated) {
      this.#takeProof(type, buffer.subarray(start + FRAME_HEADER_BYTES, end))
    } else if (type === FrameType.REFUSED || type === FrameType.CLOSE) {
      this.#end(readRefusal(readJson(buffer, start, end)))
    } else if (type === FrameType.WELCOME) {
      const welcome = parseWelcome(readJson(buffer, start, end))
      this.#resolve()
      this.#welcomed(welcome)
    } else
      throw createError(
        'PROTOCOL_VIOLATION',
        `The relay sent a frame of type 0x${type.toString(16)} where WELCOME was due.`,
      )
  }

  chunk(): void {
    throw createError('PROTOCOL_VIOLATION', 'The relay sent a part of an object where WELCOME was due.')
  }

  confirmed(): void {}

  closed(error: ObjectRelayError): void {
    this.#reject(error)
  }

  #takeProof(type: number, body: Uint8Array): void {
    const { send, outcome } = this.#proof.receive({ type, body })
    if (send !== undefined) this.#link.write(encodeProofFrame(send))
    if (outcome === undefined) return
    if ('refused' in outcome) {
      this.#end(outcome.refused)
      return
    }
    this.#authenticated = true
    this.#proven(outcome.ticket)
    this.#link.allowControlFrames()
    this.#greet()
  }

  #greet(): void {
    const { session, name, groups, broadcasts, limits } = this.#configuration
    const { received, epoch, inboxBytes } = this.#greeting()
    const hello = encodeJson(FrameType.HELLO, {
      version: PROTOCOL_VERSION,
      agent: AGENT,
      session,
      name,
      received: received ?? null,
      epoch,
      reclaims: true,
      groups,
      broadcasts,
      inboxBytes,
      objectBytesMax: limits.objectBytesMax,
    })
    if (hello.length <= fixedLimits.controlFrameBytesMax) this.#link.write(hello)
    else {
      const message = `The names of the groups take ${hello.length} bytes; ${fixedLimits.controlFrameBytesMax} are possible. Join fewer.`
      this.#end(createError('INVALID_OPTION', message, { details: { option: 'groups' } }))
    }
  }

  #end(error: ObjectRelayError): void {
    this.#reject(error)
    this.#link.fail(error, false)
  }
}

/** The error that a REFUSED or CLOSE carries. */
export function readRefusal(json: Readonly<Record<string, unknown>>): ObjectRelayError {
  return reportedError(isRecord(json.error) ? json.error : {})
}
