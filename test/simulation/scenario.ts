import type { AcceptedGroup } from '../../src/core/ports.ts'
import { type EndpointLimits, type RelayLimits, relayLimitDefaults } from '../../src/limits.ts'
import type { SeededRandom } from './random.ts'

const KiB = 1024

/** What is particular to one seed: bounds, groups, how many take part, and which faults there are. */
export interface Scenario {
  readonly limits: RelayLimits
  readonly acceptedGroups: null | Readonly<Record<string, AcceptedGroup>>
  readonly groups: readonly string[]
  /** Where the relay keeps things: gone with it, or on a disk. */
  readonly store: 'memory' | 'log'
  readonly machines: number
  readonly endpointsPerMachine: number
  /** How long a program pauses between two things that it does, on average. */
  readonly pauseMs: number
  readonly largeObjects: boolean
  /** How long until the next fault of a kind, on average; `Infinity` for none. */
  readonly faults: Readonly<Record<FaultKind, number>>
}

export type FaultKind =
  | 'cut'
  | 'freezeLink'
  | 'closeNetwork'
  | 'freezeMachine'
  | 'freezeRelay'
  | 'killMachine'
  | 'restartRelay'

export function makeScenario(random: SeededRandom): Scenario {
  const groups = ['alpha', 'beta', 'gamma', 'delta'].slice(0, random.integer(1, 4))
  const store = random.pick(['memory', 'log'] as const)
  const often = (probability: number, meansMs: readonly number[]) =>
    random.chance(probability) ? random.pick(meansMs) : Number.POSITIVE_INFINITY
  return {
    limits: makeLimits(random),
    acceptedGroups: random.chance(0.5) ? null : makeAcceptedGroups(random, groups),
    groups,
    store,
    machines: random.integer(1, 4),
    endpointsPerMachine: random.integer(1, 3),
    pauseMs: random.pick([30, 60, 120, 300]),
    largeObjects: random.chance(0.6),
    faults: {
      cut: often(0.8, [300, 1_000, 4_000]),
      freezeLink: often(0.5, [1_000, 5_000]),
      closeNetwork: often(0.4, [3_000, 10_000]),
      freezeMachine: often(0.5, [2_000, 8_000]),
      freezeRelay: often(0.3, [5_000, 15_000]),
      killMachine: often(0.5, [4_000, 15_000]),
      restartRelay: store === 'memory' ? often(0.3, [6_000, 20_000]) : often(0.7, [1_500, 6_000, 20_000]),
    },
  }
}

function makeLimits(random: SeededRandom): RelayLimits {
  const objectBytesMax = 1024 * KiB
  const groupBytesMax = random.pick([1024 * KiB, 2048 * KiB, 64 * 1024 * KiB])
  return {
    ...relayLimitDefaults,
    heartbeatMs: random.pick([200, 500, 1_000]),
    sessionGraceMs: random.pick([300, 1_000, 3_000]),
    attemptsMax: random.pick([1, 2, 5, 50]),
    retryDelayMs: random.pick([0, 50, 300]),
    retryDelayMaxMs: random.pick([100, 1_000]),
    deadBytesMax: random.pick([16 * KiB, 1024 * KiB]),
    objectBytesMax,
    groupBytesMax,
    // Last broadcasts stay, and must leave room for the largest queue, or its producers wait for ever.
    relayBytesMax: 10 * objectBytesMax + random.pick([1, 4]) * groupBytesMax,
    memberBacklogBytesMax: random.pick([8 * KiB, 64 * KiB, 4096 * KiB]),
    handshakeMs: 2_000,
    sendWindowBytes: random.pick([128 * KiB, 256 * KiB, 1024 * KiB]),
    bulkWindowBytes: random.pick([64 * KiB, 128 * KiB, 256 * KiB]),
    streamsMax: random.pick([1, 3, 16]),
    progressMs: random.chance(0.2) ? random.pick([500, 2_000]) : 0,
    ticketMs: random.pick([5_000, 24 * 60 * 60 * 1000]),
  }
}

function makeAcceptedGroups(random: SeededRandom, groups: readonly string[]): Record<string, AcceptedGroup> {
  return Object.fromEntries(
    groups.map((group) => [
      group,
      {
        ...(random.chance(0.3) ? { maxCount: random.integer(2, 6) } : {}),
        ...(random.chance(0.7) ? { maxConsumables: random.pick([0, 1, 5, 50]) } : {}),
        overflow: random.pick(['block', 'reject', 'drop-oldest'] as const),
      },
    ]),
  )
}

export function makeEndpointLimits(random: SeededRandom): Partial<EndpointLimits> {
  return {
    sendBytesMax: random.pick([1 * KiB, 64 * KiB, 2048 * KiB]),
    sendWaitingBytesMax: random.pick([64 * KiB, 2048 * KiB]),
    inboxBytesMax: random.pick([1 * KiB, 64 * KiB, 512 * KiB]),
  }
}
