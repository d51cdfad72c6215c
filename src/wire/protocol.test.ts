import { describe, expect, it } from 'vitest'
import type { DeadLetter } from '../deadLetter.ts'
import { fixedLimits } from '../limits.ts'
import { proofMessageTypes } from '../security/proofMessages.ts'
import {
  encodeAccepted,
  encodeAcknowledge,
  encodeChunkHead,
  encodeConfirm,
  encodeContext,
  encodeDemand,
  encodeJson,
  encodeNotify,
  encodeReclaim,
  encodeRejected,
  encodeRelease,
  encodeSeen,
  encodeStreamOffset,
  encodeText,
  type ReleaseTerms,
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
  readText,
} from './controlFrames.ts'
import { type Extension, withExtensions } from './extensions.fixture.ts'
import { FrameReader } from './frameReader.ts'
import { FrameType } from './frameTypes.ts'
import {
  contentStart,
  encodeRoute,
  encodeStreamBegin,
  OBJECT_HEAD_BYTES,
  parseRoute,
  type Route,
  readAttempt,
  readSentAt,
  readSequence,
  readStreamBeginTail,
  stampAttempt,
  stampSource,
  writeObjectHead,
} from './objectHeader.ts'
import { encodeProofFrame } from './proofFrame.ts'
import { type DrawnFrame, drawnFrames, transcriptLines } from './protocolPage.fixture.ts'

const frames = new Map(drawnFrames().map((frame) => [frame.name, frame]))
const types = new Map<string, number>(Object.entries({ ...FrameType, ...proofMessageTypes }))
const widths = new Map([
  ['u8', 1],
  ['u16', 2],
  ['u32', 4],
  ['i32', 4],
  ['u48', 6],
  ['u64', 8],
])
const sentAt = 1_700_000_000_000
const failed: ReleaseTerms = {
  attemptCounted: true,
  isFinal: true,
  retryDelayMs: 2000,
  failure: { reason: 'failed', error: { name: 'TypeError', message: 'x is not a function' } },
}
const deadLetter: DeadLetter = {
  reason: 'failed',
  attempts: 5,
  endpoint: 'Tl9hbl9lbmRwb2ludHNfaQ',
  name: 'host-3:4711',
  diedAtMs: sentAt,
  error: { name: 'TypeError', message: 'x is not a function' },
}
const claimed = { source: 3, sequence: 8, groupIndex: 1, isDead: true, attempt: 2, leaseNumber: 0x1_0000_0000_0005 }

function drawn(name: string): DrawnFrame {
  const frame = frames.get(name)
  if (frame === undefined) throw new Error(`PROTOCOL.md draws no frame ${name}.`)
  return frame
}

function text(name: string): string {
  return drawn(name).fields.at(-1)?.bytes.toString() ?? ''
}

function json(name: string): unknown {
  return JSON.parse(text(name))
}

function objectFrame(route: Route, sequence: number, body: string): Buffer {
  const encoded = encodeRoute(route)
  const frame = Buffer.alloc(OBJECT_HEAD_BYTES + encoded.destinations.length + body.length / 2)
  const at = writeObjectHead(frame, 0, FrameType.OBJECT, encoded, sequence, sentAt)
  frame.writeUInt32LE(frame.length)
  frame.write(body, at, 'hex')
  return frame
}

const toWorkers: Route = { kind: 'produce', groups: ['workers'], copies: [1] }
const inCopies: Route = { kind: 'produce', groups: ['workers', 'größe'], copies: [3, 1] }
const extensions: readonly Extension[] = [
  { type: 0x8001, value: Buffer.from('abc') },
  { type: 0x8002, value: Buffer.alloc(0) },
]
const toAllWorkers: Route = { kind: 'broadcast', groups: ['workers'], copies: [1] }

function stamped(frame: Buffer, source: number, attempt: number): Buffer {
  stampSource(frame, 0, source)
  stampAttempt(frame, 0, attempt)
  return frame
}

