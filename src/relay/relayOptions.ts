import { isDeadLetterName, isGroupName } from '../core/groupName.ts'
import type { AcceptedGroup, Overflow } from '../core/ports.ts'
import { createError } from '../errors.ts'
import type { Listeners } from '../events.ts'
import { checkGroupPolicy } from '../groupPolicy.ts'
import { type RelayLimits, relayLimitDefaults } from '../limits.ts'
import {
  checkNames,
  GROUP_NAME_RULE,
  hostOption,
  integerOption,
  invalidOption,
  isRecord,
  portOption,
  securityOption,
  textOption,
} from '../options.ts'
import { checkPassword } from '../security/password.ts'
import { memoryStore } from '../store/memoryStore.ts'
import type { StoreDescriptor } from '../store/storeDescriptor.ts'
import type { RelayEvents } from './relayEvents.ts'

/** The bounds of one group, in `acceptedGroups`. */
export interface AcceptedGroupOptions {
  /** Members at once. Default: any number. */
  maxCount?: number | undefined
  /** Objects waiting at once; 0: an object is accepted only when a member is waiting for one. Default: bounded by bytes only. */
  maxConsumables?: number | undefined
  /**
   * What to do when the queue is full: `'block'`: the producer waits; `'reject'`: the producer gets `QUEUE_FULL`;
   * `'drop-oldest'`: what waits longest is dropped, counted and reported. Default `'block'`.
   */
  overflow?: Overflow | undefined
  /** How long an object waits after its first attempt failed, doubled with each further one. Default: `limits.retryDelayMs`. */
  retryDelayMs?: number | undefined
  /** Bytes of its dead letters; beyond, the oldest are dropped. Default: `limits.deadBytesMax`. */
  deadBytesMax?: number | undefined
}

/** The options of {@link Relay.start}. */
export interface RelayOptions {
  /** Where to listen; 0 takes any free port, which `relay.port` then tells. */
  port: number
  /** The address or name to listen on. Default: all interfaces. */
  host?: string | undefined
  /** The secret shared with the endpoints, at most 1 024 bytes. Either this or `passwordVerifier`. */
  password?: string | undefined
  /** What recognises the password without knowing it: the path of a file made by `objectrelay keys verifier`, or its text. */
  passwordVerifier?: string | object | undefined
  /** The groups that may be joined and sent to, with their bounds; `null`: any group. Default `null`. */
  acceptedGroups?: Readonly<Record<string, AcceptedGroupOptions>> | null | undefined
  /** A folder with `key.pem` and `certificate.pem`. Default: made on first start in the user's data folder, for this user only. */
  keysDir?: string | undefined
  /** `'TLS'` (1.3), or `'none'` for a network that is trusted. Default `'TLS'`. */
  security?: 'TLS' | 'none' | undefined
  /** Where queues and last broadcasts live. Default `memoryStore()`. */
  store?: StoreDescriptor | undefined
  /** Any of the bounds in {@link RelayLimits}. */
  limits?: Partial<RelayLimits> | undefined
  /** Listeners that are there before the first event. */
  on?: Listeners<RelayEvents> | undefined
}

/** Options after their check, with the defaults in place; can be sent to another thread. */
export interface CheckedRelayOptions {
  readonly host: string | undefined
  readonly port: number
  readonly password: string | undefined
  readonly passwordVerifier: string | object | undefined
  readonly acceptedGroups: null | Readonly<Record<string, AcceptedGroup>>
  readonly keysDir: string | undefined
  readonly security: 'TLS' | 'none'
  readonly store: StoreDescriptor
  readonly limits: RelayLimits
}

const optionNames = [
  'port',
  'host',
  'password',
  'passwordVerifier',
  'acceptedGroups',
  'keysDir',
  'security',
  'store',
  'limits',
  'on',
] as const satisfies readonly (keyof RelayOptions)[]

/** Checks what a program gave. Throws `INVALID_OPTION`, naming the option. */
export function checkRelayOptions(given: unknown): CheckedRelayOptions {
  const options = checkNames(given, optionNames, { where: 'Relay.start' })
  const { password, passwordVerifier } = options
  if ((password === undefined) === (passwordVerifier === undefined)) {
    throw createError('INVALID_OPTION', 'A relay needs either the option password or the option passwordVerifier.', {
      details: { option: 'password' },
    })
  }
  if (passwordVerifier !== undefined && typeof passwordVerifier !== 'string' && !isRecord(passwordVerifier)) {
    throw invalidOption('passwordVerifier', passwordVerifier, 'the path or the content of a verifier file')
  }
  return {
    host: options.host === undefined ? undefined : hostOption(options.host),
    port: portOption(options.port, 0),
    password: password === undefined ? undefined : checkPassword(password),
    passwordVerifier,
    acceptedGroups: checkAcceptedGroups(options.acceptedGroups ?? null),
    keysDir: options.keysDir === undefined ? undefined : textOption('keysDir', options.keysDir),
    security: options.security === undefined ? 'TLS' : securityOption(options.security),
    store: checkStore(options.store ?? memoryStore()),
    limits: checkLimits(options.limits ?? {}),
  }
}

