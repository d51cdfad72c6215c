import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/clock.fixture.ts'
import type { ObjectRelayError } from '../../src/errors.ts'
import { Link, type LinkHandler } from '../../src/transport/link.ts'
import { createMemoryLink, type MemoryLink } from '../../src/transport/memoryTransport.ts'
import { encodeStreamOffset, encodeText, readText } from '../../src/wire/controlFrames.ts'
import { FrameType } from '../../src/wire/frameTypes.ts'
import { encodeRoute, encodeStreamBegin, readStreamBeginTail } from '../../src/wire/objectHeader.ts'
import { PartsSource } from '../../src/wire/outgoingStream.ts'
import { ReliableChannel } from '../../src/wire/reliableChannel.ts'

const WINDOW_BYTES = 100_000
const HEARTBEAT_MS = 1_000
const route = encodeRoute({ kind: 'broadcast', groups: ['g'], copies: [1] })

/** What arrives of one large object. */
interface Incoming {
  readonly bodyBytes: number
  readonly parts: Buffer[]
  received: number
  windowLimit: number
}

/** One side: sends numbered texts and streams, and keeps what it gets. */
class Side implements LinkHandler {
  readonly channel: ReliableChannel
  readonly sentTexts: string[] = []
  readonly receivedTexts: string[] = []
  readonly sentStreams = new Map<number, Buffer>()
  readonly receivedStreams = new Map<number, Buffer>()
  readonly errors: ObjectRelayError[] = []
  link: Link | undefined
  largestLog = 0
  readonly #incoming = new Map<number, Incoming>()
  #streams = 0

  constructor(keepsFinishedStreams: boolean) {
    this.channel = new ReliableChannel(1, 1, { keepsFinishedStreams })
  }

  sendText(text: string): void {
    this.sentTexts.push(text)
    this.#send(encodeText(FrameType.BLOCKED, text))
  }

  sendStream(body: Buffer): void {
    const id = ++this.#streams
    this.sentStreams.set(id, body)
    this.#send(encodeStreamBegin(route, id, 0, id, body.length))
    const middle = Math.floor(body.length / 2)
    const source = new PartsSource([body.subarray(0, middle), body.subarray(middle)])
    this.channel.openStream(id, source, id % 2 === 0 ? 0 : WINDOW_BYTES, `lane ${id % 3}`)
  }

  #send(frame: Buffer): void {
    this.channel.send(frame)
    this.largestLog = Math.max(this.largestLog, this.channel.log.bytes)
    this.link?.requestFlush()
  }

  frame(type: number, buffer: Buffer, start: number, end: number): void {
    if (type === FrameType.BLOCKED) this.receivedTexts.push(readText(buffer, start, end))
    else if (type === FrameType.UNBLOCKED) this.channel.closeStream(Number(readText(buffer, start, end)))
    else if (type === FrameType.STREAM_BEGIN) {
      const { stream, bodyBytes } = readStreamBeginTail(buffer, end - 12, end)
      this.#incoming.set(stream, { bodyBytes, parts: [], received: 0, windowLimit: WINDOW_BYTES })
      this.#send(encodeStreamOffset(FrameType.STREAM_WINDOW, stream, WINDOW_BYTES))
    } else throw new Error(`A frame of type ${type} arrived that nobody sent.`)
  }

  chunk(id: number, offset: number, buffer: Buffer, start: number, end: number): void {
    const stream = this.#incoming.get(id)
    if (stream === undefined) throw new Error(`A part of stream ${id} arrived, which is not open.`)
    expect(offset).toBeLessThanOrEqual(stream.received)
    expect(offset + end - start).toBeLessThanOrEqual(stream.windowLimit)
    const fresh = buffer.subarray(start + stream.received - offset, end)
    stream.parts.push(fresh)
    stream.received += fresh.length
    if (stream.received === stream.bodyBytes) {
      this.#incoming.delete(id)
      this.receivedStreams.set(id, Buffer.concat(stream.parts))
      this.#send(encodeText(FrameType.UNBLOCKED, String(id)))
    } else if (stream.windowLimit - stream.received < WINDOW_BYTES / 2) {
      stream.windowLimit = stream.received + WINDOW_BYTES
      this.#send(encodeStreamOffset(FrameType.STREAM_WINDOW, id, stream.windowLimit))
    }
  }

  confirmed(): void {}

  closed(error: ObjectRelayError): void {
    this.link = undefined
    this.errors.push(error)
  }
}

