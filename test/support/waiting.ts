import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 5

/** Waits until `read` gives something for which `holds` is true, and gives that; fails with the last one after `timeoutMs`. */
export async function eventually<Value>(
  read: () => Value | Promise<Value>,
  holds: (value: Value) => boolean,
  timeoutMs = 10_000,
): Promise<Value> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const value = await read()
    if (holds(value)) return value
    if (performance.now() > deadlineMs) {
      throw new Error(`Not within ${timeoutMs} ms; at last it was ${JSON.stringify(value)?.slice(0, 2_000)}`)
    }
    await pause(POLL_MS)
  }
}

/** The promise, or an error that names `what` when it is not settled in time. */
export async function within<Value>(promise: Promise<Value>, what: string, timeoutMs = 10_000): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** How a promise stands: whether it is settled yet. */
export function watch(promise: Promise<unknown>): { settled: boolean } {
  const state = { settled: false }
  const settle = () => {
    state.settled = true
  }
  promise.then(settle, settle)
  return state
}
