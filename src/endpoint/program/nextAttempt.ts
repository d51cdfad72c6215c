import { deadLetterName, isDeadLetterName } from '../../core/groupName.ts'

/** The longest wait of a relay that is not configured otherwise. */
const DELAY_MAX_MS = 60_000

/** What is known where an attempt has failed. */
export interface FailedAttempt {
  readonly group: string
  /** Of this delivery. */
  readonly attempt: number
  /** As the relay says; `undefined` if it did not. */
  readonly attemptsMax: number | undefined
  /** Whether the program gave it up. */
  readonly isFinal: boolean
  /** After the first attempt; `undefined`: as the relay is configured for the group. */
  readonly retryDelayMs: number | undefined
}

/** What the relay does with an object whose attempt failed and was counted, in a sentence. */
export function nextAttempt({ group, attempt, attemptsMax, isFinal, retryDelayMs }: FailedAttempt): string {
  const which = `attempt ${attempt}${attemptsMax === undefined ? '' : ` of ${attemptsMax}`}`
  const isLast = isFinal || (attemptsMax !== undefined && attempt >= attemptsMax)
  if (isLast && isDeadLetterName(group)) return `That was ${which}: it rests until another endpoint joins the group.`
  if (isLast) return `That was ${which}: it is moved to the group ${JSON.stringify(deadLetterName(group))}.`
  return `That was ${which}: it is tried again ${retryDelayMs === undefined ? 'after the retry delay of the group' : afterDelay(retryDelayMs, attempt)}.`
}

function afterDelay(retryDelayMs: number, attempt: number): string {
  const delayMs = Math.min(retryDelayMs * 2 ** (attempt - 1), DELAY_MAX_MS)
  return delayMs === 0 ? 'at once' : `in ${delayMs} ms`
}
