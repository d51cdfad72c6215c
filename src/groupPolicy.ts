import type { AcceptedGroup } from './core/ports.ts'
import { checkNames, choiceOption, integerOption } from './options.ts'

/** The numbers that may be given for a group, and how large each may be. */
const countMaximums = {
  maxCount: Number.MAX_SAFE_INTEGER,
  maxConsumables: Number.MAX_SAFE_INTEGER,
  retryDelayMs: 86_400_000,
  deadBytesMax: Number.MAX_SAFE_INTEGER,
}

/** Checks what was given for one group as the option `option`. Throws `INVALID_OPTION`. */
export function checkGroupPolicy(option: string, value: unknown): AcceptedGroup {
  const names = [...Object.keys(countMaximums), 'overflow']
  const rule = checkNames(value, names, { where: option, prefix: `${option}.` })
  const counts: Partial<Record<keyof typeof countMaximums, number>> = {}
  // Object.keys of an object of that very type.
  for (const name of Object.keys(countMaximums) as (keyof typeof countMaximums)[]) {
    if (rule[name] === undefined) continue
    counts[name] = integerOption(`${option}.${name}`, rule[name], 0, countMaximums[name])
  }
  const { overflow } = rule
  if (overflow === undefined) return counts
  return { ...counts, overflow: choiceOption(`${option}.overflow`, overflow, ['block', 'reject', 'drop-oldest']) }
}
