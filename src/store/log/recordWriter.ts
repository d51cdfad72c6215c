import { SEGMENT_BYTES_MAX } from './blockFormat.ts'
import { FORGOTTEN, NO_SESSION, RecordType, recordBytes, SEEN_BIT, SUBJECT_BYTES, VALUE_BYTES } from './recordFormat.ts'

/** Where the frame of an object lies. */
export interface FrameLocation {
  /** The number of its segment. */
  readonly segment: number
  readonly offset: number
}

/** What is told of equal copies of an object in one place. */
export interface PlaceOfCopies {
  readonly group: string
  readonly groupIndex: number
  readonly order: number
  readonly attempt: number
  readonly session: string | undefined
  readonly isSeen: boolean
  readonly copies: number
}

const NAME_BYTES_MAX = 255
const TEXT_BYTES_MAX = 0xffff

/**
 * The records of the block that is being written. They are written straight into a buffer that is used again for each
 * block; whoever calls has made sure that there is room.
 */
export class RecordWriter {
  /** Where the next record goes. */
  end = 0
  /** The number of the segment. */
  segment = 0
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(SEGMENT_BYTES_MAX)
  readonly #view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  readonly #names = new Map<string, number>()
  // Most records speak of the same group, and of the same session, as the one before.
  #lastGroup = ''
  #lastGroupNumber = 0
  #lastSession = ''
  #lastSessionNumber = 0

  /** Another block begins, in the same segment. */
  clear(): void {
    this.end = 0
  }

  /** Another segment begins: names are told again. */
  begin(segment: number): void {
    this.segment = segment
    this.end = 0
    this.#names.clear()
    this.#lastGroup = ''
    this.#lastSession = ''
  }

  /** `frames`, here and below: the number of objects; their frames and their orders follow each other. */
  queued(
    object: FrameLocation,
    frames: number,
    group: string,
    groupIndex: number,
    order: number,
    copies: number,
  ): void {
    const type = copies === 1 ? RecordType.QUEUED : RecordType.QUEUED_COPIES
    const at = this.#beginPlace(type, object, frames, group, groupIndex, order)
    if (copies !== 1) this.#view.setUint32(at, copies, true)
  }

  leased(object: FrameLocation, frames: number, group: string, attempt: number, session: string, order: number): void {
    this.#beginLease(RecordType.LEASED, object, frames, group, order, attempt, session)
  }

  seen(object: FrameLocation, frames: number, group: string, attempt: number, session: string, order: number): void {
    this.#beginLease(RecordType.SEEN, object, frames, group, order, attempt, session)
  }

  returned(
    object: FrameLocation,
    frames: number,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    nextAttempt: number,
    order: number,
  ): void {
    const at = this.#beginLease(RecordType.RETURNED, object, frames, group, order, marked(attempt, isSeen), session)
    this.#view.setUint32(at, nextAttempt, true)
  }

  deadLettered(
    object: FrameLocation,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    dead: string,
    deadOrder: number,
    order: number,
  ): void {
    const deadNumber = this.#name(dead)
    const at = this.#beginLease(RecordType.DEAD_LETTERED, object, 1, group, order, marked(attempt, isSeen), session)
    this.#view.setUint16(at, deadNumber, true)
    this.#view.setFloat64(at + 2, deadOrder, true)
  }

  /** `text`: how it died; there has to be room for it. */
  died(object: FrameLocation, dead: string, deadOrder: number, text: Buffer): void {
    if (text.length > TEXT_BYTES_MAX) throw new Error(`A text of ${text.length} bytes was to be stored.`)
    const at = this.#beginPlace(RecordType.DIED, object, 1, dead, 0, deadOrder)
    this.#view.setUint16(at, text.length, true)
    text.copy(this.bytes, this.end)
    this.end += text.length
  }

  acknowledged(
    object: FrameLocation,
    frames: number,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    order: number,
  ): void {
    this.#beginLease(RecordType.ACKNOWLEDGED, object, frames, group, order, marked(attempt, isSeen), session)
  }

  dropped(object: FrameLocation, frames: number, group: string, attempt: number, copies: number, order: number): void {
    const at = this.#beginPlace(RecordType.DROPPED, object, frames, group, 0, order)
    this.#view.setUint32(at, attempt, true)
    this.#view.setUint32(at + 4, copies, true)
  }

