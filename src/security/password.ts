import { createError } from '../errors.ts'

const passwordBytesMax = 1024
const strengthBitsMin = 50

/** Found in every list that is tried first; what is left of a password without them counts. */
const commonParts = [
  'password',
  'passwort',
  'passw0rd',
  'letmein',
  'welcome',
  'iloveyou',
  'admin',
  'secret',
  'monkey',
  'dragon',
  'sunshine',
  'princess',
  'football',
  'baseball',
  'master',
  'shadow',
  'superman',
  'trustno1',
  'starwars',
  'whatever',
  'login',
  'hello',
  'changeme',
  'default',
  'qwertyuiop',
  'qwerty',
  'qwertz',
  'azerty',
  'asdfgh',
  'zxcvbn',
  '1q2w3e4r',
  'qazwsx',
  'abc123',
  '123123',
  '1234567890',
  '123456789',
  '12345678',
  '1234567',
  '123456',
  '12345',
  '1234',
  '654321',
  'abcdef',
  'abcd',
  'test',
  'objectrelay',
  'tlspyo',
]

/**
 * The password as both sides use it: in Unicode's form NFC, since one keyboard gives an accented letter as one character
 * and another as two. The message of an error never holds the password.
 */
export function checkPassword(password: unknown, option = 'password'): string {
  if (typeof password !== 'string' || password === '') {
    const found = password === '' ? 'is empty' : `is ${password === null ? 'null' : `of type ${typeof password}`}`
    // Most often it was to come from there, as in `process.env.PASSWORD`.
    const hint =
      password === undefined || password === '' ? ' Is it from a variable of the environment that is not set?' : ''
    throw createError('INVALID_OPTION', `The option ${option} ${found}; it must be a non-empty string.${hint}`, {
      details: { option },
    })
  }
  const normal = password.normalize('NFC')
  const bytes = Buffer.byteLength(normal, 'utf8')
  if (bytes > passwordBytesMax) {
    throw createError(
      'INVALID_OPTION',
      `The option ${option} has ${bytes} bytes; at most ${passwordBytesMax} are allowed.`,
      {
        details: { option, bytes },
      },
    )
  }
  // A lone surrogate becomes the replacement character in UTF-8, and with it different passwords would be the same.
  if (/\p{Surrogate}/u.test(normal)) {
    throw createError('INVALID_OPTION', `The option ${option} is not well-formed Unicode: it holds half a character.`, {
      details: { option },
    })
  }
  return normal
}

/** What to tell the user about a password that can be guessed; undefined if there is nothing to say. */
export function passwordWarning(password: string): string | undefined {
  const lower = password.toLowerCase()
  if (commonParts.includes(lower)) {
    return 'The password is one of the most common ones and is tried first; use a long random one.'
  }
  if (strengthBits(password) >= strengthBitsMin) return undefined
  return [
    'The password is weak: it is short, repeats itself, or is made of common words.',
    'Use at least 12 varied characters or five random words; guessing is slowed down, not prevented.',
  ].join(' ')
}

/** A rough upper estimate: characters that are no repetition or continuation of the one before, times the bits of their kinds. */
function strengthBits(password: string): number {
  let rest = password
  for (const part of commonParts) rest = rest.replaceAll(new RegExp(part, 'gi'), '*')
  let counted = 0
  let previous = 0
  for (const character of rest) {
    const point = character.codePointAt(0) ?? 0
    if (Math.abs(point - previous) > 1) counted += 1
    previous = point
  }
  const distinct = new Set(rest).size
  return Math.min(counted, distinct * 2) * Math.log2(alphabetSize(rest))
}

function alphabetSize(text: string): number {
  let size = 1
  if (/[a-z]/.test(text)) size += 26
  if (/[A-Z]/.test(text)) size += 26
  if (/[0-9]/.test(text)) size += 10
  if (/[\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]/.test(text)) size += 33
  if (/[^\x20-\x7e]/.test(text)) size += 64
  return size
}
