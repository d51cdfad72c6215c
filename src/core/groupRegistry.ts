import { createError, type ObjectRelayError } from '../errors.ts'
import { fixedLimits } from '../limits.ts'
import type { Counts } from './counts.ts'
import { Group, type ResolvedRoute, type RouteBounds, type Session } from './entities/model.ts'
import { deadLetterName, groupOfDeadLetters, isDeadLetterName, isGroupName } from './groupName.ts'
import type { AcceptedGroup, BrokerLimits, BrokerOptions, Packing, Route } from './ports.ts'
import type { UnattendedBroadcasts } from './unattended.ts'

/** Which groups there are and which there may be. Groups are made when they are first used and forgotten when they are empty. */
export class GroupRegistry {
  readonly groups: Map<string, Group> = new Map()
  /** Whether there are groups that accept an object only when a member takes it at once. */
  hasDirectGroups: boolean
  /** So many of the groups are there only because others are about to go for them. */
  surplus = 0
  private readonly counts: Counts
  private readonly unattended: UnattendedBroadcasts
  private readonly accepted: ReadonlyMap<string, AcceptedGroup> | undefined
  private readonly limits: BrokerLimits
  private readonly packing: Packing | undefined
  private resolvedRoutes = new WeakMap<Route, ResolvedRoute>()

  constructor({ acceptedGroups, limits, packing }: BrokerOptions, unattended: UnattendedBroadcasts, counts: Counts) {
    this.counts = counts
    this.limits = limits
    this.unattended = unattended
    this.packing = packing
    this.accepted = acceptedGroups === null ? undefined : new Map(Object.entries(acceptedGroups))
    this.hasDirectGroups = Object.values(acceptedGroups ?? {}).some(({ maxConsumables }) => maxConsumables === 0)
  }

  /** Why the groups `names` cannot be used, if so. Otherwise they are about to be. */
  refusal(names: ReadonlySet<string>): ObjectRelayError | undefined {
    let missing = 0
    for (const name of names) {
      if (!this.accepts(name)) return notAccepted(name)
      if (!this.groups.has(name)) missing++
    }
    const { groupsMax } = this.limits
    const surplus = this.groups.size + missing - groupsMax
    if (missing === 0 || surplus <= 0) return undefined
    const evictable = this.unattended.findGroups(surplus, ({ name }) => names.has(name))
    if (evictable.length === surplus) {
      this.surplus = surplus
      return undefined
    }
    const message = `The relay has ${this.groups.size} groups with members or objects, and may have ${groupsMax}. Use fewer: empty their queues, remove retained broadcasts with clearRetained(group); or raise limits.groupsMax.`
    return createError('TOO_MANY_GROUPS', message, { details: { groupsMax } })
  }

  /** How many groups are still too many, after those that were made in vain are forgotten. They go now. */
  takeSurplus(): number {
    const count = Math.min(this.surplus, this.groups.size - this.limits.groupsMax)
    this.surplus = 0
    return Math.max(0, count)
  }

  /** The group `name`, made if need be; ask {@link GroupRegistry.refusal} before. */
  getOrCreate(name: string): Group {
    const known = this.groups.get(name)
    if (known !== undefined) return known
    const accepted = this.policyOf(isDeadLetterName(name) ? groupOfDeadLetters(name) : name)
    const { limits, packing, counts } = this
    const group = new Group(name, { limits, accepted, packing, counts })
    this.groups.set(name, group)
    return group
  }

  /** The group for what died in `group`. It counts as one with it, so that `groupsMax` does not lose what died. */
  deadLettersOf(group: Group): Group {
    return this.getOrCreate(deadLetterName(group.name))
  }

  /** How many more members the group `name` may have. */
  memberRoom(name: string): number {
    const maxCount = this.policyOf(name)?.maxCount ?? Number.POSITIVE_INFINITY
    return maxCount - (this.groups.get(name)?.members.size ?? 0)
  }

  /** What holds for the group `name`: what was set, or what the options say. */
  private policyOf(name: string): AcceptedGroup | undefined {
    return this.groups.get(name)?.policy ?? this.accepted?.get(name)
  }

  /** Another policy holds for a group; `undefined`: that of the options. Resolved routes in use have to be renewed. */
  setPolicy(group: Group, policy: AcceptedGroup | undefined): void {
    group.policy = policy
    for (const one of [group, this.groups.get(deadLetterName(group.name))])
      one?.setBounds(this.limits, this.policyOf(group.name))
    if (group.maxConsumables === 0) this.hasDirectGroups = true
    this.resolvedRoutes = new WeakMap()
  }

  forgetIfEmpty(group: Group): void {
    if (group.forgotten || !group.isEmpty || this.isPermanent(group.name)) return
    group.forgotten = true
    this.groups.delete(group.name)
  }

