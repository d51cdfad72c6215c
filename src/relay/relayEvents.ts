import type { DeathReason, FailureError } from '../deadLetter.ts'
import type { ErrorCode, ObjectRelayError, PlainError } from '../errors.ts'

/** What a `warning` is about: an error that does not end the relay, or one of these. */
export type RelayWarningCode = ErrorCode | 'WEAK_PASSWORD' | 'NO_TLS' | 'CERTIFICATE_EXPIRES' | 'EVENTS_LOST'

/** Which endpoint an event is about: its public id, which stays the same over its connections, and what people call it. */
export interface EventOfEndpoint {
  endpoint: string
  name: string
}

/** What a relay reports. Each is an event of the same name; times are milliseconds since 1970. */
export interface RelayEvents {
  /** An endpoint proved the password and joined its groups; `resumed` if it came back to its session. */
  endpointConnected: EventOfEndpoint & { peer: string; agent: string; groups: readonly string[]; resumed: boolean }
  /** The link of an endpoint broke; its session is kept for `limits.sessionGraceMs`. */
  endpointLost: EventOfEndpoint & { peer: string; error: PlainError }
  /** An endpoint said goodbye, or did not come back in time. */
  endpointLeft: EventOfEndpoint & { reason: 'stopped' | 'grace' | 'violation' }
  /**
   * A peer was turned away; `suppressed` refusals before this one were not reported one by one. Of one that had proven the
   * password and said who it is, `endpoint` and `name` tell it.
   */
  endpointRefused: Partial<EventOfEndpoint> & { peer: string; error: PlainError; suppressed: number }
  /** Objects were dropped by a stated policy. */
  objectDropped: Partial<EventOfEndpoint> & {
    group: string
    kind: 'broadcast' | 'produce'
    reason: string
    count: number
  }
  /**
   * Objects were moved to `<group>.dead` after too many attempts, the last one at that endpoint. `error`: why that attempt failed, as the
   * endpoint says; of several, the first.
   */
  objectDead: EventOfEndpoint & {
    group: string
    attempts: number
    reason: DeathReason
    error?: FailureError
    count: number
  }
  /** An endpoint whose program took nothing for `limits.progressMs` lost its leases. */
  leasesRevoked: EventOfEndpoint & { count: number }
  /** New connections get another certificate from now on: the files were replaced, or the relay renewed its own. */
  certificateChanged: { fingerprint256: string; validTo: number }
  /** Something that the operator should know. Printed by `process.emitWarning` when nobody listens. */
  warning: { code: RelayWarningCode; message: string }
  /** The relay failed, and is at its end. */
  error: ObjectRelayError
}

/** An event on its way from the relay's thread; an error travels as plain data. */
export type RelayEventMessage = {
  [Name in keyof RelayEvents]: {
    readonly name: Name
    readonly value: Name extends 'error' ? { readonly error: PlainError } : RelayEvents[Name]
  }
}[keyof RelayEvents]

/** All names, for checking listeners. */
export const relayEventNames: readonly (keyof RelayEvents)[] = [
  'endpointConnected',
  'endpointLost',
  'endpointLeft',
  'endpointRefused',
  'objectDropped',
  'objectDead',
  'leasesRevoked',
  'certificateChanged',
  'warning',
  'error',
]
