import {
  encodeAcknowledge,
  encodeReclaim,
  encodeRelease,
  encodeSeen,
  encodeText,
  type ReleaseTerms,
} from '../../wire/controlFrames.ts'
import { FIRST_CLAIMED_LEASE, FrameType } from '../../wire/frameTypes.ts'
import type { ReliableChannel } from '../../wire/reliableChannel.ts'
import { LeaseAction, type SettledLeases } from '../records.ts'
import { LeaseLog, type LoggedLease } from './leaseLog.ts'

/** A relay lets so many leases be claimed at once (PROTOCOL.md, chapter 16); some room is for what is settled in passing. */
const CLAIMS_MAX = 900_000
const RUN_LEASES_MAX = 50_000
const uncounted: ReleaseTerms = { attemptCounted: false }

/** The leases of a session that is over, which the present one claims. */
interface EarlierLeases {
  readonly leaseLog: LeaseLog
  /** The number that its lease 0 has, or would have, when it is claimed. */
  readonly firstNumber: number
  /** Whether the program has said what it has of them. */
  isAnswered: boolean
}

/** How a session begins, and with whom. */
export interface SessionBeginning {
  /** The session that begins; the one before has one less. */
  readonly epoch: number
  readonly channel: ReliableChannel
  /** So many frames of the session before had their effect, as the relay says if it waits for claims. */
  readonly receivedBefore: number
  /** Whether it is the same relay as in the session before, restarted perhaps. */
  readonly sameRelay: boolean
  readonly keepsLeases: boolean
  readonly reclaims: boolean
}

/**
 * What one endpoint has on lease, over any number of restarts of a relay that remembers it. The program settles what it was
 * lent under the numbers that it knows, whenever it likes; here it becomes what the relay knows: a lease of the present
 * session, or one that is claimed (PROTOCOL.md, R12.11 and the following rules).
 */
export class Claims {
  /** Of the present session; `undefined` with a relay that would not know them again. */
  leaseLog: LeaseLog | undefined
  #epoch = 0
  #channel: ReliableChannel | undefined
  readonly #earlier = new Map<number, EarlierLeases>()
  #nextNumber = FIRST_CLAIMED_LEASE
  /** Whether the relay waits for the end of the claims. */
  #endDue = false
  /** Leases of this session that the program was handed, and the relay was not told so. Before `#seenFrom` when there are none. */
  #seenFrom = 0
  #seenTo = -1

