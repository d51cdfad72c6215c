import { contentOf, isContentOf } from './content.js'

/** Beyond this, an object is a large one: an array. */
const SMALL_BYTES_MAX = 10_000
/** What one `notify` may ask for. */
const NOTIFY_MAX = 1_000_000

function objectOf(number, bytes) {
  if (bytes > SMALL_BYTES_MAX) return { number, content: contentOf(number, bytes) }
  return { number, worker: `w-${number % 7}`, reward: number / 8, done: number % 3 === 0, text: textOf(number, bytes) }
}

function textOf(number, bytes) {
  return String(number).padEnd(bytes, 'x')
}

function isObjectOf(object, number, bytes) {
  if (object.number !== number) return false
  if (bytes > SMALL_BYTES_MAX) return object.content.length === bytes && isContentOf(number, object.content)
  return object.reward === number / 8 && object.text === textOf(number, bytes)
}

/** Produces the objects `from` to `to - 1` into a queue; nothing is written down, so that it can be very many. */
export async function fill(endpoint, { group, from = 0, to, bytes, outstandingMax }) {
  const beganMs = performance.now()
  let outstanding = 0
  let failure
  let wake = () => undefined
  const untilFewer = async (count) => {
    while (outstanding > count && failure === undefined) {
      await new Promise((resolve) => {
        wake = resolve
      })
    }
    if (failure !== undefined) throw failure
  }
  const settled = (error) => {
    failure ??= error
    outstanding--
    wake()
  }
  for (let number = from; number < to; number++) {
    outstanding++
    endpoint.produce(objectOf(number, bytes), group, { transfer: true }).then(() => settled(), settled)
    if (outstanding >= outstandingMax) await untilFewer(outstandingMax / 2)
  }
  await untilFewer(0)
  return { ms: performance.now() - beganMs }
}

/** Takes the objects `from` to `to - 1` out of a queue, and checks that they are those, in this order. */
export async function drain(endpoint, { group, from = 0, to, bytes }) {
  const beganMs = performance.now()
  for (let left = to - from; left > 0; left -= NOTIFY_MAX)
    await endpoint.notify({ [group]: Math.min(left, NOTIFY_MAX) })
  for (let number = from; number < to; ) {
    const objects = await endpoint.pop({ maxItems: 1_000, blocking: true, timeoutMs: 60_000 })
    if (objects.length === 0) throw new Error(`Nothing came for a minute where ${number} was due.`)
    for (const object of objects) {
      if (!isObjectOf(object, number, bytes))
        throw new Error(`${object.number} came, or damaged, instead of ${number}.`)
      number++
    }
  }
  return { ms: performance.now() - beganMs }
}
