import { createError, isObjectRelayError, type ObjectRelayError } from '../errors.ts'
import { isInstance, messageOf } from '../thrown.ts'

/** What is wrong with a container whose size changed while it was written. */
export const changedMeanwhile =
  'was changed while it was being encoded (by a getter, or by the encode() of a registered class)'

/** A value that cannot be sent, on its way up: each container that it passes adds where in it the value is. */
export class Unsendable extends Error {
  /** From the innermost step to the outermost. */
  readonly steps: string[] = []

  /** `what` completes the sentence "object.a.b ...". */
  constructor(what: string, cause?: unknown) {
    super(what, cause === undefined ? undefined : { cause })
  }

  toError(): ObjectRelayError {
    const path = `object${[...this.steps].reverse().join('')}`
    return createError('NOT_SERIALIZABLE', `${path} ${this.message}`, {
      details: { path },
      ...(this.cause === undefined ? {} : { cause: this.cause }),
    })
  }
}

/** What some code of the program threw, as the reason why its object cannot be sent. */
export function toUnsendable(thrown: unknown): Unsendable {
  return isInstance(thrown, Unsendable) ? thrown : new Unsendable(`cannot be read: ${messageOf(thrown)}`, thrown)
}

/** Adds a step to the path of a failure, and gives back what to throw on. */
export function under(thrown: unknown, step: string): unknown {
  if (isObjectRelayError(thrown)) return thrown
  const failure = toUnsendable(thrown)
  failure.steps.push(step)
  return failure
}

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u
const keyCharactersMax = 60

/** The step to a property, as it would be written in a program. */
export function propertyStep(key: string): string {
  if (key.length > keyCharactersMax) return `[${JSON.stringify(`${key.slice(0, keyCharactersMax)}...`)}]`
  return identifier.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

/** The step to the value of a key in a `Map`. */
export function mapStep(key: unknown): string {
  if (typeof key === 'string') return `.get(${JSON.stringify(key.slice(0, keyCharactersMax))})`
  return typeof key === 'object' || typeof key === 'function' ? '.get(an object)' : `.get(${String(key)})`
}
