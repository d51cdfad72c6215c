import type { BrokerJournal } from '../../core/journal.ts'
import type { GroupSetting } from '../../core/ports.ts'
import type { DeadLetter } from '../../deadLetter.ts'
import { encodeDeadLetter } from '../../wire/failures.ts'
import type { StoredObject } from '../store.ts'
import type { BlockWriter } from './blockWriter.ts'
import type { FrameTable } from './frameTable.ts'
import { writeGroup } from './groupValues.ts'
import type { LogBodies } from './logBodies.ts'
import { LogFrame } from './logFrame.ts'
import type { LogValues } from './logValues.ts'
import type { Lease, ObjectIndex, PlaceInGroup, Subject } from './objectIndex.ts'
import { RECORD_ROOM_BYTES } from './recordFormat.ts'
import type { FrameLocation, RecordWriter } from './recordWriter.ts'

/** Writes what the broker tells into the log, and notes it in the index. */
export class LogJournal implements BrokerJournal<StoredObject> {
  /** Whether anything was told since this was last set to false. */
  wasTold = false
  readonly #writer: BlockWriter
  readonly #frames: FrameTable
  readonly #index: ObjectIndex
  readonly #bodies: LogBodies
  readonly #values: LogValues

  constructor(writer: BlockWriter, frames: FrameTable, bodies: LogBodies, values: LogValues) {
    this.#writer = writer
    this.#frames = frames
    this.#index = frames.index
    this.#bodies = bodies
    this.#values = values
  }

  queued(object: StoredObject, group: string, groupIndex: number, order: number, copies: number): void {
    const number = this.#index.groups.numberOf(group)
    this.#tell(object, (subject, at, next) => {
      this.#records().queued(at, subject.frames, group, groupIndex, order + next, copies)
      return this.#index.queued(subject, { group: number, groupIndex, order: order + next }, copies)
    })
  }

  leased(object: StoredObject, group: string, attempt: number, session: string, order: number): void {
    const lease = this.#lease(attempt, session, false)
    this.#tellInOrder(object, group, order, (subject, at, place) => {
      this.#records().leased(at, subject.frames, group, attempt, session, place.order)
      return this.#index.leased(subject, place, lease)
    })
  }

  seen(object: StoredObject, group: string, attempt: number, session: string, order: number): void {
    const lease = this.#lease(attempt, session, false)
    this.#tellInOrder(object, group, order, (subject, at, place) => {
      this.#records().seen(at, subject.frames, group, attempt, session, place.order)
      return this.#index.seen(subject, place, lease)
    })
  }

  returned(
    object: StoredObject,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    nextAttempt: number,
    order: number,
  ): void {
    const lease = this.#lease(attempt, session, isSeen)
    this.#tellInOrder(object, group, order, (subject, at, place) => {
      this.#records().returned(at, subject.frames, group, attempt, session, isSeen, nextAttempt, place.order)
      return this.#index.returned(subject, place, lease, nextAttempt)
    })
  }

  deadLettered(
    object: StoredObject,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    dead: string,
    deadOrder: number,
    order: number,
  ): void {
    const { subject, at } = this.#find(object)
    this.#records().deadLettered(at, group, attempt, session, isSeen, dead, deadOrder, order)
    const lease = this.#lease(attempt, session, isSeen)
    const deadPlace = { group: this.#index.groups.numberOf(dead), order: deadOrder }
    check(this.#index.deadLettered(subject, this.#place(group, 0, order), lease, deadPlace))
  }

  died(object: StoredObject, dead: string, deadOrder: number, deadLetter: DeadLetter): void {
    const { subject, at } = this.#find(object)
    const text = encodeDeadLetter(deadLetter)
    this.#records(text.length).died(at, dead, deadOrder, text)
    check(this.#index.died(subject, this.#place(dead, 0, deadOrder), deadLetter))
  }

  acknowledged(
    object: StoredObject,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    order: number,
  ): void {
    const lease = this.#lease(attempt, session, isSeen)
    this.#tellInOrder(object, group, order, (subject, at, place) => {
      this.#records().acknowledged(at, subject.frames, group, attempt, session, isSeen, place.order)
      return this.#index.acknowledged(subject, place, lease)
    })
  }

  dropped(object: StoredObject, group: string, attempt: number, copies: number, order: number): void {
    this.#tellInOrder(object, group, order, (subject, at, place) => {
      this.#records().dropped(at, subject.frames, group, attempt, copies, place.order)
      return this.#index.dropped(subject, place, attempt, copies)
    })
  }

  retained(object: StoredObject, group: string, groupIndex: number, order: number): void {
    const { subject, at } = this.#find(object)
    this.#records().retained(at, group, groupIndex, order)
    check(this.#index.retained(subject, this.#place(group, groupIndex, order)))
  }

  cleared(object: StoredObject, group: string, order: number): void {
    const { subject, at } = this.#find(object)
    this.#records().cleared(at, group, order)
    check(this.#index.cleared(subject, this.#place(group, 0, order)))
  }

  groupSet(group: string, setting: GroupSetting): void {
    writeGroup(this.#values, group, setting)
    this.wasTold = true
  }

  /**
   * Tells the same of an object, or of all objects of a run: which they are, where they lie, and how many of the run are before them. A run
   * is told as one as long as none of it was moved.
   */
  #tell(object: StoredObject, tell: (subject: Subject, at: FrameLocation, before: number) => string | undefined): void {
    const told = this.#told(object)
    const subject = this.#frames.subjectOf(told, object.objects)
    const { page, index, frames } = subject
    if (!page.hasMoved(index, frames)) {
      check(tell(subject, told, 0))
      return
    }
    for (let next = 0; next < frames; next++) {
      const at = page.movedTo(index + next) ?? { segment: told.segment, offset: page.offsetOf(index + next) }
      check(tell({ page, index: index + next, frames: 1 }, at, next))
    }
  }

  /** The same of what lies in a queue, where the orders of a run follow each other. */
  #tellInOrder(
    object: StoredObject,
    group: string,
    order: number,
    tell: (subject: Subject, at: FrameLocation, place: PlaceInGroup) => string | undefined,
  ): void {
    const number = this.#index.groups.numberOf(group)
    this.#tell(object, (subject, at, next) => tell(subject, at, { group: number, groupIndex: 0, order: order + next }))
  }

  /** Which frame is an object's, and where it lies. */
  #find(object: StoredObject): { readonly subject: Subject; readonly at: FrameLocation } {
    const told = this.#told(object)
    const subject = this.#frames.subjectOf(told)
    return { subject, at: subject.page.movedTo(subject.index) ?? told }
  }

  #told(object: StoredObject): FrameLocation {
    if (object instanceof LogFrame) return object
    if ('begin' in object) return this.#bodies.locate(object)
    throw new Error('The store was told of an object that another store keeps.')
  }

  #place(group: string, groupIndex: number, order: number): PlaceInGroup {
    return { group: this.#index.groups.numberOf(group), groupIndex, order }
  }

  #lease(attempt: number, session: string, isSeen: boolean): Lease {
    return { attempt, session: this.#index.sessions.numberOf(session), isSeen }
  }

  /** The records, with room for one, and a text of so many bytes in it. */
  #records(textBytes = 0): RecordWriter {
    this.wasTold = true
    this.#writer.reserveRecord(RECORD_ROOM_BYTES + textBytes)
    return this.#writer.records
  }
}

/** What the broker tells follows from what it told before. */
function check(wrong: string | undefined): void {
  if (wrong !== undefined) throw new Error(`The store was told what cannot be: an object ${wrong}.`)
}
