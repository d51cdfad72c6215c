import { messageOf } from './thrown.ts'

/**
 * Every error this library reports, sorted by its consequence for the program:
 *
 * - `misuse`: the program asked for something that cannot be; change the program.
 * - `refused`: the relay, or the check of its identity, said no; change the configuration on one of the two sides.
 * - `peer`: the other side, or another member, sent what it must not; nothing wrong here.
 * - `link`: the network or the relay is away; it usually recovers by itself.
 * - `full`: a stated bound is reached; try again later, or raise the bound.
 *
 * docs/errors.md lists the same codes; a test compares the two.
 */
export type ErrorCategory = 'misuse' | 'refused' | 'peer' | 'link' | 'full'

/** Every code with its category, whether the same call may succeed later, and what it means. */
export const errorCatalogue = {
  // misuse
  INVALID_OPTION: {
    category: 'misuse',
    retryable: false,
    meaning: 'An option is missing, unknown, of the wrong type or out of range.',
  },
  INVALID_ARGUMENT: {
    category: 'misuse',
    retryable: false,
    meaning: 'An argument of a call is of the wrong type or out of range.',
  },
  NOT_A_MEMBER: {
    category: 'misuse',
    retryable: false,
    meaning: 'The endpoint asked for objects of a group that it is not a member of.',
  },
  STOPPED: { category: 'misuse', retryable: false, meaning: 'The relay or endpoint was used after it was stopped.' },
  NOT_SERIALIZABLE: {
    category: 'misuse',
    retryable: false,
    meaning: 'The object holds something that cannot be sent, at the path that is named.',
  },
  HANDLER_FAILED: {
    category: 'misuse',
    retryable: true,
    meaning: 'A handler of `work` threw; its object is tried again later, or was moved to the dead letters.',
  },
  KEY_UNREADABLE: {
    category: 'misuse',
    retryable: false,
    meaning: 'A key, certificate or verifier file cannot be read.',
  },
  KEY_ENCRYPTED: {
    category: 'misuse',
    retryable: false,
    meaning: 'The private key file is protected by a passphrase.',
  },
  KEY_INVALID: {
    category: 'misuse',
    retryable: false,
    meaning: 'A key, certificate or verifier file does not hold what it should.',
  },
  KEY_MISMATCH: {
    category: 'misuse',
    retryable: false,
    meaning: 'The private key does not belong to the certificate beside it.',
  },
  KEY_EXPOSED: {
    category: 'misuse',
    retryable: false,
    meaning: 'A private file can be read or replaced by other users of the machine.',
  },
  KEY_EXISTS: {
    category: 'misuse',
    retryable: false,
    meaning: 'A key or certificate is there already and is not overwritten.',
  },
  KEY_UNWRITABLE: {
    category: 'misuse',
    retryable: false,
    meaning: 'A key, certificate or verifier file cannot be written.',
  },
  FILE_UNREADABLE: {
    category: 'misuse',
    retryable: false,
    meaning: 'A file that a command should read cannot be read.',
  },
  FILE_UNWRITABLE: {
    category: 'misuse',
    retryable: false,
    meaning: 'A file that a command should write cannot be written, or is there already.',
  },
  PORT_IN_USE: { category: 'misuse', retryable: true, meaning: 'Another program listens on that port already.' },
  CANNOT_LISTEN: {
    category: 'misuse',
    retryable: false,
    meaning: 'The operating system does not let the relay listen there.',
  },
  STORE_READ_ONLY: {
    category: 'misuse',
    retryable: false,
    meaning: 'The folder of the store cannot be made, or cannot be written.',
  },
  STORE_IN_USE: { category: 'misuse', retryable: true, meaning: 'Another relay uses the folder of the store.' },
  STORE_FOREIGN: {
    category: 'misuse',
    retryable: false,
    meaning: 'The folder of the store holds something that is not a store of a relay.',
  },
  STORE_VERSION: {
    category: 'misuse',
    retryable: false,
    meaning: 'The store was written in a format that this version does not know.',
  },
  STORE_CORRUPT: {
    category: 'misuse',
    retryable: false,
    meaning: 'The store was damaged: something in it is missing, or is not as it was written.',
  },
  // refused
  WRONG_PASSWORD: { category: 'refused', retryable: false, meaning: 'The two sides do not share the same password.' },
  RELAY_NOT_PROVEN: {
    category: 'refused',
    retryable: false,
    meaning: 'The relay did not prove on this channel that it knows the password.',
  },
  CHANNEL_MISMATCH: {
    category: 'refused',
    retryable: false,
    meaning: 'The password was proven for another channel: someone may sit in between.',
  },
  TOO_MANY_ATTEMPTS: {
    category: 'refused',
    retryable: true,
    meaning:
      'Too many logins wait at the relay; or what answers in its place has asked for too much password stretching.',
  },
  GROUP_RESERVED: {
    category: 'refused',
    retryable: false,
    meaning: 'An object was sent to a group of dead letters, where only the relay puts objects.',
  },
  GROUP_NOT_ACCEPTED: {
    category: 'refused',
    retryable: false,
    meaning: 'The group is not among the groups that the relay accepts.',
  },
  GROUP_FULL: { category: 'refused', retryable: true, meaning: 'The group has as many members as the relay accepts.' },
  CERTIFICATE_UNTRUSTED: {
    category: 'refused',
    retryable: false,
    meaning: 'The certificate of the relay was not issued by the trusted one.',
  },
  CERTIFICATE_WRONG_HOST: {
    category: 'refused',
    retryable: false,
    meaning: 'The certificate of the relay is for another host name.',
  },
  CERTIFICATE_EXPIRED: { category: 'refused', retryable: false, meaning: 'The certificate is past its last day.' },
  CERTIFICATE_NOT_YET_VALID: {
    category: 'refused',
    retryable: false,
    meaning: 'The certificate is not valid yet; or a clock is wrong.',
  },
  INCOMPATIBLE_VERSION: {
    category: 'refused',
    retryable: false,
    meaning: 'The two sides speak no common version of the protocol.',
  },
  SECURITY_MISMATCH: { category: 'refused', retryable: false, meaning: 'One side speaks TLS and the other does not.' },
  NOT_A_RELAY: {
    category: 'refused',
    retryable: false,
    meaning: 'What answers at that address does not speak this protocol.',
  },
  TOO_MANY_CONNECTIONS: {
    category: 'refused',
    retryable: true,
    meaning: 'The relay has as many connections as it accepts.',
  },
  // peer
  PROTOCOL_VIOLATION: {
    category: 'peer',
    retryable: false,
    meaning: 'The peer sent what the protocol does not allow.',
  },
  HANDSHAKE_TIMEOUT: {
    category: 'peer',
    retryable: true,
    meaning: 'The peer was silent for too long before it was authenticated.',
  },
  HANDSHAKE_FAILED: { category: 'peer', retryable: true, meaning: 'The TLS handshake did not come to an end.' },
  NOT_DESERIALIZABLE: {
    category: 'peer',
    retryable: false,
    meaning: 'What arrived is not a valid encoding, or goes beyond a bound.',
  },
  SCHEMA_MISMATCH: { category: 'peer', retryable: false, meaning: 'The object does not fit the schema of its group.' },
  // link
  CONNECT_FAILED: { category: 'link', retryable: true, meaning: 'No connection to the relay could be made.' },
  CONNECT_TIMEOUT: {
    category: 'link',
    retryable: true,
    meaning: 'The relay did not accept the endpoint within connectTimeoutMs.',
  },
  LINK_LOST: { category: 'link', retryable: true, meaning: 'The connection broke.' },
  PEER_SILENT: {
    category: 'link',
    retryable: true,
    meaning: 'The peer sent nothing, not even a heartbeat, for two intervals.',
  },
  RELAY_STOPPED: { category: 'link', retryable: true, meaning: 'The relay was stopped.' },
  SESSION_LOST: {
    category: 'link',
    retryable: true,
    meaning: 'The relay does not know the session any more: it was restarted, or the grace time was over.',
  },
  LEASE_LOST: {
    category: 'link',
    retryable: false,
    meaning: 'An object was settled too late: another member may have it by now.',
  },
  TIMEOUT: {
    category: 'link',
    retryable: true,
    meaning: 'What a command waited for did not happen in the given time.',
  },
  DEADLINE: {
    category: 'link',
    retryable: true,
    meaning: 'The deadline of a stop was reached before everything was delivered.',
  },
  STORE_FAILED: {
    category: 'link',
    retryable: false,
    meaning: 'The store cannot keep anything more: reading or writing it failed.',
  },
  BACKGROUND_FAILED: { category: 'link', retryable: false, meaning: 'The background thread ended unexpectedly.' },
  // full
  QUEUE_FULL: {
    category: 'full',
    retryable: true,
    meaning:
      'The queue of the group is full and its policy is to reject; or the relay is full, for which no broadcast waits.',
  },
  OBJECT_TOO_LARGE: { category: 'full', retryable: false, meaning: 'The object is larger than a bound that is named.' },
  TOO_MANY_GROUPS: {
    category: 'full',
    retryable: true,
    meaning: 'The relay has as many groups with members or objects as it accepts.',
  },
  STORE_FULL: {
    category: 'full',
    retryable: true,
    meaning: 'The disk, or the room that the store may take on it, is full.',
  },
  SEND_ROOM_FULL: { category: 'full', retryable: true, meaning: 'Too many objects wait to be sent.' },
  OBJECTS_DROPPED: { category: 'full', retryable: false, meaning: 'Objects were dropped by a stated policy.' },
} as const

