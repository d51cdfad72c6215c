/** Gathers the acceptances of consecutive objects with the same member counts, so that a run of them costs one frame. */
export class AcceptedRuns {
  readonly #emit: (from: number, to: number, memberCounts: readonly number[]) => void
  #from = 0
  #to = -1
  #counts: number[] = []

  constructor(emit: (from: number, to: number, memberCounts: readonly number[]) => void) {
    this.#emit = emit
  }

  /** So many objects from `sequence` on. */
  add(sequence: number, objects: number, memberCounts: readonly number[]): void {
    const to = sequence + objects - 1
    if (this.#to >= this.#from && sequence === this.#to + 1 && sameCounts(this.#counts, memberCounts)) {
      this.#to = to
      return
    }
    this.flush()
    this.#from = sequence
    this.#to = to
    // The broker uses its array again.
    this.#counts = memberCounts.slice()
  }

  flush(): void {
    if (this.#to < this.#from) return
    this.#emit(this.#from, this.#to, this.#counts)
    this.#to = this.#from - 1
  }
}

function sameCounts(some: readonly number[], others: readonly number[]): boolean {
  if (some.length !== others.length) return false
  for (let index = 0; index < some.length; index++) if (some[index] !== others[index]) return false
  return true
}