  retained(object: FrameLocation, group: string, groupIndex: number, order: number): void {
    this.#beginPlace(RecordType.RETAINED, object, 1, group, groupIndex, order)
  }

  /** The group has no retained broadcast any more. */
  cleared(object: FrameLocation, group: string, order: number): void {
    this.#beginPlace(RecordType.CLEARED, object, 1, group, 0, order)
  }

  /** A named value; `undefined`: it is forgotten. */
  value(name: string, value: Buffer | undefined): void {
    const nameBytes = Buffer.byteLength(name)
    const at = this.end
    this.#view.setUint32(at, RecordType.VALUE | (nameBytes << 16), true)
    this.#view.setUint32(at + 4, value?.length ?? FORGOTTEN, true)
    this.bytes.write(name, at + VALUE_BYTES)
    value?.copy(this.bytes, at + VALUE_BYTES + nameBytes)
    this.end = at + VALUE_BYTES + nameBytes + (value?.length ?? 0)
  }

  /** The body of a large object is in the file of that number. */
  body(object: FrameLocation, number: number, bytes: number): void {
    const at = this.#begin(RecordType.BODY, object, 1, 0, 0)
    this.#view.setFloat64(at, number, true)
    this.#view.setFloat64(at + 8, bytes, true)
  }

  /** What lay there lies elsewhere now, and all about it is told again. */
  moved(segment: number, offset: number): void {
    this.#begin(RecordType.MOVED, { segment, offset }, 1, 0, 0)
  }

  /** Equal copies of a produced object that was moved. */
  place(object: FrameLocation, { group, groupIndex, order, attempt, session, isSeen, copies }: PlaceOfCopies): void {
    const sessionNumber = session === undefined ? NO_SESSION : this.#session(session)
    const at = this.#beginPlace(RecordType.PLACE, object, 1, group, groupIndex, order)
    this.#view.setUint32(at, marked(attempt, isSeen), true)
    this.#view.setUint16(at + 4, sessionNumber, true)
    this.#view.setUint32(at + 6, copies, true)
  }

  /** What all records about leased copies begin with; returns where the rest goes. */
  #beginLease(
    type: number,
    object: FrameLocation,
    frames: number,
    group: string,
    order: number,
    attempt: number,
    session: string,
  ): number {
    const sessionNumber = this.#session(session)
    const at = this.#beginPlace(type, object, frames, group, 0, order)
    this.#view.setUint32(at, attempt, true)
    this.#view.setUint16(at + 4, sessionNumber, true)
    return at + 6
  }

  /** What all records about a place begin with; returns where the rest goes. */
  #beginPlace(
    type: number,
    object: FrameLocation,
    frames: number,
    group: string,
    groupIndex: number,
    order: number,
  ): number {
    const at = this.#begin(type, object, frames, this.#group(group), groupIndex)
    this.#view.setFloat64(at, order, true)
    return at + 8
  }

  /** Writes a record up to its subject, all names of it being told; returns where the rest goes. */
  #begin(type: number, { segment, offset }: FrameLocation, frames: number, group: number, groupIndex: number): number {
    const at = this.end
    const view = this.#view
    view.setUint32(at, type | (groupIndex << 8) | (group << 16), true)
    view.setUint32(at + 4, offset, true)
    view.setUint32(at + 8, this.segment - segment, true)
    view.setUint16(at + 12, frames, true)
    this.end = at + (recordBytes[type] ?? 0)
    return at + SUBJECT_BYTES
  }

  #group(name: string): number {
    if (name === this.#lastGroup) return this.#lastGroupNumber
    this.#lastGroupNumber = this.#name(name)
    this.#lastGroup = name
    return this.#lastGroupNumber
  }

  #session(name: string): number {
    if (name === this.#lastSession) return this.#lastSessionNumber
    this.#lastSessionNumber = this.#name(name)
    this.#lastSession = name
    return this.#lastSessionNumber
  }

  #name(name: string): number {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    const number = this.#names.size
    const nameBytes = Buffer.byteLength(name)
    if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX) throw new Error(`A name of ${nameBytes} bytes was to be stored.`)
    this.#names.set(name, number)
    this.bytes[this.end] = RecordType.NAME
    this.bytes[this.end + 1] = nameBytes
    this.bytes.write(name, this.end + 2)
    this.end += 2 + nameBytes
    return number
  }
}

function marked(attempt: number, isSeen: boolean): number {
  return isSeen ? attempt + SEEN_BIT : attempt
}
