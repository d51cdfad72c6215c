import { isDeadLetterName } from '../../core/groupName.ts'
import type { KeptPlace } from '../../core/journal.ts'
import type { DeadLetter } from '../../deadLetter.ts'
import { type BodyReference, type Copies, IndexPage, leaseBy, WAITS } from './indexPage.ts'
import { NameTable } from './nameTable.ts'
import type { FrameLocation } from './recordWriter.ts'

/** An object of the log, or a run of them: where its frames lie, and its body if it is a large one. */
export interface IndexedObject {
  /** The segment and the offset by which it is told: where it was written first in this run. */
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  readonly objects: number
  readonly body: BodyReference | undefined
  /** The STREAM_BEGIN of a large object of an earlier run; told once. */
  readonly begin: Buffer | undefined
  /** Whether a session has a copy of it. */
  readonly isLeased: boolean
}

/** A place in the queue of a group, or its retained broadcast. */
export interface PlaceInGroup {
  readonly group: number
  readonly groupIndex: number
  readonly order: number
}

/** One copy that a session has. */
export interface Lease {
  readonly attempt: number
  readonly session: number
  readonly isSeen: boolean
}

/** Nobody has it on lease. */
const waiting = { session: undefined, isSeen: false } as const

/** Frames of a page, one behind the other: mostly of one object, or of a run of them. */
export interface Subject {
  readonly page: IndexPage
  /** The number of the first. */
  readonly index: number
  readonly frames: number
}

/** Fewer objects that were written one behind the other are no run when they are restored: each alone is told by fewer bytes of memory. */
const RESTORED_RUN_MIN = 16
/** No run has more bytes. */
const RESTORED_RUN_BYTES_MAX = 64 * 1024

/** So many frames of a page can be told from each other. */
const FRAMES_PER_PAGE = 16_384

/**
 * What the log says of all objects: in which groups each waits, and who has it. The same methods read the records of a log that
 * is opened, and note what is written while it runs; so what is moved can be told again without asking anybody. What is told of several
 * objects is so of the first at the order of the place, and of each behind it at the next order. Each method returns what is wrong with
 * the record, if anything is.
 */
export class ObjectIndex {
  readonly groups: NameTable = new NameTable()
  readonly sessions: NameTable = new NameTable()
  /** Copies in all places. */
  copies = 0
  readonly #pages = new Map<number, IndexPage>()
  /** What lies in a segment and was written elsewhere first: numbers that tell page and frame. */
  readonly #movedInto = new Map<number, number[]>()
  /** The retained broadcast of each group. */
  readonly #retained = new Map<number, Subject>()
  /** The segment that is written. */
  #current = -1
  #recent: IndexPage | undefined
  #recentNumber = -1

  /** The page of a segment that is written from now on. */
  begin(segment: number): IndexPage {
    const before = this.#pages.get(this.#current)
    before?.trim()
    if (before?.live === 0) this.#forget(this.#current)
    const page = new IndexPage()
    this.#pages.set(segment, page)
    this.#current = segment
    return page
  }

