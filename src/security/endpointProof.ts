import { createError, ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { type ChannelBinding, checkChannelBinding, sameProof, Transcript, ticketKeyOf } from './channelProof.ts'
import { checkPassword } from './password.ts'
import {
  finishLogin,
  isLightStretching,
  type LoginComputation,
  type LoginResult,
  startLogin,
  stretchingFault,
} from './passwordLogin.ts'
import {
  appendProof,
  identifyProofMessage,
  type KeyStretching,
  loginFailed,
  loginFinish,
  loginStart,
  type ProofMessage,
  type ProofMessageName,
  parseLoginFailed,
  parseLoginProof,
  parseLoginResponse,
  proofMessageTypes,
  type ReceivedMessage,
  splitProof,
  ticketStart,
} from './proofMessages.ts'
import type { StretchingBudget } from './stretchingBudget.ts'
import type { Ticket } from './tickets.ts'

export interface EndpointProofOptions {
  readonly password: string
  /** What names this connection, see `channelBindingOf`. */
  readonly channelBinding: ChannelBinding
  /** Of an earlier login of this process at the same relay. */
  readonly ticket?: Ticket | undefined
  /** How much password stretching may be done for that address; any amount if nothing is said. */
  readonly budget?: StretchingBudget | undefined
}

/** What became of the connection. `ticket` is for the next connections; the one that was used comes back. */
export type EndpointOutcome =
  | { readonly authenticated: true; readonly ticket: Ticket | undefined }
  | { readonly refused: ObjectRelayError }

/**
 * What the endpoint does next: sends (first), and then either goes on waiting or has come to an end. `compute`: what is too much for
 * a thread that serves connections is to be computed by `finishLogin` elsewhere, and given to {@link EndpointProof.computed}.
 */
export interface EndpointStep {
  readonly send?: ProofMessage
  readonly compute?: LoginComputation
  readonly outcome?: EndpointOutcome
}

type EndpointState = 'new' | 'ticketSent' | 'loginSent' | 'computing' | 'finishSent' | 'ended'

/** What may come in which state. What is absent is a violation of the protocol. */
const legal: Readonly<Record<EndpointState, readonly ProofMessageName[]>> = {
  new: [],
  ticketSent: ['TICKET_PROOF', 'TICKET_UNKNOWN', 'LOGIN_FAILED'],
  loginSent: ['LOGIN_QUEUED', 'LOGIN_RESPONSE', 'LOGIN_FAILED'],
  computing: ['LOGIN_FAILED'],
  finishSent: ['LOGIN_PROOF', 'LOGIN_FAILED'],
  ended: [],
}

const noBytes = new Uint8Array(0)
/** A relay that nobody has verified yet must not be able to keep an endpoint away for days. */
const waitMsMax = 60_000

/**
 * The endpoint's side of the proof on one connection: frames in, frames out, no socket, no clock.
 * `loadPasswordProof` must have been awaited before. Taking LOGIN_RESPONSE computes for about 10 ms if the relay holds the password; what
 * the password stretching of a verifier file asks for is left to the caller.
 */
export class EndpointProof {
  readonly #transcript: Transcript
  readonly #ticket: Ticket | undefined
  readonly #budget: StretchingBudget | undefined
  #password: string
  #state: EndpointState = 'new'
  #loginState = ''
  #sessionKey: Uint8Array = noBytes
  /** What was paid for out of the budget. */
  #stretching: KeyStretching | undefined

  constructor({ password, channelBinding, ticket, budget }: EndpointProofOptions) {
    this.#budget = budget
    this.#password = checkPassword(password)
    const binding = checkChannelBinding(channelBinding)
    this.#transcript = new Transcript(binding)
    this.#ticket = binding.type !== 'none' ? ticket : undefined
  }

  /** The first frame; to be asked for once. */
  start(): ProofMessage {
    if (this.#state !== 'new') throw new Error('The proof was started already')
    return this.#ticket === undefined ? this.#startLogin() : this.#startTicket(this.#ticket)
  }

  /** Takes one frame. Never throws for what the peer sent: the outcome holds the error. */
  receive(message: ReceivedMessage): EndpointStep {
    try {
      const name = identifyProofMessage(message)
      if (!legal[this.#state].includes(name)) {
        throw createError('PROTOCOL_VIOLATION', `The relay sent ${name} in the state "${this.#state}" of the proof.`, {
          details: { frame: name, state: this.#state },
        })
      }
      return this.#take(name, message)
    } catch (thrown) {
      return this.#refuse(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'))
    }
  }

  #take(name: ProofMessageName, message: ReceivedMessage): EndpointStep {
    switch (name) {
      case 'LOGIN_QUEUED':
        this.#transcript.add(message)
        return {}
      case 'TICKET_UNKNOWN':
        this.#transcript.add(message)
        return { send: this.#startLogin() }
      case 'TICKET_PROOF':
        return this.#checkTicketProof(message)
      case 'LOGIN_RESPONSE':
        return this.#finishLogin(message)
      case 'LOGIN_PROOF':
        return this.#checkLoginProof(message)
      case 'LOGIN_FAILED':
        return this.#refuse(this.#explainFailure(message))
      default:
        throw createError('PROTOCOL_VIOLATION', `${name} is a frame that only an endpoint sends.`)
    }
  }

  #startLogin(): ProofMessage {
    const { state, ke1 } = startLogin(this.#password)
    const message = loginStart(ke1)
    this.#transcript.add(message)
    this.#loginState = state
    this.#state = 'loginSent'
    return message
  }

  #startTicket({ sealed, key }: Ticket): ProofMessage {
    const start = ticketStart(sealed)
    const message = appendProof(start, this.#transcript.proof(key, 'endpoint', start))
    this.#transcript.add(message)
    this.#state = 'ticketSent'
    return message
  }

  #checkTicketProof({ body }: ReceivedMessage): EndpointStep {
    const ticket = this.#ticket
    if (ticket === undefined) throw createError('PROTOCOL_VIOLATION', 'TICKET_PROOF came though no ticket was shown.')
    const expected = this.#transcript.proof(ticket.key, 'relay', {
      type: proofMessageTypes.TICKET_PROOF,
      covered: noBytes,
    })
    if (!sameProof(expected, body)) return this.#refuse(relayNotProven())
    return this.#accept(ticket)
  }

  #finishLogin(message: ReceivedMessage): EndpointStep {
    const { stretching, ke2 } = parseLoginResponse(message.body)
    const fault = stretchingFault(stretching)
    if (fault !== undefined) {
      throw createError('PROTOCOL_VIOLATION', `The relay asks for password stretching beyond the bounds: ${fault}.`)
    }
    const refusal = this.#budget?.spend(stretching)
    if (refusal !== undefined) return this.#refuse(refusal)
    this.#stretching = stretching
    this.#transcript.add(message)
    const computation = { password: this.#password, state: this.#loginState, stretching, ke2: Uint8Array.from(ke2) }
    this.#state = 'computing'
    return isLightStretching(stretching) ? this.#finish(finishLogin(computation)) : { compute: computation }
  }

  /** Takes what was computed of {@link EndpointStep.compute}, or why it could not be. */
  computed(result: LoginResult | undefined | ObjectRelayError): EndpointStep {
    if (this.#state !== 'computing') return {}
    return result instanceof ObjectRelayError ? this.#refuse(result) : this.#finish(result)
  }

  #finish(result: LoginResult | undefined): EndpointStep {
    if (result === undefined) return { ...this.#refuse(wrongPassword()), send: loginFailed('password') }
    const finish = loginFinish(result.ke3)
    const send = appendProof(finish, this.#transcript.proof(result.sessionKey, 'endpoint', finish))
    this.#transcript.add(send)
    this.#sessionKey = result.sessionKey
    this.#state = 'finishSent'
    return { send }
  }

  #checkLoginProof({ body }: ReceivedMessage): EndpointStep {
    const { covered, proof } = splitProof(body)
    const expected = this.#transcript.proof(this.#sessionKey, 'relay', { type: proofMessageTypes.LOGIN_PROOF, covered })
    if (!sameProof(expected, proof)) return this.#refuse(relayNotProven())
    if (this.#stretching !== undefined) this.#budget?.giveBack(this.#stretching)
    const offer = parseLoginProof(body)
    if (offer === undefined) return this.#accept(undefined)
    const key = ticketKeyOf(this.#sessionKey)
    return this.#accept({ sealed: offer.sealed, key, lifetimeMs: offer.seconds * 1000 })
  }

  #explainFailure({ body }: ReceivedMessage): ObjectRelayError {
    const { reason, waitMs } = parseLoginFailed(body)
    if (reason === 'channel') return relayNotProven()
    if (reason === 'password') return wrongPassword()
    const wait = Math.min(waitMs, waitMsMax)
    return createError(
      'TOO_MANY_ATTEMPTS',
      `Too many logins wait at the relay; it takes the next attempt in ${wait} ms.`,
      { details: { waitMs: wait } },
    )
  }

  #accept(ticket: Ticket | undefined): EndpointStep {
    this.#forget()
    return { outcome: { authenticated: true, ticket } }
  }

  #refuse(refused: ObjectRelayError): EndpointStep {
    this.#forget()
    return { outcome: { refused } }
  }

  #forget(): void {
    this.#state = 'ended'
    this.#password = ''
    this.#loginState = ''
    this.#sessionKey.fill(0)
    this.#sessionKey = noBytes
  }
}

function wrongPassword(): ObjectRelayError {
  return createError(
    'WRONG_PASSWORD',
    'This endpoint and the relay do not share the same password, or what answers is not the relay. Check the password on both sides.',
  )
}

function relayNotProven(): ObjectRelayError {
  return createError(
    'RELAY_NOT_PROVEN',
    'The relay did not prove the password on this very channel; someone may sit in between. Do not go on over this network.',
  )
}
