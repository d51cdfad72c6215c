import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { EndpointProof } from './endpointProof.ts'
import { makeKe1, makeKe2, makeKe3 } from './opaque.fixture.ts'
import { isUsableRecord, loadPasswordProof } from './passwordLogin.ts'
import { binding, receiveAtOnce } from './proofExchange.fixture.ts'
import type { ProofMessage, ReceivedMessage } from './proofMessages.ts'
import {
  computeVector,
  loginProofBody,
  loginResponseBody,
  printSection,
  proofOf,
  ticketKeyFrom,
  transcriptHash,
  type VectorFrame,
  vectorClient,
  vectorPassword,
  vectorServerSetup,
  vectorSetup,
  vectorStretching,
} from './proofVector.fixture.ts'
import { RelayAuthenticator, type RelayProof } from './relayProof.ts'

const page = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')
const vector = computeVector()

function vectorValue(section: string, name: string): Buffer {
  const value = vector.get(section)?.get(name)
  if (value === undefined) throw new Error(`The vector has no ${name} in ${section}`)
  return value
}

function createRelay(): Promise<RelayAuthenticator> {
  const passwordVerifier = {
    format: 'objectrelay password verifier',
    version: 1,
    serverSetup: vectorServerSetup().toString('base64url'),
    registrationRecord: vectorValue('registration', 'registration_record').toString('base64url'),
    stretching: vectorStretching,
  }
  return RelayAuthenticator.create({ passwordVerifier }, { ticketMs: 60_000, ticketKey: new Uint8Array(32) })
}

/** What a relay answers; both frames are in the transcript then. */
function ask(relay: RelayProof, frame: VectorFrame, frames: VectorFrame[]): ProofMessage {
  const { send } = receiveAtOnce(relay, frame)
  if (send === undefined) throw new Error(`The relay does not answer a frame of type ${frame.type}`)
  frames.push(frame, send)
  return send
}

function proven(unproven: VectorFrame, proof: Uint8Array): VectorFrame {
  return { type: unproven.type, body: Buffer.concat([unproven.body, proof]) }
}

beforeAll(loadPasswordProof)

describe('The vector in PROTOCOL.md', () => {
  it('has the sections that are computed, and no others', () => {
    const printed = [...page.matchAll(/^```vector (\S+)$/gm)].map(([, name]) => name)
    expect(printed).toEqual([...vector.keys()])
  })

  it.each([...vector])('prints what is computed in %s', (name, section) => {
    const [, printed] = new RegExp(`^\`\`\`vector ${name}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(page) ?? []
    expect(printed).toBe(printSection(section))
  })

  it('has a record that the relay can use', () => {
    const registrationRecord = vectorValue('registration', 'registration_record')
    expect(isUsableRecord({ serverSetup: vectorServerSetup(), registrationRecord, stretching: vectorStretching })).toBe(
      true,
    )
  })
})

describe('A peer that computes as PROTOCOL.md says', () => {
  it('proves a password and then a ticket to the relay', async () => {
    const authenticator = await createRelay()
    const frames: VectorFrame[] = []
    const channel = binding(1)
    const relay = authenticator.begin(channel)
    const ke1 = makeKe1(vectorPassword, vectorClient)
    const { body: response } = ask(relay, { type: 1, body: ke1 }, frames)
    const result = makeKe3(vectorPassword, vectorStretching, ke1, response.subarray(8), vectorClient)
    if (result === undefined) throw new Error('The endpoint does not take what the relay answers')
    const { ke3, sessionKey } = result
    const finish = { type: 3, body: ke3 }
    const proof = proofOf(sessionKey, 'endpoint', channel, transcriptHash(frames, finish))
    const before: VectorFrame[] = [...frames, proven(finish, proof)]
    const { type, body } = ask(relay, proven(finish, proof), frames)
    const covered = body.subarray(0, -32)
    expect(type).toBe(4)
    expect(Buffer.from(body.subarray(-32))).toEqual(
      proofOf(sessionKey, 'relay', channel, transcriptHash(before, { type, body: covered })),
    )

    const [other, again] = [binding(2), [] as VectorFrame[]]
    const key = ticketKeyFrom(sessionKey)
    const start = { type: 5, body: covered.subarray(4) }
    const shown = proven(start, proofOf(key, 'endpoint', other, transcriptHash([], start)))
    const answer = ask(authenticator.begin(other), shown, again)
    const answered = transcriptHash([shown], { type: 6, body: new Uint8Array(0) })
    expect([answer.type, Buffer.from(answer.body)]).toEqual([6, proofOf(key, 'relay', other, answered)])
  })

  it('proves a password and then a ticket to the endpoint', () => {
    const channel = binding(1)
    const endpoint = new EndpointProof({ password: vectorPassword, channelBinding: channel })
    const start = endpoint.start()
    const { ke2, sessionKey } = makeKe2(vectorSetup, vectorValue('registration', 'registration_record'), start.body, {
      maskingNonce: Buffer.alloc(32, 1),
      serverNonce: Buffer.alloc(32, 2),
      keyshareSeed: Buffer.alloc(32, 3),
    })
    const response = { type: 2, body: loginResponseBody(vectorStretching, ke2) }
    const finish = sentBy(endpoint, response)
    const offer = { type: 4, body: loginProofBody(60, Buffer.alloc(72, 5)) }
    const proof = proofOf(sessionKey, 'relay', channel, transcriptHash([start, response, finish], offer))
    const { outcome } = endpoint.receive(proven(offer, proof))
    if (outcome === undefined || !('authenticated' in outcome)) throw new Error('The endpoint does not take the proof')
    expect(Buffer.from(outcome.ticket?.key ?? [])).toEqual(ticketKeyFrom(sessionKey))

    const other = binding(2)
    const next = new EndpointProof({ password: vectorPassword, channelBinding: other, ticket: outcome.ticket })
    const shown = next.start()
    const hash = transcriptHash([shown], { type: 6, body: new Uint8Array(0) })
    const answer = { type: 6, body: proofOf(ticketKeyFrom(sessionKey), 'relay', other, hash) }
    expect(next.receive(answer).outcome).toMatchObject({ authenticated: true })
  })
})

function sentBy(endpoint: EndpointProof, message: ReceivedMessage): ProofMessage {
  const { send } = endpoint.receive(message)
  if (send === undefined) throw new Error('The endpoint does not answer')
  return send
}
