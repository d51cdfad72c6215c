/**
 * What an endpoint has asked for and not received, by group. The relay remembers it too; this is for a relay that was
 * restarted and must be asked again.
 */
export class DemandTable {
  readonly #outstanding = new Map<string, number>()

  add(group: string, count: number): void {
    this.#outstanding.set(group, (this.#outstanding.get(group) ?? 0) + count)
  }

  /** A produced object of the group arrived. */
  served(group: string): void {
    const left = (this.#outstanding.get(group) ?? 0) - 1
    if (left > 0) this.#outstanding.set(group, left)
    else this.#outstanding.delete(group)
  }

  get entries(): Iterable<readonly [string, number]> {
    return this.#outstanding
  }
}
