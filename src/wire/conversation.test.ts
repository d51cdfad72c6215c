import { describe, expect, it } from 'vitest'
import { encodeText } from './controlFrames.ts'
import { Conversation, type LinkWriter } from './conversation.ts'
import { FrameReader } from './frameReader.ts'
import { FrameType } from './frameTypes.ts'
import { PartsSource } from './outgoingStream.ts'

/** A link whose writes are counted, and whose buffer the test fills. */
class CountingWriter implements LinkWriter {
  pendingBytes = 0
  writes = 0
  bytes = 0
  readonly types: number[] = []
  /** The streams that chunks are of. */
  readonly chunks: number[] = []
  readonly #reader = new FrameReader({
    frame: (type) => this.types.push(type),
    chunk: (stream, _offset, _buffer, _start, _end, last) => {
      if (!last) return
      this.types.push(FrameType.STREAM_CHUNK)
      this.chunks.push(stream)
    },
  })

  write(bytes: Buffer): void {
    this.writes++
    this.bytes += bytes.length
    this.#reader.push(bytes)
  }
}

function setUp(options: ConstructorParameters<typeof Conversation>[2] = {}) {
  const conversation = new Conversation(1_000, 1_000, options)
  const writer = new CountingWriter()
  conversation.attach(writer, 0)
  conversation.pump()
  writer.types.length = 0
  writer.writes = 0
  return { conversation, writer }
}

const text = (length: number) => encodeText(FrameType.BLOCKED, 'x'.repeat(length))

describe('A conversation', () => {
  it('writes thousands of short frames in a few writes', () => {
    const { conversation, writer } = setUp()
    for (let index = 0; index < 5_000; index++) {
      // Each in memory of its own, so that none continues the one before.
      const frame = text(100)
      conversation.sendKept(frame, 0, frame.length)
    }
    const beganMs = performance.now()
    conversation.pump()
    expect(performance.now() - beganMs).toBeLessThan(500)
    expect(writer.types).toHaveLength(5_000)
    expect(writer.writes).toBeLessThan(15)
  })

  it('confirms receipt by the way when something leaves anyway, in one write', () => {
    const { conversation, writer } = setUp()
    conversation.countReceived(60_000, true)
    conversation.send(text(10))
    conversation.pump()
    expect(writer.types).toEqual([FrameType.BLOCKED])
    conversation.countReceived(60_000, true)
    conversation.pump()
    expect(writer.types).toEqual([FrameType.BLOCKED])
    conversation.send(text(10))
    conversation.pump()
    expect(writer.types).toEqual([FrameType.BLOCKED, FrameType.CONFIRM, FrameType.BLOCKED])
    expect(writer.writes).toBe(2)
    conversation.countReceived(140_000, true)
    conversation.pump()
    expect(writer.types.at(-1)).toBe(FrameType.CONFIRM)
  })

  it('lets small frames overtake the chunks of large objects, and objects take turns', () => {
    const { conversation, writer } = setUp()
    for (const id of [1, 2])
      conversation.openStream(id, new PartsSource([Buffer.alloc(300_000)]), 1_000_000, `lane ${id}`)
    writer.pendingBytes = 200_000
    conversation.pump()
    conversation.pumpBulk()
    expect(writer.types).toEqual([])
    conversation.send(text(10))
    conversation.pump()
    conversation.pumpBulk()
    expect(writer.types).toEqual([FrameType.BLOCKED])
    writer.pendingBytes = 0
    conversation.pump()
    conversation.pumpBulk()
    expect(writer.types.filter((type) => type === FrameType.STREAM_CHUNK)).toHaveLength(10)
  })

  it('sends the large objects of one lane one after another, so that each is there early', () => {
    const { conversation, writer } = setUp()
    const whole = (id: number, lane: string, window: number) =>
      conversation.openStream(id, new PartsSource([Buffer.alloc(131_072)]), window, lane)
    whole(1, 'a', 65_536)
    whole(2, 'a', 131_072)
    whole(3, 'b', 131_072)
    conversation.pumpBulk()
    // The first of a goes as far as it may; the second does not idle meanwhile; b takes turns with a.
    expect(writer.chunks).toEqual([1, 3, 2, 3, 2])
    writer.chunks.length = 0
    whole(4, 'a', 131_072)
    whole(5, 'a', 131_072)
    conversation.openWindow(1, 131_072)
    conversation.pumpBulk()
    expect(writer.chunks).toEqual([1, 4, 4, 5, 5])
  })

  it('waits with everything while the peer does not read', () => {
    const { conversation, writer } = setUp()
    writer.pendingBytes = 1_024 * 1_024
    conversation.send(text(10))
    conversation.countReceived(100_000, true)
    conversation.pump()
    conversation.writeConfirm()
    expect(writer.types).toEqual([])
    writer.pendingBytes = 0
    conversation.pump()
    expect(writer.types).toEqual([FrameType.CONFIRM, FrameType.BLOCKED])
  })

  it('finds fault with a peer that confirms nothing and makes this side keep too much', () => {
    const { conversation, writer } = setUp({ unconfirmedBytesMax: 10_000 })
    expect(() => {
      for (let index = 0; index < 1_000; index++) {
        conversation.send(text(50))
        conversation.pump()
      }
    }).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    expect(writer.bytes).toBeLessThan(11_000)
  })

  it('keeps a stream that was sent to its end open until it is closed, if it is to', () => {
    for (const keepsFinishedStreams of [true, false]) {
      const { conversation, writer } = setUp({ keepsFinishedStreams })
      conversation.openStream(1, new PartsSource([Buffer.alloc(100_000)]), 100_000, 'lane')
      conversation.pumpBulk()
      expect(writer.chunks).toEqual([1, 1])
      expect(conversation.hasBulk).toBe(false)
      expect(conversation.hasStream(1)).toBe(keepsFinishedStreams)
      conversation.closeStream(1)
      expect(conversation.hasStream(1)).toBe(false)
    }
  })

  it('knows where a peer may say that it is', () => {
    const { conversation } = setUp()
    conversation.send(text(1))
    conversation.send(text(1))
    conversation.pump()
    conversation.confirmed(1, 1_000)
    expect([0, 1, 2, 3, Number.NaN].map((frames) => conversation.canResumeAt(frames))).toEqual([
      false,
      true,
      true,
      false,
      false,
    ])
    expect(() => conversation.attach(new CountingWriter(), 0)).toThrow('cannot be')
  })
})
