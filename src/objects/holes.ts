/** The most elements that JavaScript lets an array have. */
export const arrayLengthMax: number = 2 ** 32 - 1

/** So many holes are looked at one by one for each element that was there, and for the array as such. */
const scansPerElement = 8
const scansAtFirst = 64

/**
 * Finds where runs of holes end in one array that is walked from its first element to its last. An array may be a table
 * with a few elements far apart: what it costs follows the elements that are there, not the places between them. A few
 * holes are looked at one by one, which is quickest; once they are many, the indices that exist are listed.
 */
export class HoleRuns {
  readonly #array: readonly unknown[]
  readonly #length: number
  #holes = 0
  #scans = 0
  #indices: readonly number[] | undefined
  #next = 0

  constructor(array: readonly unknown[], length: number) {
    this.#array = array
    this.#length = length
  }

  /** The index behind the run of holes that begins at `start`. */
  endOf(start: number): number {
    const end = this.#indices === undefined ? this.#scan(start) : this.#lookUp(start)
    this.#holes += end - start
    return end
  }

  #scan(start: number): number {
    const elements = start - this.#holes
    let end = start + 1
    for (; end < this.#length; end++) {
      if (end in this.#array) return end
      if (++this.#scans > scansAtFirst + scansPerElement * elements) return this.#lookUp(end)
    }
    return end
  }

  #lookUp(start: number): number {
    this.#indices ??= indicesOf(this.#array)
    const indices = this.#indices
    let index = indices[this.#next]
    while (index !== undefined && index <= start) index = indices[++this.#next]
    return Math.min(index ?? this.#length, this.#length)
  }
}

/** The indices of all elements, ascending. */
function indicesOf(array: readonly unknown[]): number[] {
  const indices: number[] = []
  for (const name of Object.getOwnPropertyNames(array)) {
    const index = Number(name)
    if (Number.isInteger(index) && index >= 0 && index < arrayLengthMax && String(index) === name) indices.push(index)
  }
  // They are in order already, unless the array is a Proxy.
  return indices.sort((left, right) => left - right)
}
