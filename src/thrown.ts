/** Texts that describe what was thrown have at most so many characters. */
const TEXT_CHARACTERS_MAX = 2_000

const undescribable = 'something was thrown that has no text'

/**
 * What was thrown, as text for a message. Anything may be thrown: an object without a prototype, an error whose `message` throws, a
 * revoked proxy. So looking at it may throw as well; this never does.
 */
export function messageOf(thrown: unknown): string {
  // An error without a message shows its name.
  return propertyIn(thrown, 'message') || (shown(thrown) ?? undescribable)
}

/** A property of what was thrown as text, if it can be read and is a text or a number. */
export function propertyIn(thrown: unknown, name: string): string | undefined {
  if ((typeof thrown !== 'object' && typeof thrown !== 'function') || thrown === null) return undefined
  try {
    const value: unknown = Reflect.get(thrown, name)
    return typeof value === 'string' || typeof value === 'number' ? shortened(String(value)) : undefined
  } catch {
    return undefined
  }
}

/** `instanceof` for what may be a proxy that throws. */
export function isInstance<Type>(thrown: unknown, type: abstract new (...args: never) => Type): thrown is Type {
  try {
    return thrown instanceof type
  } catch {
    return false
  }
}

/** Whether something can be awaited. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return typeof Reflect.get(value, 'then') === 'function'
}

/** Nobody will await it: if it is a promise, its failure must not end the program. */
export function ignoreRejection(value: unknown): void {
  const nothing = () => undefined
  // Within a promise, whatever a foreign `then` does is caught.
  Promise.resolve(value).then(nothing, nothing)
}

function shown(thrown: unknown): string | undefined {
  try {
    return shortened(String(thrown))
  } catch {
    return undefined
  }
}

function shortened(text: string): string {
  return text.length <= TEXT_CHARACTERS_MAX ? text : `${text.slice(0, TEXT_CHARACTERS_MAX - 1)}…`
}
