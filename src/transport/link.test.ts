import { describe, expect, it } from 'vitest'
import { FakeClock } from '../clock.fixture.ts'
import { createError, type ObjectRelayError } from '../errors.ts'
import { encodeConfirm, encodeText, readJson } from '../wire/controlFrames.ts'
import { FrameReader } from '../wire/frameReader.ts'
import { FrameType } from '../wire/frameTypes.ts'
import { ReliableChannel } from '../wire/reliableChannel.ts'
import { Link, type LinkHandler } from './link.ts'
import { createMemoryLink } from './memoryTransport.ts'

const HEARTBEAT_MS = 1_000
const ROOM = 1_000_000

class Recorder implements LinkHandler {
  readonly frames: number[] = []
  readonly errors: ObjectRelayError[] = []
  onFrame: () => void = () => undefined

  frame(type: number): void {
    this.frames.push(type)
    this.onFrame()
  }

  chunk(): void {}
  confirmed(): void {}

  closed(error: ObjectRelayError): void {
    this.errors.push(error)
  }
}

/** A link on one end, and a bare transport on the other, whose frames are noted. */
function setUp({ attached = true, authenticated = true } = {}) {
  const clock = new FakeClock()
  const wire = createMemoryLink({ schedule: (run) => clock.soon(run) })
  const handler = new Recorder()
  const link = new Link(wire.near, clock, handler)
  const channel = new ReliableChannel(ROOM, ROOM)
  if (authenticated) link.allowControlFrames()
  if (attached) link.attach(channel, 0, HEARTBEAT_MS)
  const seen: { type: number; atMs: number; text: string }[] = []
  const reader = new FrameReader({
    frame: (type, buffer, start, end) =>
      seen.push({ type, atMs: clock.nowMs(), text: type === FrameType.CLOSE ? closeCode(buffer, start, end) : '' }),
    chunk: () => undefined,
  })
  wire.far.onData = (bytes) => reader.push(bytes)
  return { clock, wire, far: wire.far, handler, link, channel, seen }
}

function closeCode(buffer: Buffer, start: number, end: number): string {
  const { error } = readJson(buffer, start, end)
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
}

