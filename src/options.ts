import { isGroupName } from './core/groupName.ts'
import { createError, type ErrorCode, type ObjectRelayError } from './errors.ts'
import { type EndpointLimits, endpointLimitDefaults, fixedLimits } from './limits.ts'
import { messageOf } from './thrown.ts'

/** The longest time that a timer can take. */
export const TIMER_MS_MAX = 2_147_483_647

const HOST_CHARACTERS_MAX = 253
const SHOWN_CHARACTERS_MAX = 40
const GROUP_BYTES_MAX = 32_768

/** A value as it is shown in a message. Never to be used for a secret. */
export function describeValue(value: unknown): string {
  try {
    return describe(value)
  } catch {
    // A proxy that was revoked, or whose traps throw.
    return 'an object'
  }
}

function describe(value: unknown): string {
  if (typeof value === 'string') {
    const shown = value.length > SHOWN_CHARACTERS_MAX ? `${value.slice(0, SHOWN_CHARACTERS_MAX)}...` : value
    return JSON.stringify(shown)
  }
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'bigint') return `${String(value).slice(0, SHOWN_CHARACTERS_MAX)}n`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

/** The error about one option: what it got, and `allowed`, which completes "it must be ...". */
export function invalidOption(option: string, value: unknown, allowed: string): ObjectRelayError {
  const found = value === undefined ? 'is missing' : `is ${describeValue(value)}`
  return createError('INVALID_OPTION', `The option ${option} ${found}; it must be ${allowed}.`, { details: { option } })
}

function isList(value: object): boolean {
  try {
    return Array.isArray(value)
  } catch {
    // A proxy that was revoked: nothing of it can be read.
    return true
  }
}

/** Narrows to an object whose properties may be read, which a list and null are not. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !isList(value)
}

/**
 * Checks that `options` is an object without names that nobody reads, which would be typing errors. `where` completes
 * "... of `where`", `prefix` stands before each name, as in `reconnect.factor`.
 */
export function checkNames(
  options: unknown,
  names: readonly string[],
  { where, prefix = '', code = 'INVALID_OPTION' }: { where: string; prefix?: string; code?: ErrorCode },
): Readonly<Record<string, unknown>> {
  const key = code === 'INVALID_OPTION' ? 'option' : 'argument'
  if (!isRecord(options)) {
    throw createError(code, `The options of ${where} are ${describeValue(options)}; they must be an object.`, {
      details: { [key]: prefix === '' ? 'options' : prefix.slice(0, -1) },
    })
  }
  for (const name of namesIn(options, where, code)) {
    if (names.includes(name)) continue
    const near = nearestName(name, names)
    const hint = near === undefined ? `There are: ${names.join(', ')}.` : `Did you mean ${prefix}${near}?`
    throw createError(code, `There is no option ${prefix}${name} of ${where}. ${hint}`, {
      details: { [key]: `${prefix}${name}`, ...(near === undefined ? {} : { suggestion: `${prefix}${near}` }) },
    })
  }
  return options
}

function namesIn(options: object, where: string, code: ErrorCode): string[] {
  const names: string[] = []
  try {
    for (const name in options) names.push(name)
  } catch (cause) {
    throw createError(code, `The options of ${where} cannot be read: ${messageOf(cause)}`, { cause })
  }
  return names
}

/** The name that was probably meant: at most a third of its letters differ. */
function nearestName(name: string, names: readonly string[]): string | undefined {
  if (name.length > SHOWN_CHARACTERS_MAX) return undefined
  let nearest: string | undefined
  let nearestDistance = Number.POSITIVE_INFINITY
  for (const candidate of names) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance >= nearestDistance || distance > Math.max(1, candidate.length / 3)) continue
    nearest = candidate
    nearestDistance = distance
  }
  return nearest
}

/** How many letters must be added, taken away or exchanged to turn one word into another. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const exchange = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1)
      current.push(Math.min(exchange, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[to.length] ?? 0
}

/** A number from `min` to `max`. */
export function numberOption(option: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw invalidOption(option, value, `a number from ${min} to ${max}`)
}

/** A whole number from `min` to `max`. */
export function integerOption(option: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw invalidOption(option, value, `a whole number from ${min} to ${max}`)
}

/** A port; `portMin` is 0 where any free one may be asked for, else 1. */
export function portOption(value: unknown, portMin: 0 | 1): number {
  return integerOption('port', value, portMin, 65_535)
}

