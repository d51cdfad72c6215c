import type { AbsentSession } from './absentSession.ts'
import type { BrokerLimits, BrokerOptions, BrokerOutput, Packing, Payload } from './contract.ts'
import { forgetDeadLetter, hasMoreDead, keepDeadIndex } from './deadLetters.ts'
import { Directory } from './directory.ts'
import type { Group } from './group.ts'
import { Heap } from './heap.ts'
import { createHeldLine, type Rotation } from './heldObject.ts'
import type { BrokerJournal } from './journal.ts'
import type { Item, Parcel } from './parcel.ts'
import { isDueBefore, keepDueIndex, type SetAside } from './retries.ts'
import type { Session } from './session.ts'

/** What happened in the whole relay; copies counted. */
export interface BrokerCounts {
  accepted: number
  rejected: number
  delivered: number
  acknowledged: number
  released: number
  dropped: number
  dead: number
  expired: number
}

/** What all parts of the broker share: the groups, the sessions, the count of kept bytes. Each part is a file of functions over it. */
export class Core<P extends Payload> {
  readonly limits: BrokerLimits
  readonly output: BrokerOutput<P>
  readonly journal: BrokerJournal<P>
  readonly directory: Directory<P>
  readonly packing: Packing<P> | undefined
  readonly sessions: Map<string, Session<P>> = new Map()
  /** Sessions of an earlier run that have not come back, in the order in which their grace time ends. */
  readonly absent: Map<string, AbsentSession<P>> = new Map()
  /** Bytes of all that was accepted or admitted and is still referred to, each payload once; but for what only dead letters refer to. */
  keptBytes = 0
  /** What was restored beyond `relayBytesMax` and is not gone: so much room do new objects find only by taking that of old ones. */
  keptBytesBound = 0
  /** Bytes of all dead letters, those on lease included; what several refer to, several times. */
  deadBytes = 0
  /** What of that was restored beyond `relayBytesMax` and is not gone. */
  deadBytesBound = 0
  /** The groups with dead letters. */
  readonly deadGroups: Heap<Group<P>> = new Heap<Group<P>>(hasMoreDead, keepDeadIndex)
  /** What waits for its next attempt. */
  readonly retries: Heap<SetAside<P>> = new Heap<SetAside<P>>(isDueBefore, keepDueIndex)
  /** Of objects that were tried in vain and are not gone: the id of the session that tried last. */
  readonly failedAt: WeakMap<Item<P>, string> = new WeakMap()
  /** What waits until fewer bytes are kept. */
  readonly rotation: Rotation<P> = createHeldLine()
  /** Groups in which something may be able to move. */
  readonly touched: Group<P>[] = []
  /** Sessions whose backlog lost what was aborted, so that they may have room for the rest. */
  readonly shortened: Set<Session<P>> = new Set()
  /** Counts what is ordered by time, so that no clock is needed. */
  ticks = 0
  /** The latest time that the shell told. */
  nowMs = 0
  /** In the order in which their grace time ends. */
  readonly detached: Set<Session<P>> = new Set()
  /** Those with leases, in the order in which their next check is due; empty without `progressMs`. */
  readonly watched: Set<Session<P>> = new Set()
  stopped = false
  readonly counts: BrokerCounts = {
    accepted: 0,
    rejected: 0,
    delivered: 0,
    acknowledged: 0,
    released: 0,
    dropped: 0,
    dead: 0,
    expired: 0,
  }

  constructor(options: BrokerOptions<P>, output: BrokerOutput<P>, journal: BrokerJournal<P>) {
    this.limits = options.limits
    this.output = output
    this.journal = journal
    this.packing = options.packing
    this.directory = new Directory(options)
  }

  /** Something in `group` changed: the broker looks at it before its call returns. */
  touch(group: Group<P>): void {
    if (group.touched) return
    group.touched = true
    this.touched.push(group)
  }

  /** So many copies of an object of `group` are not needed any more. */
  letItemGo(item: Item<P>, group: Group<P>, copies = 1): void {
    const { payload, parcel } = item
    const { isDeadLetter } = group
    if (isDeadLetter) forgetDeadLetter(this, group, item)
    if (parcel === undefined) {
      if (!isDeadLetter) this.keptBytes -= payload.bytes
      this.output.released(payload)
    } else if (isDeadLetter) {
      parcel.deadReferences -= copies
      parcel.references -= copies
      // Its bytes were taken off when the last of the others went.
      if (parcel.references === 0) this.output.released(payload)
    } else {
      this.letParcelGo(parcel, copies)
    }
  }

  /** `count` places refer to the parcel no more, none of which is a dead letter. */
  letParcelGo(parcel: Parcel<P>, count = 1): void {
    parcel.references -= count
    if (parcel.references > parcel.deadReferences) return
    this.keptBytes -= parcel.payload.bytes
    if (parcel.references === 0) this.output.released(parcel.payload)
  }

  /** A copy became a dead letter, whose bytes take no room from anybody. */
  died({ payload, parcel }: Item<P>): void {
    if (parcel === undefined || ++parcel.deadReferences === parcel.references) this.keptBytes -= payload.bytes
  }
}
