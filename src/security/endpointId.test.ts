import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { endpointIdOf, isSessionSecret, makeSessionSecret } from './endpointId.ts'

test('the id of an endpoint is the one that PROTOCOL.md (R5.7) gives as an example', async () => {
  const page = await readFile(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')
  const [, secret = '', id = ''] = /For `([^`]+)` it is `([^`]+)`/.exec(page) ?? []
  expect(secret).toBe('ABCDEFGHIJKLMNOPQRSTUV')
  expect(endpointIdOf(secret)).toBe(id)
})

test('secrets are new each time, and the id does not show them', () => {
  const secrets = Array.from({ length: 100 }, makeSessionSecret)
  expect(new Set(secrets.map(endpointIdOf)).size).toBe(100)
  for (const secret of secrets) {
    expect(isSessionSecret(secret)).toBe(true)
    expect(endpointIdOf(secret)).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(endpointIdOf(secret)).not.toBe(secret)
  }
})
