import { createError } from '../errors.ts'
import { endpointLimitDefaults, relayLimitDefaults } from '../limits.ts'
import { isRecord } from '../options.ts'
import { parseAcceptedGroups } from './acceptFlags.ts'
import { parseLimit, parseLimitValue } from './limitFlags.ts'
import { BYTES_FORM, DURATION_FORM, parseBytes, parseDurationMs } from './units.ts'

/** An option of the library that the command line takes from flags, variables and a config file alike. */
export interface Setting {
  /** Its name in the library, which is its name in a config file. */
  readonly name: string
  /** Its flag as commander declares it: `--keys-dir <folder>`. */
  readonly flag: string
  /** Its environment variable. */
  readonly variable: string
  readonly help: string
  /** Turns the text of a flag or variable into what the library takes; `where` is for its error. */
  readonly read: (texts: readonly string[], where: string) => unknown
  /** The same for what a config file holds; by default it is taken as it is. */
  readonly readConfig?: (value: unknown, where: string) => unknown
  /** Given several times as a flag, and separated by commas in the variable. */
  readonly repeated?: boolean
  /** What each source says is laid over what the one below says, instead of replacing it. */
  readonly merged?: boolean
}

/** The first and only text, as it is: the library checks it and says what it must be. */
const text = ([first = '']: readonly string[]): unknown => first

/** A number, if it looks like one; else the text, which the library then refuses by its own words. */
const number = ([first = '']: readonly string[]): unknown => (/^-?\d{1,15}$/.test(first) ? Number(first) : first)

function duration([first = '']: readonly string[], where: string): unknown {
  return first === 'never'
    ? Number.POSITIVE_INFINITY
    : quantity(first, where, parseDurationMs, `${DURATION_FORM}, or 'never'`)
}

function bytes([first = '']: readonly string[], where: string): unknown {
  return quantity(first, where, parseBytes, BYTES_FORM)
}

function quantity(given: string, where: string, parse: (text: string) => number | undefined, form: string): number {
  const value = parse(given)
  if (value !== undefined) return value
  const subject = where.replace(/^the/, 'The')
  throw createError('INVALID_OPTION', `${subject} is ${JSON.stringify(given)}; it must be ${form}.`, {
    details: { option: where, source: where },
  })
}

/** The same of a config file, where a number needs no unit; what is no text is the library's to check. */
function inConfig(
  name: string,
  read: (texts: readonly string[], where: string) => unknown,
): (value: unknown, where: string) => unknown {
  return (value, where) => (typeof value === 'string' ? read([value], `${name} in ${where}`) : value)
}

const port: Setting = {
  name: 'port',
  flag: '-p, --port <number>',
  variable: 'OBJECTRELAY_PORT',
  help: 'port of the relay',
  read: number,
}

const security: Setting = {
  name: 'security',
  flag: '--security <TLS|none>',
  variable: 'OBJECTRELAY_SECURITY',
  help: "'TLS' (default), or 'none' on a network that is trusted as a whole; both sides need the same",
  read: text,
}

/** What `relay` takes besides the password. */
export const relaySettings: readonly Setting[] = [
  { ...port, help: 'port to listen on; 0 takes any free one' },
  {
    name: 'host',
    flag: '--host <address>',
    variable: 'OBJECTRELAY_HOST',
    help: 'address to listen on (default: all interfaces)',
    read: text,
  },
  {
    name: 'acceptedGroups',
    flag: '--accept <name[:members[:waiting[:overflow]]]>',
    variable: 'OBJECTRELAY_ACCEPT',
    help: 'accept this group, and no others than the ones named so; repeat it for more',
    read: parseAcceptedGroups,
    repeated: true,
  },
  {
    name: 'keysDir',
    flag: '--keys-dir <folder>',
    variable: 'OBJECTRELAY_KEYS_DIR',
    help: "folder with key.pem and certificate.pem (default: made on first start in the user's data folder)",
    read: text,
  },
  security,
  {
    name: 'store',
    flag: '--store <folder>',
    variable: 'OBJECTRELAY_STORE',
    help: 'keep what waits in this folder, so that it outlives the relay (default: in memory)',
    read: text,
  },
  {
    name: 'durability',
    flag: '--durability <synced|written>',
    variable: 'OBJECTRELAY_DURABILITY',
    help: "with --store: 'synced' (default) survives a failure of the machine, 'written' the end of the relay only",
    read: text,
  },
  {
    name: 'storeBytesMax',
    flag: '--store-max <size>',
    variable: 'OBJECTRELAY_STORE_MAX',
    help: "with --store: the most that it may keep, such as '100GiB' (default: as much as the disk has)",
    read: bytes,
    readConfig: inConfig('storeBytesMax', bytes),
  },
  limits(Object.keys(relayLimitDefaults)),
]

