import { createError } from '../../errors.ts'
import { checkNames, describeValue } from '../../options.ts'
import type { ReleaseTerms } from '../../wire/controlFrames.ts'
import type { Consumer } from './consumer.ts'
import type { DeadLetter, Delivery } from './endpointTypes.ts'
import { failureErrorOf } from './failureError.ts'
import type { InboxEntry } from './inboxRun.ts'
import type { Settlement } from './settlement.ts'
import type { EndpointStatus } from './status.ts'
import { nextObject } from './takeOptions.ts'

/** The longest wait before a retry that can be asked for; the relay has a bound of its own. */
const RETRY_DELAY_MS_MAX = 3_600_000

/** An object with what surrounds it. Its functions need no `this`, so that they may be taken out of it. */
export function deliveryOf(entry: InboxEntry, object: unknown, settlement: Settlement): Delivery {
  const { group, kind, attempt, skipped, sentAtMs } = entry
  let signal: AbortSignal | undefined
  return {
    object,
    group,
    kind,
    attempt,
    skipped,
    sentAt: new Date(sentAtMs),
    deadLetter: deadLetterOf(entry),
    get signal() {
      signal ??= settlement.inHand.signalOf(entry)
      return signal
    },
    ack() {
      settlement.acknowledge(entry)
      settlement.flush()
    },
    release(options) {
      settlement.release(entry, options === undefined ? uncounted : checkReleaseOptions(options))
      settlement.flush()
    },
  }
}

const uncounted: ReleaseTerms = { attemptCounted: false }

function deadLetterOf({ deadLetter }: InboxEntry): DeadLetter | undefined {
  if (deadLetter === undefined) return undefined
  const { diedAtMs, ...rest } = deadLetter
  return { ...rest, diedAt: new Date(diedAtMs) }
}

function checkReleaseOptions(options: unknown): ReleaseTerms {
  const given = checkNames(options, ['error', 'attemptCounted', 'retryDelayMs'], {
    where: 'release()',
    code: 'INVALID_ARGUMENT',
  })
  const { error, retryDelayMs } = given
  const { attemptCounted = error !== undefined || retryDelayMs !== undefined } = given
  if (typeof attemptCounted !== 'boolean') {
    throw createError(
      'INVALID_ARGUMENT',
      `attemptCounted of release() is ${describeValue(attemptCounted)}; it must be true or false.`,
      { details: { argument: 'attemptCounted' } },
    )
  }
  return {
    attemptCounted,
    retryDelayMs: checkRetryDelay(retryDelayMs, 'release()'),
    failure: error === undefined ? undefined : { reason: 'released', error: failureErrorOf(error) },
  }
}

/** Checks the option `retryDelayMs` of a call. Throws `INVALID_ARGUMENT`. */
export function checkRetryDelay(retryDelayMs: unknown, where: string): number | undefined {
  if (retryDelayMs === undefined) return undefined
  const isRight = typeof retryDelayMs === 'number' && Number.isSafeInteger(retryDelayMs)
  if (isRight && retryDelayMs >= 0 && retryDelayMs <= RETRY_DELAY_MS_MAX) return retryDelayMs
  throw createError(
    'INVALID_ARGUMENT',
    `retryDelayMs of ${where} is ${describeValue(retryDelayMs)}; it must be a whole number of milliseconds from 0 to ${RETRY_DELAY_MS_MAX}.`,
    { details: { argument: 'retryDelayMs' } },
  )
}

/**
 * One object after the other, each acknowledged when the next one is asked for, or soon after the loop is left. An error that is
 * thrown into it gives the object back instead. Ends when the endpoint is stopped.
 */
export async function* iterate<Item>(
  { consumer, settlement, status }: { consumer: Consumer; settlement: Settlement; status: EndpointStatus },
  present: (entry: InboxEntry, object: unknown) => Item,
): AsyncGenerator<Item, void, undefined> {
  do {
    const taken = consumer.take(nextObject)
    const { entries, objects } = taken instanceof Promise ? await taken : taken
    const [entry] = entries
    if (entry === undefined) return
    const sending = entry.state === 'inHand' ? settlement.whenSent() : undefined
    if (sending !== undefined) await sending
    let isLeft = true
    try {
      yield present(entry, objects[0])
      isLeft = false
      settlement.acknowledge(entry)
    } catch (thrown) {
      isLeft = false
      const failure = { reason: 'failed', error: failureErrorOf(thrown) } as const
      settlement.release(entry, { attemptCounted: true, failure })
      throw thrown
    } finally {
      if (isLeft) settlement.leave(entry)
      else settlement.flush()
    }
  } while (!status.receivingClosed)
}
