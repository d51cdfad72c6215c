/** Quantities as people write them on a command line, and as they read them. */

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
}

/** What a duration may look like, for messages. */
export const DURATION_FORM = "a number of milliseconds, or with a unit: '500ms', '30s', '5m', '24h', '7d'"
/** What a number of bytes may look like, for messages. */
export const BYTES_FORM = "a number of bytes, or with a unit: '64KiB', '64MiB', '4GiB', '500kB', '10MB', '1GB'"
/** What a count may look like, for messages. */
export const COUNT_FORM = 'a whole number'

/** `30s` as milliseconds; a bare number is milliseconds; `undefined` if the text is none of it. */
export function parseDurationMs(text: string): number | undefined {
  return quantity(text, durationUnits, 'ms')
}

/** `64MiB` as bytes; a bare number is bytes; `undefined` if the text is none of it. */
export function parseBytes(text: string): number | undefined {
  return quantity(text, byteUnits, 'B')
}

/** A whole number without sign, `undefined` if the text is none. */
export function parseCount(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function quantity(text: string, units: Readonly<Record<string, number>>, bareUnit: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(text.trim())
  if (match === null) return undefined
  const [, digits = '', unit = ''] = match
  const name = unit === '' ? bareUnit : unit
  const factor = Object.hasOwn(units, name) ? units[name] : undefined
  if (factor === undefined) return undefined
  const value = Number(digits) * factor
  // 0.1 GiB is no whole number of bytes; nobody means the fraction.
  return value <= Number.MAX_SAFE_INTEGER ? Math.round(value) : undefined
}

/** `1.5 MiB`: for people; never to be parsed. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let index = 0
  while (value >= 1_024 && index < names.length - 1) {
    value /= 1_024
    index += 1
  }
  return `${index === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${names[index] ?? ''}`
}

/** `1:02:03` or `4:05`: for people; never to be parsed. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const two = (value: number): string => String(value).padStart(2, '0')
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`
}
