import { LEASES_BYTES, LeaseAction, TAKEN_BYTES, writeLeases, writeTaken } from '../background/records.ts'
import type { InboxEntry } from './inbox.ts'
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

  /** An object has left the inbox, whatever becomes of it. */
  taken(entry: InboxEntry): void {
    this.#takenBytes += entry.wireBytes
  }

  /** The program has the object: it is gone for good. Whatever was settled once stays so. */
  acknowledge(entry: InboxEntry): void {
    this.#settle(entry, LeaseAction.ACKNOWLEDGE)
  }

  /** The object goes back to the front of its queue. */
  release(entry: InboxEntry, attemptCounted: boolean): void {
    this.#settle(entry, attemptCounted ? LeaseAction.RELEASE_COUNTED : LeaseAction.RELEASE)
  }

  /** The object was lent in an earlier session, and the program will not have it: the relay lends it again. */
  drop(entry: InboxEntry): void {
    this.#settle(entry, LeaseAction.DROP)
  }

  #settle(entry: InboxEntry, action: number): void {
    if (entry.settled) return
    entry.settled = true
    if (entry.leaseNumber < 0) return
    const continues =
      this.#to >= this.#from &&
      action === this.#action &&
      entry.epoch === this.#epoch &&
      entry.leaseNumber === this.#to + 1
    if (continues) {
      this.#to++
      return
    }
    this.#flushLeases()
    this.#action = action
    this.#epoch = entry.epoch
    this.#from = entry.leaseNumber
    this.#to = entry.leaseNumber
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
