import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { checkChannelBinding, sameProof, Transcript } from './channelProof.ts'
import { checkPassword } from './password.ts'
import {
  answerLogin,
  confirmLogin,
  lightStretching,
  loadPasswordProof,
  type PasswordRecord,
  registerPassword,
} from './passwordLogin.ts'
import { openPasswordVerifier } from './passwordVerifier.ts'
import {
  appendProof,
  type FailureReason,
  identifyProofMessage,
  loginFailed,
  loginProof,
  loginResponse,
  type ProofMessage,
  type ProofMessageName,
  parseLoginFailed,
  proofMessageTypes,
  type ReceivedMessage,
  splitProof,
  ticketProof,
  ticketUnknown,
} from './proofMessages.ts'
import { TicketStore } from './tickets.ts'

/** Where the relay gets what it needs to recognise the password. */
export type PasswordSource = { readonly password: string } | { readonly passwordVerifier: string | object }

/** What became of a connection. */
export type RelayOutcome =
  | { readonly authenticated: true; readonly method: 'password' | 'ticket' }
  | { readonly refused: ObjectRelayError }

/** What the relay does next: sends (first), and then either goes on waiting or has come to an end. */
export interface RelayStep {
  readonly send?: ProofMessage
  readonly outcome?: RelayOutcome
}

/** One per relay: knows what the password looks like and which tickets are out. Never keeps the password itself. */
export class RelayAuthenticator {
  readonly #record: PasswordRecord
  readonly #tickets: TicketStore

  private constructor(record: PasswordRecord, ticketMs: number) {
    this.#record = record
    this.#tickets = new TicketStore(ticketMs)
  }

  static async create(source: PasswordSource, bounds: { readonly ticketMs: number }): Promise<RelayAuthenticator> {
    await loadPasswordProof()
    const record =
      'password' in source
        ? registerPassword(checkPassword(source.password), lightStretching)
        : await openPasswordVerifier(source.passwordVerifier)
    return new RelayAuthenticator(record, bounds.ticketMs)
  }

  /** One per connection; `channelBinding` is what names it, see `channelBindingOf`. */
  begin(channelBinding: Uint8Array): RelayProof {
    return new RelayProof(this.#record, this.#tickets, checkChannelBinding(channelBinding))
  }
}

type RelayState = 'new' | 'ticketUnknown' | 'responded' | 'ended'

/** What may come in which state. What is absent is a violation of the protocol. */
const legal: Readonly<Record<RelayState, readonly ProofMessageName[]>> = {
  new: ['LOGIN_START', 'TICKET_START'],
  ticketUnknown: ['LOGIN_START'],
  responded: ['LOGIN_FINISH', 'LOGIN_FAILED'],
  ended: [],
}

/** The relay's side of the proof on one connection: frames in, frames out, no socket, no clock. */
export class RelayProof {
  readonly #record: PasswordRecord
  readonly #tickets: TicketStore
  readonly #bound: boolean
  readonly #transcript: Transcript
  #state: RelayState = 'new'
  #loginState = ''
  #guessing = false

  constructor(record: PasswordRecord, tickets: TicketStore, channelBinding: Uint8Array) {
    this.#record = record
    this.#tickets = tickets
    this.#bound = channelBinding.length > 0
    this.#transcript = new Transcript(channelBinding)
  }

  /**
   * Whether the endpoint has been given what it needs to try one password, and has not proven to know it. A connection
   * that ends so, for whatever reason, counts as a failed attempt: whoever guesses need not say how the guess went.
   */
  get guessing(): boolean {
    return this.#guessing
  }

