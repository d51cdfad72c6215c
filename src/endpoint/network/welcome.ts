import { createError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { describeValue } from '../../options.ts'
import { PROTOCOL_VERSION } from '../../wire/frameTypes.ts'

/** What the relay says when it accepts an endpoint. */
export interface Welcome {
  /** Names this run of the relay. */
  readonly relay: string
  /** Whether the relay still knew the session. */
  readonly resumed: boolean
  /** Numbered frames of this endpoint that the relay received in the session. */
  readonly received: number
  /** Whether what it lends outlives its restart. */
  readonly keepsLeases: boolean
  /** Whether it has leases of before its restart that it waits to be claimed. */
  readonly reclaims: boolean
  /** So many frames of the session before had their effect; of use with {@link Welcome.reclaims} only. */
  readonly receivedBefore: number
  readonly limits: WelcomeLimits
}

/** The bounds that an endpoint has to keep. */
export interface WelcomeLimits {
  readonly heartbeatMs: number
  readonly objectBytesMax: number
  readonly sendWindowBytes: number
  readonly bulkWindowBytes: number
  readonly streamsMax: number
  readonly sessionGraceMs: number
  readonly attemptsMax: number
}

/** More often, heartbeats would be all that this endpoint does. */
const HEARTBEAT_MS_MIN = 20

const limitNames = [
  'heartbeatMs',
  'objectBytesMax',
  'sendWindowBytes',
  'bulkWindowBytes',
  'streamsMax',
  'sessionGraceMs',
  'attemptsMax',
] as const satisfies readonly (keyof WelcomeLimits)[]

/** Checks a WELCOME. Throws `PROTOCOL_VIOLATION` or `INCOMPATIBLE_VERSION`. */
export function parseWelcome(json: Readonly<Record<string, unknown>>): Welcome {
  if (json.version !== PROTOCOL_VERSION) {
    throw createError(
      'INCOMPATIBLE_VERSION',
      `The relay speaks version ${describeValue(json.version)} of the protocol, this endpoint ${PROTOCOL_VERSION}.`,
    )
  }
  const { relay, resumed, received } = json
  if (typeof relay !== 'string' || typeof resumed !== 'boolean') throw malformed('relay or resumed')
  return {
    relay,
    resumed,
    received: readCount('received', received),
    keepsLeases: readFlag('keepsLeases', json.keepsLeases),
    reclaims: readFlag('reclaims', json.reclaims),
    receivedBefore: json.reclaims === true ? readCount('receivedBefore', json.receivedBefore) : 0,
    limits: parseLimits(json.limits),
  }
}

function parseLimits(json: unknown): WelcomeLimits {
  if (typeof json !== 'object' || json === null) throw malformed('limits')
  const values = new Map(Object.entries(json))
  const [heartbeatMs, objectBytesMax, sendWindowBytes, bulkWindowBytes, streamsMax, sessionGraceMs, attemptsMax] =
    limitNames.map((name) => readCount(name, values.get(name))) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ] // one for each name
  if (heartbeatMs < HEARTBEAT_MS_MIN) throw malformed('heartbeatMs')
  if (bulkWindowBytes < fixedLimits.chunkBytes) throw malformed('bulkWindowBytes')
  if (objectBytesMax < 1 || streamsMax < 1 || attemptsMax < 1) throw malformed('limits')
  // Below this, the largest frame would wait for room forever.
  if (sendWindowBytes < fixedLimits.frameBytesMax) throw malformed('sendWindowBytes')
  return { heartbeatMs, objectBytesMax, sendWindowBytes, bulkWindowBytes, streamsMax, sessionGraceMs, attemptsMax }
}

function readCount(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw malformed(name)
}

/** One that relays need not give. */
function readFlag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true
  throw malformed(name)
}

function malformed(what: string): Error {
  return createError('PROTOCOL_VIOLATION', `The relay sent a WELCOME without a proper ${what}.`)
}
