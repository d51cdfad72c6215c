import type { BrokerJournal } from '../../core/journal.ts'
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

  returned(
    object: StoredObject,
    group: string,
    attempt: number,
    session: string,
    nextAttempt: number,
    order: number,
  ): void {
    const location = this.#locate(object)
    this.#records().returned(location, group, attempt, session, nextAttempt, order)
  }

  buried(
    object: StoredObject,
    group: string,
    attempt: number,
    session: string,
    dead: string,
    deadOrder: number,
    nextAttempt: number,
    order: number,
  ): void {
    const location = this.#locate(object)
    this.#records().buried(location, group, attempt, session, dead, deadOrder, nextAttempt, order)
  }

  acknowledged(object: StoredObject, group: string, attempt: number, session: string, order: number): void {
    const location = this.#locate(object)
    this.#records().acknowledged(location, group, attempt, session, order)
  }

  dropped(object: StoredObject, group: string, attempt: number, copies: number, order: number): void {
    const location = this.#locate(object)
    this.#records().dropped(location, group, attempt, copies, order)
  }

  lastBroadcast(object: StoredObject, group: string, groupIndex: number, order: number): void {
    const location = this.#locate(object)
    this.#records().lastBroadcast(location, group, groupIndex, order)
  }

  /** Where the frame of an object lies. */
  #locate(object: StoredObject): FrameLocation {
    if (object instanceof LogFrame) return object
    if ('begin' in object) return this.#bodies.locate(object)
    throw new Error('The store was told of an object that another store keeps.')
  }

  /** The records, with room for one. */
  #records(): RecordWriter {
    this.wasTold = true
    this.#writer.reserveRecord()
    return this.#writer.records
  }
}
