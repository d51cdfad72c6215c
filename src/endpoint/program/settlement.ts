import type { ObjectRelayError } from '../../errors.ts'
import type { ReleaseTerms } from '../../wire/controlFrames.ts'
import {
  encodeReleased,
  HANDED_BYTES,
  LeaseAction,
  type LeaseRange,
  noLeases,
  SETTLED_BYTES,
  writeHanded,
  writeSettled,
} from '../records.ts'
import { aboutEntry } from './deliveryDecoder.ts'
import type { InboxEntry, InboxRun, LostLease } from './inboxRun.ts'
import { InHand } from './inHand.ts'
import type { IoChannel } from './ioChannel.ts'

/** How many turns of the event loop a program waits for its network, where both share a thread: a TLS write needs one. */
const SENDING_TURNS_MAX = 2

/**
 * Tells the I/O what becomes of the objects that were delivered: which of them the program is handed, which leases are acknowledged
 * or given back, in runs, and how many bytes have left the inbox. `flush` ends a batch and writes what is not written yet.
 */
export class Settlement {
  readonly inHand: InHand = new InHand()
  readonly #channel: IoChannel
  readonly #report: (error: ObjectRelayError) => void
  readonly #record: Buffer = Buffer.alloc(Math.max(SETTLED_BYTES, HANDED_BYTES))
  #action: number = LeaseAction.ACKNOWLEDGE
  #epoch = 0
  #from = 0
  /** Before `#from` when there is no run. */
  #to = -1
  #takenBytes = 0
  #toldBytes = 0
  /** What was lent in the sessions up to this one, the relay has forgotten; or has given to others. */
  #forgotten: { readonly epoch: number; readonly lost: LostLease } | undefined
  #returnedEpoch = 0
  readonly #left = new Set<InboxEntry>()

  constructor(channel: IoChannel, report: (error: ObjectRelayError) => void) {
    this.#channel = channel
    this.#report = report
  }

  /** An object, or all of a run, has left the inbox, whatever becomes of it. */
  taken({ wireBytes }: InboxEntry | InboxRun): void {
    this.#takenBytes += wireBytes
  }

  /** It goes back into the inbox, as if it had never left it. */
  putBack(entry: InboxEntry): void {
    this.#takenBytes -= entry.wireBytes
    this.inHand.remove(entry)
  }

