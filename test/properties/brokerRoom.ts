import type { Core } from '../../src/core/core.ts'
import type { BlockedSend, BlockedSends } from '../../src/core/entities/model.ts'
import type { AcceptedGroup, BrokerOptions, Overflow, Route } from '../../src/core/ports.ts'
import type { ModelPayload } from './modelRuns.ts'

/** An object that is to find room. */
export interface Wanted {
  readonly payload: ModelPayload
  readonly route: Route
}

/** A member that asks, as its session is now. */
export interface Asking {
  readonly session: string
  readonly credit: number
  readonly room: number
  readonly inboxBytes: number
}

/** What must be known of a relay to say what it has room for. */
export interface RoomFacts {
  readonly options: BrokerOptions<ModelPayload>
  readonly core: Core
  /** What waits in a queue, the oldest first. */
  waiting(group: string): readonly { readonly sent: Wanted }[]
  /** Whether something waits there that may be delivered. */
  isAnyAvailable(group: string): boolean
  leasedBytes(group: string): number
  /** What waits in a queue, and what is on lease from it, that came after the first that waits for room there. */
  after(group: string): { readonly waiting: number; readonly bytes: number }
  /** Each payload once that is referred to from anywhere, with how often; and whether it came after the first that waits for room. */
  kept(): ReadonlyMap<ModelPayload, { readonly references: number; readonly isAfterFirst: boolean }>
  /** Who asks and may be given something. */
  asking(group: string): readonly Asking[]
  retained(group: string): ModelPayload | undefined
  memberCount(group: string): number
}

/** Where an object lacks room, and what happens to it then. */
export interface Obstacle {
  /** `undefined`: the relay. */
  readonly group: string | undefined
  readonly overflow: Overflow
}

const NEWCOMER = Number.POSITIVE_INFINITY

/** The rules of room, as one would explain them: everything is counted anew each time. */
export class BrokerRoom {
  private readonly facts: RoomFacts

  constructor(facts: RoomFacts) {
    this.facts = facts
  }

  /** Why an object can never be taken, or is not because of the groups that it is for. */
  refusalOf({ payload, route }: Wanted): { code: string; details: object } | undefined {
    const { acceptedGroups, limits } = this.facts.options
    const { kind, groups, copies } = route
    const unknown = groups.find((name) => acceptedGroups !== null && acceptedGroups[name] === undefined)
    if (unknown !== undefined) return { code: 'GROUP_NOT_ACCEPTED', details: { group: unknown } }
    if (kind !== 'clear' && this.areTooMany(groups))
      return { code: 'TOO_MANY_GROUPS', details: { groupsMax: limits.groupsMax } }
    const tooMany = groups.find((name, index) => this.places(name) > 0 && (copies[index] ?? 0) > this.places(name))
    if (kind === 'produce' && tooMany !== undefined)
      return { code: 'QUEUE_FULL', details: { group: tooMany, maxConsumables: this.places(tooMany) } }
    const perGroup = kind === 'produce' ? Math.floor(limits.groupBytesMax / Math.max(...copies)) : NEWCOMER
    const bytesMax = Math.min(limits.objectBytesMax, limits.relayBytesMax, perGroup)
    if (payload.bytes > bytesMax) return { code: 'OBJECT_TOO_LARGE', details: { bytes: payload.bytes, bytesMax } }
    return undefined
  }

  /** Whether these groups and those that there are, are more than may be. */
  areTooMany(groups: readonly string[]): boolean {
    const { options, core } = this.facts
    const missing = groups.filter((name) => !core.registry.groups.has(name)).length
    const surplus = core.registry.groups.size + missing - options.limits.groupsMax
    return missing > 0 && surplus > this.evictable(groups)
  }

  /** Where a produced object lacks room now. `turn`: its place among those that wait. */
  obstacleOf({ payload: { bytes }, route }: Wanted, turn: number = NEWCOMER): Obstacle | undefined {
    const { groups, copies } = route
    const direct: [group: string, copies: number][] = []
    for (const [index, group] of groups.entries()) {
      const count = copies[index] ?? 0
      if (this.places(group) === 0) direct.push([group, count])
      const fits =
        this.places(group) === 0
          ? this.isTakenAtOnce(group, count, bytes, turn) && this.areTakersEnough(direct, bytes)
          : this.fitsQueue(group, count, bytes, turn) || this.fitsAfterDrops(group, count, bytes)
      if (!fits) return { group, overflow: this.overflow(group) }
    }
    const [first = ''] = groups
    const dropping = this.overflow(first) === 'drop-oldest' ? first : undefined
    if (this.fitsRelay(bytes, turn, dropping, [])) return undefined
    return { group: undefined, overflow: this.overflow(first) }
  }

  /** Whether there is room for a broadcast; one that is retained at once takes the place of what was before. */
  fitsBroadcast({ payload, route }: Wanted, replaces: boolean): boolean {
    const { groups } = route
    return this.fitsRelay(payload.bytes, NEWCOMER, undefined, replaces ? groups : [])
  }

  /** What is counted of those that came after the first that waits for room: of all, and of each group. */
  bytesAfter(group?: string): number {
    const { core } = this.facts
    if (group === undefined) {
      let bytes = 0
      for (const [payload, { isAfterFirst }] of this.facts.kept()) if (isAfterFirst) bytes += payload.bytes
      return core.blocked.length === 0 ? 0 : bytes
    }
    return core.registry.groups.get(group)?.blocked.length === 0 ? 0 : this.facts.after(group).bytes
  }

  private rules(group: string): AcceptedGroup {
    return this.facts.options.acceptedGroups?.[group] ?? {}
  }

  private places(group: string): number {
    return this.rules(group).maxConsumables ?? Number.POSITIVE_INFINITY
  }

