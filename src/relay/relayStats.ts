import type { BrokerStats, GroupStats, SessionStats } from '../core/stats.ts'

/** One session of a relay, and what is on its way to its endpoint. */
export interface RelaySessionStats extends Omit<SessionStats, 'id'> {
  /** The public id of its endpoint, as in the events. */
  readonly endpoint: string
  /** Where its last connection came from. */
  readonly peer: string
  /** Bytes of frames that the endpoint has not confirmed: they are kept for its return. */
  readonly unconfirmedBytes: number
  /** Bytes that were given to its connection and not taken by the operating system; 0 without one. */
  readonly pendingBytes: number
}

/** A snapshot of a relay. */
export interface RelayStats extends Omit<BrokerStats, 'groups' | 'sessions'> {
  readonly groups: Readonly<Record<string, GroupStats>>
  readonly sessions: readonly RelaySessionStats[]
  readonly port: number
  readonly uptimeMs: number
  readonly endpoints: {
    readonly connected: number
    /** Lost their link, and may come back within `limits.sessionGraceMs`. */
    readonly away: number
    /** Turned away since the relay began. */
    readonly refused: number
  }
  /** Connections that have not proven the password. */
  readonly unauthenticated: number
  readonly memory: {
    /** Of the whole process that the relay is in. */
    readonly residentBytes: number
    /** That small objects take, with what lies unused between them; large ones take what they count. */
    readonly storeBytes: number
  }
}

/** What `relay.stop()` resolves to. */
export interface RelayStopResult {
  /** By group: objects that nobody had asked for, and objects that somebody had and did not acknowledge. */
  readonly undelivered: Readonly<Record<string, { readonly waiting: number; readonly leased: number }>>
  /** Whether connected endpoints did not take what was on its way to them in time. */
  readonly deadlineReached: boolean
}
