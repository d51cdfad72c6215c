import { describe, expect, it } from 'vitest'
import { frameOf } from '../storeWitness.fixture.ts'
import { BLOCK_HEAD_BYTES, writeBlockHead } from './blockFormat.ts'
import { ObjectIndex } from './objectIndex.ts'
import { RecordReader } from './recordReader.ts'
import { RecordWriter } from './recordWriter.ts'

const FRAME = { segment: 5, offset: BLOCK_HEAD_BYTES }
const SESSION = 'a-session'
/** Where the first record of the block begins: the name of a group, and then what is about it. */
const RECORDS = BLOCK_HEAD_BYTES + 40

/** Reads records about the only frame of a block, as if they came from a disk with a right check. */
function read(write: (records: RecordWriter) => void, change: (bytes: Buffer) => void = () => {}): ObjectIndex {
  const writer = new RecordWriter()
  writer.begin(5)
  write(writer)
  const bytes = Buffer.concat([Buffer.alloc(BLOCK_HEAD_BYTES), frameOf(1, 40), writer.bytes.subarray(0, writer.end)])
  const head = { isLast: true, segment: 5, offset: 0, framesEnd: RECORDS, previous: 0, first: 5, commit: 1 }
  writeBlockHead(bytes, head, 1)
  change(bytes)
  const index = new ObjectIndex()
  new RecordReader({ index, value() {} }).read({ segment: 5, offset: 0, bytes })
  return index
}

const queued = (records: RecordWriter): void => records.queued(FRAME, 1, 'g', 0, 5, 1)
const seen = (records: RecordWriter): void => records.seen(FRAME, 1, 'g', 1, SESSION, 5)
const leased = (records: RecordWriter): void => {
  queued(records)
  records.leased(FRAME, 1, 'g', 1, SESSION, 5)
}
const death = { reason: 'lost', attempts: 5, endpoint: 'e', diedAtMs: 1 }

