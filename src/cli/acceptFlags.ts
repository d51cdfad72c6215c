import { createError } from '../errors.ts'
import { parseCount } from './units.ts'

/** What one group accepts, as the relay's option `acceptedGroups` takes it. */
export interface AcceptedGroup {
  maxCount?: number
  maxConsumables?: number
  overflow?: string
}

const FORM =
  "'name[:members[:waiting[:overflow]]]', such as 'trainers:1', 'tasks:16:1000:block' or 'logs::5000:drop-oldest'"

/** The option `acceptedGroups` from `--accept name[:members[:waiting[:overflow]]]`; an empty part is the default. */
export function parseAcceptedGroups(texts: readonly string[], where: string): Readonly<Record<string, AcceptedGroup>> {
  const groups = new Map<string, AcceptedGroup>()
  for (const text of texts) {
    const [name = '', ...parts] = text.split(':')
    if (name === '' || parts.length > 3) throw invalid(text, where)
    if (groups.has(name)) {
      throw createError('INVALID_OPTION', `The group ${JSON.stringify(name)} is named twice by ${where}.`, {
        details: { option: 'acceptedGroups', source: where },
      })
    }
    groups.set(name, parseRule(parts, text, where))
  }
  // fromEntries makes own properties, also of a group that is called __proto__.
  return Object.fromEntries(groups)
}

function parseRule([members = '', waiting = '', overflow = '']: readonly string[], text: string, where: string) {
  const rule: AcceptedGroup = {}
  if (members !== '') rule.maxCount = count(members, text, where)
  if (waiting !== '') rule.maxConsumables = count(waiting, text, where)
  // Which policies there are is the relay's to know.
  if (overflow !== '') rule.overflow = overflow
  return rule
}

function count(part: string, text: string, where: string): number {
  const value = parseCount(part)
  if (value === undefined) throw invalid(text, where)
  return value
}

function invalid(text: string, where: string): Error {
  return createError(
    'INVALID_OPTION',
    `The accepted group ${JSON.stringify(text)} from ${where} must look like ${FORM}. A name with a colon needs --config.`,
    { details: { option: 'acceptedGroups', source: where } },
  )
}
