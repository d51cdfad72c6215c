import { systemClock } from '../../src/clock.ts'
import { type AttemptTurn, TicketPool } from '../../src/endpoint/network/ticketPool.ts'
import type { RelayLimits } from '../../src/limits.ts'
import { relayLimitDefaults } from '../../src/limits.ts'
import { EndpointProof } from '../../src/security/endpointProof.ts'
import { binding, receiveAtOnce } from '../../src/security/proofExchange.fixture.ts'
import { RelayAuthenticator } from '../../src/security/relayProof.ts'
import { StretchingBudget } from '../../src/security/stretchingBudget.ts'
import type { Ticket } from '../../src/security/tickets.ts'
import { createMemoryLink, type MemoryLink } from '../../src/transport/memoryTransport.ts'
import type { SeededRandom } from '../simulation/random.ts'
import { fail } from './failure.ts'

export const PASSWORD = 'correct horse battery staple'
/** What both ends know of every channel here, so that tickets are given. */
const channelBinding = binding(7)
/** About when the clocks of the fuzzers begin. */
export const BEGAN_DATE_MS = 1_700_000_000_000
/** Longer than any run. */
const TICKET_MS = 10 * 365 * 24 * 60 * 60 * 1000

/** Everybody has proven the password once, and has a ticket: a proof then takes microseconds. */
export interface Keyring {
  readonly authenticator: RelayAuthenticator
  readonly ticket: Ticket
}

let keyring: Promise<Keyring> | undefined

export function sharedKeyring(): Promise<Keyring> {
  keyring ??= logIn()
  return keyring
}

async function logIn(): Promise<Keyring> {
  const authenticator = await RelayAuthenticator.create(
    { password: PASSWORD },
    { ticketMs: TICKET_MS, ticketKey: new Uint8Array(32) },
  )
  const relay = authenticator.begin(channelBinding)
  const endpoint = new EndpointProof({ password: PASSWORD, channelBinding })
  for (let message = endpoint.start(); ; ) {
    const answer = receiveAtOnce(relay, message, BEGAN_DATE_MS)
    if (answer.send === undefined) fail('The relay does not answer the proof.')
    const { send, outcome } = endpoint.receive(answer.send)
    if (outcome !== undefined && 'authenticated' in outcome && outcome.ticket !== undefined)
      return { authenticator, ticket: outcome.ticket }
    if (send === undefined) fail('The endpoint does not answer the proof.')
    message = send
  }
}

/** A proof that begins with the ticket. */
export function ticketProof({ ticket }: Keyring): EndpointProof {
  return new EndpointProof({ password: PASSWORD, channelBinding, ticket })
}

/** A pool that gives the ticket to everybody. */
export class OneTicket extends TicketPool {
  readonly #ticket: Ticket
  readonly #budget = new StretchingBudget(() => systemClock.nowMs())

  constructor({ ticket }: Keyring) {
    super(systemClock)
    this.#ticket = ticket
  }

  override async nextTurn(): Promise<AttemptTurn> {
    const nothing = () => undefined
    return { ticket: this.#ticket, budget: this.#budget, heard: nothing, proven: nothing, over: nothing }
  }
}

/** A connection in memory, which cuts what is written into pieces now and then. */
export function fuzzLink(schedule: (run: () => void) => void, random: SeededRandom): MemoryLink {
  const splits = random.chance(0.2)
  return createMemoryLink({
    schedule,
    channelBinding,
    ...(splits ? { split: (bytes: number) => pieces(bytes, random) } : {}),
  })
}

function pieces(bytes: number, random: SeededRandom): number[] {
  const sizes: number[] = []
  for (let left = bytes; left > 0; ) {
    const size = sizes.length > 20 ? left : Math.min(left, random.integer(1, random.chance(0.3) ? 7 : 20_000))
    sizes.push(size)
    left -= size
  }
  return sizes
}

const KiB = 1024
const MiB = 1024 * KiB

/** Small bounds, so that they are reached. */
export function fuzzLimits(random: SeededRandom): RelayLimits {
  return {
    ...relayLimitDefaults,
    heartbeatMs: 2_000,
    sessionGraceMs: random.pick([0, 1_000, 5_000]),
    attemptsMax: random.integer(1, 4),
    objectBytesMax: 2 * MiB,
    groupBytesMax: 4 * MiB,
    relayBytesMax: 64 * MiB,
    memberBacklogBytesMax: 512 * KiB,
    sendWindowBytes: 256 * KiB,
    bulkWindowBytes: 64 * KiB,
    streamsMax: 4,
    endpointsMax: 64,
    groupsMax: 200,
    progressMs: random.pick([0, 0, 3_000]),
  }
}
