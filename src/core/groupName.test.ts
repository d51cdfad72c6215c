import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deadLetterName, isDeadLetterName, isGroupName } from './groupName.ts'

describe('the name of a group', () => {
  test.each(['g', 'group_2', 'Gruppe süd', '工作', '__proto__', 'constructor', '😀', '.dead', 'a b', 'x'.repeat(128)])(
    'may be %j',
    (name) => {
      expect(isGroupName(name)).toBe(true)
    },
  )

  test.each([
    ...['', 'x'.repeat(129), '工'.repeat(43), 'line\nbreak', 'nul\0', 'bell\u0007', 'c1\u0085', '\ud800', 'a\udc00b'],
    ...[undefined, null, 1, {}, ['g']],
  ])('may not be %j', (name) => {
    expect(isGroupName(name)).toBe(false)
  })

  test('is measured in bytes of UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 160 }), (name) => {
        fc.pre(!/\p{Cc}/u.test(name) && !isDeadLetterName(name))
        expect(isGroupName(name)).toBe(new TextEncoder().encode(name).length <= 128)
      }),
    )
  })

  test('leaves room for that of its dead-letter group', () => {
    const longest = 'x'.repeat(128)
    expect(isGroupName(deadLetterName(longest))).toBe(true)
    expect(isGroupName(deadLetterName(`${longest}x`))).toBe(false)
  })
})