const connection: readonly Setting[] = [
  {
    name: 'host',
    flag: '--host <name>',
    variable: 'OBJECTRELAY_HOST',
    help: 'name or address of the relay (default: 127.0.0.1)',
    read: text,
  },
  port,
]

/** What every command takes that connects to a relay, besides the password. */
export const endpointSettings: readonly Setting[] = [
  ...connection,
  {
    name: 'name',
    flag: '--endpoint-name <text>',
    variable: 'OBJECTRELAY_ENDPOINT_NAME',
    help: "what the relay's log and statistics call this endpoint (default: host:pid)",
    read: text,
  },
  {
    name: 'groups',
    flag: '-g, --group <name>',
    variable: 'OBJECTRELAY_GROUPS',
    help: 'group; repeat it for more',
    read: (texts) => texts,
    repeated: true,
  },
  {
    name: 'keysDir',
    flag: '--keys-dir <folder>',
    variable: 'OBJECTRELAY_KEYS_DIR',
    help: "folder with the relay's certificate.pem, to verify its certificate besides the password",
    read: text,
  },
  {
    name: 'hostname',
    flag: '--hostname <name>',
    variable: 'OBJECTRELAY_HOSTNAME',
    help: 'name that the certificate must be for, with --keys-dir (default: the host)',
    read: text,
  },
  security,
  {
    name: 'connectTimeoutMs',
    flag: '--connect-timeout <duration>',
    variable: 'OBJECTRELAY_CONNECT_TIMEOUT',
    help: "how long to go on trying to connect, such as '10s', or 'never' to end it (default: 30s)",
    read: duration,
    readConfig: inConfig('connectTimeoutMs', duration),
  },
  {
    name: 'io',
    flag: '--io <thread|inline>',
    variable: 'OBJECTRELAY_IO',
    help: 'whether a thread of its own does the network (default: inline)',
    read: text,
  },
  limits(Object.keys(endpointLimitDefaults)),
]

/** What only `receive` takes. */
export const broadcastsSetting: Setting = {
  name: 'broadcasts',
  flag: '--broadcasts <every|latest>',
  variable: 'OBJECTRELAY_BROADCASTS',
  help: "'latest' skips broadcasts that a newer one of their group has overtaken (default: every)",
  read: text,
}

/** What `keys generate` and `keys show` take. */
export const folderSettings: readonly Setting[] = [
  {
    name: 'keysDir',
    flag: '--keys-dir <folder>',
    variable: 'OBJECTRELAY_KEYS_DIR',
    help: "which folder (default: the user's data folder, where a relay looks for its keys)",
    read: text,
  },
]

/** What `keys fetch` takes. */
export const fetchSettings: readonly Setting[] = connection

/** What any command takes; some names stand twice, with the same flag. */
export const allSettings: readonly Setting[] = [...relaySettings, ...endpointSettings, broadcastsSetting]

function limits(names: readonly string[]): Setting {
  return {
    name: 'limits',
    flag: '--limit <name=value>',
    variable: 'OBJECTRELAY_LIMITS',
    help: "set a bound, such as 'objectBytesMax=64MiB'; repeat it for more",
    read: (texts, where) => Object.fromEntries(texts.map((given) => parseLimit(given, names, where))),
    // Units are welcome there too; what is no text is the library's to check.
    readConfig: (value, where) =>
      isRecord(value)
        ? Object.fromEntries(
            Object.entries(value).map(([name, limit]) => [
              name,
              typeof limit === 'string' && names.includes(name) ? parseLimitValue(name, limit, where) : limit,
            ]),
          )
        : value,
    repeated: true,
    merged: true,
  }
}
