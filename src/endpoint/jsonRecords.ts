// What those records say that are JSON. Apart from records.ts, because the declarations of the package lead here: a program without the
// types of Node.js must be able to read them.
import type { PlainError } from '../errors.ts'
import type { EndpointLimits, RelayLimits } from '../limits.ts'

/** What OPEN carries to the I/O: everything about an endpoint that the network has to know. All of it was checked. */
export interface EndpointConfiguration {
  host: string
  port: number
  password: string
  /** The secret of the endpoint's session at its relay. */
  session: string
  /** For people. */
  name: string
  groups: readonly string[]
  security: 'TLS' | 'none'
  broadcasts: 'every' | 'latest'
  keysDir?: string
  ca?: string
  hostname?: string
  reconnect: { initialDelayMs: number; maxDelayMs: number; factor: number; jitter: number }
  limits: EndpointLimits
}

/** What STATE tells the program: where the connection to the relay stands. */
export interface EndpointState {
  /**
   * `connecting`: never accepted yet, an attempt is made or failed. `connected`. `reconnecting`: was accepted, the link
   * is gone, attempts are made. `disconnected`: refused with a permanent error.
   */
  state: 'connecting' | 'connected' | 'reconnecting' | 'disconnected'
  /** The attempt that this is about, from 1; 0 when the link was just lost. */
  attempt: number
  /** Why the last attempt failed or the link was lost. */
  error?: PlainError
  /** How long until the next attempt. */
  delayMs?: number
  /** Connected: counts the sessions; one more whenever the relay did not know the session. Lease numbers begin anew with it. */
  epoch: number
  /** Connected: whether the relay knew the session. */
  resumed: boolean
  /** Connected, not resumed: whether it is the same run of the relay, which has given all that it had lent to others. */
  sameRelay?: boolean
  /**
   * Connected, not resumed: what the relay had lent before it was restarted is still this endpoint's, as far as the program has
   * taken it. The program drops the rest, and answers with a CLAIM.
   */
  claims?: boolean
  /** Connected, not resumed, without `claims`: what the relay had lent is given to others; else it has forgotten it. */
  returned?: boolean
  /** Connected: the relay's bounds. */
  relayLimits?: Partial<RelayLimits>
}

/** What STOPPED tells the program. */
export interface EndpointStopResult {
  /** Objects that were returned as undelivered, before this record. */
  returned: number
  /** Whether the deadline ended it. */
  deadlineReached: boolean
}
