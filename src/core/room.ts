import { createError, type ObjectRelayError } from '../errors.ts'
import type { Core } from './core.ts'
import { findTaker } from './dispatch.ts'
import { type BlockedSends, type Group, NEWCOMER, type ResolvedRoute } from './entities/model.ts'
import type { Overflow } from './ports.ts'
import { canFree, type Excess, free } from './relayRoom.ts'
import { isAskedFor, TakerMatching, wouldTake } from './takers.ts'

/**
 * The first bound at which an object finds no room, also by what may be dropped for it. Nothing is dropped yet. `turn`: its turn among
 * those that wait; what has come before it may be promised something.
 */
export function findObstacle(core: Core, route: ResolvedRoute, bytes: number, turn: number): BlockedSends | undefined {
  const { groups, copies, directGroups } = route
  const matching = directGroups > 1 ? new TakerMatching(bytes) : undefined
  for (let index = 0; index < groups.length; index++) {
    const group = groups[index]
    const count = copies[index]
    if (group === undefined || count === undefined) continue
    const hasRoom =
      group.maxConsumables === 0
        ? hasTakers(core, group, count, bytes, turn, matching)
        : hasRoomInQueue(core, group, count, count * bytes, turn) ||
          (group.overflow === 'drop-oldest' && canMakeRoom(core, group, count, bytes))
    if (!hasRoom) return group.blocked
  }
  if (hasRelayRoom(core, bytes, turn)) return undefined
  const dropping = droppingGroup(route)
  const excess = relayExcess(core, bytes, turn, dropping)
  return isNone(excess) || canFree(core, excess, { dropping }) ? undefined : core.blocked
}

/** Whether there is room in the relay without anything that would have to go. */
export function hasRelayRoom({ keptBytes, blocked, limits }: Core, bytes: number, turn: number): boolean {
  const { relayBytesMax } = limits
  return keptBytes + bytes <= relayBytesMax && bytes <= blocked.bytesLeft(turn, relayBytesMax, keptBytes)
}

/** Whether so many objects, of so many bytes together, find room in a queue that keeps objects. */
export function hasRoomInQueue(core: Core, group: Group, objects: number, bytes: number, turn: number): boolean {
  const { queue, blocked, maxConsumables } = group
  const { groupBytesMax } = core.limits
  if (group.bytes + bytes > groupBytesMax || queue.count + objects > maxConsumables) return false
  const { first } = blocked
  if (first === undefined || first.turn >= turn) return true
  if (bytes > blocked.bytesLeft(turn, groupBytesMax, group.bytes)) return false
  return queue.fromCount + objects <= maxConsumables - blocked.needOf(first).copies
}

/**
 * Makes room for a broadcast, which never waits; returns whether there is. With `replaces`, those that are retained in its groups
 * are about to make room for it.
 */
export function makeRoomForBroadcast(core: Core, { groups }: ResolvedRoute, bytes: number, replaces: boolean): boolean {
  if (hasRelayRoom(core, bytes, NEWCOMER)) return true
  const excess = relayExcess(core, bytes, NEWCOMER, undefined)
  const sources = replaces ? { replaced: groups } : {}
  if (!canFree(core, excess, sources)) return false
  free(core, excess, sources)
  return true
}

/** What must be freed in the relay for an object of so many bytes. */
export function relayExcess(core: Core, bytes: number, turn: number, dropping: Group | undefined): Excess {
  const { keptBytes, blocked } = core
  const { relayBytesMax } = core.limits
  const bound = dropping === undefined ? relayBytesMax : core.keptBytesMax()
  return {
    bytes: keptBytes + bytes - bound,
    bytesAfter: bytes - blocked.bytesLeft(turn, relayBytesMax, keptBytes),
  }
}

export function isNone({ bytes, bytesAfter }: Excess): boolean {
  return bytes <= 0 && bytesAfter <= 0
}

/** The relay as a whole has no policy of its own: that of the first group decides, and it drops of its own. */
export function droppingGroup({ groups }: ResolvedRoute): Group | undefined {
  const group = groups[0]
  return group?.overflow === 'drop-oldest' ? group : undefined
}

export function overflowAt({ group }: BlockedSends, { groups }: ResolvedRoute): Overflow {
  return (group ?? groups[0])?.overflow ?? 'block'
}

/** What is told a sender whose object found no room at `bound`. */
export function fullError(core: Core, { group }: BlockedSends, bytes: number): ObjectRelayError {
  if (group === undefined) return relayFullError(core, bytes)
  const { name, maxConsumables, queue } = group
  const details = { group: name, waiting: queue.count, bytes: group.bytes }
  if (maxConsumables === 0) {
    const message = `No member of the group "${name}" waits for an object, and its maxConsumables is 0. Ask for more there, or raise it.`
    return createError('QUEUE_FULL', message, { details })
  }
  const message = `The queue of the group "${name}" is full. Consume from it, or raise maxConsumables or limits.groupBytesMax.`
  return createError('QUEUE_FULL', message, { details })
}

/** All groups and backlogs together have no room. */
export function relayFullError({ keptBytes, limits }: Core, bytes: number): ObjectRelayError {
  const { relayBytesMax } = limits
  const details = { keptBytes, relayBytesMax }
  if (keptBytes + bytes <= relayBytesMax) {
    const message = `The relay keeps ${keptBytes} bytes of at most ${relayBytesMax}, and the park for an object that waits for it. Consume, or raise limits.relayBytesMax.`
    return createError('QUEUE_FULL', message, { details })
  }
  const message = `The relay keeps ${keptBytes} bytes of at most ${relayBytesMax}. Consume, remove retained broadcasts with clearRetained(group), or raise limits.relayBytesMax.`
  return createError('QUEUE_FULL', message, { details })
}

function hasTakers(
  core: Core,
  group: Group,
  copies: number,
  bytes: number,
  turn: number,
  matching: TakerMatching | undefined,
): boolean {
  if (group.queue.availableCount > 0 || group.bytes + copies * bytes > core.limits.groupBytesMax) return false
  if (waitsForAnInbox(group, turn)) return false
  if (matching !== undefined) return matching.add(group, copies)
  return copies === 1 ? findTaker(group, bytes) !== undefined : wouldTake(group, bytes, copies)
}

/** Whether the first that waits needs no more than that who asks has taken enough out of its inbox: that comes, unless others fill it again. */
function waitsForAnInbox(group: Group, turn: number): boolean {
  const { first } = group.blocked
  if (first === undefined || first.turn >= turn || first.lacking !== group.blocked) return false
  return first.route.directGroups === 1 && group.blocked.needOf(first).copies === 1 && isAskedFor(group)
}

/** Whether there is room for an object when all that waits is dropped: what is on lease is not. */
function canMakeRoom(core: Core, group: Group, copies: number, bytes: number): boolean {
  return group.leasedBytes + copies * bytes <= core.limits.groupBytesMax && copies <= group.maxConsumables
}
