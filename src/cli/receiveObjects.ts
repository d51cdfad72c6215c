import type { Delivery } from '../endpoint/program/endpointTypes.ts'
import { createError } from '../errors.ts'
import { raceSignal } from './interrupt.ts'

export interface ReceiveActions {
  /** Resolves when the object is where it should be; only then it is acknowledged. */
  readonly write: (delivery: Delivery) => Promise<void>
  /** An object was written and acknowledged. */
  readonly onTaken: (delivery: Delivery, remaining: number) => Promise<void>
}

export interface ReceiveBounds {
  /** How many objects to take; `undefined`: as many as come. */
  readonly count: number | undefined
  /** How long to wait for the next one. */
  readonly timeoutMs: number | undefined
  readonly signal: AbortSignal
}

/** Writes objects as they come, each acknowledged when it is written, given back when it could not be. */
export async function receiveObjects(
  deliveries: AsyncIterable<Delivery>,
  { write, onTaken }: ReceiveActions,
  { count, timeoutMs, signal }: ReceiveBounds,
): Promise<number> {
  const iterator = deliveries[Symbol.asyncIterator]()
  let taken = 0
  while (count === undefined || taken < count) {
    const next = await nextWithin(iterator.next(), timeoutMs, signal)
    if (next === 'timeout') {
      if (count === undefined) return taken
      throw createError('TIMEOUT', `${taken} of ${count} objects came; then none for ${timeoutMs} ms.`, {
        details: { received: taken, count },
      })
    }
    if (next.done === true) return taken
    const delivery = next.value
    try {
      await write(delivery)
    } catch (thrown) {
      delivery.release()
      throw thrown
    }
    delivery.ack()
    taken += 1
    await onTaken(delivery, count === undefined ? Number.POSITIVE_INFINITY : count - taken)
  }
  return taken
}

async function nextWithin<Result>(
  next: Promise<Result>,
  timeoutMs: number | undefined,
  signal: AbortSignal,
): Promise<Result | 'timeout'> {
  if (timeoutMs === undefined) return await raceSignal(next, signal)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), timeoutMs)
  })
  try {
    return await raceSignal(Promise.race([next, late]), signal)
  } finally {
    clearTimeout(timer)
  }
}
