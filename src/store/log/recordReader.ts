import type { DeadLetter } from '../../deadLetter.ts'
import { fixedLimits } from '../../limits.ts'
import { readDeadLetter } from '../../wire/failures.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { readUint32 } from '../../wire/integers.ts'
import { OBJECT_HEAD_BYTES } from '../../wire/objectHeader.ts'
import { BLOCK_HEAD_BYTES, framesEndOf } from './blockFormat.ts'
import type { IndexPage } from './indexPage.ts'
import type { BlockBytes } from './logDisk.ts'
import type { NameTable } from './nameTable.ts'
import type { ObjectIndex, PlaceInGroup, Subject } from './objectIndex.ts'
import {
  FORGOTTEN,
  NO_SESSION,
  PLACE_BYTES,
  RecordType,
  recordBytes,
  SEEN_BIT,
  SUBJECT_BYTES,
  VALUE_BYTES,
} from './recordFormat.ts'
import { blockCorrupt } from './storeCorrupt.ts'

/** Where a session stands, behind an attempt. */
const SESSION_AT: number = PLACE_BYTES + 4
const FRAMES_AT = 12
const UNKNOWN = -1

/** Records that may say the same of several objects. */
const aboutRuns: ReadonlySet<number> = new Set([
  RecordType.QUEUED,
  RecordType.QUEUED_COPIES,
  RecordType.LEASED,
  RecordType.SEEN,
  RecordType.RETURNED,
  RecordType.ACKNOWLEDGED,
  RecordType.DROPPED,
])

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Who is told what the records of a log say. */
export interface RecordTarget {
  readonly index: ObjectIndex
  /** A named value; `undefined`: it is forgotten. The segment is that of the record. */
  value(name: string, value: Buffer | undefined, segment: number): void
}

/** Reads one block after the other into what is known of the objects. Throws `STORE_CORRUPT`. */
export class RecordReader {
  readonly #target: RecordTarget
  /** The first segment that was read. */
  #first = UNKNOWN
  #segment = UNKNOWN
  #offset = 0
  #page: IndexPage | undefined
  /** The names of the present segment, with their numbers in the index as far as they are known. */
  #names: string[] = []
  #groups: number[] = []
  #sessions: number[] = []
  #bytes: Buffer = Buffer.alloc(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  /** Where the present record begins in the block. */
  #at = 0

  constructor(target: RecordTarget) {
    this.#target = target
  }

  /** Reads a block. All blocks before were read. */
  read({ segment, offset, bytes }: BlockBytes): void {
    if (segment !== this.#segment) this.#begin(segment)
    this.#offset = offset
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#readFrames(framesEndOf(bytes))
    let at = framesEndOf(bytes)
    while (at < bytes.length) {
      this.#at = at
      const type = bytes[at] ?? 0
      const size = recordBytes[type] ?? 0
      if (size === 0 || at + size > bytes.length) throw this.#wrong('is of an unknown type or cut off')
      at += size + this.#textBytes(type)
      if (at > bytes.length) throw this.#wrong('is cut off')
      this.#record(type)
    }
  }

  #begin(segment: number): void {
    if (this.#first === UNKNOWN) this.#first = segment
    this.#segment = segment
    this.#page = this.#target.index.begin(segment)
    this.#names = []
    this.#groups = []
    this.#sessions = []
  }

  /** Frames are whole, one behind the other. */
  #readFrames(framesEnd: number): void {
    const bytes = this.#bytes
    for (let at = BLOCK_HEAD_BYTES; at < framesEnd; ) {
      this.#at = at
      const length = framesEnd - at < OBJECT_HEAD_BYTES ? 0 : readUint32(bytes, at)
      const type = bytes[at + 4]
      if (length < OBJECT_HEAD_BYTES || length > framesEnd - at) throw this.#wrong('is a frame that is not whole')
      if (type !== FrameType.OBJECT && type !== FrameType.STREAM_BEGIN) throw this.#wrong('is a frame of no object')
      const isLarge = type === FrameType.STREAM_BEGIN
      const index = this.#page?.push(this.#offset + at, length, isLarge) ?? 0
      if (isLarge) this.#page?.setBegin(index, Buffer.from(bytes.subarray(at, at + length)))
      at += length
    }
  }

