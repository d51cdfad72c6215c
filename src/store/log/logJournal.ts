import type { GroupSetting } from '../../core/contract.ts'
import type { BrokerJournal } from '../../core/journal.ts'
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
    const { subject, at } = this.#find(object)
    this.#records().queued(at, group, groupIndex, order, copies)
    check(this.#index.queued(subject, this.#place(group, groupIndex, order), copies))
  }

  leased(object: StoredObject, group: string, attempt: number, session: string, order: number): void {
    const { subject, at } = this.#find(object)
    this.#records().leased(at, group, attempt, session, order)
    check(this.#index.leased(subject, this.#place(group, 0, order), this.#lease(attempt, session, false)))
  }

  seen(object: StoredObject, group: string, attempt: number, session: string, order: number): void {
    const { subject, at } = this.#find(object)
    this.#records().seen(at, group, attempt, session, order)
    check(this.#index.seen(subject, this.#place(group, 0, order), this.#lease(attempt, session, false)))
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
    const { subject, at } = this.#find(object)
    this.#records().returned(at, group, attempt, session, isSeen, nextAttempt, order)
    const lease = this.#lease(attempt, session, isSeen)
    check(this.#index.returned(subject, this.#place(group, 0, order), lease, nextAttempt))
  }

  buried(
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
    this.#records().buried(at, group, attempt, session, isSeen, dead, deadOrder, order)
    const lease = this.#lease(attempt, session, isSeen)
    const deadPlace = { group: this.#index.groups.numberOf(dead), order: deadOrder }
    check(this.#index.buried(subject, this.#place(group, 0, order), lease, deadPlace))
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
    const { subject, at } = this.#find(object)
    this.#records().acknowledged(at, group, attempt, session, isSeen, order)
    check(this.#index.acknowledged(subject, this.#place(group, 0, order), this.#lease(attempt, session, isSeen)))
  }

  dropped(object: StoredObject, group: string, attempt: number, copies: number, order: number): void {
    const { subject, at } = this.#find(object)
    this.#records().dropped(at, group, attempt, copies, order)
    check(this.#index.dropped(subject, this.#place(group, 0, order), attempt, copies))
  }

  lastBroadcast(object: StoredObject, group: string, groupIndex: number, order: number): void {
    const { subject, at } = this.#find(object)
    this.#records().retained(at, group, groupIndex, order)
    check(this.#index.retained(subject, this.#place(group, groupIndex, order)))
  }

  lastCleared(object: StoredObject, group: string, order: number): void {
    const { subject, at } = this.#find(object)
    this.#records().cleared(at, group, order)
    check(this.#index.cleared(subject, this.#place(group, 0, order)))
  }

  groupSet(group: string, setting: GroupSetting): void {
    writeGroup(this.#values, group, setting)
    this.wasTold = true
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
