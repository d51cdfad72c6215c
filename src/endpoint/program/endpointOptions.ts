import type { StandardSchemaV1 } from '@standard-schema/spec'
import { isGroupName } from '../../core/groupName.ts'
import { defaultEndpointName, ENDPOINT_NAME_RULE, isEndpointName } from '../../endpointName.ts'
import { createError } from '../../errors.ts'
import type { Listeners } from '../../events.ts'
import type { EndpointLimits } from '../../limits.ts'
import type { Serializer } from '../../objects/serializer.ts'
import {
  checkNames,
  choiceOption,
  durationOption,
  durationOrInfinityOption,
  GROUP_NAME_RULE,
  groupsOption,
  hostOption,
  invalidOption,
  isRecord,
  numberOption,
  portOption,
  securityOption,
  textOption,
  validateEndpointLimits,
} from '../../options.ts'
import { makeSessionSecret } from '../../security/endpointId.ts'
import { checkPassword } from '../../security/password.ts'
import type { EndpointConfiguration } from '../jsonRecords.ts'
import { type EndpointEvents, endpointEventNames, type GroupName, type MemberName } from './endpointTypes.ts'

/** How a lost link is renewed; see {@link EndpointOptions.reconnect}. */
export interface ReconnectOptions {
  /** The pause after the first failed attempt, in milliseconds. Default 100. */
  initialDelayMs?: number | undefined
  /** The longest pause, in milliseconds. Default 10 000. */
  maxDelayMs?: number | undefined
  /** How much longer each pause is than the one before. Default 1.5. */
  factor?: number | undefined
  /** The part of a pause, from 0 to 1, that is left to chance, so that many endpoints do not come at once. Default 0.1. */
  jitter?: number | undefined
}

/** A schema for each of some groups. */
export type GroupSchemas<Groups extends object> = {
  readonly [Name in GroupName<Groups>]?: StandardSchemaV1<unknown, Groups[Name]> | undefined
}

/** Schemas of which the types of groups are inferred. */
export type AnySchemas = Readonly<Record<string, StandardSchemaV1 | undefined>>

/** What the objects of groups are by their schemas. Those of other groups may be anything. */
export type GroupsOf<Schemas extends AnySchemas> = Record<string, unknown> & {
  [Name in keyof Schemas]: Schemas[Name] extends StandardSchemaV1
    ? StandardSchemaV1.InferOutput<Schemas[Name]>
    : unknown
}

/** Options of which the types of groups are inferred. */
export type InferringOptions<Options, Schemas extends AnySchemas, Own extends string> = Omit<
  Options,
  'groups' | 'schemas'
> & {
  groups?: Own | readonly Own[] | undefined
  schemas: Schemas
}

/** The options of `new Endpoint`. */
export interface EndpointOptions<
  Groups extends object = Record<string, unknown>,
  Own extends MemberName<Groups> = MemberName<Groups>,
> {
  /** The name or address of the relay's machine. */
  host: string
  /** The port that the relay listens on. */
  port: number
  /** The secret that the relay knows too. */
  password: string
  /** What people call this endpoint, in events, logs and statistics of the relay; it need not be unique. Default `host:pid`. */
  name?: string | undefined
  /** The groups to be a member of: one name or several. Default none: may send, receives nothing. */
  groups?: Own | readonly Own[] | undefined
  /** `'TLS'`, or `'none'` for a network that is trusted as a whole. Default `'TLS'`. */
  security?: 'TLS' | 'none' | undefined
  /** A folder with the relay's `certificate.pem`, which its certificate must then be or come from. Default: the password alone proves the relay. */
  keysDir?: string | undefined
  /** The same certificate itself, as PEM. Either this or `keysDir`. */
  ca?: string | Uint8Array | undefined
  /** The name that the relay's certificate must be for. Only with `keysDir` or `ca`. */
  hostname?: string | undefined
  /** `'latest'` keeps only the newest undelivered broadcast of each group and says how many were skipped. Default `'every'`. */
  broadcasts?: 'every' | 'latest' | undefined
  /** Encodes and decodes objects instead of the built-in serializer; senders and receivers must use the same. */
  serializer?: Serializer | undefined
  /** A Standard Schema (zod, valibot, arktype, ...) for objects that arrive through a group. */
  schemas?: NoInfer<GroupSchemas<Groups>> | undefined
  /** How a lost link is renewed. */
  reconnect?: ReconnectOptions | undefined
  /** `'thread'`: in a background thread, one per process; `'inline'`: on the program's own thread. Default `'thread'`. */
  io?: 'thread' | 'inline' | undefined
  /** The endpoint's bounds, in bytes. */
  limits?: Partial<EndpointLimits> | undefined
  /** Listeners that are there before the first event. */
  on?: Listeners<EndpointEvents> | undefined
}