/** Each frame as this implementation writes it. */
const written: Record<string, () => Buffer> = {
  TICKET_UNKNOWN: () => encodeProofFrame({ type: proofMessageTypes.TICKET_UNKNOWN, body: new Uint8Array(0) }),
  LOGIN_QUEUED: () => encodeProofFrame({ type: proofMessageTypes.LOGIN_QUEUED, body: new Uint8Array(0) }),
  LOGIN_FAILED: () =>
    encodeProofFrame({ type: proofMessageTypes.LOGIN_FAILED, body: Uint8Array.of(3, 0xd0, 0x07, 0, 0) }),
  HELLO: () => encodeJson(FrameType.HELLO, json('HELLO')),
  WELCOME: () => encodeJson(FrameType.WELCOME, json('WELCOME')),
  REFUSED: () => encodeJson(FrameType.REFUSED, json('REFUSED')),
  CLOSE: () => encodeJson(FrameType.CLOSE, json('CLOSE')),
  CONFIRM: () => encodeConfirm(1234, 8_454_144),
  OBJECT: () => objectFrame(toWorkers, 7, '00626869'),
  'OBJECT that clears': () => objectFrame({ kind: 'clear', groups: ['workers'], copies: [1] }, 11, ''),
  'OBJECT with extensions': () => withExtensions(objectFrame(toWorkers, 12, '00f6'), ...extensions),
  'OBJECT in copies': () => stamped(objectFrame(inCopies, 8, '00f6'), 3, 2),
  STREAM_BEGIN: () => encodeStreamBegin(encodeRoute(toAllWorkers), 9, sentAt, 4, 5_000_000_000),
  STREAM_CHUNK: () => Buffer.concat([encodeChunkHead(4, 0x1_0000_0000, 3), Buffer.of(1, 2, 3)]),
  STREAM_ABORT: () => encodeStreamOffset(FrameType.STREAM_ABORT, 4, 0),
  STREAM_WINDOW: () => encodeStreamOffset(FrameType.STREAM_WINDOW, 4, 262_144),
  ACCEPTED: () => encodeAccepted(7, 9, [16, 1]),
  REJECTED: () => encodeRejected(8, json('REJECTED')),
  BLOCKED: () => encodeText(FrameType.BLOCKED, 'workers'),
  UNBLOCKED: () => encodeText(FrameType.UNBLOCKED, 'workers'),
  NOTIFY: () => encodeNotify('workers', -1),
  DEMAND: () => encodeDemand('workers', 12),
  ACKNOWLEDGE: () => encodeAcknowledge(0, 5),
  SEEN: () => encodeSeen(6, 8),
  RELEASE: () => encodeRelease(6, 6, failed),
  'RELEASE of what was not tried': () => encodeRelease(7, 8, { attemptCounted: false }),
  CONTEXT: () => encodeContext(1, 2, false),
  'CONTEXT of a dead letter': () => encodeContext(0, 0, true, deadLetter),
  GOODBYE: () => encodeText(FrameType.GOODBYE, ''),
  RECLAIM: () => encodeReclaim(claimed),
  'ACKNOWLEDGE of a claimed lease': () => encodeAcknowledge(0x1_0000_0000_0005, 0x1_0000_0000_0005),
  RECLAIM_END: () => encodeText(FrameType.RECLAIM_END, ''),
}

describe('PROTOCOL.md', () => {
  it('draws every type of frame', () => {
    const names = new Set([...frames.keys()].map((name) => name.split(' ')[0]))
    expect(Object.keys(FrameType).filter((name) => !names.has(name))).toEqual([])
  })

  it.each([...frames.values()])('draws $name with offsets, widths and numbers that its bytes have', (frame) => {
    let offset = 0
    for (const field of frame.fields) {
      expect(field.offset).toBe(offset)
      const width = widths.get(field.type)
      if (width !== undefined) expect(field.bytes).toHaveLength(width)
      if (field.value !== undefined) expect(numberIn(field.bytes, field.type)).toBe(field.value)
      if (field.type === 'zero') expect(field.bytes.every((byte) => byte === 0)).toBe(true)
      offset += field.bytes.length
    }
    expect(frame.bytes.readUInt32LE(0)).toBe(frame.bytes.length)
    expect(frame.bytes[4]).toBe(types.get(frame.name.split(' ')[0] ?? ''))
  })

  it.each([...frames.keys()])('draws %s as it is written', (name) => {
    expect(written[name]?.().toString('hex')).toBe(drawn(name).bytes.toString('hex'))
  })

  it('shows a session of frames that can be read', () => {
    const lines = transcriptLines()
    expect(lines.length).toBeGreaterThan(10)
    for (const { name, bytes } of lines) {
      const read: number[] = []
      const reader = new FrameReader({ frame: (type) => read.push(type), chunk: () => undefined })
      reader.push(bytes)
      expect(read).toEqual([types.get(name)])
    }
  })

  it('names the bounds that are fixed', () => {
    expect(fixedLimits.frameBytesMax).toBe(131_072)
    expect(fixedLimits.chunkBytes).toBe(65_536)
    expect(fixedLimits.handshakeFrameBytesMax).toBe(4_096)
    expect(fixedLimits.controlFrameBytesMax).toBe(65_536)
    expect(fixedLimits.groupNameBytesMax).toBe(128)
    expect(fixedLimits.countMax).toBe(1_000_000)
    expect(fixedLimits.extensionBytesMax).toBe(8_192)
    expect(fixedLimits.depthMax).toBe(500)
    expect(fixedLimits.segmentsMax).toBe(65_536)
    expect(fixedLimits.segmentBytesMin).toBe(4_096)
  })
})

