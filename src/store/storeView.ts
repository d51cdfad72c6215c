import { isDeadLetterName, isGroupName } from '../core/groupName.ts'
import type { DeadLetter } from '../deadLetter.ts'
import { contentStart, parseRoute, readSentAt } from '../wire/objectHeader.ts'
import type { Copies } from './log/indexPage.ts'
import { bodyFileName } from './log/logBodies.ts'
import type { ObjectIndex } from './log/objectIndex.ts'
import type { BodyFiles } from './spool/bodyFiles.ts'

/** What a store keeps of one group. */
export interface StoredGroup {
  /** Copies that wait in the queue. */
  waiting: number
  /** Copies that a member has and has not acknowledged. */
  leased: number
  /** Of all of these; an object in several copies counts once. */
  bytes: number
  /** When the first of the queue was sent, by the clock of its sender. */
  oldest: Date | undefined
  /** Whether it is where objects of another group go that failed too often. */
  readonly isDead: boolean
  retained: { readonly bytes: number; readonly sentAt: Date } | undefined
}

/** An object in a store, as it was sent. */
export interface StoredCopy {
  readonly kind: 'broadcast' | 'produce'
  readonly group: string
  /** The number of its next delivery, or of the present one. */
  readonly attempt: number
  /** How many copies wait. */
  readonly copies: number
  /** Whether a member has it and has not acknowledged it. */
  readonly isLeased: boolean
  readonly sentAt: Date
  /** How it died, if the group is one of dead letters. */
  readonly deadLetter: DeadLetter | undefined
  /** Of its encoding. */
  readonly bodyBytes: number
  /** Its encoding, in pieces; shorter than `bodyBytes` if the relay has removed it meanwhile, since it was taken. */
  body(): AsyncIterable<Uint8Array>
}

/**
 * What a {@link StoreView} looks at: a log that is at rest, or one of a relay that runs.
 * @internal
 */
export interface StoreViewParts {
  readonly index: ObjectIndex
  readonly bodies: Pick<BodyFiles, 'open'>
  /** The whole segment; it may be gone. */
  read(segment: number): Promise<Buffer>
}

/** What is looked at without a pause. */
const SLICE_FRAMES = 10_000
const PIECE_BYTES = 1024 * 1024
/** Offsets in a segment are lower. */
const OFFSETS = 2 ** 18

/** The first place in the queue of a group. */
interface First {
  readonly order: number
  readonly segment: number
  readonly index: number
}

/**
 * Tells what is in a log. It pins nothing, and lets whoever runs with the log do something else in between.
 * @internal
 */
export class StoreView {
  readonly #parts: StoreViewParts

  constructor(parts: StoreViewParts) {
    this.#parts = parts
  }

  /** What is kept of each group. */
  async groups(): Promise<Map<string, StoredGroup>> {
    const { index } = this.#parts
    const groups = new Map<string, StoredGroup>()
    const firsts = new Map<string, First>()
    const retained: { readonly group: StoredGroup; readonly segment: number; readonly index: number; bytes: number }[] =
      []
    for await (const { segment, frame, bytes, copies } of this.#all()) {
      const { group: name, kind, order } = index.placeOf(undefined, copies)
      const group = groupIn(groups, name)
      if (kind === 'broadcast') {
        retained.push({ group, segment, index: frame, bytes })
        continue
      }
      if (copies.session === undefined) group.waiting += copies.copies
      else group.leased += copies.copies
      group.bytes += bytes
      const first = firsts.get(name)
      if (first === undefined || order < first.order) firsts.set(name, { order, segment, index: frame })
    }
    for (const [name, first] of firsts) groupIn(groups, name).oldest = await this.#sentAt(first)
    for (const { group, bytes, ...place } of retained) {
      const sentAt = await this.#sentAt(place)
      if (sentAt !== undefined) group.retained = { bytes, sentAt }
    }
    return new Map([...groups].sort(([one], [other]) => (one < other ? -1 : 1)))
  }

