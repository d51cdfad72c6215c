import { describe, expect, it } from 'vitest'
import { checkPassword, passwordWarning } from './password.ts'

describe('a password', () => {
  it('asks for a variable that is not set where there is none', () => {
    for (const password of [undefined, ''])
      expect(() => checkPassword(password)).toThrow('a variable of the environment')
    expect(() => checkPassword(5)).not.toThrow('a variable of the environment')
  })

  it('is a non-empty string of at most 1024 bytes of well-formed Unicode, and never part of the message', () => {
    for (const bad of [
      undefined,
      null,
      5,
      '',
      {},
      'x'.repeat(1_025),
      '\u20ac'.repeat(400),
      'half \ud800 a character',
    ]) {
      expect(() => checkPassword(bad)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
    expect(() => checkPassword('half \ud800 secret')).not.toThrow('secret')
    expect(checkPassword('x'.repeat(1_024))).toHaveLength(1_024)
    expect(checkPassword('\u{1f600}')).toBe('\u{1f600}')
  })

  it('is normalised, so that two keyboards give the same', () => {
    expect(checkPassword('e\u0301')).toBe(checkPassword('\u00e9'))
  })

  it('is warned about when it is common, short, repetitive or a sequence', () => {
    const weak = [
      'password',
      'Password123',
      'qwerty',
      '123456789012',
      'aaaaaaaaaaaaaaaaaaaa',
      'abcdefghijklmnop',
      'xK4#p',
      'hunter2',
      'abababababababababab',
    ]
    for (const password of weak) expect([password, passwordWarning(password)]).toEqual([password, expect.any(String)])
  })

  it('is fine when it is long and varied', () => {
    const strong = [
      'VerySecurePassword',
      'correct horse battery staple',
      'x7#Kp2!mQz9w',
      '8f14e45fceea167a5a36dedd4bea2543',
      'Zwölf Boxkämpfer jagen Viktor',
    ]
    for (const password of strong) expect([password, passwordWarning(password)]).toEqual([password, undefined])
  })

  it('is not repeated in the warning', () => {
    expect(passwordWarning('hunter2')).not.toContain('hunter2')
  })
})
