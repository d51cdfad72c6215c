import { isEndpointName, isLegible } from '../endpointName.ts'
import { createError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import { describeValue } from '../options.ts'
import { endpointIdOf, isSessionSecret } from '../security/endpointId.ts'
import { PROTOCOL_VERSION } from '../wire/frameTypes.ts'
import type { SequenceRange } from './dedupMemory.ts'

/** What an endpoint says of itself and of what it wants. */
export interface Hello {
  readonly agent: string
  /** The public id of the endpoint. The secret that it comes from is not kept: whoever reads the relay's memory, files or logs cannot use it. */
  readonly id: string
  /** For people. */
  readonly name: string
  /** Frames of the relay that it received in the session; `undefined` for a new one. */
  readonly received: number | undefined
  /** How many sessions it has been welcomed to; `undefined` of one that does not say. */
  readonly epoch: number | undefined
  /** The objects that it sends again if it begins a new session; `undefined` of one that does not say. */
  readonly unresolved: readonly SequenceRange[] | undefined
  readonly groups: readonly string[]
  readonly broadcasts: 'every' | 'latest'
  readonly inboxBytes: number
  readonly objectBytesMax: number
  /** Whether it will claim its leases of an earlier run of the relay. */
  readonly reclaims: boolean
}

/** It is for people; what is longer is cut. */
const AGENT_CHARACTERS_MAX = 100
/** Stores keep it as a number of 48 bits. */
const EPOCH_MAX = 2 ** 48 - 1

/** Checks a HELLO. Group names are checked by who knows the groups. Throws `PROTOCOL_VIOLATION` or `INCOMPATIBLE_VERSION`. */
export function parseHello(json: Readonly<Record<string, unknown>>): Hello {
  const { version, agent, session, name, received, epoch, groups, broadcasts } = json
  const { inboxBytes, objectBytesMax, reclaims, unresolved } = json
  if (version !== PROTOCOL_VERSION) {
    throw createError(
      'INCOMPATIBLE_VERSION',
      `The endpoint speaks version ${describeValue(version)} of the protocol, this relay ${PROTOCOL_VERSION}.`,
    )
  }
  if (!isSessionSecret(session)) throw malformed('session')
  if (!isEndpointName(name)) throw malformed('name')
  if (received !== null && !isCount(received)) throw malformed('received')
  if (epoch !== undefined && !isCount(epoch)) throw malformed('epoch')
  if (unresolved !== undefined && !isRanges(unresolved)) throw malformed('unresolved')
  if (!Array.isArray(groups) || !groups.every((group) => typeof group === 'string')) throw malformed('groups')
  if (broadcasts !== 'every' && broadcasts !== 'latest') throw malformed('broadcasts')
  if (!isCount(inboxBytes) || inboxBytes < 1) throw malformed('inboxBytes')
  if (!isCount(objectBytesMax)) throw malformed('objectBytesMax')
  return {
    agent: typeof agent === 'string' && isLegible(agent) ? agent.slice(0, AGENT_CHARACTERS_MAX) : 'unknown',
    id: endpointIdOf(session),
    name,
    received: received ?? undefined,
    epoch,
    unresolved: unresolved?.map(([from, to]) => ({ from, to })),
    groups,
    broadcasts,
    inboxBytes,
    objectBytesMax,
    // Without its epoch it could not be told what of its session before had its effect.
    reclaims: reclaims === true && epoch !== undefined && epoch < EPOCH_MAX,
  }
}

/** Whether it is a list of `[from, to]`, which ascend and do not overlap. */
function isRanges(value: unknown): value is [from: number, to: number][] {
  if (!Array.isArray(value) || value.length > fixedLimits.unresolvedRangesMax) return false
  let end = -1
  for (const range of value) {
    if (!Array.isArray(range) || range.length !== 2) return false
    const [from, to]: unknown[] = range
    if (!isCount(from) || !isCount(to) || from <= end || to < from) return false
    end = to
  }
  return true
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function malformed(field: string): Error {
  return createError('PROTOCOL_VIOLATION', `The endpoint sent a HELLO without a proper ${field}.`)
}
