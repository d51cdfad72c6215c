import { describe, expect, test } from 'vitest'
import { decodeHex, encodeHex } from '../../test/support/objects.ts'

/**
 * The examples of RFC 8949, appendix A. `same`: we write these very bytes. `read`: we read them, and write the value in
 * another form (a shorter integer, a longer float, a definite length, without a hint). `refused`: JavaScript has nothing
 * that they could be.
 */
type Example = [hex: string, value: unknown, way: 'same' | 'read' | 'refused']

const list25 = Array.from({ length: 25 }, (_, index) => index + 1)
const date = (ms: number): Date => new Date(ms)
const hex = (text: string): Buffer => Buffer.from(text, 'hex')

const numbers: Example[] = [
  ['00', 0, 'same'],
  ['01', 1, 'same'],
  ['0a', 10, 'same'],
  ['17', 23, 'same'],
  ['1818', 24, 'same'],
  ['1819', 25, 'same'],
  ['1864', 100, 'same'],
  ['1903e8', 1000, 'same'],
  ['1a000f4240', 1_000_000, 'same'],
  ['1b000000e8d4a51000', 1_000_000_000_000, 'same'],
  ['1bffffffffffffffff', 18446744073709551615n, 'same'],
  ['c249010000000000000000', 18446744073709551616n, 'same'],
  ['3bffffffffffffffff', -18446744073709551616n, 'same'],
  ['c349010000000000000000', -18446744073709551617n, 'same'],
  ['20', -1, 'same'],
  ['29', -10, 'same'],
  ['3863', -100, 'same'],
  ['3903e7', -1000, 'same'],
  ['f90000', 0, 'read'],
  ['f98000', -0, 'same'],
  ['f93c00', 1, 'read'],
  ['fb3ff199999999999a', 1.1, 'same'],
  ['f93e00', 1.5, 'read'],
  ['f97bff', 65504, 'read'],
  ['fa47c35000', 100_000, 'read'],
  ['fa7f7fffff', 3.4028234663852886e38, 'same'],
  ['fb7e37e43c8800759c', 1.0e300, 'same'],
  ['f90001', 2 ** -24, 'read'],
  ['f90400', 2 ** -14, 'read'],
  ['f9c400', -4, 'read'],
  ['fbc010666666666666', -4.1, 'same'],
  ['f97c00', Number.POSITIVE_INFINITY, 'same'],
  ['f97e00', Number.NaN, 'same'],
  ['f9fc00', Number.NEGATIVE_INFINITY, 'same'],
  ['fa7f800000', Number.POSITIVE_INFINITY, 'read'],
  ['fa7fc00000', Number.NaN, 'read'],
  ['faff800000', Number.NEGATIVE_INFINITY, 'read'],
  ['fb7ff0000000000000', Number.POSITIVE_INFINITY, 'read'],
  ['fb7ff8000000000000', Number.NaN, 'read'],
  ['fbfff0000000000000', Number.NEGATIVE_INFINITY, 'read'],
]

const simpleAndTagged: Example[] = [
  ['f4', false, 'same'],
  ['f5', true, 'same'],
  ['f6', null, 'same'],
  ['f7', undefined, 'same'],
  ['f0', undefined, 'refused'],
  ['f8ff', undefined, 'refused'],
  ['c074323031332d30332d32315432303a30343a30305a', date(1_363_896_240_000), 'read'],
  ['c11a514b67b0', date(1_363_896_240_000), 'same'],
  ['c1fb41d452d9ec200000', date(1_363_896_240_500), 'same'],
  ['d74401020304', hex('01020304'), 'read'],
  ['d818456449455446', hex('6449455446'), 'read'],
  ['d82076687474703a2f2f7777772e6578616d706c652e636f6d', 'http://www.example.com', 'read'],
]

const strings: Example[] = [
  ['40', hex(''), 'same'],
  ['4401020304', hex('01020304'), 'same'],
  ['60', '', 'same'],
  ['6161', 'a', 'same'],
  ['6449455446', 'IETF', 'same'],
  ['62225c', '"\\', 'same'],
  ['62c3bc', '\u00fc', 'same'],
  ['63e6b0b4', '\u6c34', 'same'],
  ['64f0908591', '\ud800\udd51', 'same'],
  ['5f42010243030405ff', hex('0102030405'), 'read'],
  ['7f657374726561646d696e67ff', 'streaming', 'read'],
]

const containers: Example[] = [
  ['80', [], 'same'],
  ['83010203', [1, 2, 3], 'same'],
  ['8301820203820405', [1, [2, 3], [4, 5]], 'same'],
  ['98190102030405060708090a0b0c0d0e0f101112131415161718181819', list25, 'same'],
  ['a0', {}, 'same'],
  [
    'a201020304',
    new Map([
      [1, 2],
      [3, 4],
    ]),
    'same',
  ],
  ['a26161016162820203', { a: 1, b: [2, 3] }, 'same'],
  ['826161a161626163', ['a', { b: 'c' }], 'same'],
  ['a56161614161626142616361436164614461656145', { a: 'A', b: 'B', c: 'C', d: 'D', e: 'E' }, 'same'],
  ['9fff', [], 'read'],
  ['9f018202039f0405ffff', [1, [2, 3], [4, 5]], 'read'],
  ['9f01820203820405ff', [1, [2, 3], [4, 5]], 'read'],
  ['83018202039f0405ff', [1, [2, 3], [4, 5]], 'read'],
  ['83019f0203ff820405', [1, [2, 3], [4, 5]], 'read'],
  ['9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff', list25, 'read'],
  ['bf61610161629f0203ffff', { a: 1, b: [2, 3] }, 'read'],
  ['826161bf61626163ff', ['a', { b: 'c' }], 'read'],
  ['bf6346756ef563416d7421ff', { Fun: true, Amt: -2 }, 'read'],
]

const examples = [...numbers, ...simpleAndTagged, ...strings, ...containers]

describe('the examples of RFC 8949, appendix A', () => {
  test.each(examples.filter(([, , way]) => way !== 'refused'))('reads %s', (bytes, value) => {
    expect(decodeHex(bytes)).toStrictEqual(value)
  })

  test.each(examples.filter(([, , way]) => way === 'same'))('writes %s', (bytes, value) => {
    expect(encodeHex(value)).toBe(bytes)
  })

  test.each(examples.filter(([, , way]) => way === 'refused'))('refuses %s', (bytes) => {
    expect(() => decodeHex(bytes)).toThrow(/simple value/)
  })

  test('keeps a float distinct from an integer only where the number itself is', () => {
    expect(encodeHex(1.5)).toBe('fa3fc00000')
    expect(encodeHex(100_000.0)).toBe('1a000186a0')
    expect(encodeHex(2 ** 53)).toBe('fa5a000000')
  })
})