  #record(type: number): void {
    if (type === RecordType.NAME) this.#name()
    else if (type === RecordType.VALUE) this.#value()
    else {
      const subject = this.#subject()
      // It lay in a segment that was deleted, because nothing in it was needed.
      const wrong = subject === undefined ? undefined : this.#apply(type, subject)
      if (wrong !== undefined) throw this.#wrong(`does not make sense: the object ${wrong}`)
    }
  }

  #apply(type: number, subject: Subject): string | undefined {
    const objects = this.#target.index
    if (subject.frames !== 1 && !aboutRuns.has(type)) throw this.#wrong('is about several objects')
    if (type === RecordType.MOVED) return objects.toldAgain(subject)
    if (type === RecordType.BODY)
      return objects.body(subject, { number: this.#integer(SUBJECT_BYTES), bytes: this.#integer(SUBJECT_BYTES + 8) })
    const groupIndex = this.#bytes[this.#at + 1] ?? 0
    const place = { group: this.#groupAt(2), groupIndex, order: this.#integer(SUBJECT_BYTES) }
    switch (type) {
      case RecordType.QUEUED:
        return objects.queued(subject, place, 1)
      case RecordType.QUEUED_COPIES:
        return objects.queued(subject, place, this.#copies(PLACE_BYTES))
      case RecordType.RETAINED:
        return objects.retained(subject, place)
      case RecordType.CLEARED:
        return objects.cleared(subject, place)
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
    const session = isLeased ? this.#sessionAt(SESSION_AT) : undefined
    const copies = this.#copies(SESSION_AT + 2)
    return this.#target.index.place(subject, {
      kind: 'produce',
      ...place,
      ...this.#attempt(),
      copies,
      session,
    })
  }

  /** One copy that was leased, or was on lease. */
  #lease(type: number, subject: Subject, place: PlaceInGroup): string | undefined {
    const objects = this.#target.index
    const lease = { ...this.#attempt(), session: this.#sessionAt(SESSION_AT) }
    if (type === RecordType.LEASED) return objects.leased(subject, place, lease)
    if (type === RecordType.SEEN) return objects.seen(subject, place, lease)
    if (type === RecordType.ACKNOWLEDGED) return objects.acknowledged(subject, place, lease)
    if (type === RecordType.RETURNED) return objects.returned(subject, place, lease, this.#uint32(SESSION_AT + 2))
    const dead = { group: this.#groupAt(SESSION_AT + 2), order: this.#integer(SESSION_AT + 4) }
    return objects.deadLettered(subject, place, lease, dead)
  }

  #attempt(): { attempt: number; isSeen: boolean } {
    const marked = this.#uint32(PLACE_BYTES)
    const isSeen = marked >= SEEN_BIT
    return { attempt: isSeen ? marked - SEEN_BIT : marked, isSeen }
  }

  /** How long the text at the end of the present record is. */
  #textBytes(type: number): number {
    if (type === RecordType.NAME) return this.#bytes[this.#at + 1] ?? 0
    if (type === RecordType.DIED) return this.#view.getUint16(this.#at + PLACE_BYTES, true)
    if (type !== RecordType.VALUE) return 0
    const valueBytes = this.#uint32(4)
    return this.#view.getUint16(this.#at + 2, true) + (valueBytes === FORGOTTEN ? 0 : valueBytes)
  }

  #value(): void {
    const nameBytes = this.#view.getUint16(this.#at + 2, true)
    const name = this.#text(VALUE_BYTES, nameBytes)
    const start = this.#at + VALUE_BYTES + nameBytes
    const valueBytes = this.#uint32(4)
    const value = valueBytes === FORGOTTEN ? undefined : Buffer.from(this.#bytes.subarray(start, start + valueBytes))
    this.#target.value(name, value, this.#segment)
  }

  #name(): void {
    const name = this.#text(2, this.#textBytes(RecordType.NAME))
    if (name === '') throw this.#wrong('is a name that is cut off')
    this.#names.push(name)
    this.#groups.push(UNKNOWN)
    this.#sessions.push(UNKNOWN)
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

  /** The objects that the record is about; `undefined` if their segment is gone. */
  #subject(): Subject | undefined {
    const distance = this.#uint32(8)
    const segment = this.#segment - distance
    if (segment > 0 && segment < this.#first) return undefined
    const page = this.#target.index.page(segment)
    const index = page?.indexAt(this.#uint32(4)) ?? UNKNOWN
    const frames = this.#view.getUint16(this.#at + FRAMES_AT, true)
    if (page === undefined || index === UNKNOWN || frames === 0 || index + frames > page.count)
      throw this.#wrong('is about an object that is not there')
    return { page, index, frames }
  }

  #groupAt(field: number): number {
    return this.#numberAt(field, this.#groups, this.#target.index.groups)
  }

  #sessionAt(field: number): number {
    return this.#numberAt(field, this.#sessions, this.#target.index.sessions)
  }

  /** The number in the index of the name whose number in the segment stands there. */
  #numberAt(field: number, known: number[], table: NameTable): number {
    const local = this.#view.getUint16(this.#at + field, true)
    let number = known[local]
    if (number === undefined) throw this.#wrong('has a name that was not told')
    if (number === UNKNOWN) {
      number = table.numberOf(this.#names[local] ?? '')
      known[local] = number
    }
    return number
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
    return blockCorrupt(this.#segment, this.#offset, `has something at ${this.#at} that ${what}`)
  }
}
