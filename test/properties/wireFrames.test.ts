import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ObjectRelayError } from '../../src/errors.ts'
import { encodeChunkHead, encodeText } from '../../src/wire/controlFrames.ts'
import { FrameReader } from '../../src/wire/frameReader.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'

type Piece = { readonly chunk: boolean; readonly bytes: number; readonly fill: number }

const piece: fc.Arbitrary<Piece> = fc.record({
  chunk: fc.boolean(),
  bytes: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 65_000 }) },
  ),
  fill: fc.integer({ min: 0, max: 255 }),
})

function encode({ chunk, bytes, fill }: Piece, index: number): Buffer {
  const body = Buffer.alloc(bytes, fill)
  if (chunk) return Buffer.concat([encodeChunkHead(index, 3 * index, bytes), body])
  return encodeText(FrameType.BLOCKED, body.toString('latin1').slice(0, bytes / 2))
}

/** Reads some bytes in some pieces, and says what came, with the parts of a chunk put together. */
function read(pieces: readonly Buffer[]): { type: number; stream: number; offset: number; bytes: string }[] {
  const seen: { type: number; stream: number; offset: number; bytes: string }[] = []
  let parts: Buffer[] = []
  let begin = 0
  const reader = new FrameReader({
    frame: (type, buffer, start, end) =>
      seen.push({ type, stream: 0, offset: 0, bytes: buffer.toString('base64', start, end) }),
    chunk: (stream, offset, buffer, start, end, last) => {
      if (parts.length === 0) begin = offset
      expect(offset).toBe(begin + parts.reduce((sum, part) => sum + part.length, 0))
      // Not copied: the bytes of a chunk are never reused.
      parts.push(buffer.subarray(start, end))
      if (!last) return
      seen.push({ type: FrameType.STREAM_CHUNK, stream, offset: begin, bytes: Buffer.concat(parts).toString('base64') })
      parts = []
    },
  })
  for (const data of pieces) reader.push(data)
  return seen
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => Math.floor(cut * bytes.length)))].sort((one, other) => one - other)
  // Each piece is memory of its own, as it comes from a socket.
  return [0, ...places].map((from, index) => Buffer.from(bytes.subarray(from, places[index] ?? bytes.length)))
}

describe('The reader of frames', () => {
  it('finds the same frames however the bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 12 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 40 }),
        (pieces, cuts) => {
          const bytes = Buffer.concat(pieces.map(encode))
          expect(read(split(bytes, cuts))).toEqual(read([bytes]))
        },
      ),
      { numRuns: 200 },
    )
  })

  it('finds the same frames byte by byte', () => {
    const pieces = [
      { chunk: false, bytes: 40, fill: 65 },
      { chunk: true, bytes: 70, fill: 66 },
      { chunk: true, bytes: 1, fill: 67 },
      { chunk: false, bytes: 1, fill: 68 },
    ]
    const bytes = Buffer.concat(pieces.map(encode))
    expect(read([...bytes].map((byte) => Buffer.of(byte)))).toEqual(read([bytes]))
  })

  it('gives only typed errors for any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (pieces) => {
        try {
          const reader = new FrameReader({ frame: () => undefined, chunk: () => undefined })
          for (const data of pieces) reader.push(Buffer.from(data))
        } catch (error) {
          expect(error).toBeInstanceOf(ObjectRelayError)
          expect(error).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
        }
      }),
      { numRuns: 500 },
    )
  })
})