/** The options of `Endpoint.connect`. */
export interface EndpointConnectOptions<
  Groups extends object = Record<string, unknown>,
  Own extends MemberName<Groups> = MemberName<Groups>,
> extends EndpointOptions<Groups, Own> {
  /** How long to go on trying while the relay is not up, in milliseconds. Default 30 000; `Infinity` is possible. */
  connectTimeoutMs?: number | undefined
}

/** Options that were checked, with their defaults. */
export interface CheckedEndpointOptions {
  readonly configuration: EndpointConfiguration
  readonly io: 'thread' | 'inline'
  readonly serializer: Serializer | undefined
  readonly schemas: ReadonlyMap<string, StandardSchemaV1>
  readonly listeners: Listeners<EndpointEvents>
}

const CONNECT_TIMEOUT_DEFAULT_MS = 30_000

const optionNames: readonly (keyof EndpointOptions)[] = [
  'host',
  'port',
  'password',
  'name',
  'groups',
  'security',
  'keysDir',
  'ca',
  'hostname',
  'broadcasts',
  'serializer',
  'schemas',
  'reconnect',
  'io',
  'limits',
  'on',
]

/** Checks the options of `new Endpoint`. Throws `INVALID_OPTION`, which names the option, what it got and what is allowed. */
export function checkEndpointOptions(options: unknown): CheckedEndpointOptions {
  const given = checkNames(options, optionNames, { where: 'an endpoint' })
  const security = securityOption(given.security ?? 'TLS')
  return {
    configuration: {
      host: hostOption(given.host),
      port: portOption(given.port, 1),
      password: checkPassword(given.password),
      session: makeSessionSecret(),
      name: nameOption(given.name),
      groups: groupsOption(given.groups ?? []),
      security,
      broadcasts: choiceOption('broadcasts', given.broadcasts ?? 'every', ['every', 'latest']),
      ...checkIdentity(given, security),
      reconnect: checkReconnect(given.reconnect ?? {}),
      limits: validateEndpointLimits(given.limits),
    },
    io: choiceOption('io', given.io ?? 'thread', ['thread', 'inline']),
    serializer: checkSerializer(given.serializer),
    schemas: checkSchemas(given.schemas ?? {}),
    listeners: checkListeners(given.on ?? {}),
  }
}

/** Takes `connectTimeoutMs` out of the options of `Endpoint.connect` and checks it. */
export function takeConnectTimeoutMs<Groups extends object, Own extends MemberName<Groups>>(
  options: EndpointConnectOptions<Groups, Own>,
): { connectTimeoutMs: number; endpointOptions: EndpointOptions<Groups, Own> } {
  // A program without types may give anything; `checkNames` refuses what is no object.
  if (!isRecord(options)) return { connectTimeoutMs: CONNECT_TIMEOUT_DEFAULT_MS, endpointOptions: options }
  const { connectTimeoutMs, ...endpointOptions } = options
  return {
    connectTimeoutMs: durationOrInfinityOption('connectTimeoutMs', connectTimeoutMs ?? CONNECT_TIMEOUT_DEFAULT_MS),
    endpointOptions,
  }
}

