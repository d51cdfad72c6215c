import type { DeadLetter } from '../../deadLetter.ts'
import { fixedLimits } from '../../limits.ts'
import { readDeadLetter } from '../../wire/failures.ts'
import { NO_SESSION, PLACE_BYTES, RecordType, recordBytes, SEEN_BIT, SUBJECT_BYTES } from './recordFormat.ts'
import type { PlaceInGroup, RecoveredObjects, Subject } from './recoveredObjects.ts'
import type { RecoveredSegment } from './recoveredSegment.ts'
import { segmentCorrupt } from './storeCorrupt.ts'

/** Where a session stands, behind an attempt. */
const SESSION_AT: number = PLACE_BYTES + 4

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads the records of one segment after the other into what is known of the objects. Throws `STORE_CORRUPT`. */
export class RecordReader {
  readonly #objects: RecoveredObjects
  /** Of the names of the present segment, the numbers in the recovery. */
  #names: number[] = []
  #number = 0
  #bytes: Buffer = Buffer.alloc(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  /** Where the present record begins. */
  #at = 0

  constructor(objects: RecoveredObjects) {
    this.#objects = objects
  }

  /** Reads the records of a segment, which lie from `start` on. All segments before were read; it is the last of `objects.segments`. */
  read(number: number, bytes: Buffer, start: number): void {
    this.#number = number
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#names = []
    let at = start
    while (at < bytes.length) {
      this.#at = at
      const type = bytes[at] ?? 0
      const size = recordBytes[type] ?? 0
      if (size === 0 || at + size > bytes.length) throw this.#wrong('is of an unknown type or cut off')
      at += size + this.#textBytes(type)
      if (at > bytes.length) throw this.#wrong('is cut off')
      if (type === RecordType.NAME) {
        this.#name()
        continue
      }
      const subject = this.#subject()
      // It lay in a segment that was deleted, because nothing in it was needed.
      if (subject === undefined) continue
      const wrong = this.#apply(type, subject)
      if (wrong !== undefined) throw this.#wrong(`does not make sense: the object ${wrong}`)
    }
  }

  #apply(type: number, subject: Subject): string | undefined {
    const objects = this.#objects
    if (type === RecordType.MOVED) return objects.moved(subject)
    if (type === RecordType.BODY)
      return objects.body(subject, { number: this.#integer(SUBJECT_BYTES), bytes: this.#integer(SUBJECT_BYTES + 8) })
    const groupIndex = this.#bytes[this.#at + 1] ?? 0
    const place = { group: this.#nameAt(2), groupIndex, order: this.#integer(SUBJECT_BYTES) }
    switch (type) {
      case RecordType.QUEUED:
        return objects.queued(subject, place, 1)
      case RecordType.QUEUED_COPIES:
        return objects.queued(subject, place, this.#copies(PLACE_BYTES))
      case RecordType.LAST_BROADCAST:
        return objects.lastBroadcast(subject, place)
      case RecordType.LAST_CLEARED:
        return objects.lastCleared(subject, place)
      case RecordType.DROPPED:
        return objects.dropped(subject, place, this.#uint32(PLACE_BYTES), this.#copies(PLACE_BYTES + 4))
      case RecordType.PLACE:
        return this.#place(subject, place)
      case RecordType.DIED:
        return objects.died(subject, place, this.#deadLetter())
      default:
        return this.#lease(type, subject, place)
    }
  }

  #place(subject: Subject, place: PlaceInGroup): string | undefined {
    const isLeased = this.#view.getUint16(this.#at + SESSION_AT, true) !== NO_SESSION
    const session = isLeased ? this.#nameAt(SESSION_AT) : undefined
    const copies = this.#copies(SESSION_AT + 2)
    return this.#objects.place(subject, {
      kind: 'produce',
      ...place,
      ...this.#attempt(),
      copies,
      session,
    })
  }

  /** One copy that was leased, or was on lease. */
  #lease(type: number, subject: Subject, place: PlaceInGroup): string | undefined {
    const objects = this.#objects
    const lease = { ...this.#attempt(), session: this.#nameAt(SESSION_AT) }
    if (type === RecordType.LEASED) return objects.leased(subject, place, lease)
    if (type === RecordType.SEEN) return objects.seen(subject, place, lease)
    if (type === RecordType.ACKNOWLEDGED) return objects.acknowledged(subject, place, lease)
    if (type === RecordType.RETURNED) return objects.returned(subject, place, lease, this.#uint32(SESSION_AT + 2))
    const dead = { group: this.#nameAt(SESSION_AT + 2), order: this.#integer(SESSION_AT + 4) }
    return objects.buried(subject, place, lease, dead)
  }

  #attempt(): { attempt: number; isSeen: boolean } {
    const marked = this.#uint32(PLACE_BYTES)
    const isSeen = marked >= SEEN_BIT
    return { attempt: isSeen ? marked - SEEN_BIT : marked, isSeen }
  }

  /** How long the text at the end of the present record is. */
  #textBytes(type: number): number {
    if (type === RecordType.NAME) return this.#bytes[this.#at + 1] ?? 0
    return type === RecordType.DIED ? this.#view.getUint16(this.#at + PLACE_BYTES, true) : 0
  }

  #name(): void {
    const name = this.#text(2, this.#textBytes(RecordType.NAME))
    if (name === '') throw this.#wrong('is a name that is cut off')
    this.#names.push(this.#objects.numberOf(name))
  }

  #deadLetter(): DeadLetter {
    const text = this.#text(PLACE_BYTES + 2, this.#textBytes(RecordType.DIED))
    try {
      return readDeadLetter(JSON.parse(text))
    } catch {
      throw this.#wrong('does not say how an object died')
    }
  }

  #text(field: number, textBytes: number): string {
    const start = this.#at + field
    try {
      return decoder.decode(this.#bytes.subarray(start, start + textBytes))
    } catch {
      throw this.#wrong('is a name or a text that is no UTF-8')
    }
  }

  /** The object that the record is about; `undefined` if its segment is gone. */
  #subject(): Subject | undefined {
    const offset = this.#uint32(4)
    const { segments } = this.#objects
    const distance = this.#uint32(8)
    const position = segments.length - 1 - distance
    if (position < 0 && distance < this.#number) return undefined
    const segment: RecoveredSegment | undefined = segments[position]
    const index = segment?.indexAt(offset)
    if (segment === undefined || index === undefined) throw this.#wrong('is about an object that is not there')
    return { segment, index }
  }

  #nameAt(field: number): number {
    const name = this.#names[this.#view.getUint16(this.#at + field, true)]
    if (name === undefined) throw this.#wrong('has a name that was not told')
    return name
  }

  #uint32(field: number): number {
    return this.#view.getUint32(this.#at + field, true)
  }

  #copies(field: number): number {
    const copies = this.#uint32(field)
    if (copies < 1 || copies > fixedLimits.countMax) throw this.#wrong(`is of ${copies} copies`)
    return copies
  }

  #integer(field: number): number {
    const value = this.#view.getFloat64(this.#at + field, true)
    if (!Number.isSafeInteger(value) || value < 0) throw this.#wrong('has a number that cannot be')
    return value
  }

  #wrong(what: string): Error {
    return segmentCorrupt(this.#number, `has a record at ${this.#at} that ${what}`)
  }
}
