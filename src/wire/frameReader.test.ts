import { describe, expect, it } from 'vitest'
import { fixedLimits } from '../limits.ts'
import { encodeChunkHead, encodeText } from './controlFrames.ts'
import { FrameReader } from './frameReader.ts'
import { FrameType } from './frameTypes.ts'

function setUp(frameBytesMax?: number) {
  const frames: { type: number; buffer: Buffer; text: string }[] = []
  let chunks = 0
  const reader = new FrameReader(
    {
      frame: (type, buffer, start, end) => frames.push({ type, buffer, text: buffer.toString('utf8', start + 5, end) }),
      chunk: () => chunks++,
    },
    frameBytesMax,
  )
  return { reader, frames, chunks: () => chunks }
}

function head(length: number, type: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes.writeUInt32LE(length)
  bytes[4] = type
  return bytes
}

describe('The reader of frames', () => {
  it.each([
    ['OBJECT', FrameType.OBJECT, fixedLimits.frameBytesMax + 1],
    ['OBJECT', FrameType.OBJECT, 4],
    ['OBJECT', FrameType.OBJECT, 0xffff_ffff],
    ['NOTIFY', FrameType.NOTIFY, fixedLimits.controlFrameBytesMax + 1],
    ['STREAM_CHUNK', FrameType.STREAM_CHUNK, 20],
    ['STREAM_CHUNK', FrameType.STREAM_CHUNK, 20 + fixedLimits.chunkBytes + 1],
  ])('refuses the %s of type %i and %i bytes by its head, before the rest is there', (_, type, length) => {
    const whole = setUp()
    expect(() => whole.reader.push(head(length, type))).toThrow(`declares ${length} bytes`)
    const split = setUp()
    split.reader.push(head(length, type).subarray(0, 4))
    expect(() => split.reader.push(Buffer.of(type))).toThrow(`declares ${length} bytes`)
  })

  it('accepts only small frames until more is allowed', () => {
    const { reader, frames } = setUp(fixedLimits.handshakeFrameBytesMax)
    expect(() => reader.push(head(4_097, FrameType.OBJECT))).toThrow('5 to 4096 are allowed')
    reader.frameBytesMax = fixedLimits.frameBytesMax
    const later = setUp(fixedLimits.handshakeFrameBytesMax)
    later.reader.frameBytesMax = fixedLimits.frameBytesMax
    later.reader.push(encodeText(FrameType.OBJECT, 'x'.repeat(5_000)))
    expect(later.frames).toHaveLength(1)
    expect(frames).toHaveLength(0)
  })

  it('hands out whole frames where they lie, without a copy', () => {
    const { reader, frames } = setUp()
    const bytes = Buffer.concat([encodeText(FrameType.BLOCKED, 'one'), encodeText(FrameType.BLOCKED, 'two')])
    reader.push(bytes)
    expect(frames.map(({ text }) => text)).toEqual(['one', 'two'])
    expect(frames.every(({ buffer }) => buffer === bytes)).toBe(true)
  })

  it('hands out what there is of a chunk before the rest is there', () => {
    const { reader, chunks } = setUp()
    reader.push(Buffer.concat([encodeChunkHead(1, 0, 1_000), Buffer.alloc(10)]))
    expect(chunks()).toBe(1)
  })

  it('copies a frame that trickles in byte by byte only once, into memory of its size', () => {
    const { reader, frames } = setUp()
    const frame = encodeText(FrameType.OBJECT, 'x'.repeat(fixedLimits.frameBytesMax - 5))
    const buffers = new Set<Buffer>()
    for (let round = 0; round < 2; round++) {
      for (const byte of frame) reader.push(Buffer.of(byte))
      buffers.add(frames.at(-1)?.buffer ?? Buffer.alloc(0))
    }
    expect(frames).toHaveLength(2)
    expect([...buffers].map((buffer) => buffer.length)).toEqual([fixedLimits.frameBytesMax])
  })

  it('reads no further once it was stopped, even by what it hands a frame to', () => {
    const seen: number[] = []
    const reader: FrameReader = new FrameReader({
      frame: (type) => {
        seen.push(type)
        reader.stop()
      },
      chunk: () => undefined,
    })
    reader.push(Buffer.concat([encodeText(FrameType.BLOCKED, 'one'), encodeText(FrameType.BLOCKED, 'two')]))
    reader.push(encodeText(FrameType.BLOCKED, 'three'))
    expect(seen).toEqual([FrameType.BLOCKED])
  })
})
