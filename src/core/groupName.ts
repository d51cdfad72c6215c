import { fixedLimits } from '../limits.ts'

const deadLetterSuffix = '.dead'

/** A control character, or half of a surrogate pair: neither can be shown, and the second has no UTF-8. */
const unfit = /[\p{Cc}\p{Cs}]/u

/**
 * Whether `name` may name a group: text that is not empty, holds no control characters and no lone surrogates, and takes
 * at most `fixedLimits.groupNameBytesMax` bytes of UTF-8. The name of a dead-letter group may be longer by its suffix,
 * so that every group has one that can be joined.
 */
export function isGroupName(name: unknown): name is string {
  if (typeof name !== 'string' || name.length === 0) return false
  const bytesMax = fixedLimits.groupNameBytesMax + (isDeadLetterName(name) ? deadLetterSuffix.length : 0)
  // A code unit takes at least one byte: what is longer is refused before it is looked at.
  return name.length <= bytesMax && !unfit.test(name) && utf8Bytes(name) <= bytesMax
}

/** The name of the group that takes what could not be delivered in `name`. */
export function deadLetterName(name: string): string {
  return name + deadLetterSuffix
}

/** Whether `name` is that of a dead-letter group: what dies there stays there. */
export function isDeadLetterName(name: string): boolean {
  return name.length > deadLetterSuffix.length && name.endsWith(deadLetterSuffix)
}

/** The group that the dead-letter group `name` belongs to. */
export function groupOfDeadLetters(name: string): string {
  return name.slice(0, -deadLetterSuffix.length)
}

function utf8Bytes(text: string): number {
  let bytes = 0
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    // The two halves of a surrogate pair make four bytes together.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3
  }
  return bytes
}
