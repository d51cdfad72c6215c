import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ObjectRelayError } from '../../src/errors.ts'
import { encodeChunkHead, encodeText } from '../../src/wire/controlFrames.ts'
import { type Extension, withExtensionBytes, withExtensions } from '../../src/wire/extensions.fixture.ts'
import { FrameReader } from '../../src/wire/frameReader.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { contentStart, parseRoute } from '../../src/wire/objectHeader.ts'
import { objectFrame } from '../support/relayWorld.ts'

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

describe('The extensions of an object', () => {
  const read = (frame: Buffer) => parseRoute(frame, 0, frame.length, () => true)
  const bodyOf = (frame: Buffer) => frame.toString('latin1', contentStart(frame, 0, read(frame)))
  const extension: fc.Arbitrary<Extension> = fc.record({
    type: fc.integer({ min: 0, max: 0xffff }),
    value: fc.uint8Array({ maxLength: 300 }),
  })

  it('are skipped, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(extension, { minLength: 1, maxLength: 20 }), fc.nat(50), (extensions, bytes) => {
        const plain = objectFrame('produce', 'g', 1, 'x'.repeat(bytes))
        expect(bodyOf(withExtensions(plain, ...extensions))).toBe(bodyOf(plain))
      }),
      { numRuns: 300 },
    )
  })

  it('end within the frame, or are refused with a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(60), (bytes, length) => {
        const head = Buffer.of(length, 0)
        const frame = withExtensionBytes(objectFrame('produce', 'g', 1, 'xy'), Buffer.concat([head, bytes]))
        try {
          expect(contentStart(frame, 0, read(frame))).toBeLessThanOrEqual(frame.length)
          expect(length).toBeLessThanOrEqual(bytes.length + 2)
        } catch (error) {
          expect(error).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
        }
      }),
      { numRuns: 500 },
    )
  })
})
