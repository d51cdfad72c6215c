import type { Core } from './core.ts'
import type { Group } from './entities/model.ts'
import type { SharedPayload } from './entities/queueEntry.ts'
import { dropUntil } from './queueing.ts'
import { evict } from './retained.ts'

/** What must become free in the relay; what is not positive need not. */
export interface Excess {
  readonly bytes: number
  /** Of what came after the first that waits for room. */
  readonly bytesAfter: number
}

/** Where it may become free, beside the retained broadcasts of groups without members. */
interface Sources {
  /** A queue that drops its oldest. */
  readonly dropping?: Group | undefined
  /** Their retained broadcasts go in any case, because another one replaces them. */
  readonly replaced?: readonly Group[]
}

/** When so many in a row would free nothing, the others are let be as well. */
const VAIN_MAX = 1_024

/** Adds up what would be free if some of what is kept were not. What is referred to from elsewhere frees nothing. */
class FreedRoom {
  private bytes: number
  private bytesAfter: number
  private readonly core: Core
  /** References that would be gone. */
  private readonly gone = new Map<SharedPayload, number>()
  private vain = 0

  constructor(core: Core, { bytes, bytesAfter }: Excess) {
    this.core = core
    this.bytes = bytes
    this.bytesAfter = bytesAfter
  }

  get isEnough(): boolean {
    return this.bytes <= 0 && this.bytesAfter <= 0
  }

  get isVain(): boolean {
    return this.vain > VAIN_MAX
  }

  /** Whether it would help to free what came after the first that waits, or what came before. */
  helps(isAfterFirst: boolean): boolean {
    return this.bytes > 0 || (isAfterFirst && this.bytesAfter > 0)
  }

  /** So many references to a shared payload would be gone; returns whether that is all of them. */
  dropReferences(shared: SharedPayload, count: number): boolean {
    const gone = (this.gone.get(shared) ?? 0) + count
    this.gone.set(shared, gone)
    // Dead letters take no room here.
    if (gone < shared.references - shared.deadReferences) {
      this.vain++
      return false
    }
    this.drop(shared.payload.bytes, this.core.isSharedAfterFirst(shared))
    return true
  }

  drop(bytes: number, isAfterFirst: boolean): void {
    this.vain = 0
    this.bytes -= bytes
    if (isAfterFirst) this.bytesAfter -= bytes
  }
}

/** Whether so much can become free. Nothing changes. */
export function canFree(core: Core, excess: Excess, sources: Sources): boolean {
  const { dropping, replaced = [] } = sources
  let bytesMax = core.unattended.bytes + (dropping?.queue.bytes ?? 0)
  for (const { retained } of replaced) bytesMax += retained?.shared.payload.bytes ?? 0
  if (excess.bytes > bytesMax || excess.bytesAfter > bytesMax) return false
  const freed = new FreedRoom(core, excess)
  findEvictable(core, freed, sources)
  if (freed.isEnough || dropping === undefined) return freed.isEnough
  for (const { shared, payload, copies, order } of dropping.queue.oldestFirst()) {
    if (shared === undefined) freed.drop(payload.bytes, core.isAfterFirst(dropping, order))
    else freed.dropReferences(shared, copies)
    if (freed.isEnough || freed.isVain) break
  }
  return freed.isEnough
}

/** Frees so much, which can become free. */
export function free(core: Core, excess: Excess, sources: Sources): void {
  const { keptBytes, blocked } = core
  const keptBytesMax = keptBytes - Math.max(0, excess.bytes)
  const bytesAfterMax = blocked.bytesAfter - Math.max(0, excess.bytesAfter)
  for (const group of findEvictable(core, new FreedRoom(core, excess), sources)) evict(core, group)
  const { dropping } = sources
  if (dropping === undefined) return
  const isEnough = (): boolean => core.keptBytes <= keptBytesMax && blocked.bytesAfter <= bytesAfterMax
  dropUntil(core, dropping, 'overflow', isEnough, ({ copies }) => copies)
}

/** The groups whose retained broadcasts are to go. */
function findEvictable(core: Core, freed: FreedRoom, { replaced = [] }: Sources): Group[] {
  for (const { retained } of replaced) if (retained !== undefined) freed.dropReferences(retained.shared, 1)
  const found: Group[] = []
  const sharing = new Map<SharedPayload, Group[]>()
  for (const group of core.unattended) {
    if (freed.isEnough || freed.isVain) break
    const shared = group.retained?.shared
    if (shared === undefined || replaced.includes(group)) continue
    if (!freed.helps(core.isSharedAfterFirst(shared))) continue
    const groups = sharing.get(shared) ?? []
    groups.push(group)
    sharing.set(shared, groups)
    if (freed.dropReferences(shared, 1)) found.push(...groups)
  }
  return found
}
