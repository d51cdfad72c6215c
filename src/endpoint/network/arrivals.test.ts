import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { encodeContext, readContext, readRelease, readStreamOffset } from '../../wire/controlFrames.ts'
import { FrameReader } from '../../wire/frameReader.ts'
import { FrameType } from '../../wire/frameTypes.ts'
import { readUint32 } from '../../wire/integers.ts'
import {
  encodeRoute,
  encodeStreamBegin,
  OBJECT_HEAD_BYTES,
  type Route,
  readSequence,
  writeObjectHead,
} from '../../wire/objectHeader.ts'
import { ReliableChannel } from '../../wire/reliableChannel.ts'
import { RecordType, readLeaseNumber } from '../records.ts'
import { createPortPair } from '../threads/portPair.ts'
import type { RecordPort } from '../threads/recordPort.ts'
import { Arrivals } from './arrivals.ts'

const BULK_WINDOW = 65_536

/** What the program gets, in words; and what the relay is told. */
class Receiver {
  readonly program: string[] = []
  readonly relay: string[] = []
  readonly served: string[] = []
  /** What was written to the program, each in one copy. */
  copies = 0
  readonly channel: ReliableChannel
  readonly arrivals: Arrivals

  #sequence = 0

  constructor({ inboxBytes = 1_000_000, objectBytesMax = 1_000_000 } = {}) {
    this.channel = new ReliableChannel(inboxBytes, 1)
    const reader = new FrameReader({
      frame: (type, buffer, start, end) => this.#told(type, buffer, start, end),
      chunk: () => undefined,
    })
    this.channel.attach({ write: (bytes) => reader.push(bytes), pendingBytes: 0 }, 0)
    const ports = createPortPair(
      { record: (_, buffer, start, end) => this.#record(buffer, start, end) },
      { record: () => undefined },
    )
    this.#program = ports.program
    const write = ports.io.write.bind(ports.io)
    ports.io.write = (...record) => {
      this.copies++
      write(...record)
    }

    let attachments = 0
    this.arrivals = new Arrivals({
      endpoint: 1,
      port: ports.io,
      channel: this.channel,
      objectBytesMax,
      bulkWindowBytes: BULK_WINDOW,
      groups: new Set(['a', 'b', 'a.dead']),
      streamBytesMin: 1,
      nextAttachment: () => ++attachments,
      served: (group) => this.served.push(group),
      unserved: (group) => this.served.push(`not ${group}`),
    })
  }

  readonly #program: RecordPort

  #told(type: number, buffer: Buffer, start: number, end: number): void {
    if (type === FrameType.STREAM_WINDOW) this.relay.push(`window ${readStreamOffset(buffer, start, end).offset}`)
    if (type === FrameType.RELEASE) this.relay.push(`release ${JSON.stringify(readRelease(buffer, start, end))}`)
  }