describe('Records that make no sense', () => {
  it.each<[string, (records: RecordWriter) => void, RegExp]>([
    ['an object is queued twice', (records) => [queued(records), queued(records)], /queued twice/],
    ['what is leased does not wait', (records) => records.leased(FRAME, 1, 'g', 1, SESSION, 5), /does not wait/],
    [
      'what is leased waits with another attempt',
      (records) => [queued(records), records.leased(FRAME, 1, 'g', 2, SESSION, 5)],
      /does not wait/,
    ],
    [
      'what is leased waits in another place',
      (records) => [queued(records), records.leased(FRAME, 1, 'g', 1, SESSION, 6)],
      /does not wait/,
    ],
    [
      'what is acknowledged is on lease by another session',
      (records) => [
        queued(records),
        records.leased(FRAME, 1, 'g', 1, SESSION, 5),
        records.acknowledged(FRAME, 1, 'g', 1, 'another', false, 5),
      ],
      /acknowledged, but not on lease/,
    ],
    [
      'what is returned waits',
      (records) => [queued(records), records.returned(FRAME, 1, 'g', 1, SESSION, false, 2, 5)],
      /not on lease/,
    ],
    ['what is seen waits', (records) => [queued(records), records.seen(FRAME, 1, 'g', 1, SESSION, 5)], /not on lease/],
    ['what is seen was seen before', (records) => [leased(records), seen(records), seen(records)], /seen before/],
    [
      'what was seen is acknowledged as if it was not',
      (records) => [leased(records), seen(records), records.acknowledged(FRAME, 1, 'g', 1, SESSION, false, 5)],
      /not on lease/,
    ],
    [
      'what died is nowhere',
      (records) => [queued(records), records.died(FRAME, 'g.dead', 5, Buffer.from(JSON.stringify(death)))],
      /no dead letter/,
    ],
    [
      'how it died is not said',
      (records) => [queued(records), records.died(FRAME, 'g', 5, Buffer.from('{"reason":"unknown"}'))],
      /how an object died/,
    ],
    ['how it died is no JSON', (records) => [queued(records), records.died(FRAME, 'g', 5, Buffer.from('{'))], /how/],
    [
      'what is dead-lettered waits',
      (records) => [queued(records), records.deadLettered(FRAME, 'g', 1, SESSION, false, 'g.dead', 1, 5)],
      /not on lease/,
    ],
    [
      'more copies are dropped than there are',
      (records) => [queued(records), records.dropped(FRAME, 1, 'g', 1, 2, 5)],
      /does not wait/,
    ],
    ['a small object has a body', (records) => records.body(FRAME, 1, 100_000), /no large object/],
    [
      'an object is not there',
      (records) => records.queued({ segment: 5, offset: BLOCK_HEAD_BYTES + 1 }, 1, 'g', 0, 5, 1),
      /not there/,
    ],
    [
      'an object is yet to come',
      (records) => records.queued({ segment: 6, offset: BLOCK_HEAD_BYTES }, 1, 'g', 0, 5, 1),
      /not there/,
    ],
    ['more objects are told of than there are', (records) => records.queued(FRAME, 2, 'g', 0, 5, 1), /not there/],
    ['no object is told of', (records) => records.queued(FRAME, 0, 'g', 0, 5, 1), /not there/],
    ['an order is no number', (records) => records.queued(FRAME, 1, 'g', 0, Number.NaN, 1), /number that cannot be/],
    ['an order is no whole number', (records) => records.queued(FRAME, 1, 'g', 0, 0.5, 1), /number that cannot be/],
    ['there are no copies', (records) => records.queued(FRAME, 1, 'g', 0, 5, 0), /of 0 copies/],
    ['there are too many copies', (records) => records.queued(FRAME, 1, 'g', 0, 5, 1_000_001), /of 1000001 copies/],
  ])('are refused: %s', (_, write, message) => {
    expect(() => read(write)).toThrow(
      expect.objectContaining({ code: 'STORE_CORRUPT', message: expect.stringMatching(message) }),
    )
  })

  it.each<[string, (bytes: Buffer) => void, RegExp]>([
    ['an unknown type', (bytes) => bytes.writeUInt8(77, RECORDS + 3), /unknown type/],
    ['no type', (bytes) => bytes.writeUInt8(0, RECORDS + 3), /unknown type/],
    ['a name that was not told', (bytes) => bytes.writeUInt16LE(1, RECORDS + 5), /not told/],
    ['an empty name', (bytes) => bytes.writeUInt8(0, RECORDS + 1), /cut off/],
    ['a name beyond the end', (bytes) => bytes.writeUInt8(200, RECORDS + 1), /cut off/],
    ['a name that is no text', (bytes) => bytes.writeUInt8(0xff, RECORDS + 2), /no UTF-8/],
    ['a frame beyond the end', (bytes) => bytes.writeUInt32LE(41, BLOCK_HEAD_BYTES), /not whole/],
    ['a frame that is too short', (bytes) => bytes.writeUInt32LE(0, BLOCK_HEAD_BYTES), /not whole/],
    ['a frame of another type', (bytes) => bytes.writeUInt8(0x36, BLOCK_HEAD_BYTES + 4), /of no object/],
  ])('are refused: %s', (_, change, message) => {
    expect([...read(queued).places((object) => object)]).toHaveLength(1)
    expect(() => read(queued, change)).toThrow(
      expect.objectContaining({ code: 'STORE_CORRUPT', message: expect.stringMatching(message) }),
    )
  })

  it('are refused: what can be said of one object only is said of two', () => {
    const frames = Buffer.concat([frameOf(1, 40), frameOf(2, 40)])
    const writer = new RecordWriter()
    writer.begin(5)
    writer.moved(5, BLOCK_HEAD_BYTES)
    const bytes = Buffer.concat([Buffer.alloc(BLOCK_HEAD_BYTES), frames, writer.bytes.subarray(0, writer.end)])
    const framesEnd = BLOCK_HEAD_BYTES + frames.length
    writeBlockHead(bytes, { isLast: true, segment: 5, offset: 0, framesEnd, previous: 0, first: 5, commit: 1 }, 1)
    const reader = (): RecordReader => new RecordReader({ index: new ObjectIndex(), value() {} })
    expect(() => reader().read({ segment: 5, offset: 0, bytes })).not.toThrow()
    bytes.writeUInt16LE(2, framesEnd + 12)
    expect(() => reader().read({ segment: 5, offset: 0, bytes })).toThrow(/about several objects/)
  })

  it('are no matter if they are about a segment that is gone', () => {
    const objects = read((records) => {
      queued(records)
      records.acknowledged({ segment: 4, offset: 1_000 }, 1, 'g', 1, SESSION, false, 3)
      records.moved(3, BLOCK_HEAD_BYTES)
    })
    expect([...objects.places((object) => object)]).toEqual([
      {
        payload: {
          segment: 5,
          offset: BLOCK_HEAD_BYTES,
          bytes: 40,
          objects: 1,
          body: undefined,
          begin: undefined,
          isLeased: false,
        },
        kind: 'produce',
        group: 'g',
        groupIndex: 0,
        order: 5,
        attempt: 1,
        copies: 1,
        session: undefined,
        isSeen: false,
        deadLetter: undefined,
      },
    ])
  })
})
