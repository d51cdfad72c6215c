import type { DeadLetter } from '../../deadLetter.ts'
import type { FrameLocation } from './recordWriter.ts'

/** Equal copies of an object in one place; see {@link KeptPlace}. Groups and sessions by their numbers in the index. */
export interface Copies {
  readonly kind: 'broadcast' | 'produce'
  readonly group: number
  readonly groupIndex: number
  readonly order: number
  readonly attempt: number
  copies: number
  /** Who has it on lease. */
  readonly session: number | undefined
  readonly isSeen: boolean
  readonly deadLetter?: DeadLetter
}

/** The file of a large object. */
export interface BodyReference {
  readonly number: number
  readonly bytes: number
}

/** A frame of a page may have this state in place of a group: it is needed no more. */
const GONE = -1
/** It is in several places, or in one that numbers do not tell: they stand in a list of their own. */
const LISTED = -2
/** It is needed, and in no place: its sender is held back, or a member has not got it yet. */
const NOWHERE = -3

/** Nobody has it on lease. */
export const WAITS = -1

const FRAMES_MIN = 16

/**
 * The frames of one segment as it was written, and where their objects are now. Millions may wait, nearly all of them in one place, in
 * one copy, as their first delivery: those take 20 bytes each, and 4 more where one of them is on lease.
 */
export class IndexPage {
  /** How many frames there are. */
  count = 0
  /** How many of them are needed. */
  live = 0
  #offsets: Uint32Array = new Uint32Array(0)
  #lengths: Uint32Array = new Uint32Array(0)
  #groups: Int32Array = new Int32Array(0)
  #orders: Float64Array = new Float64Array(0)
  /** For each: {@link WAITS}, or twice the session, and one more if its program has seen it. */
  #leases: Int32Array | undefined
  #lists: Map<number, Copies[]> | undefined
  /** Of frames that are the beginnings of large objects. */
  #bodies: Map<number, BodyReference | undefined> | undefined
  #begins: Map<number, Buffer> | undefined
  /** Where those lie that were moved to other segments. */
  #moved: Map<number, FrameLocation> | undefined
  /** Most calls are of one object after the other. */
  #lastFound = -1

