import { ObjectRelayError } from 'objectrelay'

/** The error of this library that `run` throws, or rejects with; anything else fails the test. */
export async function failureOf(run: () => unknown): Promise<ObjectRelayError> {
  try {
    await run()
  } catch (thrown) {
    if (thrown instanceof ObjectRelayError) return thrown
    throw new Error(`It failed with an error that is not of this library: ${String(thrown)}`, { cause: thrown })
  }
  throw new Error('It did not fail.')
}

/** The code of the error that `run` throws, or rejects with. */
export async function codeOf(run: () => unknown): Promise<string> {
  return (await failureOf(run)).code
}

/** All texts of an error: its messages, its causes, its details, its stack. For looking for what must not be in it. */
export function textsOf(thrown: unknown, depth = 0): string {
  if (!(thrown instanceof Error) || depth > 8) return serialized(thrown)
  const rest = Object.entries(thrown).map(([name, value]) => `${name}: ${serialized(value)}`)
  const cause = thrown.cause === undefined ? '' : textsOf(thrown.cause, depth + 1)
  return [thrown.name, thrown.message, thrown.stack ?? '', ...rest, cause].join('\n')
}

function serialized(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
}
