import type { DeadLetter } from '../deadLetter.ts'
import type { GroupSetting, Payload } from './ports.ts'

/**
 * What the broker tells whoever has to know later what it knew: where each object waits, and who has it on lease. All is
 * called synchronously, from within calls of the broker, in the order in which it happened; none of it may throw or call
 * the broker in turn. Large objects are told of once they are whole. An object of which nothing is left is told of by
 * {@link BrokerOutput.released}, and its acceptance by {@link BrokerOutput.accepted}.
 *
 * A place is an object in the queue of one group at one `order`, with all its copies: there is one for each object and group,
 * except that each copy that died has its own in the dead-letter group. The copies in one place differ only in `attempt`,
 * the number of the next or present delivery, in who has them on lease, and in whether its program has seen them. A run of objects is told of as one, at the order of
 * its first, and may come in parts, each of which has the order of its own first object.
 */
export interface BrokerJournal<P extends Payload = Payload> {
  /** A whole object has a new place: `copies` copies wait in the queue of `group`, for their first delivery. */
  queued(payload: P, group: string, groupIndex: number, order: number, copies: number): void
  /** One copy that waited with `attempt` was given to `session`. */
  leased(payload: P, group: string, attempt: number, session: string, order: number): void
  /** The program of `session` has seen one copy that it has on lease as `attempt`. */
  seen(payload: P, group: string, attempt: number, session: string, order: number): void
  /** One copy that `session` had on lease as `attempt` waits again, for its delivery number `nextAttempt`. */
  returned(
    payload: P,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    nextAttempt: number,
    order: number,
  ): void
  /**
   * One copy that `session` had on lease as `attempt` waits in the dead-letter group `dead` now, at `deadOrder`, for its first
   * delivery from there. {@link BrokerJournal.died} follows.
   */
  deadLettered(
    payload: P,
    group: string,
    attempt: number,
    session: string,
    isSeen: boolean,
    dead: string,
    deadOrder: number,
    order: number,
  ): void
  /** How the copy at `deadOrder` of the dead-letter group `dead` died. */
  died(payload: P, dead: string, deadOrder: number, deadLetter: DeadLetter): void
  /** `session` took one copy that it had on lease as `attempt`: it is gone. */
  acknowledged(payload: P, group: string, attempt: number, session: string, isSeen: boolean, order: number): void
  /** `copies` copies that waited with `attempt` were dropped. */
  dropped(payload: P, group: string, attempt: number, copies: number, order: number): void
  /** The object is the retained broadcast of `group` now; what was before is not. */
  retained(payload: P, group: string, groupIndex: number, order: number): void
  /** The object, which was the retained broadcast of `group` at `order`, is it no more, and none is. */
  cleared(payload: P, group: string, order: number): void
  /** This is what is set of a group now, in place of what was; it may be nothing. */
  groupSet(group: string, setting: GroupSetting): void
}

/** A journal for who need not know. */
export const silentJournal: BrokerJournal = {
  queued: () => {},
  leased: () => {},
  seen: () => {},
  returned: () => {},
  deadLettered: () => {},
  died: () => {},
  acknowledged: () => {},
  dropped: () => {},
  retained: () => {},
  cleared: () => {},
  groupSet: () => {},
}

/** Some equal copies in one place, or a run: what a {@link BrokerJournal} was told, summed up. */
export interface KeptPlace<P = Payload> {
  readonly payload: P
  readonly kind: 'broadcast' | 'produce'
  readonly group: string
  readonly groupIndex: number
  /** Of a run: that of its first object. */
  readonly order: number
  readonly attempt: number
  readonly copies: number
  /** Who has it on lease (one copy then); `undefined` for what waits, and for a retained broadcast. */
  readonly session: string | undefined
  /** Whether the program of that session has seen it. */
  readonly isSeen: boolean
  /** How it died, if it is in a dead-letter group. */
  readonly deadLetter: DeadLetter | undefined
}
