const capacityMin = 16

/** A first-in-first-out queue in a ring: every operation takes constant time, and it shrinks when it has drained. */
export class Deque<T> {
  /** How many entries it holds. */
  length = 0
  private ring: (T | undefined)[] = []
  private head = 0

  push(entry: T): void {
    if (this.length === this.ring.length) this.resize(Math.max(capacityMin, this.ring.length * 2))
    this.ring[(this.head + this.length) & (this.ring.length - 1)] = entry
    this.length++
  }

  first(): T | undefined {
    return this.ring[this.head]
  }

  /** The entry at `index`, counted from the oldest. */
  at(index: number): T | undefined {
    return index < this.length ? this.ring[(this.head + index) & (this.ring.length - 1)] : undefined
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const entry = this.ring[this.head]
    this.ring[this.head] = undefined
    this.head = (this.head + 1) & (this.ring.length - 1)
    this.length--
    if (this.length < this.ring.length >> 2 && this.ring.length > capacityMin) this.resize(this.ring.length >> 1)
    return entry
  }

  /** Keeps the entries that `wanted` says yes to, in their order. */
  filter(wanted: (entry: T) => boolean): void {
    const count = this.length
    for (let index = 0; index < count; index++) {
      const entry = this.shift()
      if (entry !== undefined && wanted(entry)) this.push(entry)
    }
  }

  private resize(capacity: number): void {
    const ring: (T | undefined)[] = []
    for (let index = 0; index < this.length; index++) ring.push(this.ring[(this.head + index) & (this.ring.length - 1)])
    // Filled rather than created with a length: an array with holes is slower to read, and pushing leaves it without slack.
    while (ring.length < capacity) ring.push(undefined)
    this.ring = ring
    this.head = 0
  }
}
