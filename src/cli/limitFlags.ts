import { createError } from '../errors.ts'
import { BYTES_FORM, COUNT_FORM, DURATION_FORM, parseBytes, parseCount, parseDurationMs } from './units.ts'

/** One `name=value` of `--limit` or of a variable, as the name and the number that the library takes. */
export function parseLimit(text: string, names: readonly string[], where: string): readonly [string, number] {
  const equals = text.indexOf('=')
  const name = equals === -1 ? text : text.slice(0, equals).trim()
  if (equals === -1 || !names.includes(name)) {
    throw createError(
      'INVALID_OPTION',
      `The limit ${JSON.stringify(text)} from ${where} must look like 'name=value'; the names are: ${names.join(', ')}.`,
      { details: { option: 'limits', source: where } },
    )
  }
  return [name, parseLimitValue(name, text.slice(equals + 1).trim(), where)]
}

/** The value of a limit with its unit: the last word of the limit's name says which units there are. */
export function parseLimitValue(name: string, text: string, where: string): number {
  const { parse, form } = readerOf(name)
  const value = parse(text)
  if (value !== undefined) return value
  throw createError(
    'INVALID_OPTION',
    `The limit ${name} from ${where} is ${JSON.stringify(text)}; it must be ${form}.`,
    { details: { option: `limits.${name}`, source: where } },
  )
}

function readerOf(name: string): { parse: (text: string) => number | undefined; form: string } {
  if (name.endsWith('Ms')) return { parse: parseDurationMs, form: DURATION_FORM }
  if (name.includes('Bytes')) return { parse: parseBytes, form: BYTES_FORM }
  return { parse: parseCount, form: COUNT_FORM }
}

/** The names of the limits with their defaults, as lines for a help text. */
export function describeLimits(defaults: object): string {
  const entries = Object.entries(defaults)
  const width = Math.max(...entries.map(([name]) => name.length))
  return entries.map(([name, value]) => `  ${name.padEnd(width)}  ${withUnit(name, Number(value))}`).join('\n')
}

function withUnit(name: string, value: number): string {
  const units: readonly (readonly [string, number])[] = name.endsWith('Ms')
    ? [
        ['h', 3_600_000],
        ['s', 1_000],
        ['ms', 1],
      ]
    : name.includes('Bytes')
      ? [
          ['GiB', 2 ** 30],
          ['MiB', 2 ** 20],
          ['KiB', 2 ** 10],
          ['B', 1],
        ]
      : [['', 1]]
  const [unit, factor] = units.find(([, size]) => value >= size && value % size === 0) ?? ['', 1]
  return `${value / factor}${unit}`
}
