import { Deque } from './deque.ts'

/** So many entries that are gone are never worth sweeping. */
const goneIgnored = 32

/**
 * A first-in-first-out queue that entries may leave from the middle. They are only marked (a tombstone), are passed over at the front,
 * and are swept out when there are more of them than of the others: leaving takes constant time and no more than twice the memory.
 */
export class TombstoneQueue<T> {
  /** How many entries it has, those that left not counted. */
  length = 0
  private readonly deque: Deque<T> = new Deque()
  private readonly hasLeft: (entry: T) => boolean

  /** `hasLeft` reads the mark that the owner of an entry sets before it calls {@link TombstoneQueue.left}. */
  constructor(hasLeft: (entry: T) => boolean) {
    this.hasLeft = hasLeft
  }

  push(entry: T): void {
    this.deque.push(entry)
    this.length++
  }

  first(): T | undefined {
    for (;;) {
      const entry = this.deque.first()
      if (entry === undefined || !this.hasLeft(entry)) return entry
      this.deque.shift()
    }
  }

  shift(): T | undefined {
    const entry = this.first()
    if (entry === undefined) return undefined
    this.deque.shift()
    this.length--
    return entry
  }

  /** One of the entries has just been marked as gone. */
  left(): void {
    this.length--
    if (this.deque.length - this.length > this.length + goneIgnored) this.deque.filter((entry) => !this.hasLeft(entry))
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let index = 0; index < this.deque.length; index++) {
      const entry = this.deque.at(index)
      if (entry !== undefined && !this.hasLeft(entry)) yield entry
    }
  }
}
