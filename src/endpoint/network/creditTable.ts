/**
 * What an endpoint has asked for and not received, by group. The relay remembers it too; this is for a relay that was
 * restarted and must be asked again.
 */
export class CreditTable {
  /** Below zero where objects of a drain arrived before the relay said how many it stands for. */
  readonly #outstanding = new Map<string, number>()
  /** How often all was asked for, without an answer yet. */
  readonly #drains = new Map<string, number>()

  /** The program asked for `count` objects, or with -1 for all that wait: the relay will say how many that is. */
  request(group: string, count: number): void {
    if (count === -1) this.#drains.set(group, (this.#drains.get(group) ?? 0) + 1)
    else this.#add(group, count)
  }

  /** The relay answered a drain. */
  drained(group: string, count: number): void {
    const left = (this.#drains.get(group) ?? 0) - 1
    if (left > 0) this.#drains.set(group, left)
    else this.#drains.delete(group)
    this.#add(group, count)
  }

  /** A produced object of the group arrived. */
  served(group: string): void {
    if (this.#outstanding.has(group) || this.#drains.has(group)) this.#add(group, -1)
  }

  /** One that had arrived will not be whole after all. */
  unserved(group: string): void {
    this.#add(group, 1)
  }

  /** What is to be asked of a relay that knows nothing of it; -1 stands for all. */
  toRequest(): (readonly [group: string, count: number])[] {
    const requests: (readonly [string, number])[] = []
    for (const [group, count] of this.#outstanding) {
      if (count > 0) requests.push([group, count])
      else this.#outstanding.delete(group)
    }
    for (const group of this.#drains.keys()) {
      requests.push([group, -1])
      this.#drains.set(group, 1)
    }
    return requests
  }

  #add(group: string, count: number): void {
    const outstanding = (this.#outstanding.get(group) ?? 0) + count
    if (outstanding === 0) this.#outstanding.delete(group)
    else this.#outstanding.set(group, outstanding)
  }
}
