import { randomBytes } from 'node:crypto'
import { client } from '@serenity-kit/opaque'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeKe1, makeKe2, makeKe3, register } from './opaque.fixture.ts'
import {
  answerLogin,
  confirmLogin,
  finishLogin,
  lightStretching,
  loadPasswordProof,
  registerPassword,
  startLogin,
} from './passwordLogin.ts'
import type { KeyStretching } from './proofMessages.ts'
import { derivePrivateKey, publicKeyOf, writeScalar } from './ristretto255.fixture.ts'

const password = 'cafe\u0301 du coin'
const composed = password.normalize('NFC')
const stretchings: readonly KeyStretching[] = [
  lightStretching,
  { memoryKiB: 100, iterations: 3, parallelism: 1 },
  { memoryKiB: 259, iterations: 2, parallelism: 4 },
]

const someScalar = () => writeScalar(derivePrivateKey(randomBytes(32), 'any'))
const someClient = () => ({ blind: someScalar(), clientNonce: randomBytes(32), keyshareSeed: randomBytes(32) })
const someServer = () => ({
  maskingNonce: randomBytes(32),
  serverNonce: randomBytes(32),
  keyshareSeed: randomBytes(32),
})

beforeAll(loadPasswordProof)

/** OPAQUE as PROTOCOL.md describes it, against the library. */
describe.each(stretchings)('OPAQUE with %j', (stretching) => {
  it('is understood by the library as a client', () => {
    const record = registerPassword(composed, stretching)
    const random = someClient()
    const ke1 = makeKe1(password, random)
    const { state, ke2 } = answerLogin(record, ke1)
    const result = makeKe3(password, stretching, ke1, ke2, random)
    if (result === undefined) throw new Error('The client does not take what the library answers')
    expect(Buffer.from(confirmLogin(state, result.ke3) ?? [])).toEqual(result.sessionKey)
    expect(makeKe3('another', stretching, ke1, ke2, random)).toBeUndefined()
  })

  it('is understood by the library as a server, with a record and keys of its own', () => {
    const setup = { oprfSeed: randomBytes(64), serverPrivateKey: someScalar() }
    const record = register(password, setup, stretching, { blind: someScalar(), envelopeNonce: randomBytes(32) })
    const { state, ke1 } = startLogin(composed)
    const { ke2, ke3, sessionKey } = makeKe2(setup, record, ke1, someServer())
    const result = finishLogin({ password: composed, state, stretching, ke2 })
    if (result === undefined) throw new Error('The library does not take what the server answers')
    expect([Buffer.from(result.ke3), Buffer.from(result.sessionKey)]).toEqual([ke3, sessionKey])

    // The library as the server, with that record.
    const serverSetup = Buffer.concat([setup.oprfSeed, setup.serverPrivateKey, publicKeyOf(1n)])
    const random = someClient()
    const own = makeKe1(password, random)
    const answer = answerLogin({ serverSetup, registrationRecord: record, stretching }, own)
    const ours = makeKe3(password, stretching, own, answer.ke2, random)
    if (ours === undefined) throw new Error('The client does not take what the library answers')
    expect(Buffer.from(confirmLogin(answer.state, ours.ke3) ?? [])).toEqual(ours.sessionKey)
  })

  it('comes to the export key of the library', () => {
    const setup = { oprfSeed: randomBytes(64), serverPrivateKey: someScalar() }
    const noted = new Map<string, Uint8Array>()
    const random = { blind: someScalar(), envelopeNonce: randomBytes(32) }
    const record = register(password, setup, stretching, random, (name, bytes) => noted.set(name, bytes))
    const { clientLoginState, startLoginRequest } = client.startLogin({ password: composed })
    const { ke2 } = makeKe2(setup, record, Buffer.from(startLoginRequest, 'base64url'), someServer())
    const { memoryKiB: memory, iterations, parallelism } = stretching
    const result = client.finishLogin({
      clientLoginState,
      loginResponse: ke2.toString('base64url'),
      password: composed,
      identifiers: { client: 'objectrelay endpoint', server: 'objectrelay relay' },
      keyStretching: { 'argon2id-custom': { memory, iterations, parallelism } },
    })
    expect(result?.exportKey).toBe(Buffer.from(noted.get('export_key') ?? []).toString('base64url'))
  })

  it('takes a server setup and a record of the library', () => {
    const { serverSetup, registrationRecord } = registerPassword(composed, stretching)
    const setup = { oprfSeed: serverSetup.subarray(0, 64), serverPrivateKey: serverSetup.subarray(64, 96) }
    const random = someClient()
    const ke1 = makeKe1(password, random)
    const { ke2, ke3, sessionKey } = makeKe2(setup, registrationRecord, ke1, someServer())
    expect(makeKe3(password, stretching, ke1, ke2, random)).toEqual({ ke3, sessionKey })
  })
})
