import { createHash, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { createError, type ObjectRelayError, toObjectRelayError } from '../errors.ts'
import { type ChannelBinding, checkChannelBinding, sameProof, Transcript, ticketKeyOf } from './channelProof.ts'
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
  loginQueued,
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
import { TicketSeal } from './tickets.ts'

/** Where the relay gets what it needs to recognise the password. */
export type PasswordSource = { readonly password: string } | { readonly passwordVerifier: string | object }

/** What became of a connection. */
export type RelayOutcome =
  | { readonly authenticated: true; readonly method: 'password' | 'ticket' }
  | { readonly refused: ObjectRelayError }

/**
 * What the relay does next: sends (first), and then either goes on waiting or has come to an end. `queue`: a login is to be answered, by
 * {@link RelayProof.answer}, when its turn comes.
 */
export interface RelayStep {
  readonly send?: ProofMessage
  readonly queue?: true
  readonly outcome?: RelayOutcome
}

export interface AuthenticatorOptions {
  readonly ticketMs: number
  /** The relay's secret for its tickets, 32 bytes: with the same one it takes those of before. */
  readonly ticketKey: Uint8Array
}

const stretch = promisify<string, Uint8Array, number, object, Buffer>(scrypt)
/** As light as the stretching of a login: 4 MiB and about 10 ms. Only who has the ticket key and a ticket could search. */
const bindingCost = { N: 4_096, r: 8, p: 1 }

/** One per relay: knows what the password looks like and how tickets are sealed. Never keeps the password itself. */
export class RelayAuthenticator {
  readonly #record: PasswordRecord
  readonly #seal: TicketSeal

  private constructor(record: PasswordRecord, seal: TicketSeal) {
    this.#record = record
    this.#seal = seal
  }

  static async create(source: PasswordSource, options: AuthenticatorOptions): Promise<RelayAuthenticator> {
    await loadPasswordProof()
    const { ticketKey, ticketMs } = options
    if ('password' in source) {
      const password = checkPassword(source.password)
      const passwordBinding = await stretch(password, ticketKey, 32, bindingCost)
      const record = registerPassword(password, lightStretching)
      return new RelayAuthenticator(record, new TicketSeal({ ticketKey, passwordBinding, ticketMs }))
    }
    const record = await openPasswordVerifier(source.passwordVerifier)
    const passwordBinding = createHash('sha256').update(record.serverSetup).update(record.registrationRecord).digest()
    return new RelayAuthenticator(record, new TicketSeal({ ticketKey, passwordBinding, ticketMs }))
  }

  /** One per connection; `channelBinding` is what names it, see `channelBindingOf`. */
  begin(channelBinding: ChannelBinding): RelayProof {
    return new RelayProof(this.#record, this.#seal, checkChannelBinding(channelBinding))
  }
}

type RelayState = 'new' | 'ticketUnknown' | 'queued' | 'responded' | 'ended'

/** What may come in which state. What is absent is a violation of the protocol. */
const legal: Readonly<Record<RelayState, readonly ProofMessageName[]>> = {
  new: ['LOGIN_START', 'TICKET_START'],
  ticketUnknown: ['LOGIN_START'],
  queued: [],
  responded: ['LOGIN_FINISH', 'LOGIN_FAILED'],
  ended: [],
}

/** The relay's side of the proof on one connection: frames in, frames out, no socket, no clock. */
export class RelayProof {
  readonly #record: PasswordRecord
  readonly #seal: TicketSeal
  readonly #bound: boolean
  readonly #transcript: Transcript
  #state: RelayState = 'new'
  #loginState = ''
  #guessing = false
  /** The login that waits for its turn. */
  #login: ReceivedMessage | undefined

  constructor(record: PasswordRecord, seal: TicketSeal, channelBinding: ChannelBinding) {
    this.#record = record
    this.#seal = seal
    this.#bound = channelBinding.type !== 'none'
    this.#transcript = new Transcript(channelBinding)
  }

  /**
   * Whether the endpoint has been given what it needs to try one password, and has not proven to know it. A connection
   * that ends so, for whatever reason, counts as a failed attempt: whoever guesses need not say how the guess went.
   */
  get guessing(): boolean {
    return this.#guessing
  }

  /** Takes one frame; `dateMs` is the time of day. Never throws for what the peer sent: the outcome holds the error. */
  receive(message: ReceivedMessage, dateMs: number): RelayStep {
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
      return this.#take(name, message, dateMs)
    } catch (thrown) {
      return this.#refuse(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'))
    }
  }

  /** Answers the login that was queued: its turn has come. */
  answer(): RelayStep {
    const login = this.#login
    if (login === undefined) throw new Error('No login waits for its turn')
    this.#login = undefined
    try {
      const { state, ke2 } = answerLogin(this.#record, login.body)
      const send = loginResponse(this.#record.stretching, ke2)
      this.#transcript.add(send)
      this.#loginState = state
      this.#guessing = true
      this.#state = 'responded'
      return { send }
    } catch (thrown) {
      return this.#refuse(toObjectRelayError(thrown, 'PROTOCOL_VIOLATION'))
    }
  }

  /** Tells the endpoint whose login is queued that its turn will come. */
  keepWaiting(): RelayStep {
    const send = loginQueued()
    this.#transcript.add(send)
    return { send }
  }

  /** Turns the endpoint away because too many logins wait; it may try again after `waitMs`. */
  refuseForNow(waitMs: number): RelayStep {
    const wait = Math.min(Math.max(Math.ceil(waitMs), 0), 0xffff_ffff)
    const error = createError(
      'TOO_MANY_ATTEMPTS',
      `Too many logins wait for their turn; this one may come again in ${wait} ms.`,
      { details: { waitMs: wait } },
    )
    return this.#refuse(error, 'attempts', wait)
  }

  #take(name: ProofMessageName, message: ReceivedMessage, dateMs: number): RelayStep {
    switch (name) {
      case 'TICKET_START':
        return this.#checkTicket(message, dateMs)
      case 'LOGIN_START':
        return this.#queue(message)
      case 'LOGIN_FINISH':
        return this.#finish(message, dateMs)
      case 'LOGIN_FAILED':
        return this.#hearFailure(message)
      default:
        throw createError('PROTOCOL_VIOLATION', `${name} is a frame that only a relay sends.`)
    }
  }

  #checkTicket(message: ReceivedMessage, dateMs: number): RelayStep {
    const { covered: sealed, proof } = splitProof(message.body)
    // Without a channel binding the proof would be the same on every connection, and could be replayed.
    const key = this.#bound ? this.#seal.open(sealed, dateMs) : undefined
    if (key === undefined) {
      this.#transcript.add(message)
      const send = ticketUnknown()
      this.#transcript.add(send)
      this.#state = 'ticketUnknown'
      return { send }
    }
    const start = { type: proofMessageTypes.TICKET_START, covered: sealed }
    if (!sameProof(this.#transcript.proof(key, 'endpoint', start), proof)) return this.#refuseOtherChannel('ticket')
    this.#transcript.add(message)
    const answer = ticketProof()
    this.#state = 'ended'
    return {
      send: appendProof(answer, this.#transcript.proof(key, 'relay', answer)),
      outcome: { authenticated: true, method: 'ticket' },
    }
  }

  #queue({ type, body }: ReceivedMessage): RelayStep {
    // The bytes of a frame are reused after the call.
    this.#login = { type, body: Uint8Array.from(body) }
    this.#transcript.add(this.#login)
    this.#state = 'queued'
    return { queue: true }
  }

  #finish(message: ReceivedMessage, dateMs: number): RelayStep {
    const { covered: ke3, proof } = splitProof(message.body)
    const sessionKey = confirmLogin(this.#loginState, ke3)
    if (sessionKey === undefined) return this.#refuse(wrongPassword(), 'password')
    // Whoever came so far knows the password, or passes on the frames of someone who does.
    this.#guessing = false
    const finish = { type: proofMessageTypes.LOGIN_FINISH, covered: ke3 }
    if (!sameProof(this.#transcript.proof(sessionKey, 'endpoint', finish), proof))
      return this.#refuseOtherChannel('password')
    this.#transcript.add(message)
    const seconds = this.#bound ? this.#seal.lifetimeSeconds : 0
    const answer = loginProof(
      seconds === 0 ? undefined : { seconds, sealed: this.#seal.seal(ticketKeyOf(sessionKey), dateMs) },
    )
    const send = appendProof(answer, this.#transcript.proof(sessionKey, 'relay', answer))
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
    this.#login = undefined
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
