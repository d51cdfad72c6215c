/**
 * Values by consecutive numbers, of which the oldest are removed first, more or less: an array whose beginning moves.
 * A Map would cost three times as much for each object that is sent.
 */
export class SequenceTable<Value> {
  #values: (Value | undefined)[] = []
  /** The number of `#values[#head]`. */
  #base = 0
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds the value of the next number; the first call decides where the numbers begin. */
  push(number: number, value: Value): void {
    if (this.#values.length === this.#head) {
      this.#values = []
      this.#head = 0
      this.#base = number
    }
    this.#values[this.#head + number - this.#base] = value
    this.#size++
  }

  get(number: number): Value | undefined {
    return number < this.#base ? undefined : this.#values[this.#head + number - this.#base]
  }

  /** Removes a value and returns it, or `undefined` if there is none. */
  take(number: number): Value | undefined {
    const value = this.get(number)
    if (value === undefined) return undefined
    this.#values[this.#head + number - this.#base] = undefined
    this.#size--
    this.#trim()
    return value
  }

  /** All values, by their numbers. */
  *values(): Generator<Value> {
    for (let index = this.#head; index < this.#values.length; index++) {
      const value = this.#values[index]
      if (value !== undefined) yield value
    }
  }

  #trim(): void {
    while (this.#head < this.#values.length && this.#values[this.#head] === undefined) {
      this.#head++
      this.#base++
    }
    if (this.#head > 4096 && this.#head * 2 > this.#values.length) {
      this.#values.splice(0, this.#head)
      this.#head = 0
    }
  }
}