/** A number of bytes or objects without an upper bound of its own. */
export function sizeOption(option: string, value: unknown, min = 1): number {
  return integerOption(option, value, min, Number.MAX_SAFE_INTEGER)
}

/** A time in milliseconds that a timer can take. */
export function durationOption(option: string, value: unknown, min = 1): number {
  return integerOption(option, value, min, TIMER_MS_MAX)
}

/** A time in milliseconds, or `Infinity`. */
export function durationOrInfinityOption(option: string, value: unknown, min = 1): number {
  if (value === Number.POSITIVE_INFINITY) return value
  if (typeof value === 'number' && value >= min && value <= TIMER_MS_MAX) return value
  throw invalidOption(option, value, `a time in milliseconds from ${min} to ${TIMER_MS_MAX}, or Infinity`)
}

/** One of some words. */
export function choiceOption<Choice extends string>(
  option: string,
  value: unknown,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((candidate) => candidate === value)
  if (choice !== undefined) return choice
  throw invalidOption(option, value, choices.map((candidate) => `'${candidate}'`).join(' or '))
}

/** A text that is not empty, such as a path. */
export function textOption(option: string, value: unknown): string {
  // A NUL would end a path in the operating system, which would then open another file.
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw invalidOption(option, value, 'a non-empty string')
}

/** The name or address of a host. */
export function hostOption(value: unknown, option = 'host'): string {
  if (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= HOST_CHARACTERS_MAX &&
    !/[\s\p{Cc}/[\]@]/u.test(value) &&
    // An IPv6 address has two colons at least.
    !/^[^:]*:[^:]*$/.test(value)
  ) {
    return value
  }
  const port = typeof value === 'string' ? /^[^:]*:(\d{1,5})$|\]:(\d{1,5})$/.exec(value) : null
  if (port !== null) {
    const message = `The option ${option} is ${describeValue(value)}; it must be a host name or an IP address alone. Give the port, ${port[1] ?? port[2]}, in the option port.`
    throw createError('INVALID_OPTION', message, { details: { option } })
  }
  throw invalidOption(option, value, 'a host name or an IP address, without scheme, brackets or port')
}

/** Whether to use TLS. */
export function securityOption(value: unknown): 'TLS' | 'none' {
  return choiceOption('security', value, ['TLS', 'none'])
}

/** Completes "it must be ..." for the name of a group. */
export const GROUP_NAME_RULE: string = `a string of 1 to ${fixedLimits.groupNameBytesMax} bytes without control characters`

/** The names of groups: one or a list, without doubles. */
export function groupsOption(value: unknown, option = 'groups'): readonly string[] {
  const names: readonly unknown[] = Array.isArray(value) ? value : [value]
  const groups = new Set<string>()
  let bytes = 0
  for (const name of names) {
    if (!isGroupName(name)) throw invalidOption(option, name, `names of groups, each ${GROUP_NAME_RULE}`)
    if (groups.has(name)) {
      throw createError('INVALID_OPTION', `The option ${option} names the group ${describeValue(name)} twice.`, {
        details: { option, group: name },
      })
    }
    groups.add(name)
    bytes += Buffer.byteLength(name)
  }
  if (bytes <= GROUP_BYTES_MAX) return [...groups]
  throw createError(
    'INVALID_OPTION',
    `The names in the option ${option} take ${bytes} bytes; at most ${GROUP_BYTES_MAX} are possible. Use another endpoint for the others.`,
    { details: { option, bytes, bytesMax: GROUP_BYTES_MAX } },
  )
}

/** The bounds of an endpoint: those that were given, and the defaults of the others. */
export function validateEndpointLimits(value: unknown): EndpointLimits {
  const given = checkNames(value ?? {}, Object.keys(endpointLimitDefaults), { where: 'limits', prefix: 'limits.' })
  const size = (name: keyof EndpointLimits) =>
    given[name] === undefined ? endpointLimitDefaults[name] : sizeOption(`limits.${name}`, given[name])
  return {
    sendBytesMax: size('sendBytesMax'),
    sendWaitingBytesMax: size('sendWaitingBytesMax'),
    sendObjectsMax: size('sendObjectsMax'),
    inboxBytesMax: size('inboxBytesMax'),
    objectBytesMax: size('objectBytesMax'),
  }
}
