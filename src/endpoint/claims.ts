import { LeaseAction } from '../background/records.ts'
import { encodeAcknowledge, encodeReclaim, encodeRelease, encodeText } from '../wire/controlFrames.ts'
import type { Conversation } from '../wire/conversation.ts'
import { FIRST_CLAIMED_LEASE, FrameType } from '../wire/frameTypes.ts'
import { LeaseLedger, type LedgerEntry, NOT_TOLD, SETTLED_BY_RELAY, type SettledEntry } from './leaseLedger.ts'

/** A relay lets so many leases be claimed at once (PROTOCOL.md, chapter 16); some room is for what is settled in passing. */
const CLAIMS_MAX = 900_000
const RUN_LEASES_MAX = 50_000

/** The leases of a session that is over, which the present one claims. */
interface EarlierLeases {
  readonly ledger: LeaseLedger
  /** The number that its lease 0 has, or would have, when it is claimed. */
  readonly firstNumber: number
  /** Whether the program has said what it has of them. */
  isAnswered: boolean
}

/** What was settled of the leases of a session that is over. */
interface EarlierEntry extends SettledEntry {
  readonly ledger: LeaseLedger
  readonly firstNumber: number
}

/** How a session begins, and with whom. */
export interface SessionBeginning {
  /** The session that begins; the one before has one less. */
  readonly epoch: number
  readonly conversation: Conversation
  /** Frames of the session before that its relay is known to have received. */
  readonly confirmedBefore: number
  /** Whether it is the same relay as in the session before, restarted perhaps. */
  readonly sameRelay: boolean
  readonly keepsLeases: boolean
  readonly reclaims: boolean
}

/**
 * What one endpoint has on lease, over any number of restarts of a relay that remembers it. The program settles what it was
 * lent under the numbers that it knows, whenever it likes; here it becomes what the relay knows: a lease of the present
 * session, or one that is claimed (PROTOCOL.md, R12.9 and the following rules).
 */
export class Claims {
  /** Of the present session; `undefined` with a relay that would not know them again. */
  ledger: LeaseLedger | undefined
  #epoch = 0
  #conversation: Conversation | undefined
  /** Frames of the conversations before. */
  #framesBefore = 0
  readonly #earlier = new Map<number, EarlierLeases>()
  #nextNumber = FIRST_CLAIMED_LEASE
  /** Whether the relay waits for the end of the claims. */
  #endDue = false

