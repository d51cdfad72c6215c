import type { RepeatMarks } from './repeatTracker.ts'
import { tags } from './tags.ts'

/** Bytes of the mark that is put in front of an object which is referred to. */
export const markBytes = 2

/** Bytes of tag 29 in front of the number, which is written with 32 bits. */
const numberOffset = 3

/**
 * Puts the marks (tag 28) of all objects that were referred to in front of them and the numbers into the references,
 * moving what was written between `start` and `end`. The caller made room for the marks.
 */
export function insertShareMarks(bytes: Buffer, start: number, end: number, marks: RepeatMarks): number {
  const { positions, references } = marks
  for (const { position, mark } of references) bytes.writeUInt32BE(mark, start + position + numberOffset)
  // From the last to the first, so that each byte moves once.
  let blockEnd = end
  for (let mark = positions.length - 1; mark >= 0; mark--) {
    const position = start + (positions[mark] ?? 0)
    bytes.copyWithin(position + markBytes * (mark + 1), position, blockEnd)
    bytes[position + markBytes * mark] = 0xc0 | 24
    bytes[position + markBytes * mark + 1] = tags.shared
    blockEnd = position
  }
  return end + markBytes * positions.length
}