function checkAcceptedGroups(value: unknown): null | Record<string, AcceptedGroup> {
  if (value === null) return null
  if (!isRecord(value)) throw invalidOption('acceptedGroups', value, 'null or an object of groups')
  const accepted = new Map<string, AcceptedGroup>()
  for (const [name, rule] of Object.entries(value)) {
    if (!isGroupName(name))
      throw invalidOption('acceptedGroups', name, `an object whose names are each ${GROUP_NAME_RULE}`)
    if (isDeadLetterName(name))
      throw invalidOption(
        'acceptedGroups',
        name,
        `an object without "${name}": each group has its dead letters there anyway`,
      )
    accepted.set(name, checkGroupPolicy(`acceptedGroups.${name}`, rule ?? {}))
  }
  // fromEntries defines own properties, so that a group may be called __proto__.
  return Object.fromEntries(accepted)
}

function checkStore(value: unknown): StoreDescriptor {
  if (isRecord(value) && typeof value.module === 'string' && isRecord(value.options)) {
    return { module: value.module, options: value.options }
  }
  throw invalidOption('store', value, 'what memoryStore() or another store function of this library returned')
}

/** The smallest sensible value of each bound; all are whole numbers. */
const limitMinimums: Readonly<RelayLimits> = {
  heartbeatMs: 20,
  sessionGraceMs: 0,
  attemptsMax: 1,
  retryDelayMs: 0,
  retryDelayMaxMs: 0,
  deadBytesMax: 0,
  objectBytesMax: 1,
  groupBytesMax: 1,
  relayBytesMax: 1,
  memberBacklogBytesMax: 1,
  handshakeMs: 50,
  unauthenticatedMax: 1,
  endpointsMax: 1,
  groupsMax: 1,
  groupsPerEndpointMax: 1,
  sendWindowBytes: 262_144,
  bulkWindowBytes: 65_536,
  streamsMax: 1,
  progressMs: 0,
  ticketMs: 0,
}

/** The largest value of those bounds that a timer or a field of the protocol cannot take beyond. */
const limitMaximums: Partial<RelayLimits> = {
  heartbeatMs: 3_600_000,
  sessionGraceMs: 2_147_483_647,
  attemptsMax: 255,
  retryDelayMs: 86_400_000,
  retryDelayMaxMs: 86_400_000,
  handshakeMs: 600_000,
  groupsPerEndpointMax: 255,
  streamsMax: 1_024,
  progressMs: 2_147_483_647,
}

function checkLimits(value: unknown): RelayLimits {
  const given = checkNames(value, Object.keys(relayLimitDefaults), { where: 'limits', prefix: 'limits.' })
  const limits: RelayLimits = { ...relayLimitDefaults }
  // Object.keys of an object of that very type.
  for (const name of Object.keys(relayLimitDefaults) as (keyof RelayLimits)[]) {
    if (given[name] === undefined) continue
    limits[name] = integerOption(
      `limits.${name}`,
      given[name],
      limitMinimums[name],
      limitMaximums[name] ?? Number.MAX_SAFE_INTEGER,
    )
  }
  alignLimits(limits, given)
  return limits
}

/** Each of these holds the one before: a larger object needs a group that can hold it. Defaults give way, wishes do not. */
const nestedLimits = ['objectBytesMax', 'groupBytesMax', 'relayBytesMax'] as const

function alignLimits(limits: RelayLimits, given: Readonly<Record<string, unknown>>): void {
  for (const [index, outer] of nestedLimits.entries()) {
    for (const inner of nestedLimits.slice(0, index)) {
      if (limits[inner] <= limits[outer]) continue
      if (given[outer] === undefined) limits[outer] = limits[inner]
      else if (given[inner] === undefined) limits[inner] = limits[outer]
      else throw invalidOption(`limits.${outer}`, given[outer], `at least limits.${inner}, which is ${limits[inner]}`)
    }
  }
}
