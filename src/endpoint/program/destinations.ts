import { isGroupName } from '../../core/groupName.ts'
import { createError, type ObjectRelayError } from '../../errors.ts'
import { fixedLimits } from '../../limits.ts'
import { describeValue, GROUP_NAME_RULE, isRecord } from '../../options.ts'
import { type EncodedRoute, encodeRoute, type Route } from '../../wire/objectHeader.ts'
import type { Receipt } from './endpointTypes.ts'

/** The frame has one byte for their number. */
const DESTINATIONS_MAX = 255
const ROUTES_MAX = 256

/** A checked destination as it stands in frames. */
export interface PreparedRoute extends Route {
  readonly encoded: EncodedRoute
  /** The receipt that was given last, for the next object with the same counts. */
  lastReceipt: { readonly memberCounts: readonly number[]; readonly receipt: Receipt } | undefined
}

/** Checks the names of groups: one or a list, neither empty nor with doubles. Throws `INVALID_ARGUMENT`. */
export function checkGroups(groups: unknown, argument: string): readonly string[] {
  const names: readonly unknown[] = Array.isArray(groups) ? groups : [groups]
  if (names.length === 0) throw invalidDestination(argument, 'is an empty list; name at least one group')
  if (names.length > DESTINATIONS_MAX) throw tooMany(argument, names.length)
  const checked: string[] = []
  for (const name of names) {
    const group = checkGroup(name, argument)
    if (checked.includes(group)) throw invalidDestination(argument, `names the group ${describeValue(group)} twice`)
    checked.push(group)
  }
  return checked
}

/** Checks `{ group: count }`: not empty, each count whole, from -1 to the largest. Throws `INVALID_ARGUMENT`. */
export function checkCounts(counts: Readonly<Record<string, unknown>>, argument: string): readonly [string, number][] {
  const entries = Object.entries(counts).filter(([, count]) => count !== undefined)
  if (entries.length === 0) throw invalidDestination(argument, 'is an empty object; name at least one group')
  if (entries.length > DESTINATIONS_MAX) throw tooMany(argument, entries.length)
  return entries.map(([name, count]) => {
    const group = checkGroup(name, argument)
    if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < -1 || count > fixedLimits.countMax) {
      const rule = `a whole number from -1 to ${fixedLimits.countMax}`
      throw invalidDestination(
        argument,
        `has the count ${describeValue(count)} for ${describeValue(group)}; it must be ${rule}`,
      )
    }
    return [group, count]
  })
}

function checkGroup(name: unknown, argument: string): string {
  if (isGroupName(name)) return name
  throw invalidDestination(
    argument,
    `has ${describeValue(name)} for the name of a group; it must be ${GROUP_NAME_RULE}`,
  )
}

function tooMany(argument: string, count: number): ObjectRelayError {
  return invalidDestination(argument, `names ${count} groups; at most ${DESTINATIONS_MAX} are possible at once`)
}

/** The error about a destination; `what` completes the sentence "The destination ...". */
export function invalidDestination(argument: string, what: string): ObjectRelayError {
  return createError('INVALID_ARGUMENT', `The argument ${argument} ${what}.`, { details: { argument } })
}

/** Checks destinations, and remembers them, so that sending to the same one again costs next to nothing. */
export class Destinations {
  readonly #single: Readonly<Record<Route['kind'], Map<string, PreparedRoute>>> = {
    broadcast: new Map(),
    unretained: new Map(),
    clear: new Map(),
    produce: new Map(),
  }
  readonly #several = new Map<string, PreparedRoute>()

  /** One object for some groups. */
  groups(kind: Route['kind'], groups: unknown): PreparedRoute {
    const known = typeof groups === 'string' ? this.#single[kind].get(groups) : undefined
    if (known !== undefined) return known
    const names = checkGroups(groups, 'group')
    return this.#prepare(
      kind,
      names,
      names.map(() => 1),
    )
  }

  /** A destination of `sendObject`: as many objects as there are kinds in it. */
  destination(destination: unknown): readonly PreparedRoute[] {
    if (typeof destination === 'string' || Array.isArray(destination)) return [this.groups('broadcast', destination)]
    if (!isRecord(destination)) {
      throw invalidDestination(
        'destination',
        `is ${describeValue(destination)}; it must be the name of a group, a list of names, or { group: count }`,
      )
    }
    const counts = checkCounts(destination, 'destination')
    const everyone = counts.filter(([, count]) => count === -1).map(([group]) => group)
    const copies = counts.filter(([, count]) => count > 0)
    return [
      ...(everyone.length === 0
        ? []
        : [
            this.#prepare(
              'broadcast',
              everyone,
              everyone.map(() => 1),
            ),
          ]),
      ...(copies.length === 0
        ? []
        : [
            this.#prepare(
              'produce',
              copies.map(([group]) => group),
              copies.map(([, count]) => count),
            ),
          ]),
    ]
  }

  #prepare(kind: Route['kind'], groups: readonly string[], copies: readonly number[]): PreparedRoute {
    const [only = ''] = groups
    const single = groups.length === 1 && copies[0] === 1
    // No name holds a control character, so that none is ambiguous here.
    const key = single ? only : `${kind}\0${groups.join('\0')}\0${copies.join('\0')}`
    const routes = single ? this.#single[kind] : this.#several
    const known = routes.get(key)
    if (known !== undefined) return known
    if (routes.size >= ROUTES_MAX) routes.clear()
    const encoded = encodeRoute({ kind, groups, copies })
    const route: PreparedRoute = { kind, groups, copies, encoded, lastReceipt: undefined }
    routes.set(key, route)
    return route
  }
}

/** The receipt for an object; the same one again while the counts stay the same. */
export function receiptOf(route: PreparedRoute, memberCounts: readonly number[]): Receipt {
  const { lastReceipt } = route
  if (lastReceipt !== undefined) {
    const { memberCounts: lastCounts, receipt } = lastReceipt
    if (memberCounts === lastCounts) return receipt
    if (memberCounts.length === lastCounts.length && memberCounts.every((count, at) => count === lastCounts[at])) {
      return receipt
    }
  }
  const members = Object.fromEntries(route.groups.map((group, index) => [group, memberCounts[index] ?? 0]))
  const receipt = Object.freeze({ members: Object.freeze(members) })
  route.lastReceipt = { memberCounts, receipt }
  return receipt
}

/** One receipt for several objects of one call. */
export function mergeReceipts(receipts: readonly Receipt[]): Receipt {
  return Object.freeze({
    members: Object.freeze(Object.fromEntries(receipts.flatMap(({ members }) => Object.entries(members)))),
  })
}