  #record(buffer: Buffer, start: number, end: number): void {
    const type = buffer[start + 4]
    if (type === FrameType.OBJECT) {
      for (let at = start; at < end; at += readUint32(buffer, at))
        this.program.push(`object ${readSequence(buffer, at)}`)
    } else if (type === FrameType.STREAM_BEGIN) {
      const parts = this.#program.waker.takeAttachment(readUint32(buffer, end - 12))
      this.program.push(
        `large ${readSequence(buffer, start)}: ${parts.map(({ byteLength }) => byteLength).join('+')} bytes`,
      )
    } else if (type === RecordType.LEASE_NUMBER) this.program.push(`lease ${readLeaseNumber(buffer, start)}`)
    else if (type === FrameType.CONTEXT) this.#context(readContext(buffer, start, end).skipped)
    else if (type === RecordType.NOTICE) this.program.push('notice')
  }

  #context(skipped: number): void {
    this.program.push(skipped === 0 ? 'context' : `skipped ${skipped}`)
  }

  /** Says that broadcasts were skipped before the next one. */
  skip(count: number): void {
    const context = encodeContext(0, count, false)
    this.arrivals.context(context, 0, context.length)
  }

  object(kind: Route['kind'], group: string, bytes = 10): void {
    const frame = this.#frame(kind, group, bytes)
    this.arrivals.object(frame, 0, frame.length)
  }

  #frame(kind: Route['kind'], group: string, bytes: number): Buffer {
    const route = encodeRoute({ kind, groups: [group], copies: [1] })
    const frame = Buffer.alloc(OBJECT_HEAD_BYTES + route.destinations.length + bytes)
    writeObjectHead(frame, 0, FrameType.OBJECT, route, this.#sequence++, 0)
    frame.writeUInt32LE(frame.length)
    return frame
  }

  /** Objects that lie one behind the other in what was read from the link, whose first byte is none of theirs. */
  objectsInARow(objects: readonly (readonly [kind: Route['kind'], group: string, bytes: number])[]): void {
    const frames = objects.map(([kind, group, bytes]) => this.#frame(kind, group, bytes))
    const read = Buffer.concat([Buffer.alloc(1), ...frames])
    let at = 1
    for (const frame of frames) {
      this.arrivals.object(read, at, at + frame.length)
      at += frame.length
    }
    this.arrivals.flush()
    read.fill(0xee)
  }

  begin(kind: Route['kind'], group: string, stream: number, bodyBytes: number): void {
    const route = encodeRoute({ kind, groups: [group], copies: [1] })
    const frame = encodeStreamBegin(route, this.#sequence++, 0, stream, bodyBytes)
    this.arrivals.streamBegin(frame, 0, frame.length)
  }

  chunk(stream: number, offset: number, bytes: number, fill = 0): void {
    this.arrivals.chunk(stream, offset, Buffer.alloc(bytes, fill), 0, bytes)
  }

  /** All that the program has got so far. */
  async taken(): Promise<string[]> {
    this.channel.pump()
    for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve))
    return this.program.splice(0)
  }
}

