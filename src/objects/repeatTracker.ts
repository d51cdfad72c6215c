/** Up to this many objects a scan is faster than a hash table; measured. */
const scannedMax = 16

/** What was referred to: the positions of the objects, ascending, and each reference with the place of its object among them. */
export interface RepeatMarks {
  readonly positions: readonly number[]
  readonly references: readonly { readonly position: number; readonly mark: number }[]
}

/**
 * Notices that an object is met again while a tree of objects is written. Most trees have no such object and few objects
 * at all; so the first are only compared one by one, the others go into a `Set`, and only after the first repetition is
 * there a table from object to number. Objects are numbered in the order of their first meeting, which is also the order
 * of their positions.
 */
export class RepeatTracker {
  private readonly scanned: (object | undefined)[] = new Array(scannedMax).fill(undefined)
  private readonly positions: number[] = []
  private count = 0
  private unordered: Set<object> | undefined
  private numbered: Map<object, number> | undefined
  private readonly references: number[] = []

  /** The number of an object that was noted before, or -1: then it is noted now, at that position of the encoding. */
  note(object: object, position: number): number {
    const { count, scanned } = this
    if (count >= scannedMax) return this.noteInTable(object, position)
    for (let index = 0; index < count; index++) if (scanned[index] === object) return index
    scanned[count] = object
    this.positions[count] = position
    this.count = count + 1
    return -1
  }

  private noteInTable(object: object, position: number): number {
    if (this.numbered === undefined) {
      this.unordered ??= new Set(this.scannedObjects())
      const { unordered } = this
      const { size } = unordered
      // One call tells whether it was there; asking first and adding then would be two.
      if (unordered.add(object).size > size) {
        this.positions[this.count++] = position
        return -1
      }
      this.numbered = new Map()
      for (const known of unordered) this.numbered.set(known, this.numbered.size)
      this.unordered = undefined
    }
    const number = this.numbered.get(object)
    if (number !== undefined) return number
    this.numbered.set(object, this.count)
    this.positions[this.count++] = position
    return -1
  }

  private *scannedObjects(): Generator<object> {
    for (const object of this.scanned) if (object !== undefined) yield object
  }

  /** Remembers that at `position` the encoding refers to the object of that number. */
  refer(number: number, position: number): void {
    this.references.push(number, position)
  }

  /** Whether anything was referred to. */
  get hasReferences(): boolean {
    return this.references.length > 0
  }

  /** What is to be written about all repetitions. */
  marks(): RepeatMarks {
    const numbers = new Set<number>()
    for (let index = 0; index < this.references.length; index += 2) numbers.add(this.references[index] ?? 0)
    const ascending = [...numbers].sort((left, right) => left - right)
    const markOf = new Map(ascending.map((number, mark) => [number, mark]))
    const references: { position: number; mark: number }[] = []
    for (let index = 0; index < this.references.length; index += 2) {
      const mark = markOf.get(this.references[index] ?? 0) ?? 0
      references.push({ position: this.references[index + 1] ?? 0, mark })
    }
    return { positions: ascending.map((number) => this.positions[number] ?? 0), references }
  }

  /** Forgets everything, so that no object is kept alive. */
  clear(): void {
    const count = Math.min(this.count, scannedMax)
    for (let index = 0; index < count; index++) this.scanned[index] = undefined
    this.count = 0
    if (this.unordered !== undefined) this.unordered = undefined
    if (this.numbered !== undefined) this.numbered = undefined
    if (this.references.length > 0) this.references.length = 0
    if (this.positions.length > 1024) this.positions.length = 0
  }
}
