import { AGENT } from '../../agent.ts'
import type { Clock, Timer } from '../../clock.ts'
import { createError, type ObjectRelayError, toObjectRelayError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { isRecord } from '../../options.ts'
import type { EndpointProof, EndpointStep } from '../../security/endpointProof.ts'
import { finishLoginElsewhere } from '../../security/loginWorker.ts'
import type { LoginComputation } from '../../security/passwordLogin.ts'
import { proofMessageTypes } from '../../security/proofMessages.ts'
import type { Ticket } from '../../security/tickets.ts'
import type { Link, LinkHandler } from '../../transport/link.ts'
import { encodeJson, readJson } from '../../wire/controlFrames.ts'
import { FRAME_HEADER_BYTES, FrameType, PROTOCOL_VERSION } from '../../wire/frameTypes.ts'
import { encodeProofFrame } from '../../wire/proofFrame.ts'
import type { EndpointConfiguration } from '../jsonRecords.ts'
import { reportedError } from '../reportedError.ts'
import { parseWelcome, type Welcome } from './welcome.ts'

/** What the endpoint says of the session that it wants to go on with. */
export interface Greeting {
  /** Frames of the relay received in the session so far; `undefined` for a session that never began. */
  readonly received: number | undefined
  /** How many sessions the endpoint has been welcomed to. */
  readonly epoch: number
  /** What it sends again if a new session begins, by sequences: `[from, to]`, which ascend. */
  readonly unresolved: readonly (readonly [from: number, to: number])[]
  readonly inboxBytes: number
}

/**
 * How long the relay may say nothing where it is its turn. It is silence that counts, and not how long all takes: a relay that many
 * come to at once says that it is busy with them.
 */
const SILENCE_MS = 15_000
/** However often it says so, and whoever it is. */
const QUEUED_MS_MAX = 120_000
/** Password stretching may take so long before others of this process no longer wait for it. */
const STRETCHING_QUIET_MS = 5_000

/** The first frames on a link, from the endpoint's side: the password proof, then HELLO and WELCOME. */
export class Handshake implements LinkHandler {
  readonly #proof: EndpointProof
  readonly #configuration: EndpointConfiguration
  readonly #greeting: () => Greeting
  readonly #heard: (quietMs?: number) => void
  readonly #proven: (ticket: Ticket | undefined) => void
  readonly #clock: Clock
  readonly #welcomed: (link: Link, welcome: Welcome) => void
  readonly #beganMs: number
  #ownLink: Link | undefined
  /** Aborted at its end, however it ends. */
  readonly #ended = new AbortController()
  #silence: Timer | undefined
  #authenticated = false
  #resolve: () => void = () => undefined
  #reject: (error: ObjectRelayError) => void = () => undefined

  constructor(options: {
    proof: EndpointProof
    configuration: EndpointConfiguration
    greeting: () => Greeting
    /** The attempt goes on, and the next step may take so long. */
    heard: (quietMs?: number) => void
    /** The relay has proven itself: others may use the ticket. */
    proven: (ticket: Ticket | undefined) => void
    clock: Clock
    /** The relay has accepted the endpoint. The link's handler is to be changed before this returns: more may lie behind WELCOME in the same bytes. */
    welcomed: (link: Link, welcome: Welcome) => void
  }) {
    this.#proof = options.proof
    this.#configuration = options.configuration
    this.#greeting = options.greeting
    this.#heard = options.heard
    this.#proven = options.proven
    this.#clock = options.clock
    this.#beganMs = options.clock.nowMs()
    this.#welcomed = options.welcomed
  }

  get #link(): Link {
    if (this.#ownLink === undefined) throw new Error('A handshake was used before it ran.')
    return this.#ownLink
  }

  /** Resolves once the relay has accepted the endpoint; rejects with the reason why not. */
  run(link: Link): Promise<void> {
    this.#ownLink = link
    return new Promise<void>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#link.write(encodeProofFrame(this.#proof.start()))
      this.#listen()
    }).finally(() => {
      this.#silence?.cancel()
      this.#ended.abort()
    })
  }

  frame(type: number, buffer: Buffer, start: number, end: number): void {
    this.#listen()
    // Before the relay is proven, its words count for nothing: not even for a refusal.
    if (!this.#authenticated) {
      this.#takeProof(type, buffer.subarray(start + FRAME_HEADER_BYTES, end))
    } else if (type === FrameType.REFUSED || type === FrameType.CLOSE) {
      this.#end(readRefusal(readJson(buffer, start, end)))
    } else if (type === FrameType.WELCOME) {
      const welcome = parseWelcome(readJson(buffer, start, end))
      this.#resolve()
      this.#welcomed(this.#link, welcome)
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
    const waitedMs = this.#clock.nowMs() - this.#beganMs
    if (type === proofMessageTypes.LOGIN_QUEUED && waitedMs > QUEUED_MS_MAX) {
      this.#end(createError('HANDSHAKE_TIMEOUT', `The relay has let the login wait for ${Math.round(waitedMs)} ms.`))
      return
    }
    this.#follow(this.#proof.receive({ type, body }))
  }

  #follow({ send, compute, outcome }: EndpointStep): void {
    if (compute !== undefined) this.#compute(compute)
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
    const { received, epoch, unresolved, inboxBytes } = this.#greeting()
    const about = {
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
    }
    const whole = encodeJson(FrameType.HELLO, { ...about, unresolved })
    // The relay remembers more than it needs if it is not told.
    const isTooLong = whole.length > fixedLimits.controlFrameBytesMax
    const hello = isTooLong ? encodeJson(FrameType.HELLO, about) : whole
    if (hello.length <= fixedLimits.controlFrameBytesMax) this.#link.write(hello)
    else {
      const message = `The names of the groups take ${hello.length} bytes; ${fixedLimits.controlFrameBytesMax} are possible. Join fewer.`
      this.#end(createError('INVALID_OPTION', message, { details: { option: 'groups' } }))
    }
  }

  /** It is this side's turn meanwhile. */
  #compute(computation: LoginComputation): void {
    this.#silence?.cancel()
    this.#heard(STRETCHING_QUIET_MS)
    finishLoginElsewhere(computation, this.#ended.signal)
      .catch((thrown: unknown) => toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'))
      .then((result) => {
        if (this.#link.closed) return
        this.#listen()
        this.#follow(this.#proof.computed(result))
      })
      .catch((thrown: unknown) => this.#end(toObjectRelayError(thrown, 'HANDSHAKE_FAILED')))
  }

  /** The relay has said something, or it is its turn now. */
  #listen(): void {
    this.#heard()
    this.#silence?.cancel()
    const sinceMs = this.#clock.nowMs()
    this.#silence = this.#clock.after(SILENCE_MS, () => {
      // If this thread was suspended, what the relay said meanwhile has not been read yet.
      if (this.#clock.nowMs() - sinceMs > SILENCE_MS * 1.2) this.#listen()
      else this.#end(createError('HANDSHAKE_TIMEOUT', `The relay has said nothing for ${SILENCE_MS} ms.`))
    })
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
