/** @typedef {import('./types.js').Link} Link */

/**
 * Sends `count` objects with at most `unconfirmedMax` of them not confirmed, and resolves when all are. What a system
 * confirms is its own matter; one that confirms nothing is only held back by its own `room`.
 * @param {object} options
 * @param {number} options.count
 * @param {number} options.unconfirmedMax
 * @param {(index: number) => Promise<unknown> | undefined} options.send
 * @param {Link['room']} options.room
 */
export async function sendAll({ count, unconfirmedMax, send, room }) {
  let unconfirmed = 0
  /** @type {unknown} */
  let failure
  let wake = () => {}
  const confirmed = () => {
    unconfirmed -= 1
    wake()
  }
  const failed = (/** @type {unknown} */ error) => {
    failure ??= error
    confirmed()
  }
  const until = (/** @type {number} */ most) =>
    new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      wake = () => {
        if (unconfirmed <= most || failure !== undefined) resolve()
      }
      wake()
    })
  for (let index = 0; index < count; index++) {
    // Confirmations come in batches; to go on at half the window lets the sending go in batches too.
    if (unconfirmed >= unconfirmedMax) await until(unconfirmedMax >> 1)
    const full = room?.()
    if (full !== undefined) await full
    if (failure !== undefined) throw failure
    const confirmation = send(index)
    if (confirmation === undefined) continue
    unconfirmed += 1
    confirmation.then(confirmed, failed)
  }
  await until(0)
  if (failure !== undefined) throw failure
}
