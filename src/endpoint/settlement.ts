import { LEASES_BYTES, LeaseAction, TAKEN_BYTES, writeLeases, writeTaken } from '../background/records.ts'
import type { InboxEntry, InboxRun } from './inboxRun.ts'
import type { IoChannel } from './ioChannel.ts'

/**
 * Tells the I/O what became of the objects that were delivered: which leases are acknowledged or given back, in runs, and
 * how many bytes have left the inbox. `flush` ends a batch and writes what is not written yet.
 */
export class Settlement {
  readonly #channel: IoChannel
  readonly #record: Buffer = Buffer.alloc(LEASES_BYTES)
  #action: number = LeaseAction.ACKNOWLEDGE
  #epoch = 0
  #from = 0
  /** Before `#from` when there is no run. */
  #to = -1
  #takenBytes = 0
  #toldBytes = 0

  constructor(channel: IoChannel) {
    this.#channel = channel
  }

  /** An object, or all of a run, has left the inbox, whatever becomes of it. */
  taken({ wireBytes }: InboxEntry | InboxRun): void {
    this.#takenBytes += wireBytes
  }

  /** The program has the object: it is gone for good. Whatever was settled once stays so. */
  acknowledge(entry: InboxEntry): void {
    this.#settle(entry, LeaseAction.ACKNOWLEDGE)
  }

  /** The object goes back to the front of its queue. */
  release(entry: InboxEntry, attemptCounted: boolean): void {
    this.#settle(entry, attemptCounted ? LeaseAction.RELEASE_COUNTED : LeaseAction.RELEASE)
  }

  /** Objects that nobody took go back to the front of their queue. */
  releaseRun(run: InboxRun): void {
    this.#settleRun(run, LeaseAction.RELEASE)
  }

  /** Objects were lent in an earlier session, and the program will not have them: the relay lends them again. */
  dropRun(run: InboxRun): void {
    this.#settleRun(run, LeaseAction.DROP)
  }

  #settle(entry: InboxEntry, action: number): void {
    if (entry.settled) return
    entry.settled = true
    if (entry.leaseNumber >= 0) this.#add(action, entry.epoch, entry.leaseNumber, entry.leaseNumber)
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
    if (this.#takenBytes === this.#toldBytes) return
    this.#toldBytes = this.#takenBytes
    writeTaken(this.#record, 0, this.#takenBytes)
    this.#channel.write(this.#record, 0, TAKEN_BYTES)
  }

  #flushLeases(): void {
    if (this.#to < this.#from) return
    writeLeases(this.#record, 0, this.#action, this.#epoch, this.#from, this.#to)
    this.#to = this.#from - 1
    this.#channel.write(this.#record, 0, LEASES_BYTES)
  }
}
