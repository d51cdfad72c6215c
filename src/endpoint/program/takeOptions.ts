import { createError, type ObjectRelayError } from '../../errors.ts'
import { checkNames, describeValue } from '../../options.ts'

/** Which of the objects in the inbox are wanted. */
export type TakeOrder = 'oldest' | 'newest' | 'all'

/** A checked call of `pop`, `getLast` or `retrieveAll`. */
export interface CheckedTakeOptions {
  readonly order: TakeOrder
  readonly maxItems: number
  readonly blocking: boolean
  /** `Infinity` when there is none. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Whether being handed over is what acknowledges an object. */
  readonly acknowledges: boolean
}

/** The next object, for an iterator. */
export const nextObject: CheckedTakeOptions = {
  order: 'oldest',
  maxItems: 1,
  blocking: true,
  timeoutMs: Number.POSITIVE_INFINITY,
  signal: undefined,
  acknowledges: false,
}

const methodOf: Readonly<Record<TakeOrder, string>> = { oldest: 'pop', newest: 'getLast', all: 'retrieveAll' }
const namesOf = {
  plain: ['blocking', 'timeoutMs'],
  counted: ['maxItems', 'blocking', 'timeoutMs'],
} as const

/** Checks the options of a call. Throws `INVALID_ARGUMENT`. */
export function checkTakeOptions(order: TakeOrder, options: unknown, synchronous: boolean): CheckedTakeOptions {
  const method = `${methodOf[order]}${synchronous ? 'Sync' : ''}`
  const names = order === 'all' ? namesOf.plain : namesOf.counted
  const given = checkNames(options, synchronous ? names : [...names, 'signal'], {
    where: `${method}()`,
    code: 'INVALID_ARGUMENT',
  })
  const { maxItems = 1, blocking = false, timeoutMs = Number.POSITIVE_INFINITY, signal } = given
  if (typeof blocking !== 'boolean') throw invalid(method, 'blocking', blocking, 'true or false')
  if (typeof maxItems !== 'number' || !Number.isSafeInteger(maxItems) || maxItems < 1) {
    throw invalid(method, 'maxItems', maxItems, 'a whole number from 1 on')
  }
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
    throw invalid(method, 'timeoutMs', timeoutMs, 'a number of milliseconds from 0 on')
  }
  if (given.timeoutMs !== undefined && given.blocking === undefined) {
    const message = `${method}() is given timeoutMs and does not wait. Add blocking: true to wait for an object for so long, or leave timeoutMs out.`
    throw createError('INVALID_ARGUMENT', message, { details: { argument: 'timeoutMs' } })
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid(method, 'signal', signal, 'an AbortSignal')
  }
  return { order, maxItems: order === 'all' ? Infinity : maxItems, blocking, timeoutMs, signal, acknowledges: true }
}

function invalid(method: string, argument: string, value: unknown, allowed: string): ObjectRelayError {
  return createError(
    'INVALID_ARGUMENT',
    `${argument} of ${method}() is ${describeValue(value)}; it must be ${allowed}.`,
    {
      details: { argument },
    },
  )
}
