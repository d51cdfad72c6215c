/** Numbers for names that are in use: of groups, or of sessions. The number of a name that nothing uses any more is given to another. */
export class NameTable {
  readonly #numbers = new Map<string, number>()
  readonly #names: string[] = []
  readonly #uses: number[] = []
  /** Numbers that may be given to other names, and whether each is among them. */
  readonly #idle: number[] = []
  readonly #isIdle: boolean[] = []
  #keepsUnused = true
  // Mostly the same name is asked for as before.
  #lastName: string | undefined
  #lastNumber = -1

  /** The number of a name: the same one until {@link NameTable.unuse} was called as often as {@link NameTable.use}. */
  numberOf(name: string): number {
    if (name === this.#lastName) return this.#lastNumber
    const known = this.#numbers.get(name)
    const number = known ?? this.#give(name)
    this.#isIdle[number] = false
    this.#lastName = name
    this.#lastNumber = number
    return number
  }

  nameOf(number: number): string {
    return this.#names[number] ?? ''
  }

  use(number: number, count = 1): void {
    this.#uses[number] = (this.#uses[number] ?? 0) + count
  }

  unuse(number: number, count = 1): void {
    const uses = (this.#uses[number] ?? 0) - count
    this.#uses[number] = uses
    if (uses <= 0) this.#rest(number)
  }

  /** Until it is called, no number is given to another name: who reads a log may still refer to any. */
  sweep(): void {
    this.#keepsUnused = false
    for (const number of this.#numbers.values()) if (this.#uses[number] === 0) this.#rest(number)
  }

  #rest(number: number): void {
    if (this.#keepsUnused || this.#isIdle[number] === true) return
    this.#isIdle[number] = true
    this.#idle.push(number)
    if (this.#lastNumber === number) this.#lastName = undefined
  }

  #give(name: string): number {
    let number = this.#idle.pop()
    // Some are in use again.
    while (number !== undefined && (this.#isIdle[number] !== true || (this.#uses[number] ?? 0) > 0)) {
      this.#isIdle[number] = false
      number = this.#idle.pop()
    }
    if (number === undefined) number = this.#names.length
    else this.#numbers.delete(this.nameOf(number))
    this.#numbers.set(name, number)
    this.#names[number] = name
    this.#uses[number] = 0
    return number
  }
}
