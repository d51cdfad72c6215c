import type { KeptPlace } from '../../core/journal.ts'
import type { DeadLetter } from '../../deadLetter.ts'
import type { BodyReference, Copies, RecoveredSegment } from './recoveredSegment.ts'

/** Where the frame of a recovered object lies, and its body if it is a large one. */
export interface RecoveredObject {
  readonly segment: number
  readonly offset: number
  readonly bytes: number
  readonly body: BodyReference | undefined
}

/** A place in the queue of a group, or its last broadcast. */
export interface PlaceInGroup {
  readonly group: number
  readonly groupIndex: number
  readonly order: number
}

/** Nobody has it on lease. */
const waiting = { session: undefined, isSeen: false } as const

interface Lease {
  readonly attempt: number
  readonly session: number
  readonly isSeen: boolean
}

interface DeadPlace {
  readonly group: number
  readonly order: number
}

/** A frame of a recovered segment. */
export interface Subject {
  readonly segment: RecoveredSegment
  readonly index: number
}

/**
 * What became of all objects, as far as the log has been read. Each method is one record, and returns what is wrong with it, if
 * anything is; then nothing has changed.
 */
export class RecoveredObjects {
  readonly segments: RecoveredSegment[] = []
  readonly #names: string[] = []
  readonly #numbers = new Map<string, number>()
  /** The last broadcast of each group. */
  readonly #lasts = new Map<number, Subject>()

  /** The number of a name; the same one each time. */
  numberOf(name: string): number {
    let number = this.#numbers.get(name)
    if (number === undefined) {
      number = this.#names.length
      this.#names.push(name)
      this.#numbers.set(name, number)
    }
    return number
  }

  queued({ segment, index }: Subject, place: PlaceInGroup, copies: number): string | undefined {
    if (segment.copiesOf(index).some((other) => isAt(other, place))) return 'is queued twice in the same place'
    return this.place({ segment, index }, { kind: 'produce', ...place, ...waiting, attempt: 1, copies })
  }

  place({ segment, index }: Subject, copies: Copies): string | undefined {
    if (segment.isLarge(index) !== (segment.bodyOf(index) !== undefined)) return 'is a large object without a body'
    segment.add(index, copies)
    return undefined
  }

  leased(subject: Subject, place: PlaceInGroup, { attempt, session }: Lease): string | undefined {
    const taken = take(subject, place, { attempt, ...waiting }, 1)
    if (taken === undefined) return 'was leased, but does not wait'
    subject.segment.add(subject.index, { ...taken, copies: 1, session })
    return undefined
  }

  /** `lease`: as it was before. */
  seen(subject: Subject, place: PlaceInGroup, lease: Lease): string | undefined {
    const taken = take(subject, place, lease, 1)
    if (taken === undefined) return 'was seen, but not on lease, or seen before'
    subject.segment.add(subject.index, { ...taken, copies: 1, isSeen: true })
    return undefined
  }

  returned(subject: Subject, place: PlaceInGroup, lease: Lease, nextAttempt: number): string | undefined {
    const taken = take(subject, place, lease, 1)
    if (taken === undefined) return 'was returned, but not on lease'
    subject.segment.add(subject.index, { ...taken, ...waiting, copies: 1, attempt: nextAttempt })
    return undefined
  }

  buried(subject: Subject, place: PlaceInGroup, lease: Lease, dead: DeadPlace): string | undefined {
    const taken = take(subject, place, lease, 1)
    if (taken === undefined) return 'was buried, but not on lease'
    subject.segment.add(subject.index, { ...taken, ...dead, ...waiting, copies: 1, attempt: 1 })
    return undefined
  }

  died({ segment, index }: Subject, place: PlaceInGroup, deadLetter: DeadLetter): string | undefined {
    const taken = segment.take(index, 1, (other) => isAt(other, place))
    if (taken === undefined) return 'died, but is no dead letter'
    segment.add(index, { ...taken, copies: 1, deadLetter })
    return undefined
  }

  acknowledged(subject: Subject, place: PlaceInGroup, lease: Lease): string | undefined {
    return take(subject, place, lease, 1) === undefined ? 'was acknowledged, but not on lease' : undefined
  }

  dropped(subject: Subject, place: PlaceInGroup, attempt: number, copies: number): string | undefined {
    return take(subject, place, { attempt, ...waiting }, copies) === undefined
      ? 'was dropped, but does not wait'
      : undefined
  }

  /** It takes the place of the one before. */
  lastBroadcast(subject: Subject, place: PlaceInGroup): string | undefined {
    const { group } = place
    const last = this.#lasts.get(group)
    const isOfGroup = (other: Copies) => other.kind === 'broadcast' && other.group === group
    const wrong = this.place(subject, { kind: 'broadcast', ...place, ...waiting, attempt: 1, copies: 1 })
    if (wrong !== undefined) return wrong
    // If it is the same object, the older of its two places comes first.
    last?.segment.take(last.index, 1, isOfGroup)
    this.#lasts.set(group, subject)
    return undefined
  }

  lastCleared({ segment, index }: Subject, { group, order }: PlaceInGroup): string | undefined {
    const isMeant = (other: Copies) => other.kind === 'broadcast' && other.group === group && other.order === order
    if (segment.take(index, 1, isMeant) === undefined) return 'was cleared, but is not retained'
    this.#lasts.delete(group)
    return undefined
  }

  body({ segment, index }: Subject, body: BodyReference): string | undefined {
    if (!segment.isLarge(index)) return 'has a body, but is no large object'
    segment.setBody(index, body)
    return undefined
  }

  moved({ segment, index }: Subject): undefined {
    for (const { kind, group } of segment.copiesOf(index)) if (kind === 'broadcast') this.#lasts.delete(group)
    segment.forget(index)
  }

  /** All places, those of one object one after the other; `payloadOf` is asked once for each object. */
  *places<P>(payloadOf: (object: RecoveredObject) => P): Generator<KeptPlace<P>> {
    for (const segment of this.segments) {
      for (let index = 0; index < segment.count; index++) {
        if (!segment.isKept(index)) continue
        const payload = payloadOf({
          segment: segment.number,
          offset: segment.offsetOf(index),
          bytes: segment.frameBytes(index),
          body: segment.bodyOf(index),
        })
        const ordinary = segment.ordinaryAt(index)
        if (ordinary !== undefined) yield this.#placeOf(payload, ordinary)
        else for (const copies of segment.copiesOf(index)) yield this.#placeOf(payload, copies)
      }
    }
  }

  /** The bodies of all large objects. */
  *bodies(): Generator<BodyReference> {
    for (const segment of this.segments) yield* segment.keptBodies()
  }

  #placeOf<P>(payload: P, told: Copies): KeptPlace<P> {
    const { kind, groupIndex, order, attempt, copies, isSeen, deadLetter } = told
    const group = this.#names[told.group] ?? ''
    const session = told.session === undefined ? undefined : this.#names[told.session]
    return { payload, kind, group, groupIndex, order, attempt, copies, session, isSeen, deadLetter }
  }
}

/** Takes copies of a produced object out of one place. */
function take(
  { segment, index }: Subject,
  place: PlaceInGroup,
  { attempt, session, isSeen }: Pick<Copies, 'attempt' | 'session' | 'isSeen'>,
  copies: number,
): Copies | undefined {
  const isMeant = (other: Copies) =>
    isAt(other, place) && other.attempt === attempt && other.session === session && other.isSeen === isSeen
  return segment.take(index, copies, isMeant)
}

function isAt({ kind, group, order }: Copies, place: PlaceInGroup): boolean {
  return kind === 'produce' && group === place.group && order === place.order
}