  /** Returns whether the program is to answer what it has of the session before. */
  begin({ epoch, conversation, confirmedBefore, sameRelay, keepsLeases, reclaims }: SessionBeginning): boolean {
    const before = this.ledger
    if (before !== undefined) {
      this.#earlier.set(epoch - 1, { ledger: before, firstNumber: this.#nextNumber, isAnswered: false })
      this.#nextNumber += before.count
    }
    if (!(sameRelay && reclaims)) this.#earlier.clear()
    const sentBefore = this.#conversation?.log.appendedFrames ?? 0
    this.#framesBefore += sentBefore
    for (const { ledger } of this.#earlier.values()) ledger.restart(confirmedBefore, sentBefore)
    this.#forgetEmpty()
    this.#epoch = epoch
    this.#conversation = conversation
    this.ledger = keepsLeases ? new LeaseLedger(this.#framesBefore) : undefined
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

  /** The program says nothing more. */
  answeredAll(): void {
    for (const earlier of this.#earlier.values()) earlier.isAnswered = true
    this.#claimAll()
  }

  /** The program settles leases of the session `epoch`. */
  settle(action: number, epoch: number, from: number, to: number): void {
    if (epoch === this.#epoch) {
      const frame = this.#sendSettlement(action, from, to)
      this.ledger?.settle(action, from, to, frame)
      return
    }
    const earlier = this.#earlier.get(epoch)
    if (earlier === undefined) return
    const { ledger, firstNumber } = earlier
    // What is dropped need not be claimed: the relay gets it with the end of the claims.
    if (action === LeaseAction.DROP) ledger.settle(action, from, to, this.#endDue ? NOT_TOLD : SETTLED_BY_RELAY)
    else {
      this.#claim(ledger.claim(from, to), firstNumber)
      ledger.settle(action, from, to, this.#sendSettlement(action, firstNumber + from, firstNumber + to))
    }
  }

  /** The relay has confirmed frames of the conversation. */
  confirmed(): void {
    if (this.ledger === undefined && this.#earlier.size === 0) return
    const frames = this.#conversation?.log.confirmedFrames ?? 0
    this.ledger?.confirmed(frames)
    if (this.#earlier.size === 0) return
    for (const { ledger } of this.#earlier.values()) ledger.confirmed(frames)
    this.#forgetEmpty()
  }

  /** Once the program has said what it has, all is claimed. */
  #claimAll(): void {
    for (const { isAnswered } of this.#earlier.values()) if (!isAnswered) return
    if (!this.#endDue) return
    this.#endDue = false
    this.#claimOpen()
    this.#settleAgain()
    const frame = this.#send(encodeText(FrameType.RECLAIM_END, ''))
    for (const { ledger } of this.#earlier.values()) ledger.toldAll(frame)
  }

  #claimOpen(): void {
    let left = CLAIMS_MAX
    for (const { ledger, firstNumber } of this.#earlier.values()) {
      const entries = ledger.claim(0, ledger.count - 1).slice(0, left)
      this.#claim(entries, firstNumber)
      left -= entries.length
    }
  }

  #claim(entries: readonly LedgerEntry[], firstNumber: number): void {
    for (const entry of entries) this.#send(encodeReclaim({ ...entry, leaseNumber: firstNumber + entry.number }))
  }

  /**
   * Settles what the relay may not know to be settled. It cannot tell equal copies of an object apart, and it had what was said
   * to it up to some frame: those that it still has are the ones that were settled last. So they are claimed in that order,
   * and one that it would get back by itself is claimed where it has such an equal: that one may be gone, and would take its place.
   */
  #settleAgain(): void {
    const again = [...this.#untold((entry) => !isGivenBack(entry.action))]
    const claimed = new Set(again.map(identityOf))
    if (claimed.size > 0) {
      const isMistakable = (entry: SettledEntry) => isGivenBack(entry.action) && claimed.has(identityOf(entry))
      for (const entry of this.#untold(isMistakable)) again.push(entry)
    }
    again.sort((one, other) => (one.frame === other.frame ? 0 : other.frame - one.frame))
    for (let begin = 0, end = 0; begin < again.length; begin = end) {
      const { action = LeaseAction.DROP } = again[begin] ?? {}
      for (end = begin + 1; again[end]?.action === action; end++);
      // Of those that fared alike, any may stand for any other.
      this.#settleAlike(
        action,
        again.slice(begin, end).sort((one, other) => numberOf(one) - numberOf(other)),
      )
    }
  }

  *#untold(isWanted: (entry: SettledEntry) => boolean): Generator<EarlierEntry> {
    for (const { ledger, firstNumber } of this.#earlier.values()) {
      for (const entry of ledger.untold()) if (isWanted(entry)) yield { ...entry, ledger, firstNumber }
    }
  }

  #settleAlike(action: number, entries: readonly EarlierEntry[]): void {
    for (let begin = 0, end = 0; begin < entries.length; begin = end) {
      const first = numberOf(entries[begin])
      const isNext = (at: number) => at < entries.length && numberOf(entries[at]) === first + at - begin
      for (end = begin + 1; end < begin + RUN_LEASES_MAX && isNext(end); end++);
      const run = entries.slice(begin, end)
      for (const entry of run) this.#claim([entry], entry.firstNumber)
      const frame = this.#sendSettlement(action, first, first + run.length - 1)
      for (const { ledger, number } of run) ledger.told(number, frame)
    }
  }

  /** Returns the number of the frame. */
  #sendSettlement(action: number, from: number, to: number): number {
    return this.#send(
      action === LeaseAction.ACKNOWLEDGE
        ? encodeAcknowledge(from, to)
        : encodeRelease(from, to, action === LeaseAction.RELEASE_COUNTED),
    )
  }

  #send(frame: Buffer): number {
    const conversation = this.#conversation
    if (conversation === undefined) return 0
    conversation.send(frame)
    return conversation.log.appendedFrames
  }

  #forgetEmpty(): void {
    for (const [epoch, { ledger }] of this.#earlier) if (ledger.isEmpty) this.#earlier.delete(epoch)
  }
}

/** Whether the relay does that to all that nobody claims. */
function isGivenBack(action: number): boolean {
  return action !== LeaseAction.ACKNOWLEDGE && action !== LeaseAction.RELEASE_COUNTED
}

/** What a claim names. */
function identityOf({ source, sequence, attempt, groupIndex, isDead }: LedgerEntry): string {
  return `${source}/${sequence}/${attempt}/${groupIndex}/${isDead}`
}

function numberOf(entry: EarlierEntry | undefined): number {
  return entry === undefined ? 0 : entry.firstNumber + entry.number
}
