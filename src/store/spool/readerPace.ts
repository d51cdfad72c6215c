import type { Clock, Timer } from '../../clock.ts'
import { fixedLimits } from '../../limits.ts'

/** So long may the fastest receiver take for {@link fixedLimits.bodyTailBytes}. */
const PATIENCE_MS = 100

/**
 * A sender that is a little faster than its receivers would leave them behind for good, and all of the object would have to
 * be read back from the disk. So it is held back to the pace of the fastest one, as long as that is a pace worth keeping.
 */
export class ReaderPace {
  readonly #clock: Clock
  readonly #changed: () => void
  #timer: Timer | undefined
  /** Where the fastest receiver was when the timer was set. */
  #mark = 0
  #isOver = false

  /** `changed` is called when the sender is not held back any more. */
  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock
    this.#changed = changed
  }

  /** How far the sender may go, of which `received` bytes have come, and which has room up to `roomEnd`. */
  limit(roomEnd: number, received: number, readers: Iterable<{ readonly position: number }>): number {
    let fastest = -1
    for (const { position } of readers) fastest = Math.max(fastest, position)
    // It has caught up.
    if (this.#isOver && fastest >= received - fixedLimits.bodyPieceBytes / 2) this.#isOver = false
    const paceEnd = fastest + fixedLimits.bodyPieceBytes
    if (this.#isOver || fastest < 0 || paceEnd >= roomEnd) {
      this.stop()
      return roomEnd
    }
    if (this.#timer === undefined || fastest >= this.#mark + fixedLimits.bodyTailBytes) this.#await(fastest)
    return paceEnd
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #await(fastest: number): void {
    this.stop()
    this.#mark = fastest
    this.#timer = this.#clock.after(PATIENCE_MS, () => {
      this.#timer = undefined
      this.#isOver = true
      this.#changed()
    })
  }
}