/** How the relay's certificate is verified, if it is at all. */
function checkIdentity(
  { keysDir, ca, hostname }: Readonly<Record<string, unknown>>,
  security: 'TLS' | 'none',
): Pick<EndpointConfiguration, 'keysDir' | 'ca' | 'hostname'> {
  if (keysDir === undefined && ca === undefined) {
    if (hostname === undefined) return {}
    throw conflict('hostname', 'is only verified together with keysDir or ca; give one of them, or leave it out')
  }
  const option = keysDir === undefined ? 'ca' : 'keysDir'
  if (security === 'none') throw conflict(option, "needs TLS, but the option security is 'none'")
  if (keysDir !== undefined && ca !== undefined) throw conflict('ca', 'and the option keysDir exclude each other')
  return {
    ...(keysDir === undefined ? {} : { keysDir: textOption('keysDir', keysDir) }),
    ...(ca === undefined ? {} : { ca: checkCertificate(ca) }),
    ...(hostname === undefined ? {} : { hostname: hostOption(hostname, 'hostname') }),
  }
}

function conflict(option: string, what: string): Error {
  return createError('INVALID_OPTION', `The option ${option} ${what}.`, { details: { option } })
}

function checkCertificate(ca: unknown): string {
  const text = ca instanceof Uint8Array ? Buffer.from(ca).toString('latin1') : ca
  if (typeof text === 'string' && text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw invalidOption('ca', ca, 'certificates as PEM, which begin with -----BEGIN CERTIFICATE-----')
}

function nameOption(value: unknown): string {
  if (value === undefined) return defaultEndpointName()
  if (isEndpointName(value)) return value
  throw invalidOption('name', value, ENDPOINT_NAME_RULE)
}

function checkReconnect(value: unknown): EndpointConfiguration['reconnect'] {
  const names = ['initialDelayMs', 'maxDelayMs', 'factor', 'jitter']
  const given = checkNames(value, names, { where: 'reconnect', prefix: 'reconnect.' })
  const initialDelayMs = durationOption('reconnect.initialDelayMs', given.initialDelayMs ?? 100)
  return {
    initialDelayMs,
    maxDelayMs: durationOption(
      'reconnect.maxDelayMs',
      given.maxDelayMs ?? Math.max(10_000, initialDelayMs),
      initialDelayMs,
    ),
    factor: numberOption('reconnect.factor', given.factor ?? 1.5, 1, 100),
    jitter: numberOption('reconnect.jitter', given.jitter ?? 0.1, 0, 1),
  }
}

function checkSerializer(value: unknown): Serializer | undefined {
  if (value === undefined || isSerializer(value)) return value
  throw invalidOption('serializer', value, 'an object with the functions serialize and deserialize')
}

function isSerializer(value: unknown): value is Serializer {
  return isRecord(value) && typeof value.serialize === 'function' && typeof value.deserialize === 'function'
}

function checkSchemas(value: unknown): ReadonlyMap<string, StandardSchemaV1> {
  if (!isRecord(value)) throw invalidOption('schemas', value, 'an object with a schema for each of some groups')
  const schemas = new Map<string, StandardSchemaV1>()
  for (const [group, schema] of Object.entries(value)) {
    if (!isGroupName(group)) throw invalidOption('schemas', group, `by names of groups, each ${GROUP_NAME_RULE}`)
    if (schema === undefined) continue
    if (!isSchema(schema)) {
      throw invalidOption(`schemas.${group}`, schema, "a Standard Schema, which has the property '~standard'")
    }
    schemas.set(group, schema)
  }
  return schemas
}

function isSchema(value: unknown): value is StandardSchemaV1 {
  // Some libraries' schemas are functions.
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !('~standard' in value))
    return false
  const standard = value['~standard']
  return isRecord(standard) && typeof standard.validate === 'function'
}

function checkListeners(value: unknown): Listeners<EndpointEvents> {
  const given = checkNames(value, endpointEventNames, { where: 'on', prefix: 'on.' })
  for (const [name, listener] of Object.entries(given)) {
    if (listener !== undefined && typeof listener !== 'function') {
      throw invalidOption(`on.${name}`, listener, 'a function that is given the value of the event')
    }
  }
  // All names are those of events, all values functions; what they take is theirs.
  return given as Listeners<EndpointEvents>
}
