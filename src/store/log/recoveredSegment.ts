import type { DeadLetter } from '../../deadLetter.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { readUint32 } from '../../wire/integers.ts'
import { OBJECT_HEAD_BYTES } from '../../wire/objectHeader.ts'
import { SEGMENT_HEAD_BYTES } from './segmentFormat.ts'
import { segmentCorrupt } from './storeCorrupt.ts'

/** Equal copies of an object in one place; see {@link KeptPlace}. Groups and sessions by their numbers in the recovery. */
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

const NOWHERE = -1
/** What is known of the object stands in {@link RecoveredSegment.many}. */
const ELSEWHERE = -2

/**
 * The frames of one segment, and where their objects are. Millions may wait, nearly all of them in one place, in one copy,
 * never delivered: those take 16 bytes each.
 */
export class RecoveredSegment {
  readonly number: number
  readonly bytes: number
  readonly check: number
  /** Where each frame begins, and in the end where the last one ends. */
  readonly #offsets: Uint32Array
  readonly #groups: Int32Array
  readonly #orders: Float64Array
  readonly #many = new Map<number, Copies[]>()
  /** Frames that are the beginnings of large objects. */
  readonly #large = new Set<number>()
  readonly #bodies = new Map<number, BodyReference>()
  /** Records mostly speak of one object after the other. */
  #lastFound = 0

  constructor(number: number, check: number, bytes: Buffer, framesEnd: number) {
    this.number = number
    this.check = check
    this.bytes = bytes.length
    const count = countFrames(number, bytes, framesEnd)
    this.#offsets = new Uint32Array(count + 1)
    this.#groups = new Int32Array(count).fill(NOWHERE)
    this.#orders = new Float64Array(count)
    let at = SEGMENT_HEAD_BYTES
    for (let index = 0; index < count; index++) {
      this.#offsets[index] = at
      if (bytes[at + 4] === FrameType.STREAM_BEGIN) this.#large.add(index)
      at += readUint32(bytes, at)
    }
    this.#offsets[count] = at
  }

  get count(): number {
    return this.#groups.length
  }

  offsetOf(index: number): number {
    return this.#offsets[index] ?? 0
  }

  frameBytes(index: number): number {
    return (this.#offsets[index + 1] ?? 0) - (this.#offsets[index] ?? 0)
  }

  /** Which frame begins at that offset; `undefined` if none does. */
  indexAt(offset: number): number | undefined {
    const offsets = this.#offsets
    const next = this.#lastFound + 1
    if (offsets[next] === offset && next < this.count) return this.#found(next)
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((offsets[middle] ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return low < this.count && offsets[low] === offset ? this.#found(low) : undefined
  }

  #found(index: number): number {
    this.#lastFound = index
    return index
  }

  isLarge(index: number): boolean {
    return this.#large.has(index)
  }

  bodyOf(index: number): BodyReference | undefined {
    return this.#bodies.get(index)
  }

  setBody(index: number, body: BodyReference): void {
    this.#bodies.set(index, body)
  }

  /** The bodies of those that are somewhere. */
  *keptBodies(): Generator<BodyReference> {
    for (const [index, body] of this.#bodies) if (this.isKept(index)) yield body
  }

  isKept(index: number): boolean {
    return this.#groups[index] !== NOWHERE
  }

  /** All copies of an object; not to be changed. */
  copiesOf(index: number): readonly Copies[] {
    const ordinary = this.ordinaryAt(index)
    return ordinary === undefined ? (this.#many.get(index) ?? []) : [ordinary]
  }

  /** The only place of an object that is in one place, once, and was never delivered, as nearly all are. */
  ordinaryAt(index: number): Copies | undefined {
    const group = this.#groups[index] ?? NOWHERE
    if (group < 0) return undefined
    const order = this.#orders[index] ?? 0
    return { kind: 'produce', group, groupIndex: 0, order, attempt: 1, copies: 1, session: undefined, isSeen: false }
  }

  add(index: number, added: Copies): void {
    if (this.#groups[index] === NOWHERE && isOrdinary(added)) {
      this.#groups[index] = added.group
      this.#orders[index] = added.order
      return
    }
    const list = [...this.copiesOf(index)]
    const same = list.find((copies) => isSame(copies, added))
    if (same === undefined) list.push({ ...added })
    else same.copies += added.copies
    this.#set(index, list)
  }

  /** Takes `count` copies out of the first that `isMeant`. `undefined`: there are not so many. */
  take(index: number, count: number, isMeant: (copies: Copies) => boolean): Copies | undefined {
    const list = [...this.copiesOf(index)]
    const taken = list.find(isMeant)
    if (taken === undefined || taken.copies < count) return undefined
    taken.copies -= count
    this.#set(index, taken.copies > 0 ? list : list.filter((copies) => copies !== taken))
    return taken
  }

  /** The object is nowhere any more. */
  forget(index: number): void {
    this.#set(index, [])
  }

  #set(index: number, list: Copies[]): void {
    if (list.length > 0) {
      this.#groups[index] = ELSEWHERE
      this.#many.set(index, list)
      return
    }
    if (this.#groups[index] === ELSEWHERE) this.#many.delete(index)
    this.#groups[index] = NOWHERE
  }
}

/** How many frames there are; throws `STORE_CORRUPT` unless they are whole, one behind the other, up to `framesEnd`. */
function countFrames(number: number, bytes: Buffer, framesEnd: number): number {
  let count = 0
  let at = SEGMENT_HEAD_BYTES
  while (at < framesEnd) {
    const frameBytes = framesEnd - at < OBJECT_HEAD_BYTES ? 0 : readUint32(bytes, at)
    const type = bytes[at + 4]
    if (frameBytes < OBJECT_HEAD_BYTES || frameBytes > framesEnd - at)
      throw segmentCorrupt(number, `has a frame at ${at} that is not whole`)
    if (type !== FrameType.OBJECT && type !== FrameType.STREAM_BEGIN)
      throw segmentCorrupt(number, `has a frame at ${at} that is no object`)
    at += frameBytes
    count++
  }
  return count
}

function isOrdinary({ kind, groupIndex, attempt, copies, session, deadLetter }: Copies): boolean {
  const isFresh = attempt === 1 && session === undefined && deadLetter === undefined
  return kind === 'produce' && groupIndex === 0 && copies === 1 && isFresh
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
