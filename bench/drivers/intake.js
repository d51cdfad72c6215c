/** @typedef {{ resolve: () => void, reject: (error: unknown) => void, onObject: (object: unknown) => void, left: number }} Taking */

/** Where a link's objects arrive. Those that come before they are asked for wait, decoded. */
export class Intake {
  /** @type {Taking | undefined} */
  #taking
  /** @type {unknown[]} */
  #early = []
  /** @type {unknown} */
  #failure

  /** How many are still wanted. */
  get left() {
    return this.#taking?.left ?? 0
  }

  /**
   * Resolves when `count` objects were handed over, and rejects when one of them is not what was expected.
   * @param {(object: unknown) => void} onObject
   * @param {number} count
   * @returns {Promise<void>}
   */
  take = (onObject, count) =>
    new Promise((resolve, reject) => {
      this.#taking = { resolve, reject, onObject, left: count }
      if (this.#failure !== undefined) reject(this.#failure)
      for (const object of this.#early.splice(0)) this.hand(object)
    })

  /** @param {unknown} object */
  hand(object) {
    const taking = this.#taking
    if (taking === undefined || taking.left === 0) {
      this.#early.push(object)
      return
    }
    taking.left -= 1
    try {
      taking.onObject(object)
    } catch (error) {
      taking.reject(error)
    }
    if (taking.left === 0) taking.resolve()
  }

  /** @param {unknown} error */
  fail(error) {
    this.#failure ??= error
    this.#taking?.reject(error)
  }
}
