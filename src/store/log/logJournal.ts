import type { BrokerJournal } from '../../core/journal.ts'
import type { DeadLetter } from '../../deadLetter.ts'
import { encodeDeadLetter } from '../../wire/failures.ts'
import type { StoredObject } from '../store.ts'
import type { LogBodies } from './logBodies.ts'
import { LogFrame } from './logFrame.ts'
import type { FrameLocation, RecordWriter } from './recordWriter.ts'
import type { SegmentWriter } from './segmentWriter.ts'

/** Writes what the broker tells into the log. */
export class LogJournal implements BrokerJournal<StoredObject> {
  /** Whether anything was told since this was last set to false. */
  wasTold = false
  readonly #writer: SegmentWriter
  readonly #bodies: LogBodies

  constructor(writer: SegmentWriter, bodies: LogBodies) {
    this.#writer = writer
    this.#bodies = bodies
  }

  queued(object: StoredObject, group: string, groupIndex: number, order: number, copies: number): void {
    const location = this.#locate(object)
    this.#records().queued(location, group, groupIndex, order, copies)
  }

  leased(object: StoredObject, group: string, attempt: number, session: string, order: number): void {
    const location = this.#locate(object)
    this.#records().leased(location, group, attempt, session, order)
  }

  seen(object: StoredObject, group: string, attempt: number, session: string, order: number): void {
    const location = this.#locate(object)
    this.#records().seen(location, group, attempt, session, order)
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
    const location = this.#locate(object)
    this.#records().returned(location, group, attempt, session, isSeen, nextAttempt, order)
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
    const location = this.#locate(object)
    this.#records().buried(location, group, attempt, session, isSeen, dead, deadOrder, order)
  }

  died(object: StoredObject, dead: string, deadOrder: number, deadLetter: DeadLetter): void {
    const location = this.#locate(object)
    const text = encodeDeadLetter(deadLetter)
    this.#records(text.length).died(location, dead, deadOrder, text)
  }

  acknowledged(
    object: StoredObject,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    order: number,
  ): void {
    const location = this.#locate(object)
    this.#records().acknowledged(location, group, attempt, session, isSeen, order)
  }

  dropped(object: StoredObject, group: string, attempt: number, copies: number, order: number): void {
    const location = this.#locate(object)
    this.#records().dropped(location, group, attempt, copies, order)
  }

  lastBroadcast(object: StoredObject, group: string, groupIndex: number, order: number): void {
    const location = this.#locate(object)
    this.#records().lastBroadcast(location, group, groupIndex, order)
  }

  lastCleared(object: StoredObject, group: string, order: number): void {
    const location = this.#locate(object)
    this.#records().lastCleared(location, group, order)
  }

  /** Where the frame of an object lies. */
  #locate(object: StoredObject): FrameLocation {
    if (object instanceof LogFrame) return object
    if ('begin' in object) return this.#bodies.locate(object)
    throw new Error('The store was told of an object that another store keeps.')
  }

  /** The records, with room for one, and a text of so many bytes in it. */
  #records(textBytes = 0): RecordWriter {
    this.wasTold = true
    this.#writer.reserveRecord(textBytes)
    return this.#writer.records
  }
}
