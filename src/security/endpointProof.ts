import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { checkChannelBinding, sameProof, Transcript, ticketKeyOf } from './channelProof.ts'
import { checkPassword } from './password.ts'
import { finishLogin, startLogin, stretchingFault } from './passwordLogin.ts'
import {
  appendProof,
  identifyProofMessage,
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
import type { Ticket } from './tickets.ts'

export interface EndpointProofOptions {
  readonly password: string
  /** What names this connection, see `channelBindingOf`. */
  readonly channelBinding: Uint8Array
  /** Of an earlier login of this process at the same relay. */
  readonly ticket?: Ticket | undefined
}

/** What became of the connection. `ticket` is for the next connections; the one that was used comes back. */
export type EndpointOutcome =
  | { readonly authenticated: true; readonly ticket: Ticket | undefined }
  | { readonly refused: ObjectRelayError }

/** What the endpoint does next: sends (first), and then either goes on waiting or has come to an end. */
export interface EndpointStep {
  readonly send?: ProofMessage
  readonly outcome?: EndpointOutcome
}

type EndpointState = 'new' | 'ticketSent' | 'loginSent' | 'finishSent' | 'ended'

/** What may come in which state. What is absent is a violation of the protocol. */
const legal: Readonly<Record<EndpointState, readonly ProofMessageName[]>> = {
  new: [],
  ticketSent: ['TICKET_PROOF', 'TICKET_UNKNOWN', 'LOGIN_FAILED'],
  loginSent: ['LOGIN_RESPONSE', 'LOGIN_FAILED'],
  finishSent: ['LOGIN_PROOF', 'LOGIN_FAILED'],
  ended: [],
}

const noBytes = new Uint8Array(0)
/** A relay that nobody has verified yet must not be able to keep an endpoint away for days. */
const waitMsMax = 60_000

/**
 * The endpoint's side of the proof on one connection: frames in, frames out, no socket, no clock.
 * `loadPasswordProof` must have been awaited before. Taking LOGIN_RESPONSE computes for as long as the relay's password
 * stretching asks: about 10 ms for a relay that holds the password, 0.2 s for one with a verifier file.
 */
export class EndpointProof {
  readonly #transcript: Transcript
  readonly #ticket: Ticket | undefined
  #password: string
  #state: EndpointState = 'new'
  #loginState = ''
  #sessionKey: Uint8Array = noBytes

  constructor({ password, channelBinding, ticket }: EndpointProofOptions) {
    this.#password = checkPassword(password)
    const binding = checkChannelBinding(channelBinding)
    this.#transcript = new Transcript(binding)
    this.#ticket = binding.length > 0 ? ticket : undefined
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

  #startTicket({ id, key }: Ticket): ProofMessage {
    const start = ticketStart(id)
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
    const result = finishLogin(this.#password, this.#loginState, stretching, ke2)
    if (result === undefined) return { ...this.#refuse(wrongPassword()), send: loginFailed('password') }
    this.#transcript.add(message)
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
    const offer = parseLoginProof(body)
    if (offer === undefined) return this.#accept(undefined)
    const key = ticketKeyOf(this.#sessionKey, offer.id)
    return this.#accept({ id: offer.id, key, lifetimeMs: offer.seconds * 1000 })
  }

  #explainFailure({ body }: ReceivedMessage): ObjectRelayError {
    const { reason, waitMs } = parseLoginFailed(body)
    if (reason === 'channel') return relayNotProven()
    if (reason === 'password') return wrongPassword()
    const wait = Math.min(waitMs, waitMsMax)
    return createError(
      'TOO_MANY_ATTEMPTS',
      `The relay has seen wrong passwords from this address and takes the next attempt in ${wait} ms.`,
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
