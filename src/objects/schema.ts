import type { StandardSchemaV1 } from '@standard-schema/spec'
import { createError, isObjectRelayError } from '../errors.ts'
import { isPromise } from '../thrown.ts'

const issuesMax = 5

/**
 * Checks a value with a schema of any library that speaks Standard Schema, and gives what the schema makes of it (some
 * convert, or fill in defaults). Throws, or rejects, with `SCHEMA_MISMATCH`.
 */
export function validate<Schema extends StandardSchemaV1>(
  schema: Schema,
  value: unknown,
): StandardSchemaV1.InferOutput<Schema> | Promise<StandardSchemaV1.InferOutput<Schema>> {
  try {
    const result = schema['~standard'].validate(value)
    // A promise of another realm, as test runners have it, or of a library of its own, is no instance of ours.
    if (isPromise(result)) return Promise.resolve(result).then(outcome).catch(failed)
    return outcome(result)
  } catch (thrown) {
    return failed(thrown)
  }
}

/** Whatever a schema throws, or gives as its result, is a mismatch. */
function failed(thrown: unknown): never {
  if (isObjectRelayError(thrown)) throw thrown
  throw createError('SCHEMA_MISMATCH', 'The schema of the group failed while it checked an object; see the cause.', {
    cause: thrown,
  })
}

function outcome(result: StandardSchemaV1.Result<unknown>): unknown {
  if (result.issues === undefined) return result.value
  const { issues } = result
  const shown = issues.slice(0, issuesMax).map((issue) => `${pathOf(issue)}: ${issue.message}`)
  const more = issues.length > issuesMax ? `; and ${issues.length - issuesMax} more` : ''
  const [first] = issues
  throw createError('SCHEMA_MISMATCH', `An object does not fit the schema of its group: ${shown.join('; ')}${more}.`, {
    details: { issues: issues.length, ...(first === undefined ? {} : { path: pathOf(first) }) },
  })
}

function pathOf(issue: StandardSchemaV1.Issue): string {
  const steps = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment))
  return `object${steps.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('')}`
}
