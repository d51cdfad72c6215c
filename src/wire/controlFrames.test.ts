import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeAccepted,
  encodeAcknowledge,
  encodeConfirm,
  encodeContext,
  encodeJson,
  encodeNotify,
  encodeReclaim,
  encodeRejected,
  encodeRelease,
  encodeSeen,
  encodeStreamOffset,
  readAccepted,
  readConfirm,
  readContext,
  readCountOfGroup,
  readJson,
  readLeaseRange,
  readReclaim,
  readRejected,
  readRelease,
  readStreamOffset,
} from './controlFrames.ts'
import { FrameType } from './frameTypes.ts'

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const stream = fc.integer({ min: 0, max: 0xffff_ffff })
const range = fc.tuple(number, number).map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const)

const reclaimed = { source: 1, sequence: 2, groupIndex: 0, isDead: false, attempt: 1, leaseNumber: 2 ** 48 }

type Reader = (buffer: Buffer, start: number, end: number) => unknown

function whole<Result>(frame: Buffer, read: (buffer: Buffer, start: number, end: number) => Result): Result {
  return read(frame, 0, frame.length)
}

describe('A control frame', () => {
  it('is read as it was written, with any numbers', () => {
    fc.assert(
      fc.property(number, number, range, stream, fc.boolean(), (one, other, [from, to], id, flag) => {
        expect(whole(encodeConfirm(one, other), readConfirm)).toEqual({ receivedFrames: one, objectBytesLimit: other })
        expect(whole(encodeAcknowledge(from, to), readLeaseRange)).toMatchObject({ from, to })
        expect(whole(encodeSeen(from, to), readLeaseRange)).toEqual({ from, to })
        const terms = { attemptCounted: flag, isFinal: false, retryDelayMs: flag ? id : undefined, failure: undefined }
        // The largest number of 32 bits stands for no delay of one's own.
        const read = { ...terms, retryDelayMs: terms.retryDelayMs === 0xffff_ffff ? undefined : terms.retryDelayMs }
        expect(whole(encodeRelease(from, to, terms), readRelease)).toEqual({ from, to, ...read })
        expect(whole(encodeContext(id, one, flag), readContext)).toEqual({ groupIndex: id, skipped: one, isDead: flag })
        const window = encodeStreamOffset(FrameType.STREAM_WINDOW, id, one)
        expect(whole(window, readStreamOffset)).toEqual({ stream: id, offset: one })
        const counts = [id, 0, id]
        expect(whole(encodeAccepted(from, to, counts), readAccepted)).toEqual({ from, to, memberCounts: counts })
        expect(whole(encodeRejected(one, { code: 'X' }), readRejected)).toEqual({ sequence: one, error: { code: 'X' } })
      }),
      { numRuns: 200 },
    )
  })

  it('asks with any count for any group', () => {
    for (const count of [-1, 1, 1_000_000, 0x7fff_ffff]) {
      expect(whole(encodeNotify('größe', count), readCountOfGroup)).toEqual({ group: 'größe', count })
    }
  })

  it.each<[string, Buffer, Reader]>([
    ['CONFIRM', encodeConfirm(1, 2), readConfirm],
    ['ACCEPTED', encodeAccepted(1, 2, [3]), readAccepted],
    ['ACKNOWLEDGE', encodeAcknowledge(1, 2), readLeaseRange],
    ['SEEN', encodeSeen(1, 2), readLeaseRange],
    ['CONTEXT', encodeContext(1, 2, false), readContext],
    ['RECLAIM', encodeReclaim(reclaimed), readReclaim],
    ['STREAM_WINDOW', encodeStreamOffset(FrameType.STREAM_WINDOW, 1, 2), readStreamOffset],
  ])('%s is refused with any other length', (_, frame, read) => {
    const longer = Buffer.concat([frame, Buffer.alloc(1)])
    expect(() => whole(longer, read)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    for (let length = 5; length < frame.length; length++) {
      expect(() => read(frame, 0, length)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    }
  })

  it('is refused when it is too short for what comes before its text', () => {
    for (let length = 5; length <= 12; length++)
      expect(() => readCountOfGroup(encodeNotify('', 1), 0, length)).toThrow('cannot be')
    for (let length = 5; length <= 16; length++)
      expect(() => readRejected(encodeRejected(1, {}), 0, length)).toThrow('cannot be')
  })

  it('is refused with a range that ends before it begins, or numbers that are not exact', () => {
    expect(() => whole(encodeAcknowledge(2, 1), readLeaseRange)).toThrow('ends before it begins')
    expect(() => whole(encodeAccepted(2, 1, []), readAccepted)).toThrow('ends before it begins')
    const inexact: [Buffer, number, Reader][] = [
      [encodeAcknowledge(1, 2), 8, readLeaseRange],
      [encodeRelease(1, 2, { attemptCounted: true }), 8, readRelease],
      [encodeContext(1, 2, false), 12, readContext],
      [encodeStreamOffset(FrameType.STREAM_ABORT, 1, 2), 12, readStreamOffset],
      [encodeReclaim(reclaimed), 20, readReclaim],
      [encodeRejected(1, {}), 8, readRejected],
    ]
    for (const [frame, at, read] of inexact) {
      frame.fill(0xff, at, at + 8)
      expect(() => whole(frame, read)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    }
  })

  it('claims any lease by what it is known by, under a number that no session gives', () => {
    fc.assert(
      fc.property(
        fc.record({
          source: stream,
          sequence: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
          groupIndex: fc.integer({ min: 0, max: 255 }),
          isDead: fc.boolean(),
          attempt: fc.integer({ min: 0, max: 255 }),
          leaseNumber: fc.integer({ min: 2 ** 48, max: Number.MAX_SAFE_INTEGER }),
        }),
        (lease) => {
          expect(whole(encodeReclaim(lease), readReclaim)).toEqual(lease)
        },
      ),
    )
    const own = encodeReclaim({ ...reclaimed, leaseNumber: 2 ** 48 - 1 })
    expect(() => whole(own, readReclaim)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
  })

  it.each(['', '{', '[]', 'null', '1', '"text"'])('is refused when its JSON is %j and not an object', (text) => {
    const frame = Buffer.concat([encodeJson(FrameType.HELLO, {}).subarray(0, 5), Buffer.from(text)])
    expect(() => whole(frame, readJson)).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
  })

  it('touches no prototype by its JSON', () => {
    const frame = Buffer.concat([
      encodeJson(FrameType.HELLO, {}).subarray(0, 5),
      Buffer.from('{"__proto__":{"polluted":1}}'),
    ])
    expect(whole(frame, readJson).polluted).toBeUndefined()
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })
})
