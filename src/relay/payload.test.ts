import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LargePayload } from './payload.ts'

describe('A large object in the relay', () => {
  it('is put together from parts of any size, whatever of them comes twice', () => {
    const part = fc.tuple(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9_000 })), fc.nat(50))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 40 }), (parts) => {
        const body = Buffer.concat(parts.map(([bytes], index) => Buffer.alloc(bytes, index + 1)))
        const payload = new LargePayload(Buffer.alloc(0), body.length)
        let end = 0
        for (const [bytes, again] of parts) {
          const start = Math.max(0, end - again)
          end += bytes
          // What is given must not change later, so each part is memory of its own.
          payload.writeAt(start, Buffer.from(body.subarray(start, end)))
          expect(payload.availableBytes).toBe(end)
        }
        expect(payload.complete).toBe(true)
        expect(Buffer.concat(payload.pieces(0, body.length)).equals(body)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  it('costs little more than it counts when tiny parts stand between others', () => {
    const parts = 100
    const payload = new LargePayload(Buffer.alloc(0), parts * 4_097)
    let offset = 0
    for (let left = parts; left > 0; left--) {
      for (const bytes of [4_096, 1]) {
        payload.writeAt(offset, Buffer.alloc(bytes))
        offset += bytes
      }
    }
    const memories = new Set(payload.pieces(0, offset).map(({ buffer }) => buffer))
    const bytes = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0)
    expect(bytes).toBeLessThan(offset + 32 * 1024)
  })
})