  /** Adds the next frame, which is needed. */
  push(offset: number, length: number, isLarge: boolean): number {
    const index = this.count
    if (index === this.#offsets.length) this.#resize(Math.max(FRAMES_MIN, 4 * index))
    this.#offsets[index] = offset
    this.#lengths[index] = length
    this.#groups[index] = NOWHERE
    this.count++
    this.live++
    if (isLarge) {
      this.#bodies ??= new Map()
      this.#bodies.set(index, undefined)
    }
    return index
  }

  /** Nothing is added any more. */
  trim(): void {
    if (this.#offsets.length > this.count) this.#resize(this.count)
  }

  /** Which frame begins at that offset of the segment; -1 if none does. */
  indexAt(offset: number): number {
    const offsets = this.#offsets
    if (offsets[this.#lastFound] === offset) return this.#lastFound
    const next = this.#lastFound + 1
    if (next < this.count && offsets[next] === offset) {
      this.#lastFound = next
      return next
    }
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((offsets[middle] ?? 0) < offset) low = middle + 1
      else high = middle
    }
    if (low === this.count || offsets[low] !== offset) return -1
    this.#lastFound = low
    return low
  }

  offsetOf(index: number): number {
    return this.#offsets[index] ?? 0
  }

  lengthOf(index: number): number {
    return this.#lengths[index] ?? 0
  }

  /** Where it lies, if it was moved. */
  movedTo(index: number): FrameLocation | undefined {
    return this.#moved?.get(index)
  }

  /** Whether any of so many frames was moved. */
  hasMoved(first: number, count: number): boolean {
    if (this.#moved === undefined || this.#moved.size === 0) return false
    for (let index = first; index < first + count; index++) if (this.#moved.has(index)) return true
    return false
  }

  move(index: number, to: FrameLocation): void {
    this.#moved ??= new Map()
    this.#moved.set(index, to)
  }

  isLarge(index: number): boolean {
    return this.#bodies?.has(index) === true
  }

  /** The STREAM_BEGIN of a large object of an earlier run, until it is taken. */
  setBegin(index: number, begin: Buffer): void {
    this.#begins ??= new Map()
    this.#begins.set(index, begin)
  }

  takeBegin(index: number): Buffer | undefined {
    const begin = this.#begins?.get(index)
    this.#begins?.delete(index)
    return begin
  }

  bodyOf(index: number): BodyReference | undefined {
    return this.#bodies?.get(index)
  }

  setBody(index: number, body: BodyReference): void {
    this.#bodies?.set(index, body)
  }

  /** The bodies of those that are needed. */
  *liveBodies(): Generator<BodyReference> {
    for (const [index, body] of this.#bodies ?? []) if (body !== undefined && this.isLive(index)) yield body
  }

  isLive(index: number): boolean {
    return this.#groups[index] !== GONE
  }

  /** Whether it is in any place. */
  isPlaced(index: number): boolean {
    const group = this.#groups[index] ?? GONE
    return group >= 0 || group === LISTED
  }

  /** Whether a session has a copy of it. */
  isLeased(index: number): boolean {
    const group = this.#groups[index] ?? GONE
    if (group >= 0) return (this.#leases?.[index] ?? WAITS) !== WAITS
    return group === LISTED && this.copiesOf(index).some(({ session }) => session !== undefined)
  }

  /** All copies of an object; not to be changed. */
  copiesOf(index: number): readonly Copies[] {
    const group = this.#groups[index] ?? GONE
    if (group < 0) return this.#lists?.get(index) ?? []
    const lease = this.#leases?.[index] ?? WAITS
    const order = this.#orders[index] ?? 0
    const session = lease === WAITS ? undefined : lease >> 1
    const isSeen = lease !== WAITS && (lease & 1) === 1
    return [{ kind: 'produce', group, groupIndex: 0, order, attempt: 1, copies: 1, session, isSeen }]
  }

  /** The group of an object that is in one place, in one copy that waits for its first delivery; else `undefined`. */
  onlyGroupOf(index: number): number | undefined {
    const group = this.#groups[index] ?? GONE
    return group >= 0 && (this.#leases?.[index] ?? WAITS) === WAITS ? group : undefined
  }

  /**
   * Of a page that was just read: how many objects from there on, which is in one place, lie one behind the other and wait in the same queue
   * for their first delivery, at orders that follow each other; no more than `bytesMax` have room for.
   */
  runLength(first: number, bytesMax: number): number {
    const end = this.offsetOf(first) + bytesMax
    let length = 1
    while (this.#followsInQueue(first + length) && this.offsetOf(first + length) + this.lengthOf(first + length) <= end)
      length++
    return length
  }

  #followsInQueue(index: number): boolean {
    const before = index - 1
    return (
      index < this.count &&
      this.#groups[index] === this.#groups[before] &&
      this.orderOf(index) === this.orderOf(before) + 1 &&
      this.offsetOf(index) === this.offsetOf(before) + this.lengthOf(before) &&
      (this.#leases?.[index] ?? WAITS) === WAITS &&
      !this.isLarge(index) &&
      !this.isLarge(before)
    )
  }

  orderOf(index: number): number {
    return this.#orders[index] ?? 0
  }

  /**
   * Queues the only copy of each of `frames` objects: the first at `order`, each of the others one order later. Returns false, and changes
   * nothing, if one of them is already in a place, or is large.
   */
  queueOnly(first: number, frames: number, group: number, order: number): boolean {
    const groups = this.#groups
    const orders = this.#orders
    for (let index = first; index < first + frames; index++)
      if (groups[index] !== NOWHERE || this.#bodies?.has(index) === true) return false
    for (let index = first; index < first + frames; index++) {
      groups[index] = group
      orders[index] = order + index - first
    }
    this.#leases?.fill(WAITS, first, first + frames)
    return true
  }

  /**
   * Changes who has `frames` objects on lease from `from` to `to`, see {@link leaseBy}. Each is in the queue of `group` in one copy, for its
   * first delivery: the first at `order`, each of the others one order later. Returns false, and changes nothing, if one of them is not.
   */
  leaseOnly(first: number, frames: number, group: number, order: number, from: number, to: number): boolean {
    if (!this.#areOnly(first, frames, group, order, from)) return false
    this.#leases ??= new Int32Array(this.#offsets.length).fill(WAITS)
    this.#leases.fill(to, first, first + frames)
    return true
  }

  /** The same, but takes them out of the queue; they are still needed. */
  takeOnly(first: number, frames: number, group: number, order: number, from: number): boolean {
    if (!this.#areOnly(first, frames, group, order, from)) return false
    this.#groups.fill(NOWHERE, first, first + frames)
    return true
  }

  /** It is in no place any more, and still needed. */
  #setNowhere(index: number): void {
    this.#lists?.delete(index)
    this.#groups[index] = NOWHERE
  }

  /** It is needed no more. */
  setGone(index: number): void {
    if (this.#groups[index] === GONE) return
    this.#lists?.delete(index)
    this.#begins?.delete(index)
    this.#moved?.delete(index)
    this.#groups[index] = GONE
    this.live--
  }

  /** The bytes of `frames` frames that were written one behind the other. */
  bytesOf(first: number, frames: number): number {
    const last = first + frames - 1
    return this.offsetOf(last) + this.lengthOf(last) - this.offsetOf(first)
  }

  /** Forgets `frames` frames. Returns false, and changes nothing, if one of them is in a place or was moved. */
  forgetUnplaced(first: number, frames: number): boolean {
    const groups = this.#groups
    if (this.hasMoved(first, frames)) return false
    for (let index = first; index < first + frames; index++) if (groups[index] !== NOWHERE) return false
    groups.fill(GONE, first, first + frames)
    this.live -= frames
    if (this.#begins !== undefined) for (let index = first; index < first + frames; index++) this.#begins.delete(index)
    return true
  }

  /** Adds copies in a place. */
  add(index: number, added: Copies): void {
    if (this.#groups[index] === NOWHERE && isOrdinary(added)) {
      this.#groups[index] = added.group
      this.#orders[index] = added.order
      const lease = leaseBy(added.session, added.isSeen)
      if (lease !== WAITS) this.#leases ??= new Int32Array(this.#offsets.length).fill(WAITS)
      if (this.#leases !== undefined) this.#leases[index] = lease
      return
    }
    const list = [...this.copiesOf(index)]
    const same = list.find((copies) => isSame(copies, added))
    if (same === undefined) list.push({ ...added })
    else same.copies += added.copies
    this.#setList(index, list)
  }

  /** Takes `count` copies out of the first that `isMeant`. `undefined`: there are not so many. */
  take(index: number, count: number, isMeant: (copies: Copies) => boolean): Copies | undefined {
    const list = [...this.copiesOf(index)]
    const taken = list.find(isMeant)
    if (taken === undefined || taken.copies < count) return undefined
    taken.copies -= count
    this.#setList(index, taken.copies > 0 ? list : list.filter((copies) => copies !== taken))
    return taken
  }

  #areOnly(first: number, frames: number, group: number, order: number, lease: number): boolean {
    const groups = this.#groups
    const orders = this.#orders
    const leases = this.#leases
    if (leases === undefined && lease !== WAITS) return false
    for (let index = first; index < first + frames; index++)
      if (groups[index] !== group || orders[index] !== order + index - first || (leases?.[index] ?? WAITS) !== lease)
        return false
    return true
  }

  #setList(index: number, list: Copies[]): void {
    if (list.length === 0) {
      this.#setNowhere(index)
      return
    }
    this.#groups[index] = LISTED
    this.#lists ??= new Map()
    this.#lists.set(index, list)
  }

  #resize(frames: number): void {
    this.#offsets = resized(this.#offsets, new Uint32Array(frames))
    this.#lengths = resized(this.#lengths, new Uint32Array(frames))
    this.#groups = resized(this.#groups, new Int32Array(frames))
    this.#orders = resized(this.#orders, new Float64Array(frames))
    if (this.#leases !== undefined) this.#leases = resized(this.#leases, new Int32Array(frames).fill(WAITS))
  }
}

function resized<T extends Uint32Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from.subarray(0, to.length))
  return to
}

/** Who has an object on lease, as one number. */
export function leaseBy(session: number | undefined, isSeen: boolean): number {
  return session === undefined ? WAITS : 2 * session + (isSeen ? 1 : 0)
}

function isOrdinary({ kind, groupIndex, attempt, copies, deadLetter }: Copies): boolean {
  return kind === 'produce' && groupIndex === 0 && attempt === 1 && copies === 1 && deadLetter === undefined
}

function isSame(one: Copies, other: Copies): boolean {
  return (
    one.kind === other.kind &&
    one.group === other.group &&
    one.groupIndex === other.groupIndex &&
    one.order === other.order &&
    one.attempt === other.attempt &&
    one.session === other.session &&
    one.isSeen === other.isSeen
  )
}
