import type { StandardSchemaV1 } from '@standard-schema/spec'
import { createError } from '../errors.ts'

const issuesMax = 5

/**
 * Checks a value with a schema of any library that speaks Standard Schema, and gives what the schema makes of it (some
 * convert, or fill in defaults). Throws, or rejects, with `SCHEMA_MISMATCH`.
 */
export function validate<Schema extends StandardSchemaV1>(
  schema: Schema,
  value: unknown,
): StandardSchemaV1.InferOutput<Schema> | Promise<StandardSchemaV1.InferOutput<Schema>> {
  const result = run(schema, value)
  if (result instanceof Promise) return result.then(outcome, failed)
  return outcome(result)
}

function run(
  schema: StandardSchemaV1,
  value: unknown,
): StandardSchemaV1.Result<unknown> | Promise<StandardSchemaV1.Result<unknown>> {
  try {
    return schema['~standard'].validate(value)
  } catch (cause) {
    return failed(cause)
  }
}

function failed(cause: unknown): never {
  throw createError('SCHEMA_MISMATCH', 'The schema of the group failed while it checked an object; see the cause.', {
    cause,
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