/** The stable code of an error, for programs. */
export type ErrorCode = keyof typeof errorCatalogue

/** What an error carries besides its code and its message. */
export interface ErrorDetails {
  /** What caused it, often an error of the operating system. */
  cause?: unknown
  /** Facts for programs: the option's name, the path in the object, the group, the bound. */
  details?: Readonly<Record<string, string | number | boolean>>
}

/** All that were made here. Whoever is asked about a value only, and not its prototype, runs no trap of a proxy. */
const ownErrors = new WeakSet<object>()

/** By class: a bundler that shortens names shortens those of classes as well, and users look for these in their logs. */
const classNames = new Map<unknown, string>()

/** The parent of every error that this library reports. */
export class ObjectRelayError extends Error {
  /** The stable code; {@link errorCatalogue} and docs/errors.md list them all. */
  readonly code: ErrorCode
  /** What it means for the program. */
  readonly category: ErrorCategory
  /** Whether the same call may succeed later without a change of program or configuration. */
  readonly retryable: boolean
  /** Facts for programs: the option's name, the path in the object, the group, the bound. */
  readonly details: Readonly<Record<string, string | number | boolean>>
  /** What it comes from, if from another error. Also in programs whose `lib` has no causes. */
  declare readonly cause?: unknown

  constructor(code: ErrorCode, message: string, { cause, details = {} }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = classNames.get(new.target) ?? new.target.name
    this.code = code
    this.category = errorCatalogue[code].category
    this.retryable = errorCatalogue[code].retryable
    this.details = details
    ownErrors.add(this)
  }
}

