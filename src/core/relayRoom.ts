import type { Core } from './core.ts'
import type { Group } from './group.ts'
import type { Parcel } from './queueEntry.ts'
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
  /** Their retained broadcasts go in any case, because another one takes their place. */
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
  private readonly gone = new Map<Parcel, number>()
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

  /** So many references to a parcel would be gone; returns whether that is all of them. */
  dropReferences(parcel: Parcel, count: number): boolean {
    const gone = (this.gone.get(parcel) ?? 0) + count
    this.gone.set(parcel, gone)
    // Dead letters take no room here.
    if (gone < parcel.references - parcel.deadReferences) {
      this.vain++
      return false
    }
    this.drop(parcel.payload.bytes, this.core.isParcelAfterFirst(parcel))
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
  let bytesMax = core.unattended.bytes + (dropping?.ready.bytes ?? 0)
  for (const { last } of replaced) bytesMax += last?.parcel.payload.bytes ?? 0
  if (excess.bytes > bytesMax || excess.bytesAfter > bytesMax) return false
  const freed = new FreedRoom(core, excess)
  findEvictable(core, freed, sources)
  if (freed.isEnough || dropping === undefined) return freed.isEnough
  for (const { parcel, payload, copies, order } of dropping.ready.oldestFirst()) {
    if (parcel === undefined) freed.drop(payload.bytes, core.isAfterFirst(dropping, order))
    else freed.dropReferences(parcel, copies)
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
  for (const { last } of replaced) if (last !== undefined) freed.dropReferences(last.parcel, 1)
  const found: Group[] = []
  const shared = new Map<Parcel, Group[]>()
  for (const group of core.unattended) {
    if (freed.isEnough || freed.isVain) break
    const parcel = group.last?.parcel
    if (parcel === undefined || replaced.includes(group)) continue
    if (!freed.helps(core.isParcelAfterFirst(parcel))) continue
    const groups = shared.get(parcel) ?? []
    groups.push(group)
    shared.set(parcel, groups)
    if (freed.dropReferences(parcel, 1)) found.push(...groups)
  }
  return found
}
