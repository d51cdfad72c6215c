import { contentOf } from './content.js'

/**
 * Sends the objects `from` to `to - 1`, not more than `outstandingMax` of them unaccepted at once, and writes to the journal
 * what became of each: `accepted <source> <number>`, or `failed <source> <number> <code>`. With a rate, whatever was delayed is
 * caught up with.
 */
export async function sendMany(
  endpoint,
  {
    source,
    group,
    kind = 'produce',
    from = 0,
    to,
    bytes = 100,
    outstandingMax = 1_000,
    ratePerSecond = 0,
    untilStopped = false,
    journal,
  },
) {
  const outcome = { accepted: 0, failed: {}, slowestMs: 0 }
  let outstanding = 0
  let wake = () => undefined
  const settled = (beganMs) => {
    outcome.slowestMs = Math.max(outcome.slowestMs, performance.now() - beganMs)
    outstanding--
    wake()
  }
  const untilFewer = async (count) => {
    while (outstanding > count) {
      await new Promise((resolve) => {
        wake = resolve
      })
    }
  }
  const send = async (number) => {
    const beganMs = performance.now()
    try {
      await endpoint[kind]({ source, number, content: contentOf(number, bytes) }, group)
      journal.write('accepted', source, number)
      outcome.accepted++
    } catch (error) {
      journal.write('failed', source, number, error.code)
      outcome.failed[error.code] = (outcome.failed[error.code] ?? 0) + 1
    }
    settled(beganMs)
  }
  const beganMs = performance.now()
  for (let number = from; number < to && !(untilStopped && outcome.failed.STOPPED > 0); number++) {
    outstanding++
    void send(number)
    const aheadMs = ratePerSecond > 0 ? ((number - from) / ratePerSecond) * 1_000 - (performance.now() - beganMs) : 0
    if (aheadMs > 1) await new Promise((resolve) => setTimeout(resolve, aheadMs))
    await untilFewer(outstandingMax - 1)
  }
  await untilFewer(0)
  return { ...outcome, tookMs: performance.now() - beganMs }
}
