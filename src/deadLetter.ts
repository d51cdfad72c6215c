/**
 * Why a lease was given back: its handler threw (`failed`), its body cannot be read (`undecodable`), its schema refuses it (`schema`), it
 * is larger than the endpoint takes (`tooLarge`), or the program gave it back itself (`released`).
 */
export const releaseReasons = ['failed', 'undecodable', 'schema', 'tooLarge', 'released'] as const

export type ReleaseReason = (typeof releaseReasons)[number]

/** Why an object ended as a dead letter: besides the above, its endpoint was lost, made no progress, or broke the protocol. */
export type DeathReason = ReleaseReason | 'lost' | 'progress' | 'violation'

/** What an endpoint tells of the error that made it give an object back: text only, for people. */
export interface FailureError {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly stack?: string
}

/** Why an endpoint gives an object back. */
export interface LeaseFailure {
  readonly reason: ReleaseReason
  readonly error?: FailureError
}

/** What is kept with an object that was tried too often: how its last attempt ended. */
export interface DeadLetter {
  readonly reason: DeathReason
  /** How often a program had seen it. */
  readonly attempts: number
  /** The public id of the endpoint that tried last. */
  readonly endpoint: string
  /** Its name, if the relay knew it. */
  readonly name?: string
  /** When it was given up, by the clock of the relay, in milliseconds since 1970. */
  readonly diedAtMs: number
  readonly error?: FailureError
}

/** Bytes of a {@link LeaseFailure} as JSON. */
export const failureBytesMax = 4_096
