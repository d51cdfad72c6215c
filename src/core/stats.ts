import type { Core } from './core.ts'
import type { BrokerCounts, GroupCounts } from './counts.ts'
import type { Group, Session } from './entities/model.ts'
import type { SessionState } from './ports.ts'

/** One group, seen from outside. Bytes and counts are of the present; the fields of {@link GroupCounts} are since it is known. */
export interface GroupStats extends GroupCounts {
  readonly name: string
  readonly members: number
  readonly waiting: number
  readonly waitingBytes: number
  /** How many of those that wait are not to be delivered yet: they failed, and wait for their next attempt. */
  readonly retrying: number
  readonly leased: number
  readonly leasedBytes: number
  /** Objects its members have asked for and not yet received. */
  readonly demand: number
  /** Sessions with something that waits until there is room here. */
  readonly blockedSenders: number
  /** Bytes of the retained broadcast; -1 if there is none. */
  readonly lastBroadcastBytes: number
}

/** One session, seen from outside. */
export interface SessionStats {
  readonly id: string
  readonly name: string
  readonly state: SessionState
  readonly groups: readonly string[]
  readonly leased: number
  readonly demand: number
  /** Bytes of objects delivered to it and not taken by its program, as far as its window tells. */
  readonly sentBytes: number
  readonly windowBytes: number
  readonly backlog: number
  readonly backlogBytes: number
  readonly heldBytes: number
  readonly largeObjects: number
}

/** A plain snapshot of the whole broker. */
export interface BrokerStats {
  readonly groups: readonly GroupStats[]
  readonly sessions: readonly SessionStats[]
  /** Bytes of all kept objects, each once. */
  readonly keptBytes: number
  readonly counts: BrokerCounts
}

export function readStats({ registry, sessions, keptBytes, counts }: Core): BrokerStats {
  return {
    groups: [...registry.groups.values()].map(groupStats),
    sessions: [...sessions.values()].map(sessionStats),
    keptBytes,
    counts: counts.ofRelay(),
  }
}

function groupStats({ name, members, queue, leased, leasedBytes, ...group }: Group): GroupStats {
  let demand = 0
  for (const { credit } of members) demand += credit
  return {
    name,
    members: members.size,
    waiting: queue.count,
    waitingBytes: queue.bytes,
    retrying: queue.delayedCount,
    leased,
    leasedBytes,
    demand,
    blockedSenders: group.blockedSenders,
    lastBroadcastBytes: group.retained?.shared.payload.bytes ?? -1,
    ...group.counts.ofGroup(),
  }
}

function sessionStats(session: Session): SessionStats {
  const { id, name, state, memberships, leases, reclaimed, sentBytes, windowEnd, backlog, blockedBytes, begun } =
    session
  let demand = 0
  for (const { credit } of memberships.values()) demand += credit
  return {
    id,
    name,
    state,
    groups: [...memberships.keys()],
    leased: leases.size + reclaimed.size,
    demand,
    sentBytes,
    windowBytes: windowEnd - sentBytes,
    backlog: backlog.count,
    backlogBytes: backlog.bytes,
    heldBytes: blockedBytes,
    largeObjects: begun.size,
  }
}