  /** What is kept of one group, in the order of the queue; the retained broadcast comes first. What is taken meanwhile is left out. */
  async *copies(name: string): AsyncGenerator<StoredCopy> {
    const orders: number[] = []
    const handles: number[] = []
    for await (const { segment, offset, copies } of this.#all()) {
      const place = this.#parts.index.placeOf(undefined, copies)
      if (place.group !== name) continue
      orders.push(place.kind === 'broadcast' ? -1 : place.order)
      handles.push(segment * OFFSETS + offset)
    }
    const sorted = Float64Array.from(orders.keys())
    if (orders.some((order, at) => order < (orders[at - 1] ?? order)))
      sorted.sort((one, other) => (orders[one] ?? 0) - (orders[other] ?? 0))
    for (const at of sorted) {
      const handle = handles[at] ?? 0
      const copy = await this.#copyAt(Math.floor(handle / OFFSETS), handle % OFFSETS, name, orders[at] ?? 0)
      if (copy !== undefined) yield copy
    }
  }

  async #copyAt(segment: number, offset: number, group: string, order: number): Promise<StoredCopy | undefined> {
    const page = this.#parts.index.page(segment)
    const index = page?.indexAt(offset) ?? -1
    if (page === undefined || !page.isPlaced(index)) return undefined
    const isMeant = (copies: Copies): boolean => {
      const place = this.#parts.index.placeOf(undefined, copies)
      return place.group === group && (order === -1 ? place.kind === 'broadcast' : place.order === order)
    }
    const copies = page.copiesOf(index).find(isMeant)
    if (copies === undefined) return undefined
    const large = page.bodyOf(index)
    const frame = await this.#frame({ segment, index })
    if (frame === undefined) return undefined
    const inFrame = frame.subarray(contentStart(frame, 0, parseRoute(frame, 0, frame.length, isGroupName)))
    const readBody = (number: number, bytes: number) => this.#body(number, bytes)
    return {
      kind: copies.kind,
      group,
      attempt: copies.attempt,
      copies: copies.copies,
      isLeased: copies.session !== undefined,
      sentAt: new Date(readSentAt(frame, 0)),
      deadLetter: copies.deadLetter,
      bodyBytes: large?.bytes ?? inFrame.length,
      async *body() {
        if (large === undefined) yield inFrame
        else yield* readBody(large.number, large.bytes)
      },
    }
  }

  /** The body of a large object; nothing if the relay has removed it meanwhile, since it was taken. */
  async *#body(number: number, bytes: number): AsyncGenerator<Buffer> {
    const file = await this.#parts.bodies.open(bodyFileName(number)).catch(() => undefined)
    if (file === undefined) return
    try {
      for (let at = 0; at < bytes; at += PIECE_BYTES) {
        const piece = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, bytes - at))
        await file.read(at, piece)
        yield piece
      }
    } finally {
      await file.close()
    }
  }

  async #sentAt(place: { readonly segment: number; readonly index: number }): Promise<Date | undefined> {
    const frame = await this.#frame(place)
    return frame === undefined ? undefined : new Date(readSentAt(frame, 0))
  }

  /** A copy of the frame; `undefined` if it is gone. */
  async #frame({ segment, index }: { readonly segment: number; readonly index: number }): Promise<Buffer | undefined> {
    const page = this.#parts.index.page(segment)
    if (page?.isLive(index) !== true) return undefined
    const { segment: lies, offset } = page.movedTo(index) ?? { segment, offset: page.offsetOf(index) }
    const bytes = await this.#parts.read(lies)
    return Buffer.from(bytes.subarray(offset, offset + page.lengthOf(index)))
  }

  /** All places, in the order of the log. */
  async *#all(): AsyncGenerator<{
    readonly segment: number
    readonly offset: number
    readonly frame: number
    readonly bytes: number
    readonly copies: Copies
  }> {
    let count = 0
    for (const [segment, page] of this.#parts.index.allPages()) {
      for (let frame = 0; frame < page.count; frame++) {
        if (++count % SLICE_FRAMES === 0) await new Promise((resolve) => setImmediate(resolve))
        if (!page.isPlaced(frame)) continue
        const bytes = page.bodyOf(frame)?.bytes ?? page.lengthOf(frame)
        const offset = page.offsetOf(frame)
        for (const copies of page.copiesOf(frame)) yield { segment, offset, frame, bytes, copies }
      }
    }
  }
}

function groupIn(groups: Map<string, StoredGroup>, name: string): StoredGroup {
  let group = groups.get(name)
  if (group === undefined) {
    const isDead = isDeadLetterName(name)
    group = { waiting: 0, leased: 0, bytes: 0, oldest: undefined, isDead, retained: undefined }
    groups.set(name, group)
  }
  return group
}