function numberIn(bytes: Buffer, type: string): number {
  if (type === 'i32') return bytes.readInt32LE()
  return type === 'u64' ? Number(bytes.readBigUInt64LE()) : bytes.readUIntLE(0, bytes.length)
}

describe('What PROTOCOL.md draws is read as it says', () => {
  /** Gives the frame in the middle of other bytes, as it arrives. */
  function read<Result>(name: string, reader: (buffer: Buffer, start: number, end: number) => Result): Result {
    const { bytes } = drawn(name)
    return reader(Buffer.concat([Buffer.alloc(3, 0xee), bytes, Buffer.alloc(30, 0xee)]), 3, 3 + bytes.length)
  }

  it('in the frames with numbers', () => {
    expect(read('CONFIRM', readConfirm)).toEqual({ receivedFrames: 1234, objectBytesLimit: 8_454_144 })
    expect(read('ACCEPTED', readAccepted)).toEqual({ from: 7, to: 9, memberCounts: [16, 1] })
    expect(read('NOTIFY', readCountOfGroup)).toEqual({ group: 'workers', count: -1 })
    expect(read('DEMAND', readCountOfGroup)).toEqual({ group: 'workers', count: 12 })
    expect(read('ACKNOWLEDGE', readLeaseRange)).toEqual({ from: 0, to: 5 })
    expect(read('SEEN', readLeaseRange)).toEqual({ from: 6, to: 8 })
    expect(read('RELEASE', readRelease)).toEqual({ from: 6, to: 6, ...failed })
    const untried = { attemptCounted: false, isFinal: false, retryDelayMs: undefined, failure: undefined }
    expect(read('RELEASE of what was not tried', readRelease)).toEqual({ from: 7, to: 8, ...untried })
    expect(read('RECLAIM', readReclaim)).toEqual(claimed)
    expect(read('CONTEXT', readContext)).toEqual({ groupIndex: 1, skipped: 2, isDead: false, deadLetter: undefined })
    const dead = { groupIndex: 0, skipped: 0, isDead: true, deadLetter }
    expect(read('CONTEXT of a dead letter', readContext)).toEqual(dead)
    expect(read('STREAM_WINDOW', readStreamOffset)).toEqual({ stream: 4, offset: 262_144 })
    expect(read('STREAM_ABORT', readStreamOffset)).toEqual({ stream: 4, offset: 0 })
  })

  it('in the frames with text', () => {
    for (const name of ['HELLO', 'WELCOME', 'REFUSED', 'CLOSE']) {
      expect(read(name, readJson)).toEqual(json(name))
    }
    expect(read('REJECTED', readRejected)).toEqual({ sequence: 8, error: json('REJECTED') })
    expect(read('BLOCKED', readText)).toBe('workers')
    expect(read('UNBLOCKED', readText)).toBe('workers')
    expect(read('GOODBYE', readText)).toBe('')
    expect(read('RECLAIM_END', readText)).toBe('')
  })

  it('in the frames of objects', () => {
    const route = (name: string) =>
      read(name, (buffer, start, end) => parseRoute(buffer, start, end, (group) => group.length > 0))
    expect(route('OBJECT')).toMatchObject(toWorkers)
    expect(route('OBJECT with extensions')).toMatchObject(toWorkers)
    const extended = drawn('OBJECT with extensions').bytes
    expect(contentStart(extended, 0, route('OBJECT with extensions'))).toBe(extended.length - 2)
    expect(route('OBJECT in copies')).toMatchObject(inCopies)
    expect(route('STREAM_BEGIN')).toMatchObject(toAllWorkers)
    expect(read('OBJECT in copies', readAttempt)).toBe(2)
    expect(read('OBJECT', readSequence)).toBe(7)
    expect(read('OBJECT', readSentAt)).toBe(sentAt)
    const { bytes } = drawn('STREAM_BEGIN')
    expect(readStreamBeginTail(bytes, bytes.length - 12, bytes.length)).toEqual({ stream: 4, bodyBytes: 5_000_000_000 })
  })

  it('in chunks', () => {
    const parts: unknown[] = []
    const reader = new FrameReader({
      frame: () => undefined,
      chunk: (stream, offset, buffer, start, end, last) =>
        parts.push({ stream, offset, hex: buffer.toString('hex', start, end), last }),
    })
    reader.push(drawn('STREAM_CHUNK').bytes)
    expect(parts).toEqual([{ stream: 4, offset: 0x1_0000_0000, hex: '010203', last: true }])
  })
})
