import { isDeadLetterName } from '../../src/core/groupName.ts'
import type { RelayStats } from '../../src/relay/relayStats.ts'
import type { Ledger } from './ledger.ts'
import type { Scenario } from './scenario.ts'
import type { SimulatedEndpoint } from './simulatedEndpoint.ts'

/** The least that an endpoint offers a new session, whatever its inbox holds. */
const OFFERED_BYTES_MIN = 64 * 1024

/** Checks what must hold at any time: counts are not negative, and nothing is beyond its bound. */
export class BoundChecks {
  readonly #scenario: Scenario
  readonly #ledger: Ledger

  constructor(scenario: Scenario, ledger: Ledger) {
    this.#scenario = scenario
    this.#ledger = ledger
  }

  relay(stats: RelayStats): void {
    const { limits } = this.#scenario
    this.#within('keptBytes', stats.keptBytes, limits.relayBytesMax)
    for (const group of Object.values(stats.groups)) {
      const { name, waiting, waitingBytes, leased, leasedBytes, demand, members } = group
      this.#within(`waiting of ${name}`, waiting, Number.POSITIVE_INFINITY)
      this.#within(`leased of ${name}`, leased, Number.POSITIVE_INFINITY)
      this.#within(`demand of ${name}`, demand, Number.POSITIVE_INFINITY)
      if (isDeadLetterName(name)) {
        // The newest is kept however large it is.
        this.#within(`waitingBytes of ${name}`, waitingBytes, limits.deadBytesMax + limits.objectBytesMax)
      } else {
        this.#within(`waitingBytes of ${name}`, waitingBytes, limits.groupBytesMax)
        this.#within(`leasedBytes of ${name}`, leasedBytes, limits.groupBytesMax)
        this.#within(`bytes of ${name}`, waitingBytes + leasedBytes, limits.groupBytesMax)
      }
      this.#within(
        `members of ${name}`,
        members,
        this.#scenario.acceptedGroups?.[name]?.maxCount ?? Number.POSITIVE_INFINITY,
      )
    }
    for (const session of stats.sessions) {
      const { demand, leased, backlog, backlogBytes, heldBytes, largeObjects, windowBytes } = session
      this.#within('demand of a session', demand, Number.POSITIVE_INFINITY)
      this.#within('leases of a session', leased, Number.POSITIVE_INFINITY)
      if (backlog > 1) this.#within('backlogBytes', backlogBytes, limits.memberBacklogBytesMax)
      this.#within('heldBytes', heldBytes, limits.sendWindowBytes)
      this.#within('largeObjects', largeObjects, limits.streamsMax)
      if (windowBytes < -limits.objectBytesMax) this.#ledger.break(`a window of ${windowBytes} bytes`)
    }
  }

  endpoint(endpoint: SimulatedEndpoint): void {
    const { serial, limits, witness } = endpoint
    const { inboxBytesMax = 0, sendBytesMax = 0, sendWaitingBytesMax = 0 } = limits
    const { inbox, sending } = endpoint.program.stats()
    const offered = Math.max(inboxBytesMax, OFFERED_BYTES_MIN) + OFFERED_BYTES_MIN * witness.sessions
    this.#within(`the inbox of e${serial}`, inbox.bytes, offered + this.#scenario.limits.objectBytesMax)
    const sentObjects = sending.objects - sending.waitingObjects
    const sentBytes = sending.bytes - sending.waitingBytes
    if (sentObjects !== 1) this.#within(`what e${serial} has sent`, sentBytes, sendBytesMax)
    if (sending.waitingObjects !== 1)
      this.#within(`what waits at e${serial}`, sending.waitingBytes, sendWaitingBytesMax)
  }

  /** The relay at the end: it keeps the last broadcasts, which are of one group each, and nothing else. */
  emptyRelay(stats: RelayStats): void {
    let lastBytes = 0
    for (const { name, waiting, leased, lastBroadcastBytes, blockedSenders } of Object.values(stats.groups)) {
      lastBytes += Math.max(0, lastBroadcastBytes)
      if (waiting + leased + blockedSenders > 0)
        this.#ledger.break(
          `at the end, ${name} has ${waiting} waiting, ${leased} leased, ${blockedSenders} blocked senders`,
        )
    }
    if (stats.keptBytes !== lastBytes)
      this.#ledger.break(
        `at the end the relay keeps ${stats.keptBytes} bytes, of which ${lastBytes} are last broadcasts`,
      )
  }

  #within(what: string, value: number, max: number): void {
    if (!(value >= 0 && value <= max)) this.#ledger.break(`${what}: ${value} is not within 0 and ${max}`)
  }
}
