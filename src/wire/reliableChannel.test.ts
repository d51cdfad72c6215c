import { describe, expect, it } from 'vitest'
import { encodeText } from './controlFrames.ts'
import { FrameReader } from './frameReader.ts'
import { FrameType } from './frameTypes.ts'
import { PartsSource } from './outgoingStream.ts'
import { type LinkWriter, ReliableChannel } from './reliableChannel.ts'

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

function setUp(options: ConstructorParameters<typeof ReliableChannel>[2] = {}) {
  const channel = new ReliableChannel(1_000, 1_000, options)
  const writer = new CountingWriter()
  channel.attach(writer, 0)
  channel.pump()
  writer.types.length = 0
  writer.writes = 0
  return { channel, writer }
}

const text = (length: number) => encodeText(FrameType.BLOCKED, 'x'.repeat(length))

describe('A channel', () => {
  it('writes thousands of short frames in a few writes', () => {
    const { channel, writer } = setUp()
    for (let index = 0; index < 5_000; index++) {
      // Each in memory of its own, so that none continues the one before.
      const frame = text(100)
      channel.sendKept(frame, 0, frame.length)
    }
    const beganMs = performance.now()
    channel.pump()
    expect(performance.now() - beganMs).toBeLessThan(500)
    expect(writer.types).toHaveLength(5_000)
    expect(writer.writes).toBeLessThan(15)
  })

  it('confirms receipt by the way when something leaves anyway, in one write', () => {
    const { channel, writer } = setUp()
    channel.countReceived(60_000, true)
    channel.send(text(10))
    channel.pump()
    expect(writer.types).toEqual([FrameType.BLOCKED])
    channel.countReceived(60_000, true)
    channel.pump()
    expect(writer.types).toEqual([FrameType.BLOCKED])
    channel.send(text(10))
    channel.pump()
    expect(writer.types).toEqual([FrameType.BLOCKED, FrameType.CONFIRM, FrameType.BLOCKED])
    expect(writer.writes).toBe(2)
    channel.countReceived(140_000, true)
    channel.pump()
    expect(writer.types.at(-1)).toBe(FrameType.CONFIRM)
  })

  it('lets small frames overtake the chunks of large objects, and objects take turns', () => {
    const { channel, writer } = setUp()
    for (const id of [1, 2]) channel.openStream(id, new PartsSource([Buffer.alloc(300_000)]), 1_000_000, `lane ${id}`)
    writer.pendingBytes = 200_000
    channel.pump()
    channel.pumpBulk()
    expect(writer.types).toEqual([])
    channel.send(text(10))
    channel.pump()
    channel.pumpBulk()
    expect(writer.types).toEqual([FrameType.BLOCKED])
    writer.pendingBytes = 0
    channel.pump()
    channel.pumpBulk()
    expect(writer.types.filter((type) => type === FrameType.STREAM_CHUNK)).toHaveLength(10)
  })

  it('sends the large objects of one lane one after another, so that each is there early', () => {
    const { channel, writer } = setUp()
    const whole = (id: number, lane: string, window: number) =>
      channel.openStream(id, new PartsSource([Buffer.alloc(131_072)]), window, lane)
    whole(1, 'a', 65_536)
    whole(2, 'a', 131_072)
    whole(3, 'b', 131_072)
    channel.pumpBulk()
    // The first of a goes as far as it may; the second does not idle meanwhile; b takes turns with a.
    expect(writer.chunks).toEqual([1, 3, 2, 3, 2])
    writer.chunks.length = 0
    whole(4, 'a', 131_072)
    whole(5, 'a', 131_072)
    channel.openWindow(1, 131_072)
    channel.pumpBulk()
    expect(writer.chunks).toEqual([1, 4, 4, 5, 5])
  })

  it('waits with everything while the peer does not read', () => {
    const { channel, writer } = setUp()
    writer.pendingBytes = 1_024 * 1_024
    channel.send(text(10))
    channel.countReceived(100_000, true)
    channel.pump()
    channel.writeConfirm()
    expect(writer.types).toEqual([])
    writer.pendingBytes = 0
    channel.pump()
    expect(writer.types).toEqual([FrameType.CONFIRM, FrameType.BLOCKED])
  })

  it('finds fault with a peer that confirms nothing and makes this side keep too much', () => {
    const { channel, writer } = setUp({ unconfirmedBytesMax: 10_000 })
    expect(() => {
      for (let index = 0; index < 1_000; index++) {
        channel.send(text(50))
        channel.pump()
      }
    }).toThrow(expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }))
    expect(writer.bytes).toBeLessThan(11_000)
  })

  it('keeps a stream that was sent to its end open until it is closed, if it is to', () => {
    for (const keepsFinishedStreams of [true, false]) {
      const { channel, writer } = setUp({ keepsFinishedStreams })
      channel.openStream(1, new PartsSource([Buffer.alloc(100_000)]), 100_000, 'lane')
      channel.pumpBulk()
      expect(writer.chunks).toEqual([1, 1])
      expect(channel.hasBulk).toBe(false)
      expect(channel.hasStream(1)).toBe(keepsFinishedStreams)
      channel.closeStream(1)
      expect(channel.hasStream(1)).toBe(false)
    }
  })

  it('knows where a peer may say that it is', () => {
    const { channel } = setUp()
    channel.send(text(1))
    channel.send(text(1))
    channel.pump()
    channel.confirmed(1, 1_000)
    expect([0, 1, 2, 3, Number.NaN].map((frames) => channel.canResumeAt(frames))).toEqual([
      false,
      true,
      true,
      false,
      false,
    ])
    expect(() => channel.attach(new CountingWriter(), 0)).toThrow('cannot be')
  })
})