type Action =
  | { readonly kind: 'text'; readonly near: boolean; readonly bytes: number }
  | { readonly kind: 'stream'; readonly near: boolean; readonly bytes: number }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'cut' }

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('text' as const),
      near: fc.boolean(),
      bytes: fc.integer({ min: 0, max: 2_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('stream' as const),
      near: fc.boolean(),
      bytes: fc.integer({ min: 1, max: 300_000 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('steps' as const), count: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 600 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
)

class Pair {
  readonly clock = new FakeClock()
  readonly near = new Side(true)
  readonly far = new Side(false)
  #link: MemoryLink | undefined
  #fills = 0

  connect(): void {
    const link = createMemoryLink({
      schedule: (run) => this.clock.soon(run),
      split: (bytes) => (bytes > 1_000 ? [777, bytes - 777] : [bytes]),
    })
    this.#link = link
    const received = { near: this.near.channel.receivedFrames, far: this.far.channel.receivedFrames }
    this.near.link = new Link(link.near, this.clock, this.near)
    this.far.link = new Link(link.far, this.clock, this.far)
    this.near.link.attach(this.near.channel, received.far, HEARTBEAT_MS)
    this.far.link.attach(this.far.channel, received.near, HEARTBEAT_MS)
  }

  cut(): void {
    this.#link?.cut()
    this.clock.settle()
    this.connect()
  }

  act(action: Action): void {
    if (action.kind === 'steps') for (let step = 0; step < action.count && this.clock.step(); step++);
    else if (action.kind === 'time') this.clock.advance(action.ms)
    else if (action.kind === 'cut') this.cut()
    else {
      const side = action.near ? this.near : this.far
      const fill = ++this.#fills
      if (action.kind === 'text') side.sendText(`${fill} ${'x'.repeat(action.bytes)}`)
      else side.sendStream(Buffer.alloc(action.bytes, `${fill}.`))
    }
  }
}

describe('Two sides of a session whose link breaks now and then', () => {
  it('get every frame once and in order, streams whole and identical, and keep nothing in the end', () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 5, maxLength: 60 }), (actions) => {
        const pair = new Pair()
        pair.connect()
        for (const each of actions) pair.act(each)
        pair.clock.advance(5 * HEARTBEAT_MS)
        for (const [from, to] of [
          [pair.near, pair.far],
          [pair.far, pair.near],
        ] as const) {
          expect(to.receivedTexts).toEqual(from.sentTexts)
          expect([...to.receivedStreams.keys()].sort()).toEqual([...from.sentStreams.keys()].sort())
          for (const [id, body] of from.sentStreams) expect(to.receivedStreams.get(id)?.equals(body)).toBe(true)
          expect(from.channel.idle).toBe(true)
          expect(from.channel.log.bytes).toBe(0)
          expect(from.channel.confirmPending).toBe(false)
          expect(from.errors.every((error) => error.code === 'LINK_LOST')).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('keep no more of a stream than its window, however large it is', () => {
    const pair = new Pair()
    pair.connect()
    pair.near.sendStream(Buffer.alloc(8_000_000, 1))
    let largest = 0
    while (pair.clock.step()) largest = Math.max(largest, pair.near.channel.log.bytes)
    pair.clock.advance(HEARTBEAT_MS)
    expect(pair.far.receivedStreams.get(1)).toHaveLength(8_000_000)
    expect(largest).toBeLessThan(3 * WINDOW_BYTES)
  })
})