  /** Takes one frame. Never throws for what the peer sent: the outcome holds the error. */
  receive(message: ReceivedMessage, nowMs: number): RelayStep {
    try {
      const name = identifyProofMessage(message)
      if (!legal[this.#state].includes(name)) {
        throw createError(
          'PROTOCOL_VIOLATION',
          `The endpoint sent ${name} in the state "${this.#state}" of the proof.`,
          {
            details: { frame: name, state: this.#state },
          },
        )
      }
      return this.#take(name, message, nowMs)
    } catch (thrown) {
      return this.#refuse(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'))
    }
  }

  /** Turns the endpoint away because wrong passwords came from its address; it may try again after `waitMs`. */
  refuseForNow(waitMs: number): RelayStep {
    const wait = Math.min(Math.max(Math.ceil(waitMs), 0), 0xffff_ffff)
    const error = createError(
      'TOO_MANY_ATTEMPTS',
      `Wrong passwords came from that address; it has to wait ${wait} ms.`,
      {
        details: { waitMs: wait },
      },
    )
    return this.#refuse(error, 'attempts', wait)
  }

  #take(name: ProofMessageName, message: ReceivedMessage, nowMs: number): RelayStep {
    switch (name) {
      case 'TICKET_START':
        return this.#checkTicket(message, nowMs)
      case 'LOGIN_START':
        return this.#answer(message)
      case 'LOGIN_FINISH':
        return this.#finish(message, nowMs)
      case 'LOGIN_FAILED':
        return this.#hearFailure(message)
      default:
        throw createError('PROTOCOL_VIOLATION', `${name} is a frame that only a relay sends.`)
    }
  }

  #checkTicket(message: ReceivedMessage, nowMs: number): RelayStep {
    const { covered: id, proof } = splitProof(message.body)
    // Without a channel binding the proof would be the same on every connection, and could be replayed.
    const key = this.#bound ? this.#tickets.find(id, nowMs) : undefined
    if (key === undefined) {
      this.#transcript.add(message)
      const send = ticketUnknown()
      this.#transcript.add(send)
      this.#state = 'ticketUnknown'
      return { send }
    }
    const start = { type: proofMessageTypes.TICKET_START, covered: id }
    if (!sameProof(this.#transcript.proof(key, 'endpoint', start), proof)) return this.#refuseOtherChannel('ticket')
    this.#transcript.add(message)
    const answer = ticketProof()
    this.#state = 'ended'
    return {
      send: appendProof(answer, this.#transcript.proof(key, 'relay', answer)),
      outcome: { authenticated: true, method: 'ticket' },
    }
  }

  #answer(message: ReceivedMessage): RelayStep {
    const { state, ke2 } = answerLogin(this.#record, message.body)
    const send = loginResponse(this.#record.stretching, ke2)
    this.#transcript.add(message)
    this.#transcript.add(send)
    this.#loginState = state
    this.#guessing = true
    this.#state = 'responded'
    return { send }
  }

  #finish(message: ReceivedMessage, nowMs: number): RelayStep {
    const { covered: ke3, proof } = splitProof(message.body)
    const sessionKey = confirmLogin(this.#loginState, ke3)
    if (sessionKey === undefined) return this.#refuse(wrongPassword(), 'password')
    // Whoever came so far knows the password, or passes on the frames of someone who does.
    this.#guessing = false
    const finish = { type: proofMessageTypes.LOGIN_FINISH, covered: ke3 }
    if (!sameProof(this.#transcript.proof(sessionKey, 'endpoint', finish), proof))
      return this.#refuseOtherChannel('password')
    this.#transcript.add(message)
    const ticket = this.#bound ? this.#tickets.announce() : undefined
    const answer = loginProof(ticket)
    const send = appendProof(answer, this.#transcript.proof(sessionKey, 'relay', answer))
    if (ticket !== undefined) this.#tickets.keep(ticket.id, sessionKey, nowMs)
    sessionKey.fill(0)
    this.#loginState = ''
    this.#state = 'ended'
    return { send, outcome: { authenticated: true, method: 'password' } }
  }

  #hearFailure({ body }: ReceivedMessage): RelayStep {
    const { reason } = parseLoginFailed(body)
    if (reason === 'password') return this.#refuse(wrongPassword())
    throw createError('PROTOCOL_VIOLATION', `The endpoint gave the reason "${reason}", which only a relay may give.`)
  }

  #refuseOtherChannel(what: 'ticket' | 'password'): RelayStep {
    const message = `The endpoint proved its ${what} for another channel than this one; someone may sit in between.`
    return this.#refuse(createError('CHANNEL_MISMATCH', message), 'channel')
  }

  #refuse(error: ObjectRelayError, tell?: FailureReason, waitMs = 0): RelayStep {
    this.#state = 'ended'
    this.#loginState = ''
    return tell === undefined
      ? { outcome: { refused: error } }
      : { send: loginFailed(tell, waitMs), outcome: { refused: error } }
  }
}

function wrongPassword(): ObjectRelayError {
  return createError(
    'WRONG_PASSWORD',
    'The endpoint does not use the password of this relay. Give both sides the same password.',
  )
}
