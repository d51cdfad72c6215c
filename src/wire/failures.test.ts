import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DeadLetter, failureBytesMax, type LeaseFailure } from '../deadLetter.ts'
import { encodeContext, encodeRelease, readContext, readRelease } from './controlFrames.ts'
import { encodeFailure } from './failures.ts'

const failed: LeaseFailure = {
  reason: 'failed',
  error: { name: 'TypeError', message: 'x', code: 'E_X', stack: 'at y' },
}
const death: DeadLetter = { reason: 'lost', attempts: 5, endpoint: 'e'.repeat(22), diedAtMs: 1_700_000_000_000 }

function released(json: string, flags = 1): Buffer {
  const head = encodeRelease(1, 2, { attemptCounted: true })
  const frame = Buffer.concat([head, Buffer.from(json)])
  frame[5] = flags
  return frame
}

function dead(json: string): Buffer {
  return Buffer.concat([encodeContext(0, 0, true), Buffer.from(json)])
}

const refused = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' })

describe('A failure', () => {
  it('is read as it was written', () => {
    const frame = encodeRelease(3, 4, { attemptCounted: true, isFinal: true, retryDelayMs: 7, failure: failed })
    const terms = { from: 3, to: 4, attemptCounted: true, isFinal: true, retryDelayMs: 7, failure: failed }
    expect(readRelease(frame, 0, frame.length)).toEqual(terms)
  })

  it('fits into its frame, however long its texts are and whatever they are made of', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 9_000 }), fc.constant('\u0000'.repeat(9_000)))
    fc.assert(
      fc.property(fc.record({ name: text, message: text, code: text, stack: text }), (error) => {
        expect(encodeFailure({ reason: 'failed', error }).length).toBeLessThanOrEqual(failureBytesMax)
        const frame = encodeRelease(1, 1, { attemptCounted: true, failure: { reason: 'failed', error } })
        const { failure } = readRelease(frame, 0, frame.length)
        expect(error.name.startsWith(failure?.error?.name ?? '?')).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('is the release of a program that gives no reason', () => {
    const frame = released('{"later":"version"}')
    expect(readRelease(frame, 0, frame.length).failure).toEqual({ reason: 'released' })
  })

  it.each([
    '{"reason":"lost"}',
    '{"reason":5}',
    '{"error":"text"}',
    '{"error":[]}',
    '{"error":null}',
    '{"error":{"message":5}}',
    '{"error":{"stack":{}}}',
    '[]',
    '{',
    ` {"reason":"failed"${' '.repeat(failureBytesMax)}}`,
  ])('is refused: %s', (json) => {
    const frame = released(json)
    expect(() => readRelease(frame, 0, frame.length)).toThrow(refused)
  })

  it('is never final without an attempt that counts', () => {
    const frame = released('', 2)
    expect(() => readRelease(frame, 0, frame.length)).toThrow(refused)
  })
})

describe('A dead letter', () => {
  it.each<DeadLetter>([
    death,
    { ...death, name: 'host-3:4711', error: { message: 'no' } },
    { ...death, reason: 'failed', error: {} },
  ])('is read as it was written: %j', (deadLetter) => {
    const frame = encodeContext(1, 0, true, deadLetter)
    expect(readContext(frame, 0, frame.length)).toEqual({ groupIndex: 1, skipped: 0, isDead: true, deadLetter })
  })

  it.each([
    JSON.stringify({ ...death, reason: 'unknown' }),
    JSON.stringify({ ...death, attempts: -1 }),
    JSON.stringify({ ...death, attempts: 1.5 }),
    JSON.stringify({ ...death, diedAtMs: 'now' }),
    JSON.stringify({ ...death, endpoint: 5 }),
    JSON.stringify({ ...death, name: 5 }),
    JSON.stringify({ ...death, error: 'no' }),
    '{}',
    'null',
  ])('is refused: %s', (json) => {
    const frame = dead(json)
    expect(() => readContext(frame, 0, frame.length)).toThrow(refused)
  })

  it('is refused for what comes from no dead-letter queue', () => {
    const frame = encodeContext(1, 0, true, death)
    frame[5] = 0
    expect(() => readContext(frame, 0, frame.length)).toThrow(refused)
  })
})