  /** Returns whether the program is to answer what it has of the session before. */
  begin({ epoch, channel, receivedBefore, sameRelay, keepsLeases, reclaims }: SessionBeginning): boolean {
    const before = this.leaseLog
    if (before !== undefined) {
      this.#earlier.set(epoch - 1, { leaseLog: before, firstNumber: this.#nextNumber, isAnswered: false })
      this.#nextNumber += before.count
    }
    if (!(sameRelay && reclaims)) this.#earlier.clear()
    for (const { leaseLog } of this.#earlier.values()) leaseLog.restart(receivedBefore)
    this.#forgetEmpty()
    this.#epoch = epoch
    this.#channel = channel
    this.#seenTo = this.#seenFrom - 1
    this.leaseLog = keepsLeases ? new LeaseLog() : undefined
    this.#endDue = reclaims
    this.#claimAll()
    return this.#earlier.size > 0
  }

  /** The program has said all of the session `epoch`: what is left of it, it has. */
  answered(epoch: number): void {
    const earlier = this.#earlier.get(epoch)
    if (earlier === undefined) return
    earlier.isAnswered = true
    this.#claimAll()
  }

  /** The program says nothing more: it has settled all that it was handed, and the rest it never had. */
  answeredAll(): void {
    for (const earlier of this.#earlier.values()) {
      const { leaseLog } = earlier
      leaseLog.settle(LeaseAction.DROP, 0, leaseLog.count - 1, 0)
      earlier.isAnswered = true
    }
    this.#claimAll()
  }

  /** The program is handed what was lent in the session `epoch`. Returns whether the relay is to be told: what is claimed counts as seen anyway. */
  handed(epoch: number, leaseNumber: number): boolean {
    if (epoch !== this.#epoch) return false
    if (leaseNumber !== this.#seenTo + 1) this.tellSeen()
    if (this.#seenTo < this.#seenFrom) this.#seenFrom = leaseNumber
    this.#seenTo = leaseNumber
    return true
  }

  /** Tells the relay what the program was handed and has not settled since. */
  tellSeen(): void {
    if (this.#seenTo < this.#seenFrom) return
    this.#send(encodeSeen(this.#seenFrom, this.#seenTo))
    this.#seenTo = this.#seenFrom - 1
  }

  /** What is settled before the relay was told that it was seen need not be told. */
  #forgetSeen(from: number, to: number): void {
    if (to < this.#seenFrom || from > this.#seenTo) return
    if (from <= this.#seenFrom) this.#seenFrom = to + 1
    else if (to >= this.#seenTo) this.#seenTo = from - 1
    else this.tellSeen()
  }

  /** The program settles leases. */
  settle({ action, epoch, from, to, terms }: SettledLeases): void {
    if (epoch === this.#epoch) {
      this.#forgetSeen(from, to)
      const frame = this.#sendSettlement(action, from, to, terms)
      this.leaseLog?.settle(action, from, to, frame, terms)
      return
    }
    const earlier = this.#earlier.get(epoch)
    if (earlier === undefined) return
    const { leaseLog, firstNumber } = earlier
    // What is dropped is not claimed, so that the relay gets it with the end of the claims.
    if (action === LeaseAction.DROP) leaseLog.settle(action, from, to, 0)
    else {
      this.#claim(leaseLog.claim(from, to), firstNumber)
      leaseLog.settle(
        action,
        from,
        to,
        this.#sendSettlement(action, firstNumber + from, firstNumber + to, terms),
        terms,
      )
    }
  }

  /** The relay has confirmed frames of the channel. */
  confirmed(): void {
    if (this.leaseLog === undefined && this.#earlier.size === 0) return
    const frames = this.#channel?.log.confirmedFrames ?? 0
    this.leaseLog?.confirmed(frames)
    if (this.#earlier.size === 0) return
    for (const { leaseLog } of this.#earlier.values()) leaseLog.confirmed(frames)
    this.#forgetEmpty()
  }

  /** Once the program has said what it has, all is claimed. */
  #claimAll(): void {
    for (const { isAnswered } of this.#earlier.values()) if (!isAnswered) return
    if (!this.#endDue) return
    this.#endDue = false
    // All that is claimed is still there. So it does not matter that equal copies of an object cannot be told apart.
    let left = CLAIMS_MAX
    for (const { leaseLog, firstNumber } of this.#earlier.values()) {
      const entries = leaseLog.claim(0, leaseLog.count - 1).slice(0, left)
      this.#claim(entries, firstNumber)
      left -= entries.length
    }
    for (const earlier of this.#earlier.values()) this.#settleAgain(earlier)
    this.#send(encodeText(FrameType.RECLAIM_END, ''))
  }

  #claim(entries: readonly LoggedLease[], firstNumber: number): void {
    for (const entry of entries) this.#send(encodeReclaim({ ...entry, leaseNumber: firstNumber + entry.number }))
  }

  #settleAgain({ leaseLog, firstNumber }: EarlierLeases): void {
    const entries = leaseLog.unreported()
    for (let begin = 0, end = 0; begin < entries.length; begin = end) {
      const { action = 0, number: from = 0, terms } = entries[begin] ?? {}
      const isNext = (at: number) => {
        const entry = entries[at]
        return entry?.action === action && entry.terms === terms && entry.number === from + at - begin
      }
      for (end = begin + 1; end < begin + RUN_LEASES_MAX && isNext(end); end++);
      const run = entries.slice(begin, end)
      this.#claim(run, firstNumber)
      const frame = this.#sendSettlement(action, firstNumber + from, firstNumber + from + run.length - 1, terms)
      for (const { number } of run) leaseLog.reported(number, frame)
    }
  }

  /** Returns the number of the frame. */
  #sendSettlement(action: number, from: number, to: number, terms: ReleaseTerms | undefined): number {
    return this.#send(
      action === LeaseAction.ACKNOWLEDGE ? encodeAcknowledge(from, to) : encodeRelease(from, to, terms ?? uncounted),
    )
  }

  #send(frame: Buffer): number {
    const channel = this.#channel
    if (channel === undefined) return 0
    channel.send(frame)
    return channel.log.appendedFrames
  }

  #forgetEmpty(): void {
    for (const [epoch, { leaseLog }] of this.#earlier) if (leaseLog.isEmpty) this.#earlier.delete(epoch)
  }
}
