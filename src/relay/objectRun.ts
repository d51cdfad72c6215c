import type { Route } from '../core/ports.ts'

/** No run is longer, unless it is a single object: what is kept as one should not lie alone in much memory. */
const RUN_BYTES_MAX = 32 * 1024

/**
 * Objects that came one behind the other in the same memory, for the queue of one group, in the order of their sequences: the store and
 * the broker have the work of one object with them.
 */
export class ObjectRun {
  readonly buffer: Buffer
  readonly start: number
  end: number
  objects = 1
  readonly sequence: number
  readonly route: Route
  /** Whether others may join it. */
  readonly #isOpen: boolean

  /** It begins with one object. */
  constructor(buffer: Buffer, start: number, end: number, sequence: number, route: Route) {
    this.buffer = buffer
    this.start = start
    this.end = end
    this.sequence = sequence
    this.route = route
    this.#isOpen = route.kind === 'produce' && route.groups.length === 1 && route.copies[0] === 1
  }

  /** Whether the object that lies from `start` to `end` is the next of this run. */
  isBefore(buffer: Buffer, start: number, end: number, sequence: number, route: Route): boolean {
    const isNext = start === this.end && buffer === this.buffer && sequence === this.sequence + this.objects
    return isNext && this.#isOpen && route === this.route && end - this.start <= RUN_BYTES_MAX
  }
}
