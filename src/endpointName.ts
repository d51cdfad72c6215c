import { hostname } from 'node:os'
import { fixedLimits } from './limits.ts'

/** Control characters, line ends, halves of surrogate pairs, and what turns the direction of a line: a name must not be able to forge a line of a log. */
const unfit = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/u
const allUnfit = new RegExp(unfit, 'gu')

/** Completes "it must be ..." for the name of an endpoint. */
export const ENDPOINT_NAME_RULE: string = `a string of 1 to ${fixedLimits.endpointNameBytesMax} bytes without control characters and line ends`

/** Whether a text can be shown in one line as it is. */
export function isLegible(text: string): boolean {
  return !unfit.test(text)
}

/** Whether `name` may name an endpoint to people. */
export function isEndpointName(name: unknown): name is string {
  return (
    typeof name === 'string' &&
    name.length > 0 &&
    // A code unit takes at least one byte: what is longer is refused before it is looked at.
    name.length <= fixedLimits.endpointNameBytesMax &&
    isLegible(name) &&
    Buffer.byteLength(name) <= fixedLimits.endpointNameBytesMax
  )
}

/** `host:pid`. What a machine is called is not ours to choose: what is unfit in it is left out. */
export function defaultEndpointName(host: string = hostname(), pid: number = process.pid): string {
  const tail = `:${pid}`
  let shown = host.replace(allUnfit, '')
  while (Buffer.byteLength(shown) + tail.length > fixedLimits.endpointNameBytesMax)
    shown = [...shown].slice(0, -1).join('')
  return `${shown}${tail}`
}