  private overflow(group: string): Overflow {
    return this.rules(group).overflow ?? 'block'
  }

  private firstAt(group: string | undefined, turn: number): BlockedSend | undefined {
    const { core } = this.facts
    const blocked: BlockedSends | undefined =
      group === undefined ? core.blocked : core.registry.groups.get(group)?.blocked
    const first = blocked?.first
    return first !== undefined && first.turn < turn ? first : undefined
  }

  private usedBytes(group: string): number {
    const waiting = this.facts.waiting(group).reduce((sum, { sent }) => sum + sent.payload.bytes, 0)
    return waiting + this.facts.leasedBytes(group)
  }

  private fitsQueue(group: string, copies: number, bytes: number, turn: number): boolean {
    const { groupBytesMax } = this.facts.options.limits
    const waiting = this.facts.waiting(group)
    const places = this.places(group)
    const added = copies * bytes
    const used = this.usedBytes(group)
    if (used + added > groupBytesMax || waiting.length + copies > places) return false
    const first = this.firstAt(group, turn)
    if (first === undefined) return true
    const itsCopies = first.route.copies[first.route.groups.findIndex(({ name }) => name === group)] ?? 0
    const after = this.bytesAfter(group)
    if (after + added > shareOf(groupBytesMax, itsCopies * first.payload.bytes, used - after)) return false
    return this.facts.after(group).waiting + copies <= places - itsCopies
  }

  private fitsAfterDrops(group: string, copies: number, bytes: number): boolean {
    if (this.overflow(group) !== 'drop-oldest') return false
    const { groupBytesMax } = this.facts.options.limits
    return this.facts.leasedBytes(group) + copies * bytes <= groupBytesMax && copies <= this.places(group)
  }

  private isTakenAtOnce(group: string, copies: number, bytes: number, turn: number): boolean {
    const { groupBytesMax } = this.facts.options.limits
    if (this.facts.isAnyAvailable(group) || this.usedBytes(group) + copies * bytes > groupBytesMax) return false
    const first = this.firstAt(group, turn)
    if (first === undefined || first.lacking?.group?.name !== group || this.facts.asking(group).length === 0)
      return true
    const needs = first.route.groups.flatMap(({ name }, index) =>
      this.places(name) === 0 ? [first.route.copies[index] ?? 0] : [],
    )
    return needs.length !== 1 || needs[0] !== 1
  }

  /** Tries all ways to give each copy to somebody who asks and has room. */
  private areTakersEnough(direct: readonly [group: string, copies: number][], bytes: number): boolean {
    const wanted = direct.flatMap(([group, copies]) => Array.from({ length: copies }, () => group))
    const credit = new Map<string, number>()
    const room = new Map<string, number>()
    const give = (index: number): boolean => {
      const group = wanted[index]
      if (group === undefined) return true
      return this.facts.asking(group).some((member) => {
        const key = `${group} ${member.session}`
        const left = credit.get(key) ?? member.credit
        const space = room.get(member.session) ?? member.room
        if (left === 0 || (bytes > space && space < member.inboxBytes)) return false
        credit.set(key, left - 1)
        room.set(member.session, space - bytes)
        const works = give(index + 1)
        credit.set(key, left)
        room.set(member.session, space)
        return works
      })
    }
    return give(0)
  }

  private fitsRelay(bytes: number, turn: number, dropping: string | undefined, replaced: readonly string[]): boolean {
    const { core, options } = this.facts
    const { relayBytesMax } = options.limits
    const kept = this.facts.kept()
    const gone = new Map<ModelPayload, number>()
    const drop = (payload: ModelPayload | undefined): void => {
      if (payload !== undefined) gone.set(payload, (gone.get(payload) ?? 0) + 1)
    }
    for (const group of replaced) drop(this.facts.retained(group))
    // Nobody misses these.
    for (const { name } of core.registry.groups.values())
      if (this.facts.memberCount(name) === 0 && !replaced.includes(name)) drop(this.facts.retained(name))
    if (dropping !== undefined) for (const { sent } of this.facts.waiting(dropping)) drop(sent.payload)
    let used = 0
    let after = 0
    let usedNow = 0
    let afterNow = 0
    for (const [payload, { references, isAfterFirst }] of kept) {
      const isGone = (gone.get(payload) ?? 0) >= references
      usedNow += payload.bytes
      if (isAfterFirst) afterNow += payload.bytes
      if (isGone) continue
      used += payload.bytes
      if (isAfterFirst) after += payload.bytes
    }
    const bound =
      dropping === undefined ? relayBytesMax : Math.max(relayBytesMax, Math.min(core.keptBytesBound, usedNow))
    const first = this.firstAt(undefined, turn)
    if (used + bytes > bound) return false
    return first === undefined || after + bytes <= shareOf(relayBytesMax, first.payload.bytes, usedNow - afterNow)
  }

  /** How many groups would be empty without a retained broadcast. */
  private evictable(needed: readonly string[]): number {
    let count = 0
    for (const {
      name,
      blockedSenders,
      begunBroadcasts,
      leased,
      isPaused,
      policy,
    } of this.facts.core.registry.groups.values()) {
      const isAlone = this.facts.memberCount(name) === 0 && this.facts.waiting(name).length === 0 && leased === 0
      const isOnly = isAlone && blockedSenders === 0 && begunBroadcasts.size === 0 && !isPaused && policy === undefined
      if (isOnly && this.facts.retained(name) !== undefined && !needed.includes(name)) count++
    }
    return count
  }
}

/** What others may take of a bound while something waits for it. */
function shareOf(bound: number, need: number, older: number): number {
  return older > 0 ? Math.max(bound - need, Math.floor(bound / 16)) : bound - need
}
