const FIRST_CAPACITY = 64
/** One that has grown beyond this gives its memory back when it is empty. */
const KEPT_CAPACITY_MAX = 8_192

/**
 * Values by consecutive numbers, of which the oldest are removed first, more or less: a circle with a place for each number
 * between the oldest and the newest. A Map would cost three times as much for each object that is sent.
 */
export class SequenceTable<Value> {
  /** The value of a number lies at the number modulo the length, a power of two. */
  #values: (Value | undefined)[] = emptyPlaces(FIRST_CAPACITY)
  /** No number before it has a value. */
  #base = 0
  /** The next number. */
  #end = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds the value of the next number; when the table is empty, any number may be the next. */
  push(number: number, value: Value): void {
    if (this.#size === 0) this.#base = number
    while (number - this.#base >= this.#values.length) this.#grow()
    this.#values[number & (this.#values.length - 1)] = value
    this.#end = number + 1
    this.#size++
  }

  get(number: number): Value | undefined {
    return number >= this.#base && number < this.#end ? this.#values[number & (this.#values.length - 1)] : undefined
  }

  /** Removes a value and returns it, or `undefined` if there is none. */
  take(number: number): Value | undefined {
    const value = this.get(number)
    if (value === undefined) return undefined
    const mask = this.#values.length - 1
    this.#values[number & mask] = undefined
    this.#size--
    while (this.#base < this.#end && this.#values[this.#base & mask] === undefined) this.#base++
    if (this.#size === 0 && mask >= KEPT_CAPACITY_MAX) this.#values = emptyPlaces(FIRST_CAPACITY)
    return value
  }

  /** All values, by their numbers. */
  *values(): Generator<Value> {
    for (let number = this.#base; number < this.#end; number++) {
      const value = this.get(number)
      if (value !== undefined) yield value
    }
  }

  #grow(): void {
    const larger = emptyPlaces<Value>(this.#values.length * 2)
    for (let number = this.#base; number < this.#end; number++)
      larger[number & (larger.length - 1)] = this.#values[number & (this.#values.length - 1)]
    this.#values = larger
  }
}

function emptyPlaces<Value>(count: number): (Value | undefined)[] {
  return new Array<Value | undefined>(count).fill(undefined)
}