/** Whether what was thrown, which may be anything, is an error of this library. */
export function isObjectRelayError(thrown: unknown): thrown is ObjectRelayError {
  return typeof thrown === 'object' && thrown !== null && ownErrors.has(thrown)
}

/** The program asked for something that cannot be. */
export class UsageError extends ObjectRelayError {}
/** The object holds something that cannot be sent; `details.path` says where. */
export class SerializationError extends UsageError {}
/** A key, certificate or verifier file of one's own is unfit. */
export class KeyFileError extends UsageError {}
/** The relay cannot listen. */
export class ListenError extends UsageError {}
/** What a relay's store needs is missing, or what it finds is unfit. */
export class StoreError extends UsageError {}
/** The relay, or the check of its identity, said no. */
export class RefusedError extends ObjectRelayError {}
/** The two sides do not share the password. */
export class AuthenticationError extends RefusedError {}
/** The relay does not accept that group. */
export class GroupNotAcceptedError extends RefusedError {}
/** The group has as many members as the relay accepts. */
export class GroupFullError extends RefusedError {}
/** The certificate is not the one that was to be expected. */
export class CertificateError extends RefusedError {}
/** The two sides speak no common version of the protocol. */
export class IncompatibleVersionError extends RefusedError {}
/** The other side sent what it must not. */
export class PeerError extends ObjectRelayError {}
/** What arrived is not a valid encoding, or goes beyond a bound. */
export class DeserializationError extends PeerError {}
/** The object does not fit the schema of its group. */
export class SchemaError extends PeerError {}
/** The network or the relay is away. */
export class LinkError extends ObjectRelayError {}
/** The relay did not accept the endpoint in time. */
export class ConnectTimeoutError extends LinkError {}
/** A stated bound is reached. */
export class FullError extends ObjectRelayError {}

/** What a handler of `work` throws when it is of no use to try again: the object becomes a dead letter at once. */
export class UnrecoverableError extends Error {
  override readonly name: string = 'UnrecoverableError'
}

const classes = {
  ObjectRelayError,
  UsageError,
  SerializationError,
  KeyFileError,
  ListenError,
  StoreError,
  RefusedError,
  AuthenticationError,
  GroupNotAcceptedError,
  GroupFullError,
  CertificateError,
  IncompatibleVersionError,
  PeerError,
  DeserializationError,
  SchemaError,
  LinkError,
  ConnectTimeoutError,
  FullError,
}
for (const [name, ErrorClass] of Object.entries(classes)) classNames.set(ErrorClass, name)

