import type { Payload } from './contract.ts'
import type { LargeObject } from './largeObject.ts'
import { Line } from './line.ts'
import type { Plan } from './parcel.ts'
import type { Session } from './session.ts'

/**
 * A produced object that found no room. It stands in its session's line of each of its groups, so that nothing overtakes
 * it there; once it is the first in all of them, it stands in the rotation of what it lacks room in.
 */
export interface HeldObject<P extends Payload> {
  readonly session: Session<P>
  readonly sequence: number
  readonly plan: Plan<P>
  readonly payload: P
  /** Set if not the object but only its beginning is here. */
  readonly large: LargeObject<P> | undefined
  /** Where it waits for its turn. */
  rotation: Rotation<P> | undefined
  /** Its sender gave it up. */
  gone: boolean
}

/** Objects that wait for room in the same place, one of each session: the first goes first, its successor behind the others. */
export type Rotation<P extends Payload> = Line<HeldObject<P>>

export function createHeldLine<P extends Payload>(): Line<HeldObject<P>> {
  return new Line((held) => held.gone)
}