const violation = expect.objectContaining({ code: 'PROTOCOL_VIOLATION' })

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** Bytes of the heap and beside it that are in use. */
async function usedBytes(): Promise<number> {
  collectGarbage()
  // Memory of buffers is given back a moment later.
  await setTimeout(20)
  collectGarbage()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

describe('What arrives at an endpoint', () => {
  it.each(['broadcast', 'produce'] as const)(
    'keeps nothing of large objects (%s) that are begun and given up without end behind one that never comes',
    async (kind) => {
      const receiver = new Receiver({ inboxBytes: 10_000_000 })
      const room = () => 10_000_000 - receiver.arrivals.receivedBytes + receiver.arrivals.discardedBytes
      receiver.begin(kind, 'a', 1, 1_000)
      const roomBefore = room()
      const usedBefore = await usedBytes()
      for (let stream = 2; stream < 3_000; stream++) {
        if (kind === 'broadcast') receiver.skip(2)
        receiver.begin(kind, 'a', stream, 100_000)
        receiver.chunk(stream, 0, 65_536)
        receiver.arrivals.streamAbort(stream)
        // Their room is given back, which the session tells the relay.
        receiver.channel.grantedLimit = receiver.arrivals.receivedBytes + room()
      }
      expect(room()).toBe(roomBefore)
      // They would be some 200 MB.
      expect((await usedBytes()) - usedBefore).toBeLessThan(20_000_000)
      receiver.chunk(1, 0, 1_000)
      receiver.object(kind, 'a')
      const told = await receiver.taken()
      expect(told.filter((word) => word !== 'lease 2999')).toEqual([
        'large 0: 1000 bytes',
        ...(kind === 'broadcast' ? ['skipped 5996'] : []),
        'object 2999',
      ])
    },
  )

  it('is passed on as it comes, and counted', async () => {
    const receiver = new Receiver()
    receiver.object('broadcast', 'a')
    receiver.object('produce', 'a')
    expect(await receiver.taken()).toEqual(['object 0', 'object 1'])
    expect(receiver.served).toEqual(['a'])
    expect(receiver.arrivals.receivedBytes).toBe(2 * (OBJECT_HEAD_BYTES + 2 + 10))
  })

  it('is passed on in one copy with what came in a row with it', async () => {
    const receiver = new Receiver()
    receiver.objectsInARow([
      ['produce', 'a', 10],
      ['broadcast', 'a', 20],
      ['produce', 'b', 30],
    ])
    receiver.objectsInARow([['produce', 'b', 10]])
    expect(await receiver.taken()).toEqual(['object 0', 'object 1', 'object 2', 'object 3'])
    expect(receiver.copies).toBe(2)
  })

  it('is not passed on in copies beyond the memory that the program keeps them in', async () => {
    const receiver = new Receiver()
    receiver.objectsInARow(Array.from({ length: 5 }, () => ['produce', 'a', 30_000] as const))
    expect(await receiver.taken()).toEqual([0, 1, 2, 3, 4].map((sequence) => `object ${sequence}`))
    expect(receiver.copies).toBe(3)
  })

  it('keeps its order when a context comes in between', async () => {
    const receiver = new Receiver()
    receiver.objectsInARow([['broadcast', 'a', 10]])
    receiver.skip(4)
    receiver.objectsInARow([
      ['broadcast', 'a', 10],
      ['broadcast', 'a', 10],
      ['broadcast', 'a', 10],
    ])
    expect(await receiver.taken()).toEqual(['object 0', 'skipped 4', 'object 1', 'object 2', 'object 3'])
  })

  it('waits behind a large object of the same lane, and of no other', async () => {
    const receiver = new Receiver()
    receiver.begin('produce', 'a', 1, 300)
    receiver.object('produce', 'a')
    receiver.object('produce', 'b')
    receiver.object('broadcast', 'a')
    expect(await receiver.taken()).toEqual(['lease 2', 'object 2', 'object 3'])
    receiver.chunk(1, 0, 300)
    expect(await receiver.taken()).toEqual(['lease 0', 'large 0: 300 bytes', 'object 1'])
    receiver.object('produce', 'a')
    expect(await receiver.taken()).toEqual(['lease 3', 'object 4'])
  })

  it('keeps the order of large objects that become whole in another one', async () => {
    const receiver = new Receiver()
    receiver.begin('produce', 'a', 1, 300)
    receiver.object('produce', 'a')
    receiver.begin('produce', 'a', 2, 200)
    receiver.object('produce', 'a')
    receiver.chunk(2, 0, 200)
    expect(await receiver.taken()).toEqual([])
    receiver.chunk(1, 0, 300)
    expect(await receiver.taken()).toEqual(['large 0: 300 bytes', 'object 1', 'large 2: 200 bytes', 'object 3'])
  })

  it('goes on behind a large object that will never be whole, and leaves out its lease', async () => {
    const receiver = new Receiver()
    receiver.begin('produce', 'a', 1, 300)
    receiver.chunk(1, 0, 100)
    receiver.object('produce', 'a')
    receiver.arrivals.streamAbort(1)
    expect(await receiver.taken()).toEqual(['lease 1', 'object 1'])
    expect(receiver.arrivals.discardedBytes).toBe(300)
    expect(receiver.served).toEqual(['a', 'a', 'not a'])
    receiver.begin('produce', 'a', 1, 10)
    receiver.chunk(1, 0, 10)
    expect(await receiver.taken()).toEqual(['large 2: 10 bytes'])
  })

  it('opens the window as a large object arrives, and accepts what comes twice', async () => {
    const receiver = new Receiver()
    receiver.begin('broadcast', 'a', 1, 200_000)
    receiver.chunk(1, 0, 30_000)
    receiver.chunk(1, 0, 40_000)
    receiver.chunk(1, 40_000, 60_000)
    receiver.chunk(1, 100_000, 60_000)
    receiver.chunk(1, 160_000, 40_000)
    expect(await receiver.taken()).toEqual(['large 0: 200000 bytes'])
    expect(receiver.relay).toEqual(['window 105536', 'window 165536', 'window 225536'])
  })

  it.each<[string, (receiver: Receiver) => void]>([
    ['a part of a stream that was not begun', (receiver) => receiver.chunk(9, 0, 10)],
    ['a gap', (receiver) => receiver.chunk(1, 5, 10)],
    ['more than was announced', (receiver) => receiver.chunk(1, 0, 301)],
    ['a stream that is open already', (receiver) => receiver.begin('produce', 'a', 1, 10)],
    ['an object where no room is left', (receiver) => receiver.object('produce', 'a', 100)],
    [
      'a part beyond the window',
      (receiver) => {
        receiver.channel.grantedLimit += 1_000_000
        receiver.begin('produce', 'a', 2, 500_000)
        receiver.chunk(2, 0, BULK_WINDOW + 1)
      },
    ],
    [
      'a destination that the object does not have',
      (receiver) => {
        receiver.channel.grantedLimit += 1_000
        const context = encodeContext(1, 0, false)
        receiver.arrivals.context(context, 0, context.length)
        receiver.object('produce', 'a')
      },
    ],
  ])('is a violation if it is %s', (_, act) => {
    const receiver = new Receiver({ inboxBytes: 300 })
    receiver.begin('produce', 'a', 1, 300)
    expect(() => act(receiver)).toThrow(violation)
  })

  it('may be larger than what is left of the room, once', () => {
    const receiver = new Receiver({ inboxBytes: 100 })
    receiver.object('produce', 'a', 500)
    expect(() => receiver.object('produce', 'a', 1)).toThrow(violation)
  })

  it('goes back when it is larger than this endpoint takes, and the program hears of it', async () => {
    const receiver = new Receiver({ objectBytesMax: 1_000 })
    receiver.begin('produce', 'a', 1, 50_000)
    receiver.object('produce', 'a')
    receiver.chunk(1, 0, 50_000)
    expect(await receiver.taken()).toEqual(['notice', 'lease 1', 'object 1'])
    await receiver.taken()
    expect(receiver.relay).toEqual([
      'release {"from":0,"to":0,"attemptCounted":true,"isFinal":false,"failure":{"reason":"tooLarge"}}',
    ])
    expect(receiver.arrivals.discardedBytes).toBe(50_000)
  })

  it('is handed over, to be found unreadable, when its body is bad: the relay did not read it', async () => {
    const receiver = new Receiver()
    receiver.begin('produce', 'a', 1, 50_000)
    receiver.chunk(1, 0, 30_000, 0xff)
    receiver.chunk(1, 30_000, 20_000, 0xff)
    expect(await receiver.taken()).toEqual(['large 0: 0 bytes'])
  })

  it.each([
    [true, ['skipped 1', 'object 3'], ['a', 'a', 'not a', 'not a']],
    [false, ['lease 1', 'object 1', 'skipped 1', 'object 3'], ['a', 'a', 'not a']],
  ])(
    'is given up when the session is lost, except what does not come again (same relay: %s)',
    async (same, passed, served) => {
      const receiver = new Receiver()
      receiver.begin('produce', 'a', 1, 300)
      receiver.object('produce', 'a')
      receiver.begin('broadcast', 'b', 2, 200)
      receiver.object('broadcast', 'b')
      receiver.arrivals.abandon(same)
      expect(await receiver.taken()).toEqual(passed)
      expect(receiver.served).toEqual(served)
    },
  )

  it('tells of skipped broadcasts with the next one when the one that was to tell does not come', async () => {
    const receiver = new Receiver({ objectBytesMax: 1_000 })
    receiver.skip(2)
    receiver.begin('broadcast', 'a', 1, 300)
    receiver.arrivals.streamAbort(1)
    receiver.object('broadcast', 'b')
    receiver.object('produce', 'a')
    receiver.object('broadcast', 'a')
    receiver.object('broadcast', 'a')
    expect(await receiver.taken()).toEqual(['object 1', 'object 2', 'skipped 2', 'object 3', 'object 4'])
    receiver.skip(1)
    receiver.begin('broadcast', 'a', 2, 5_000)
    receiver.skip(3)
    receiver.object('broadcast', 'a')
    receiver.chunk(2, 0, 5_000)
    expect(await receiver.taken()).toEqual(['notice', 'skipped 5', 'object 6'])
  })
})
