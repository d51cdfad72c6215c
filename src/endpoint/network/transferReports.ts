import type { Clock, Timer } from '../../clock.ts'
import { encodeTransfer, type Transfer } from '../records.ts'

/** Often enough for a progress bar, and for nobody else. */
const INTERVAL_MS = 200

/** Tells the program from time to time how far the large objects are that are under way. */
export class TransferReports {
  readonly #clock: Clock
  readonly #read: () => Transfer
  readonly #write: (record: Buffer) => void
  #timer: Timer | undefined
  #told: Transfer = { sentBytes: 0, arrivedBytes: 0, arrivingBytes: 0 }

  constructor(clock: Clock, read: () => Transfer, write: (record: Buffer) => void) {
    this.#clock = clock
    this.#read = read
    this.#write = write
  }

  /** Some may have moved, if there are any, or were when the program was told last. */
  moved(areUnderWay: boolean): void {
    if (!areUnderWay && this.#told.sentBytes + this.#told.arrivingBytes === 0) return
    this.#timer ??= this.#clock.after(INTERVAL_MS, () => this.#tell())
  }

  end(): void {
    this.#timer?.cancel()
  }

  #tell(): void {
    this.#timer = undefined
    const now = this.#read()
    const { sentBytes, arrivedBytes, arrivingBytes } = this.#told
    if (now.sentBytes === sentBytes && now.arrivedBytes === arrivedBytes && now.arrivingBytes === arrivingBytes) return
    this.#told = now
    this.#write(encodeTransfer(now))
  }
}