  /** Whether the group `name` is kept even if it is empty. */
  isPermanent(name: string): boolean {
    return this.accepted?.has(name) === true
  }

  /** Looks the groups of `route` up, once as long as they exist; or says why they cannot be used. */
  resolve(session: Session, route: Route): ResolvedRoute | ObjectRelayError {
    let resolved = session.recentRoute === route ? session.recentResolved : this.resolvedRoutes.get(route)
    if (resolved?.groups.every(isKnown) !== true) {
      checkRoute(route, this.limits)
      const reserved = route.groups.find(isDeadLetterName)
      if (reserved !== undefined) return reservedName(reserved)
      const refusal = this.refusalOf(route)
      if (refusal !== undefined) return refusal
      resolved = this.makeResolved(route)
      this.resolvedRoutes.set(route, resolved)
    }
    session.recentRoute = route
    session.recentResolved = resolved
    return resolved
  }

  /** To clear is no use of a group: it makes room. */
  private refusalOf({ kind, groups }: Route): ObjectRelayError | undefined {
    if (kind !== 'clear') return this.refusal(new Set(groups))
    const wrong = groups.find((name) => !this.accepts(name))
    return wrong === undefined ? undefined : notAccepted(wrong)
  }

  /** Whether the group `name` may be used at all. */
  accepts(name: string): boolean {
    if (this.accepted === undefined || this.accepted.has(name)) return true
    return isDeadLetterName(name) && this.accepted.has(groupOfDeadLetters(name))
  }

  private makeResolved({ kind, groups: names, copies }: Route): ResolvedRoute {
    const groups = names.map((name) => this.getOrCreate(name))
    const produced = kind === 'produce'
    const { objectBytesMax, relayBytesMax, groupBytesMax } = this.limits
    const perGroup = produced ? Math.floor(groupBytesMax / Math.max(...copies)) : Number.POSITIVE_INFINITY
    return {
      groups,
      copies,
      copiesTotal: copies.reduce((sum, count) => sum + count, 0),
      bytesMax: Math.min(objectBytesMax, relayBytesMax, perGroup),
      ...(produced ? boundsOf({ groups, copies }) : unbounded),
      memberCounts: groups.map(() => 0),
    }
  }
}

export function notAccepted(group: string): ObjectRelayError {
  const message = `The relay does not accept the group "${group}". Use one of its acceptedGroups, or add it there.`
  return createError('GROUP_NOT_ACCEPTED', message, { details: { group } })
}

function isKnown(group: Group): boolean {
  return !group.forgotten
}

/** A broadcast never waits in a queue. */
const unbounded = { directGroups: 0, drops: false, tooManyFor: undefined }

/** Of a route of produced objects. */
export function boundsOf({ groups, copies }: Pick<ResolvedRoute, 'groups' | 'copies'>): RouteBounds {
  return {
    directGroups: groups.filter(({ maxConsumables }) => maxConsumables === 0).length,
    drops: groups.some(({ overflow }) => overflow === 'drop-oldest'),
    tooManyFor: groups.find((group, index) => isBeyond(copies[index] ?? 0, group)),
  }
}

/** With `maxConsumables: 0` members may take any number at once. */
function isBeyond(copies: number, { maxConsumables }: Group): boolean {
  return maxConsumables > 0 && copies > maxConsumables
}

function checkRoute({ kind, groups, copies }: Route, { groupsPerEndpointMax }: BrokerLimits): void {
  if (groups.length === 0 || groups.length > groupsPerEndpointMax) {
    const bounds = `1 to ${groupsPerEndpointMax} (limits.groupsPerEndpointMax)`
    throw violation(`An object is for ${groups.length} groups. Send it to ${bounds}.`)
  }
  if (copies.length !== groups.length) throw violation('A route needs one count of copies for each of its groups.')
  const wrongName = groups.find((name) => !isGroupName(name))
  if (wrongName !== undefined)
    throw violation(`A route names the group ${JSON.stringify(wrongName)}, which is not a name.`)
  if (new Set(groups).size !== groups.length) throw violation('A route names a group twice. Name each group once.')
  const countMax = kind === 'produce' ? fixedLimits.countMax : 1
  const wrong = copies.find((count) => !Number.isInteger(count) || count < 1 || count > countMax)
  if (wrong !== undefined) throw violation(`A route asks for ${wrong} copies (${kind}). Ask for 1 to ${countMax}.`)
}

function reservedName(name: string): ObjectRelayError {
  const message = `The name "${name}" is that of dead letters, and nothing can be sent there. Send to a group of another name.`
  return createError('GROUP_RESERVED', message, { details: { group: name } })
}

function violation(message: string): ObjectRelayError {
  return createError('PROTOCOL_VIOLATION', message)
}