const parents: Record<ErrorCategory, typeof ObjectRelayError> = {
  misuse: UsageError,
  refused: RefusedError,
  peer: PeerError,
  link: LinkError,
  full: FullError,
}

const ownClasses: { readonly [Code in ErrorCode]?: typeof ObjectRelayError } = {
  NOT_SERIALIZABLE: SerializationError,
  KEY_UNREADABLE: KeyFileError,
  KEY_ENCRYPTED: KeyFileError,
  KEY_INVALID: KeyFileError,
  KEY_MISMATCH: KeyFileError,
  KEY_EXPOSED: KeyFileError,
  KEY_EXISTS: KeyFileError,
  KEY_UNWRITABLE: KeyFileError,
  PORT_IN_USE: ListenError,
  CANNOT_LISTEN: ListenError,
  STORE_READ_ONLY: StoreError,
  STORE_IN_USE: StoreError,
  STORE_FOREIGN: StoreError,
  STORE_VERSION: StoreError,
  STORE_CORRUPT: StoreError,
  WRONG_PASSWORD: AuthenticationError,
  RELAY_NOT_PROVEN: AuthenticationError,
  CHANNEL_MISMATCH: AuthenticationError,
  TOO_MANY_ATTEMPTS: AuthenticationError,
  GROUP_NOT_ACCEPTED: GroupNotAcceptedError,
  GROUP_FULL: GroupFullError,
  CERTIFICATE_UNTRUSTED: CertificateError,
  CERTIFICATE_WRONG_HOST: CertificateError,
  CERTIFICATE_EXPIRED: CertificateError,
  CERTIFICATE_NOT_YET_VALID: CertificateError,
  INCOMPATIBLE_VERSION: IncompatibleVersionError,
  NOT_DESERIALIZABLE: DeserializationError,
  SCHEMA_MISMATCH: SchemaError,
  CONNECT_TIMEOUT: ConnectTimeoutError,
}

/** Makes the error of the class that belongs to `code`. */
export function createError(code: ErrorCode, message: string, details?: ErrorDetails): ObjectRelayError {
  const ErrorClass = ownClasses[code] ?? parents[errorCatalogue[code].category]
  return new ErrorClass(code, message, details)
}

/** An error as plain data, to travel between threads and over the wire. */
export interface PlainError {
  code: ErrorCode
  message: string
  details?: Readonly<Record<string, string | number | boolean>>
  /** The message of the cause; the cause itself stays where it was. */
  cause?: string
}

/** Whether `code` is one of the catalogue; codes from outside must be asked. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCatalogue, code)
}

/** Texts of an error on its way have at most so many characters: what a peer sent may be quoted in them, and may be long. */
const PLAIN_TEXT_CHARACTERS_MAX = 2_000

export function toPlainError({ code, message, details, cause }: ObjectRelayError): PlainError {
  const why = cause === undefined ? undefined : messageOf(cause)
  const shortDetails = Object.entries(details).map(([name, value]) => [
    name,
    typeof value === 'string' ? shortened(value) : value,
  ])
  return {
    code,
    message: shortened(message),
    // fromEntries defines own properties, so that a detail may be called __proto__.
    details: Object.fromEntries(shortDetails),
    ...(why === undefined ? {} : { cause: shortened(why) }),
  }
}

function shortened(text: string): string {
  return text.length <= PLAIN_TEXT_CHARACTERS_MAX ? text : `${text.slice(0, PLAIN_TEXT_CHARACTERS_MAX - 1)}…`
}

export function fromPlainError({ code, message, details, cause }: PlainError): ObjectRelayError {
  return withoutFrames(
    createError(code, message, {
      ...(details === undefined ? {} : { details }),
      ...(cause === undefined ? {} : { cause: withoutFrames(new Error(cause)) }),
    }),
  )
}

/** Where an error was read says nothing about where it happened, which was elsewhere. */
function withoutFrames<AnyError extends Error>(error: AnyError): AnyError {
  error.stack = `${error.name}: ${error.message}`
  return error
}

/** Turns whatever was thrown into one of ours: an error that is ours already stays as it is. */
export function toObjectRelayError(thrown: unknown, code: ErrorCode): ObjectRelayError {
  if (isObjectRelayError(thrown)) return thrown
  return createError(code, messageOf(thrown), { cause: thrown })
}
