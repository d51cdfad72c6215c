import type { DeadLetter } from '../../deadLetter.ts'
import type { ObjectRelayError } from '../../errors.ts'
import { readUint32 } from '../../wire/integers.ts'
import { isProduced, readAttempt, readSentAt } from '../../wire/objectHeader.ts'

/** The body of an object as it arrived: in one piece from `start` to `end`, or the head there and the segments in memory of their own. */
export interface EncodedObject {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  readonly segments: readonly ArrayBuffer[] | undefined
}

/** A large object: its head, and its segments. */
export function encodedParts([head, ...segments]: readonly ArrayBuffer[]): EncodedObject {
  const buffer = Buffer.from(head ?? new ArrayBuffer(0))
  return { buffer, start: 0, end: buffer.length, segments }
}

/** Why a lease is gone that the program has not settled: `isForgotten`, and not another member's, where the relay has lost its memory. */
export interface LostLease {
  readonly error: ObjectRelayError
  readonly isForgotten: boolean
}

/** If the object is another member's by now: why. */
export function takenAway({ state }: InboxEntry): ObjectRelayError | undefined {
  return typeof state === 'object' && !state.isForgotten ? state.error : undefined
}

/** An object that was taken out of the inbox, still encoded. */
export class InboxEntry implements EncodedObject {
  readonly run: InboxRun
  /** Where its frame begins. */
  readonly frameAt: number
  readonly start: number
  readonly end: number
  /** -1 for a broadcast. */
  readonly leaseNumber: number
  /** Bytes as they count for the room that the relay knows of. */
  readonly wireBytes: number
  /** `taken`: nobody has been handed it yet. `inHand`: the program works on it. `settled`: it was acknowledged or given back. */
  state: 'taken' | 'inHand' | 'settled' | LostLease = 'taken'

  constructor(run: InboxRun, frameAt: number, end: number, leaseNumber: number, wireBytes: number) {
    this.run = run
    this.frameAt = frameAt
    this.start = run.bodies === run.frames ? frameAt + run.bodyOffset : 0
    this.end = end
    this.leaseNumber = leaseNumber
    this.wireBytes = wireBytes
  }

  get buffer(): Buffer {
    return this.run.bodies
  }

  get segments(): readonly ArrayBuffer[] | undefined {
    return this.run.segments
  }

  get group(): string {
    return this.run.group
  }

  get kind(): 'broadcast' | 'produce' {
    return this.run.kind
  }

  get epoch(): number {
    return this.run.epoch
  }

  get skipped(): number {
    return this.run.skipped
  }

  get deadLetter(): DeadLetter | undefined {
    return this.run.deadLetter
  }

  get attempt(): number {
    return this.leaseNumber < 0 ? 1 : readAttempt(this.run.frames, this.frameAt)
  }

  get sentAtMs(): number {
    return readSentAt(this.run.frames, this.frameAt)
  }
}

/** Where the bytes of a run are kept. */
export interface KeptFrames {
  readonly frames: Buffer
  /** Where the first frame begins. */
  readonly start: number
  /** Where the bodies lie: in their frames; or, of a large object, its head by itself. */
  readonly bodies: Buffer
  /** Where the last body ends, in `bodies`. */
  readonly end: number
  /** The arrays of the object, which is the only one then. */
  readonly segments: readonly ArrayBuffer[] | undefined
  /** Bytes as they count for the room that the relay knows of. */
  readonly wireBytes: number
}

/**
 * Objects that came in a row, of one group and kind, and that nobody has taken yet. They wait as the bytes that they are:
 * an object of JavaScript for each would cost more than decoding it, since the garbage collector copies what waits.
 */
export class InboxRun {
  /** Their frames, one behind the other. */
  readonly frames: Buffer
  readonly bodies: Buffer
  readonly segments: readonly ArrayBuffer[] | undefined
  /** Where in its frame a body begins. */
  readonly bodyOffset: number
  readonly group: string
  readonly kind: 'broadcast' | 'produce'
  epoch = 0
  /** Broadcasts that were missed before the object, which is the only one then. */
  skipped = 0
  /** How the object died, which is the only one then. */
  deadLetter: DeadLetter | undefined = undefined
  /** How many are left. */
  objects: number
  /** Bytes of those that are left. */
  wireBytes: number
  /** The lease of the next one; -1 for broadcasts. */
  nextLease = -1
  previous: InboxRun | undefined = undefined
  next: InboxRun | undefined = undefined
  #nextAt: number
  readonly #end: number

  constructor(kept: KeptFrames, bodyOffset: number, group: string, objects: number) {
    this.frames = kept.frames
    this.bodies = kept.bodies
    this.segments = kept.segments
    this.bodyOffset = bodyOffset
    this.group = group
    this.kind = isProduced(kept.frames, kept.start) ? 'produce' : 'broadcast'
    this.objects = objects
    this.wireBytes = kept.wireBytes
    this.#nextAt = kept.start
    this.#end = kept.end
  }

  /** A run of its own for an object that was taken and goes back. */
  static of({ run, frameAt, end, leaseNumber, wireBytes }: InboxEntry): InboxRun {
    const { frames, bodies, segments, bodyOffset, group } = run
    const again = new InboxRun({ frames, start: frameAt, bodies, end, segments, wireBytes }, bodyOffset, group, 1)
    again.epoch = run.epoch
    again.skipped = run.skipped
    again.deadLetter = run.deadLetter
    again.nextLease = leaseNumber
    return again
  }

  /** Takes the oldest object; there must be one. */
  take(): InboxEntry {
    const frameAt = this.#nextAt
    const isLast = --this.objects === 0
    // What the last one counts is what is left: a large one counts more than its frame.
    const wireBytes = isLast ? this.wireBytes : readUint32(this.frames, frameAt)
    const end = isLast ? this.#end : frameAt + wireBytes
    const leaseNumber = this.nextLease < 0 ? -1 : this.nextLease++
    this.#nextAt = end
    this.wireBytes -= wireBytes
    return new InboxEntry(this, frameAt, end, leaseNumber, wireBytes)
  }
}
