import { createError } from '../errors.ts'
import { describeValue } from '../options.ts'
import { PROTOCOL_VERSION } from '../wire/frameTypes.ts'

/** What an endpoint says of itself and of what it wants. */
export interface Hello {
  readonly agent: string
  readonly session: string
  /** Frames of the relay that it received in the session; `undefined` for a new one. */
  readonly received: number | undefined
  /** How many sessions it has been welcomed to; `undefined` of one that does not say. */
  readonly epoch: number | undefined
  readonly groups: readonly string[]
  readonly broadcasts: 'every' | 'latest'
  readonly inboxBytes: number
  readonly objectBytesMax: number
  /** Whether it will claim its leases of an earlier run of the relay. */
  readonly reclaims: boolean
}

/** Stores keep it as a number of 48 bits. */
const EPOCH_MAX = 2 ** 48 - 1

/** Checks a HELLO. Group names are checked by who knows the groups. Throws `PROTOCOL_VIOLATION` or `INCOMPATIBLE_VERSION`. */
export function parseHello(json: Readonly<Record<string, unknown>>): Hello {
  const { version, agent, session, received, epoch, groups, broadcasts, inboxBytes, objectBytesMax, reclaims } = json
  if (version !== PROTOCOL_VERSION) {
    throw createError(
      'INCOMPATIBLE_VERSION',
      `The endpoint speaks version ${describeValue(version)} of the protocol, this relay ${PROTOCOL_VERSION}.`,
    )
  }
  if (typeof session !== 'string' || !/^[A-Za-z0-9_-]{22}$/.test(session)) throw malformed('session')
  if (received !== null && !isCount(received)) throw malformed('received')
  if (epoch !== undefined && !isCount(epoch)) throw malformed('epoch')
  if (!Array.isArray(groups) || !groups.every((group) => typeof group === 'string')) throw malformed('groups')
  if (broadcasts !== 'every' && broadcasts !== 'latest') throw malformed('broadcasts')
  if (!isCount(inboxBytes) || inboxBytes < 1) throw malformed('inboxBytes')
  if (!isCount(objectBytesMax)) throw malformed('objectBytesMax')
  return {
    agent: typeof agent === 'string' ? agent.slice(0, 100) : 'unknown',
    session,
    received: received ?? undefined,
    epoch,
    groups,
    broadcasts,
    inboxBytes,
    objectBytesMax,
    // Without its epoch it could not be told what of its session before had its effect.
    reclaims: reclaims === true && epoch !== undefined && epoch < EPOCH_MAX,
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function malformed(field: string): Error {
  return createError('PROTOCOL_VIOLATION', `The endpoint sent a HELLO without a proper ${field}.`)
}
