import { fixedLimits } from '../limits.ts'
import type { RelayEventMessage } from './relayEvents.ts'

/**
 * Passes events on to the program as long as it hears them. A program that is busy must not make the relay's thread, which
 * goes on, keep events without end: beyond the bound they are counted, and the program is told how many once it listens again.
 */
export class EventWindow {
  readonly #pass: (event: RelayEventMessage) => void
  #waiting = 0
  #unreported = 0

  constructor(pass: (event: RelayEventMessage) => void) {
    this.#pass = pass
  }

  emit(event: RelayEventMessage): void {
    if (this.#waiting >= fixedLimits.waitingEventsMax) {
      this.#unreported++
      return
    }
    this.#waiting++
    this.#pass(event)
  }

  /** The program has heard `count` more. */
  heard(count: number): void {
    this.#waiting -= count
    if (this.#unreported === 0 || this.#waiting >= fixedLimits.waitingEventsMax) return
    const message = `${this.#unreported} events were not reported, because this program was busy for too long. stats() has counted what they were about.`
    this.#unreported = 0
    this.emit({ name: 'warning', value: { code: 'EVENTS_LOST', message } })
  }
}