describe('A link', () => {
  it('says something at least every heartbeat, and nothing more, while there is nothing to say', () => {
    const { clock, far, seen } = setUp()
    for (let beat = 0; beat < 20; beat++) {
      clock.advance(HEARTBEAT_MS / 2)
      far.write(encodeConfirm(0, ROOM))
    }
    const times = seen.map(({ atMs }) => atMs)
    expect(seen.every(({ type }) => type === FrameType.CONFIRM)).toBe(true)
    for (const [index, atMs] of times.entries())
      expect(atMs - (times[index - 1] ?? 0)).toBeLessThanOrEqual(HEARTBEAT_MS)
    expect(times.length).toBeLessThan(25)
  })

  it('ends when the peer has been silent for two heartbeats, and not before', () => {
    const { clock, far, handler, wire } = setUp()
    clock.advance(HEARTBEAT_MS)
    far.write(encodeConfirm(0, ROOM))
    clock.advance(2 * HEARTBEAT_MS - 1)
    expect(handler.errors).toEqual([])
    clock.advance(2)
    expect(handler.errors.map(({ code }) => code)).toEqual(['PEER_SILENT'])
    expect(wire.near.closed).toBe(true)
  })

  it('notices a cable that was pulled', () => {
    const { clock, wire, handler } = setUp()
    clock.settle()
    wire.mute()
    clock.advance(3 * HEARTBEAT_MS)
    expect(handler.errors.map(({ code }) => code)).toEqual(['PEER_SILENT'])
  })

  it('does not blame the peer for the time that this machine slept', () => {
    const { clock, far, handler } = setUp()
    clock.settle()
    clock.suspend(60_000)
    expect(handler.errors).toEqual([])
    far.write(encodeConfirm(0, ROOM))
    clock.advance(2 * HEARTBEAT_MS - 1)
    expect(handler.errors).toEqual([])
  })

  it('sends heartbeats also while what it would write is nothing, again and again', () => {
    const { clock, far, link, seen } = setUp()
    clock.settle()
    const before = seen.length
    for (let step = 0; step < 40; step++) {
      clock.advance(HEARTBEAT_MS / 10)
      if (step % 5 === 0) far.write(encodeConfirm(0, ROOM))
      link.requestFlush()
    }
    expect(seen.length).toBeGreaterThan(before + 2)
  })

  it('confirms what it received within moments', () => {
    const { clock, far, seen } = setUp()
    clock.settle()
    far.write(encodeText(FrameType.BLOCKED, 'x'))
    clock.advance(20)
    expect(seen.filter(({ type }) => type === FrameType.CONFIRM)).toHaveLength(2)
  })

  it('tells of room that was given in small pieces before the next heartbeat', () => {
    const { clock, link, channel, seen } = setUp()
    clock.settle()
    channel.grantedLimit += 10
    link.requestFlush()
    clock.advance(20)
    expect(seen).toHaveLength(2)
  })

  it('tells a peer that has proven itself what it did wrong, and ends', () => {
    const { clock, far, handler, seen, wire } = setUp()
    far.write(Buffer.from([0, 0, 0, 0, 0x20]))
    clock.settle()
    expect(handler.errors.map(({ code }) => code)).toEqual(['PROTOCOL_VIOLATION'])
    expect(seen.at(-1)).toMatchObject({ type: FrameType.CLOSE, text: 'PROTOCOL_VIOLATION' })
    expect(wire.near.closed).toBe(true)
  })

  it('tells a stranger nothing', () => {
    const { clock, far, handler, seen } = setUp({ attached: false, authenticated: false })
    far.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    clock.settle()
    expect(handler.errors.map(({ code }) => code)).toEqual(['PROTOCOL_VIOLATION'])
    expect(seen).toEqual([])
  })

  it.each([
    ['a numbered frame', encodeText(FrameType.BLOCKED, 'x')],
    ['a chunk', Buffer.from([21, 0, 0, 0, 0x22, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])],
  ])('refuses %s before there is a session', (_, bytes) => {
    const { clock, far, handler } = setUp({ attached: false })
    far.write(bytes)
    clock.settle()
    expect(handler.errors.map(({ code }) => code)).toEqual(['PROTOCOL_VIOLATION'])
  })

  it.each([
    ['confirms what was never sent', encodeConfirm(1, ROOM)],
    ['takes room back', encodeConfirm(0, ROOM - 1)],
    ['confirms beyond all numbers', encodeConfirm(Number.MAX_SAFE_INTEGER * 4, ROOM)],
  ])('ends when the peer %s', (_, bytes) => {
    const { clock, far, handler } = setUp()
    far.write(bytes)
    clock.settle()
    expect(handler.errors.map(({ code }) => code)).toEqual(['PROTOCOL_VIOLATION'])
  })

  it('ends, and nothing else does, when what handles its frames fails', () => {
    const { clock, far, handler } = setUp()
    handler.onFrame = () => {
      throw new Error('a mistake of our own')
    }
    far.write(encodeText(FrameType.BLOCKED, 'x'))
    clock.settle()
    expect(handler.errors).toMatchObject([{ code: 'PROTOCOL_VIOLATION', message: 'a mistake of our own' }])
  })

  it('ends when what gathers its frames fails', () => {
    const { clock, handler, link, channel } = setUp()
    clock.settle()
    channel.pump = () => {
      throw new Error('a mistake of our own')
    }
    link.requestFlush()
    clock.settle()
    expect(handler.errors).toHaveLength(1)
  })

  it('ends, and nothing else does, when a part of a large object cannot be read', () => {
    const { clock, link, channel, handler } = setUp()
    const source = {
      totalBytes: 100_000,
      availableBytes: 100_000,
      pieces(): readonly Buffer[] {
        throw new RangeError('asked for before it was read')
      },
    }
    channel.openStream(1, source, source.totalBytes, 'lane')
    link.requestFlush()
    expect(() => clock.settle()).not.toThrow()
    expect(handler.errors).toEqual([expect.objectContaining({ message: expect.stringContaining('asked for before') })])
  })

  it('leaves a peer that never reads after a moment, and has kept little for it', () => {
    const { clock, far, link, channel, wire, handler } = setUp()
    clock.settle()
    far.pause()
    const frame = encodeText(FrameType.BLOCKED, 'x'.repeat(10_000))
    for (let index = 0; index < 1_000; index++) {
      channel.send(frame)
      link.requestFlush()
      clock.settle()
      far.write(encodeText(FrameType.BLOCKED, 'y'))
      clock.advance(20)
    }
    expect(wire.near.pendingBytes).toBeLessThan(1_200_000)
    link.fail(createError('RELAY_STOPPED', 'The relay was stopped.'), true)
    expect(handler.errors).toHaveLength(1)
    clock.advance(1_000)
    expect(wire.near.closed).toBe(true)
    expect(clock.timers).toBe(0)
  })

  it('leaves no timer behind when the connection broke', () => {
    const { clock, wire, handler } = setUp()
    clock.settle()
    wire.cut(new Error('ECONNRESET'))
    clock.settle()
    expect(handler.errors).toMatchObject([{ code: 'LINK_LOST' }])
    expect(handler.errors[0]?.message).toContain('ECONNRESET')
    expect(clock.timers).toBe(0)
  })

  it('learns that its connection broke before it was made', () => {
    const clock = new FakeClock()
    const wire = createMemoryLink({ schedule: (run) => clock.soon(run) })
    wire.cut()
    clock.settle()
    const handler = new Recorder()
    const link = new Link(wire.near, clock, handler)
    clock.settle()
    expect(handler.errors).toMatchObject([{ code: 'LINK_LOST' }])
    expect(link.closed).toBe(true)
  })
})
