import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isHostName, parseAddress, unmapAddress } from './address.ts'

function hex(text: string): string | undefined {
  const bytes = parseAddress(text)
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('hex')
}

describe('addresses', () => {
  it('are 4 or 16 bytes', () => {
    expect(hex('127.0.0.1')).toBe('7f000001')
    expect(hex('::1')).toBe('00000000000000000000000000000001')
    expect(hex('::')).toBe('00000000000000000000000000000000')
    expect(hex('2001:db8::ff00:42:8329')).toBe('20010db8000000000000ff0000428329')
    expect(hex('::ffff:192.0.2.1')).toBe('00000000000000000000ffffc0000201')
    expect(hex('fe80::1%eth0')).toBe('fe800000000000000000000000000001')
  })

  it('agree with Node about what is one', () => {
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ unit: fc.constantFrom(':', '.', '0', '1', 'f', '25', '::'), maxLength: 12 }),
    )
    fc.assert(fc.property(text, (candidate) => (parseAddress(candidate) !== undefined) === (isIP(candidate) !== 0)))
  })

  it('of IPv4 are found inside those of IPv6', () => {
    const mapped = parseAddress('::ffff:192.0.2.1')
    expect(mapped && [...unmapAddress(mapped)]).toEqual([192, 0, 2, 1])
    const plain = parseAddress('2001:db8::1')
    expect(plain && unmapAddress(plain).length).toBe(16)
  })

  it('are told from host names', () => {
    expect(['localhost', 'relay-1.example.org', 'my_machine'].every(isHostName)).toBe(true)
    expect(['', '127.0.0.1', 'a b', '-a', 'a..b', 'a'.repeat(64), '*.example.org', '\u00e9'].some(isHostName)).toBe(
      false,
    )
  })
})
