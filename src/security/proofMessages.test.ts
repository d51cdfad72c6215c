import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { channelBindingOf, checkChannelBinding, noChannelBinding, Transcript, ticketKeyOf } from './channelProof.ts'
import { binding } from './proofExchange.fixture.ts'
import {
  appendProof,
  identifyProofMessage,
  loginFailed,
  loginFinish,
  loginProof,
  loginQueued,
  loginResponse,
  loginStart,
  type ProofMessage,
  parseLoginFailed,
  parseLoginProof,
  parseLoginResponse,
  ticketProof,
  ticketStart,
  ticketUnknown,
} from './proofMessages.ts'

const stretching = { memoryKiB: 8192, iterations: 1, parallelism: 2 }

function hex({ type, body }: ProofMessage): string {
  return `${type.toString(16).padStart(2, '0')} ${Buffer.from(body).toString('hex')}`
}

function filled(length: number, fill: number): Uint8Array {
  return new Uint8Array(length).fill(fill)
}

describe('the layout of the frames of the proof', () => {
  const proof = filled(32, 0xee)
  const sealed = filled(72, 0xaa)

  it('equals these bytes', () => {
    expect(hex(loginStart(filled(96, 1)))).toBe(`01 ${'01'.repeat(96)}`)
    expect(hex(loginResponse(stretching, filled(320, 2)))).toBe(`02 0020000001000200${'02'.repeat(320)}`)
    expect(hex(appendProof(loginFinish(filled(64, 3)), proof))).toBe(`03 ${'03'.repeat(64)}${'ee'.repeat(32)}`)
    expect(hex(appendProof(loginProof({ sealed, seconds: 86_400 }), proof))).toBe(
      `04 80510100${'aa'.repeat(72)}${'ee'.repeat(32)}`,
    )
    expect(hex(appendProof(loginProof(undefined), proof))).toBe(`04 ${'00'.repeat(76)}${'ee'.repeat(32)}`)
    expect(hex(appendProof(ticketStart(sealed), proof))).toBe(`05 ${'aa'.repeat(72)}${'ee'.repeat(32)}`)
    expect(hex(appendProof(ticketProof(), proof))).toBe(`06 ${'ee'.repeat(32)}`)
    expect(hex(ticketUnknown())).toBe('07 ')
    expect(hex(loginQueued())).toBe('09 ')
    expect(hex(loginFailed('password'))).toBe('08 0100000000')
    expect(hex(loginFailed('channel'))).toBe('08 0200000000')
    expect(hex(loginFailed('attempts', 30_000))).toBe('08 0330750000')
  })

  it('gives back what went in', () => {
    expect(parseLoginResponse(loginResponse(stretching, filled(320, 2)).body)).toEqual({
      stretching,
      ke2: filled(320, 2),
    })
    const { body } = appendProof(loginProof({ sealed, seconds: 5 }), proof)
    expect(parseLoginProof(body)).toEqual({ sealed, seconds: 5 })
    expect(parseLoginFailed(loginFailed('attempts', 5).body)).toEqual({ reason: 'attempts', waitMs: 5 })
    expect(identifyProofMessage(ticketUnknown())).toBe('TICKET_UNKNOWN')
  })

  it('keeps a ticket when the memory that it came in is used again', () => {
    const body = Buffer.from(appendProof(loginProof({ sealed, seconds: 5 }), proof).body)
    const ticket = parseLoginProof(body)
    body.fill(0xee)
    expect(ticket).toEqual({ sealed, seconds: 5 })
  })

  it('refuses reasons that nobody knows, and a time to wait that has no reason', () => {
    expect(() => parseLoginFailed(Uint8Array.of(0, 0, 0, 0, 0))).toThrow('unknown reason 0')
    expect(() => parseLoginFailed(Uint8Array.of(4, 0, 0, 0, 0))).toThrow('unknown reason 4')
    expect(() => parseLoginFailed(Uint8Array.of(1, 1, 0, 0, 0))).toThrow('asks to wait 1 ms')
  })
})

describe('the input of a proof', () => {
  const channelBinding = binding(9)
  const key = filled(64, 8)

  it('is label, binding and the hash of everything before it, byte by byte', () => {
    const transcript = new Transcript(channelBinding)
    transcript.add(loginStart(filled(96, 1)))
    transcript.add(loginResponse(stretching, filled(320, 2)))
    const covered = Buffer.from(
      `016000${'01'.repeat(96)}0248010020000001000200${'02'.repeat(320)}036000${'03'.repeat(64)}`,
      'hex',
    )
    const expected = createHmac('sha256', key)
      .update(Buffer.from('objectrelay/1 endpoint proof\x00\x0ctls-exporter\x20', 'latin1'))
      .update(channelBinding.bytes)
      .update(createHash('sha256').update(covered).digest())
      .digest('hex')
    const proof = transcript.proof(key, 'endpoint', loginFinish(filled(64, 3)))
    expect(Buffer.from(proof).toString('hex')).toBe(expected)
  })

  it('differs by role', () => {
    const transcript = new Transcript(channelBinding)
    expect(transcript.proof(key, 'relay', ticketProof())).not.toEqual(transcript.proof(key, 'endpoint', ticketProof()))
  })

  it('gives a ticket a key of its own', () => {
    const expected = createHmac('sha256', key).update('objectrelay/1 ticket\0').digest()
    expect(Buffer.from(ticketKeyOf(key))).toEqual(expected)
  })

  it('says of a channel without a name that it has none', () => {
    const message = loginFinish(filled(64, 3))
    const covered = Buffer.from(`036000${'03'.repeat(64)}`, 'hex')
    const expected = createHmac('sha256', key)
      .update(Buffer.from('objectrelay/1 relay proof\x00\x04none\x00', 'latin1'))
      .update(createHash('sha256').update(covered).digest())
      .digest('hex')
    expect(Buffer.from(new Transcript(noChannelBinding()).proof(key, 'relay', message)).toString('hex')).toBe(expected)
  })

  it('takes a binding of its length only', () => {
    expect(() => checkChannelBinding({ type: 'tls-exporter', bytes: new Uint8Array(0) })).toThrow('instead of 32')
    expect(() => checkChannelBinding({ type: 'none', bytes: new Uint8Array(32) })).toThrow('instead of 0')
    expect(checkChannelBinding(binding(1))).toEqual(binding(1))
  })

  it('asks TLS for what RFC 9266 registers', () => {
    const socket = {
      exportKeyingMaterial: (length: number, label: string, context: Uint8Array): Uint8Array =>
        Buffer.from(`${length} ${label} ${context.length}`),
    }
    const { type, bytes } = channelBindingOf(socket)
    expect(type).toBe('tls-exporter')
    expect(Buffer.from(bytes).toString()).toBe('32 EXPORTER-Channel-Binding 0')
  })
})
