/**
 * WTF-8: UTF-8 that may also hold a surrogate without its partner, as three bytes. JavaScript strings can hold such
 * surrogates, and structured clone keeps them; UTF-8 has no bytes for them.
 */

const loneSurrogate = /\p{Surrogate}/u
const loneSurrogates = /\p{Surrogate}/gu

/** Whether a string holds a surrogate without its partner. */
export function hasLoneSurrogate(text: string): boolean {
  return loneSurrogate.test(text)
}

/** The bytes of a string, lone surrogates included. */
export function toWtf8(text: string): Buffer {
  const bytes = Buffer.allocUnsafe(text.length * 3)
  let position = 0
  let written = 0
  for (const { index } of text.matchAll(loneSurrogates)) {
    const unit = text.charCodeAt(index)
    position += bytes.write(text.slice(written, index), position, 'utf8')
    bytes[position] = 0xe0 | (unit >> 12)
    bytes[position + 1] = 0x80 | ((unit >> 6) & 0x3f)
    bytes[position + 2] = 0x80 | (unit & 0x3f)
    position += 3
    written = index + 1
  }
  position += bytes.write(text.slice(written), position, 'utf8')
  return bytes.subarray(0, position)
}

const encodedSurrogate = /\xed[\xa0-\xbf][\x80-\xbf]/g

/**
 * The string that WTF-8 bytes stand for, or undefined if they are not WTF-8. What lies between encoded surrogates must be
 * UTF-8; a pair that is written as two surrogates is refused, so that each string has one encoding.
 */
export function fromWtf8(bytes: Buffer, strictUtf8: (part: Buffer) => string | undefined): string | undefined {
  const latin = bytes.toString('latin1')
  const parts: string[] = []
  let end = 0
  for (const match of latin.matchAll(encodedSurrogate)) {
    const between = strictUtf8(bytes.subarray(end, match.index))
    if (between === undefined) return undefined
    const middle = match[0].charCodeAt(1)
    const last = match[0].charCodeAt(2)
    parts.push(between, String.fromCharCode(0xd000 | ((middle & 0x3f) << 6) | (last & 0x3f)))
    end = match.index + 3
  }
  const rest = strictUtf8(bytes.subarray(end))
  if (rest === undefined) return undefined
  const text = parts.join('') + rest
  return toWtf8(text).equals(bytes) ? text : undefined
}