  page(segment: number): IndexPage | undefined {
    if (segment === this.#recentNumber) return this.#recent
    const page = this.#pages.get(segment)
    if (page !== undefined) {
      this.#recentNumber = segment
      this.#recent = page
    }
    return page
  }

  queued(subject: Subject, place: PlaceInGroup, copies: number): string | undefined {
    const { page, index, frames } = subject
    // Nearly all are so.
    if (copies === 1 && place.groupIndex === 0 && page.queueOnly(index, frames, place.group, place.order)) {
      this.copies += frames
      this.groups.use(place.group, frames)
      return undefined
    }
    return each(subject, place, (one, at) => {
      if (page.copiesOf(one.index).some((other) => isAt(other, at))) return 'is queued twice in the same place'
      return this.place(one, { kind: 'produce', ...at, ...waiting, attempt: 1, copies })
    })
  }

  place({ page, index }: Subject, copies: Copies): string | undefined {
    if (page.isLarge(index) !== (page.bodyOf(index) !== undefined)) return 'is a large object without a body'
    this.#add(page, index, copies)
    return undefined
  }

  leased(subject: Subject, place: PlaceInGroup, { attempt, session }: Lease): string | undefined {
    const { page, index, frames } = subject
    const { group, order } = place
    if (attempt === 1 && page.leaseOnly(index, frames, group, order, WAITS, leaseBy(session, false))) {
      this.sessions.use(session, frames)
      return undefined
    }
    return each(subject, place, (one, at) => {
      const taken = this.#take(one, at, { attempt, ...waiting }, 1)
      if (taken === undefined) return 'was leased, but does not wait'
      this.#add(page, one.index, { ...taken, copies: 1, session })
      return undefined
    })
  }

  /** `lease`: as it was before. */
  seen(subject: Subject, place: PlaceInGroup, lease: Lease): string | undefined {
    const { page, index, frames } = subject
    const { session, attempt } = lease
    const [from, to] = [leaseBy(session, false), leaseBy(session, true)]
    if (attempt === 1 && page.leaseOnly(index, frames, place.group, place.order, from, to)) return undefined
    return each(subject, place, (one, at) => {
      const taken = this.#take(one, at, lease, 1)
      if (taken === undefined) return 'was seen, but not on lease, or seen before'
      this.#add(page, one.index, { ...taken, copies: 1, isSeen: true })
      return undefined
    })
  }

  returned(subject: Subject, place: PlaceInGroup, lease: Lease, nextAttempt: number): string | undefined {
    return each(subject, place, (one, at) => {
      const taken = this.#take(one, at, lease, 1)
      if (taken === undefined) return 'was returned, but not on lease'
      this.#add(one.page, one.index, { ...taken, ...waiting, copies: 1, attempt: nextAttempt })
      return undefined
    })
  }

  /** It died: it waits at `dead` from now on. */
  deadLettered(
    subject: Subject,
    place: PlaceInGroup,
    lease: Lease,
    dead: { readonly group: number; readonly order: number },
  ): string | undefined {
    const taken = this.#take(subject, place, lease, 1)
    if (taken === undefined) return 'was dead-lettered, but not on lease'
    this.#add(subject.page, subject.index, { ...taken, ...dead, ...waiting, copies: 1, attempt: 1 })
    return undefined
  }

  died({ page, index }: Subject, place: PlaceInGroup, deadLetter: DeadLetter): string | undefined {
    const taken = page.take(index, 1, (other) => isAt(other, place))
    if (taken === undefined) return 'died, but is no dead letter'
    page.add(index, { ...taken, copies: 1, deadLetter })
    return undefined
  }

  acknowledged(subject: Subject, place: PlaceInGroup, lease: Lease): string | undefined {
    const { page, index, frames } = subject
    const { session, attempt, isSeen } = lease
    if (attempt === 1 && page.takeOnly(index, frames, place.group, place.order, leaseBy(session, isSeen))) {
      this.copies -= frames
      this.sessions.unuse(session, frames)
      this.groups.unuse(place.group, frames)
      return undefined
    }
    return each(subject, place, (one, at) =>
      this.#take(one, at, lease, 1) === undefined ? 'was acknowledged, but not on lease' : undefined,
    )
  }

  dropped(subject: Subject, place: PlaceInGroup, attempt: number, copies: number): string | undefined {
    return each(subject, place, (one, at) =>
      this.#take(one, at, { attempt, ...waiting }, copies) === undefined ? 'was dropped, but does not wait' : undefined,
    )
  }

  /** It takes the place of the one before. */
  retained(subject: Subject, place: PlaceInGroup): string | undefined {
    const { page, index } = subject
    if (page.isLarge(index) !== (page.bodyOf(index) !== undefined)) return 'is a large object without a body'
    // A broadcast that is in the same group already is the same one, at its older place.
    this.#forgetRetained(place.group)
    this.#add(page, index, { kind: 'broadcast', ...place, ...waiting, attempt: 1, copies: 1 })
    this.#retained.set(place.group, { page, index, frames: 1 })
    return undefined
  }

  /** It is the retained broadcast of a group no more, and nothing is. */
  cleared({ page, index }: Subject, { group, order }: PlaceInGroup): string | undefined {
    const before = this.#retained.get(group)
    const isIt = (other: Copies): boolean =>
      other.kind === 'broadcast' && other.group === group && other.order === order
    if (before?.page !== page || before.index !== index || !page.copiesOf(index).some(isIt))
      return 'was cleared, but is not retained'
    this.#forgetRetained(group)
    return undefined
  }

  body({ page, index }: Subject, body: BodyReference): string | undefined {
    if (!page.isLarge(index)) return 'has a body, but is no large object'
    page.setBody(index, body)
    return undefined
  }

  /** It lies elsewhere now, and all is told again. */
  toldAgain({ page, index }: Subject): undefined {
    for (const copies of page.copiesOf(index)) {
      if (copies.kind === 'broadcast') this.#retained.delete(copies.group)
      this.#uncount(copies, copies.copies)
    }
    page.setGone(index)
  }

  /** The objects of frames that were written in a segment are needed no more. */
  release(segment: number, { page, index: first, frames }: Subject): void {
    if (!page.forgetUnplaced(first, frames)) {
      for (let index = first; index < first + frames; index++) {
        if (page.isPlaced(index)) for (const copies of page.copiesOf(index)) this.#uncount(copies, copies.copies)
        page.setGone(index)
      }
    }
    if (page.live === 0 && segment !== this.#current) this.#forget(segment)
  }

  /** A frame of a page lies somewhere else from now on. */
  move({ segment, offset }: FrameLocation, to: FrameLocation): void {
    const page = this.#pages.get(segment)
    const index = page?.indexAt(offset) ?? -1
    page?.move(index, to)
    let list = this.#movedInto.get(to.segment)
    if (list === undefined) {
      list = []
      this.#movedInto.set(to.segment, list)
    }
    list.push(segment * FRAMES_PER_PAGE + index)
  }

  /** All frames that lie in a segment and are needed, each by the segment and the number by which it is told. */
  *occupants(segment: number): Generator<readonly [segment: number, index: number], void, undefined> {
    const page = this.#pages.get(segment)
    for (let index = 0; index < (page?.count ?? 0); index++)
      if (page?.isLive(index) === true && page.movedTo(index) === undefined) yield [segment, index]
    for (const number of this.#movedInto.get(segment) ?? []) {
      const first = Math.floor(number / FRAMES_PER_PAGE)
      const index = number % FRAMES_PER_PAGE
      if (this.#pages.get(first)?.movedTo(index)?.segment === segment) yield [first, index]
    }
  }

  /** The copies of all objects that were written from there on, by their groups. */
  countFrom({ segment: first, offset }: FrameLocation): Map<string, number> {
    const counts = new Map<string, number>()
    for (const [segment, page] of this.#pages) {
      if (segment < first) continue
      for (let index = 0; index < page.count; index++) {
        if (segment === first && page.offsetOf(index) < offset) continue
        for (const { kind, group, copies } of page.copiesOf(index)) {
          if (kind !== 'produce') continue
          const name = this.groups.nameOf(group)
          counts.set(name, (counts.get(name) ?? 0) + copies)
        }
      }
    }
    return counts
  }

  /** The pages that there are now, in the order of the log. */
  allPages(): readonly (readonly [segment: number, page: IndexPage])[] {
    return [...this.#pages]
  }

  /** Where the frames of all objects were written of which a session has a copy. */
  *leasedFrames(): Generator<FrameLocation, void, undefined> {
    for (const [segment, page] of this.#pages)
      for (let index = 0; index < page.count; index++)
        if (page.isLeased(index)) yield { segment, offset: page.offsetOf(index) }
  }

  /** The segment is gone. */
  segmentDropped(segment: number): void {
    this.#movedInto.delete(segment)
  }

  /** All has been read: what is in no place is needed no more. Returns the segments in their order. */
  finish(): readonly number[] {
    for (const [segment, page] of this.#pages) {
      for (let index = 0; index < page.count; index++)
        if (page.isLive(index) && !page.isPlaced(index)) page.setGone(index)
      page.trim()
      if (page.live === 0) this.#forget(segment)
    }
    this.groups.sweep()
    this.sessions.sweep()
    return [...this.#pages.keys()]
  }

  /** All places, those of one object one after the other; `payloadOf` is asked once for each object, or run of them. */
  *places<P>(payloadOf: (object: IndexedObject) => P): Generator<KeptPlace<P>> {
    for (const [segment, page] of this.#pages) {
      for (let index = 0; index < page.count; index++) {
        if (!page.isPlaced(index)) continue
        const group = page.onlyGroupOf(index)
        const objects = group === undefined ? 1 : this.#runLength(page, index, group)
        const payload = payloadOf({
          segment,
          offset: page.offsetOf(index),
          bytes: page.bytesOf(index, objects),
          objects,
          body: page.bodyOf(index),
          begin: page.takeBegin(index),
          isLeased: page.isLeased(index),
        })
        if (group === undefined) for (const copies of page.copiesOf(index)) yield this.placeOf(payload, copies)
        else yield onlyPlace(payload, this.groups.nameOf(group), page.orderOf(index))
        index += objects - 1
      }
    }
  }

  /** How many objects from there on can be restored as one. Each dead letter has a fate of its own. */
  #runLength(page: IndexPage, first: number, group: number): number {
    const objects = page.runLength(first, RESTORED_RUN_BYTES_MAX)
    return objects < RESTORED_RUN_MIN || isDeadLetterName(this.groups.nameOf(group)) ? 1 : objects
  }

  /** The bodies of all large objects that are needed. */
  *bodies(): Generator<BodyReference> {
    for (const page of this.#pages.values()) yield* page.liveBodies()
  }

  placeOf<P>(payload: P, told: Copies): KeptPlace<P> {
    return {
      payload,
      kind: told.kind,
      group: this.groups.nameOf(told.group),
      groupIndex: told.groupIndex,
      order: told.order,
      attempt: told.attempt,
      copies: told.copies,
      session: told.session === undefined ? undefined : this.sessions.nameOf(told.session),
      isSeen: told.isSeen,
      deadLetter: told.deadLetter,
    }
  }

  #add(page: IndexPage, index: number, copies: Copies): void {
    page.add(index, copies)
    this.copies += copies.copies
    this.groups.use(copies.group, copies.copies)
    if (copies.session !== undefined) this.sessions.use(copies.session, copies.copies)
  }

  /** Takes copies of a produced object out of one place. */
  #take(
    { page, index }: Subject,
    place: PlaceInGroup,
    { attempt, session, isSeen }: Pick<Copies, 'attempt' | 'session' | 'isSeen'>,
    copies: number,
  ): Copies | undefined {
    const taken = page.take(
      index,
      copies,
      (other) =>
        isAt(other, place) && other.attempt === attempt && other.session === session && other.isSeen === isSeen,
    )
    if (taken !== undefined) this.#uncount(taken, copies)
    return taken
  }

  #uncount({ group, session }: Copies, copies: number): void {
    this.copies -= copies
    this.groups.unuse(group, copies)
    if (session !== undefined) this.sessions.unuse(session, copies)
  }

  #forgetRetained(group: number): void {
    const before = this.#retained.get(group)
    if (before === undefined) return
    this.#retained.delete(group)
    const taken = before.page.take(before.index, 1, (other) => other.kind === 'broadcast' && other.group === group)
    if (taken !== undefined) this.#uncount(taken, 1)
  }

  #forget(segment: number): void {
    this.#pages.delete(segment)
    if (segment === this.#recentNumber) this.#recentNumber = -1
  }
}

/** The same of one object after the other. */
function each(
  { page, index, frames }: Subject,
  place: PlaceInGroup,
  apply: (one: Subject, at: PlaceInGroup) => string | undefined,
): string | undefined {
  for (let next = 0; next < frames; next++) {
    const wrong = apply({ page, index: index + next, frames: 1 }, { ...place, order: place.order + next })
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** The place of an object that waits for its first delivery, as nearly all do. */
function onlyPlace<P>(payload: P, group: string, order: number): KeptPlace<P> {
  return {
    payload,
    kind: 'produce',
    group,
    groupIndex: 0,
    order,
    attempt: 1,
    copies: 1,
    session: undefined,
    isSeen: false,
    deadLetter: undefined,
  }
}

function isAt({ kind, group, order }: Copies, place: PlaceInGroup): boolean {
  return kind === 'produce' && group === place.group && order === place.order
}
