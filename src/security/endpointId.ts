import { createHash, randomBytes } from 'node:crypto'

/** 16 bytes of base64url without padding, as are both the secret of a session and the id of an endpoint. */
const SIXTEEN_BYTES = /^[A-Za-z0-9_-]{22}$/

/** Makes the secret of an endpoint's session: who knows it, and the password, is that endpoint. */
export function makeSessionSecret(): string {
  return randomBytes(16).toString('base64url')
}

/** Whether the text can be the secret of a session. */
export function isSessionSecret(text: unknown): text is string {
  return typeof text === 'string' && SIXTEEN_BYTES.test(text)
}

/**
 * The public id of the endpoint whose session has that secret. Both sides derive it, so that it need not travel; the relay uses
 * nothing else from then on. It may be logged and shown: the secret does not follow from it.
 */
export function endpointIdOf(sessionSecret: string): string {
  const digest = createHash('sha256').update('objectrelay endpoint\0').update(sessionSecret, 'utf8').digest()
  return digest.subarray(0, 16).toString('base64url')
}
