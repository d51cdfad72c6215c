import type { BrokerStats, GroupStats } from '../core/stats.ts'

/** A snapshot of a relay. */
export interface RelayStats extends Omit<BrokerStats, 'groups'> {
  readonly groups: Readonly<Record<string, GroupStats>>
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
  }
}

/** What `relay.stop()` resolves to. */
export interface RelayStopResult {
  /** By group: objects that nobody had asked for, and objects that somebody had and did not acknowledge. */
  readonly undelivered: Readonly<Record<string, { readonly waiting: number; readonly leased: number }>>
  /** Whether connected endpoints did not take what was on its way to them in time. */
  readonly deadlineReached: boolean
}