  /**
   * Code of the program is about to get the object, and may end the process by it. The I/O knows when this returns, and tells the
   * relay unless the object is settled at once. Returns false for an object that is another member's by now.
   */
  hand(entry: InboxEntry): boolean {
    if (entry.leaseNumber < 0) return true
    const { epoch, leaseNumber } = entry
    if (this.#forgotten !== undefined && epoch <= this.#forgotten.epoch) {
      entry.state = this.#forgotten.lost
      this.inHand.add(entry)
      return true
    }
    if (epoch <= this.#returnedEpoch) return false
    entry.state = 'inHand'
    this.inHand.add(entry)
    this.#flushLeases()
    this.#toldBytes = this.#takenBytes
    writeHanded(this.#record, 0, epoch, leaseNumber, this.#takenBytes)
    this.#channel.write(this.#record, 0, HANDED_BYTES)
    return true
  }

  /** Where the network shares the program's thread: waits until what the relay is to know has left, as far as the link takes it. */
  whenSent(): Promise<void> | undefined {
    return this.#channel.flush() ? undefined : this.#waitForSending()
  }

  async #waitForSending(): Promise<void> {
    for (let turn = 0; turn < SENDING_TURNS_MAX; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#channel.flush()) return
    }
  }

  /** The program has the object: it is gone for good. Whatever was settled once stays so. */
  acknowledge(entry: InboxEntry): void {
    const { epoch, leaseNumber } = entry
    const before = this.#settle(entry)
    if (typeof before === 'object') this.#tooLate(entry, before, 'acknowledged')
    else if (before !== 'settled' && leaseNumber >= 0)
      this.#add(LeaseAction.ACKNOWLEDGE, epoch, leaseNumber, leaseNumber)
  }

  /** The object goes back to its queue. Returns how it stood before. */
  release(entry: InboxEntry, terms: ReleaseTerms): InboxEntry['state'] {
    const { epoch, leaseNumber } = entry
    const before = this.#settle(entry)
    if (typeof before === 'object') this.#tooLate(entry, before, 'given back')
    else if (before !== 'settled' && leaseNumber >= 0) {
      if (terms.attemptCounted || terms.failure !== undefined) {
        this.#writeRelease(entry, terms)
      } else this.#add(LeaseAction.RELEASE, epoch, leaseNumber, leaseNumber)
    }
    return before
  }

  /**
   * The program has left its loop with the object in hand. If that was by an error that ends the program, it ends within this turn, and
   * the object was not done. If the program goes on, it was.
   */
  leave(entry: InboxEntry): void {
    this.#left.add(entry)
    if (this.#left.size === 1) setImmediate(() => this.acknowledgeLeft())
  }

  /** The program goes on: what it has left is done, unless it had been told to end early. */
  acknowledgeLeft(): void {
    for (const entry of this.#left) {
      if (this.inHand.isAborted(entry)) this.release(entry, { attemptCounted: false })
      else this.acknowledge(entry)
    }
    this.#left.clear()
    this.flush()
  }

  /** Objects that nobody took go back to the front of their queue. */
  releaseRun(run: InboxRun): void {
    this.#settleRun(run, LeaseAction.RELEASE)
  }

  /** Objects were lent in an earlier session, and the program will not have them: the relay lends them again. */
  dropRun(run: InboxRun): void {
    this.#settleRun(run, LeaseAction.DROP)
  }

  /** Takes away what the program still works on: nobody waits for it any longer. Whoever gets it next must know that it was tried. */
  takeAway(error: ObjectRelayError): void {
    for (const entry of this.inHand.those(() => true)) {
      const failure = { reason: 'released', error: { code: error.code, message: error.message } } as const
      // It is not the object's fault: it is available again at once.
      const terms = { attemptCounted: true, retryDelayMs: 0, failure }
      this.#writeRelease(entry, terms)
      this.#lose(entry, { error, isForgotten: false })
    }
  }

  /** The leases of the sessions up to `epoch` are gone: the relay gives their objects to others, or has forgotten them. */
  lost(epoch: number, lost: LostLease): void {
    if (lost.isForgotten) this.#forgotten = { epoch, lost }
    else this.#returnedEpoch = epoch
    for (const entry of this.inHand.those((one) => one.epoch <= epoch)) this.#lose(entry, lost)
  }

  #lose(entry: InboxEntry, lost: LostLease): void {
    entry.state = lost
    // What the relay has forgotten is only here: to go on with it harms nobody.
    if (lost.isForgotten) return
    this.inHand.abort(entry, lost.error)
    this.inHand.remove(entry)
  }

  #settle(entry: InboxEntry): InboxEntry['state'] {
    const before = entry.state
    entry.state = 'settled'
    if (before !== 'taken' || entry.leaseNumber < 0) this.inHand.remove(entry)
    return before
  }

  #tooLate(entry: InboxEntry, { error, isForgotten }: LostLease, what: 'acknowledged' | 'given back'): void {
    // What the relay has forgotten, and the program has done, nobody misses.
    if (isForgotten && what === 'acknowledged') return
    const consequence = isForgotten ? 'It is lost.' : 'Another member may work on it as well.'
    const message = `an object was ${what} too late. ${error.message} ${consequence}`
    this.#report(aboutEntry(entry, 'LEASE_LOST', message, error))
  }

  /** The same with an object that was taken out of the inbox. */
  drop(entry: InboxEntry): void {
    entry.state = 'settled'
    if (entry.leaseNumber >= 0) this.#add(LeaseAction.DROP, entry.epoch, entry.leaseNumber, entry.leaseNumber)
  }

  #settleRun({ nextLease, objects, epoch }: InboxRun, action: number): void {
    if (nextLease >= 0 && objects > 0) this.#add(action, epoch, nextLease, nextLease + objects - 1)
  }

  #add(action: number, epoch: number, from: number, to: number): void {
    const continues =
      this.#to >= this.#from && action === this.#action && epoch === this.#epoch && from === this.#to + 1
    if (!continues) {
      this.#flushLeases()
      this.#action = action
      this.#epoch = epoch
      this.#from = from
    }
    this.#to = to
  }

  flush(): void {
    this.#flushLeases()
    if (this.#takenBytes !== this.#toldBytes) this.#write(noLeases)
  }

  #flushLeases(): void {
    if (this.#to < this.#from) return
    const leases = { action: this.#action, epoch: this.#epoch, from: this.#from, to: this.#to }
    this.#to = this.#from - 1
    this.#write(leases)
  }

  #write(leases: LeaseRange): void {
    this.#toldBytes = this.#takenBytes
    writeSettled(this.#record, leases, this.#takenBytes)
    this.#channel.write(this.#record, 0, SETTLED_BYTES)
  }

  #writeRelease({ epoch, leaseNumber }: InboxEntry, terms: ReleaseTerms): void {
    this.#flushLeases()
    this.#toldBytes = this.#takenBytes
    this.#channel.write(encodeReleased(epoch, leaseNumber, terms, this.#takenBytes))
  }
}
