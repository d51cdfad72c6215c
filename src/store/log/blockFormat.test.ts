import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { frameOf } from '../storeWitness.fixture.ts'
import { BLOCK_HEAD_BYTES } from './blockFormat.ts'
import { committed, openLog } from './openLog.fixture.ts'
import { RecordType, recordBytes } from './recordFormat.ts'

/** Writes bytes with spaces between the fields, as the drawings show them. */
function hex(bytes: Buffer, fields: readonly number[]): string {
  const texts: string[] = []
  let at = 0
  for (const length of fields) {
    texts.push(bytes.toString('hex', at, at + length))
    at += length
  }
  expect(at, 'all bytes are drawn').toBe(bytes.length)
  return texts.join(' ')
}

describe('A block', () => {
  it('has these bytes', async () => {
    const { store, disk } = await openLog()
    const { journal } = store
    const frame = store.keep(frameOf(7, 30), 0, 30)
    journal.queued(frame, 'g', 1, 5, 1)
    journal.leased(frame, 'g', 1, 'a-session', 5)
    journal.deadLettered(frame, 'g', 1, 'a-session', false, 'g.dead', 9, 5)
    const kept = store.commit()
    disk.complete()
    await kept
    const bytes = disk.segments.get(1) ?? Buffer.alloc(0)
    const check = crc32(bytes.subarray(36), crc32(bytes.subarray(0, 32), disk.key))
    expect(bytes.readUInt32LE(32)).toBe(check)
    bytes.writeUInt32LE(0, 32)
    expect(hex(bytes.subarray(0, BLOCK_HEAD_BYTES), [4, 2, 2, 6, 2, 4, 4, 4, 4, 4, 6, 6])).toBe(
      [
        '896f726c 0100 0100', // magic, version, the last of its commit
        '010000000000 0000 00000000', // segment 1, offset 0
        'ea000000 4e000000', // 228 bytes, frames up to 78
        '00000000 00000000', // no block before; check
        '010000000000 010000000000', // first 1, commit 1
      ].join(' '),
    )
    expect(bytes.subarray(48, 78).equals(frameOf(7, 30))).toBe(true)
    const identity = '{"relay":"the-relay","sources":1}'
    expect(hex(bytes.subarray(78, 78 + 46), [1, 1, 2, 4, 5, 33])).toBe(
      `10 00 0500 21000000 ${Buffer.from('relay').toString('hex')} ${Buffer.from(identity).toString('hex')}`,
    )
    expect(
      hex(
        bytes.subarray(124),
        [3, 1, 1, 2, 4, 4, 2, 8, 11, 1, 1, 2, 4, 4, 2, 8, 4, 2, 8, 1, 1, 2, 4, 4, 2, 8, 4, 2, 2, 8],
      ),
    ).toBe(
      [
        '010167', // name 0: g
        '02 01 0000 30000000 00000000 0100 0000000000001440', // queued: groupIndex 1, order 5
        '0109612d73657373696f6e', // name 1: a-session
        '04 00 0000 30000000 00000000 0100 0000000000001440 01000000 0100', // leased: attempt 1, session 1
        '0106672e64656164', // name 2: g.dead
        '06 00 0000 30000000 00000000 0100 0000000000001440 01000000 0100 0200 0000000000002240', // deadLettered
      ].join(' '),
    )
  })

  it('speaks of frames by how many segments before they lie', async () => {
    const log = await openLog()
    const { store, disk } = log
    const first = store.keep(frameOf(1, 40), 0, 40)
    store.journal.queued(first, 'g', 0, 1, 2)
    await committed(log)
    for (let count = 0; count < 3; count++) store.keep(frameOf(2, 100_000), 0, 100_000)
    store.journal.dropped(first, 'g', 1, 1, 1)
    await committed(log)
    const bytes = disk.segments.get(2) ?? Buffer.alloc(0)
    expect(hex(bytes.subarray(bytes.length - 33), [3, 1, 1, 2, 4, 4, 2, 8, 4, 4])).toBe(
      '010167 08 00 0000 30000000 01000000 0100 000000000000f03f 01000000 01000000', // dropped: distance 1, attempt 1, 1 copy
    )
  })

  it('tells of a run of objects in one record', async () => {
    const log = await openLog()
    const { store, disk } = log
    const frames = Buffer.concat([1, 2, 3].map((sequence) => frameOf(sequence, 40)))
    const run = store.keep(frames, 0, 120, 3)
    store.journal.queued(run, 'g', 0, 7, 1)
    await committed(log)
    const bytes = disk.segments.get(1) ?? Buffer.alloc(0)
    expect(hex(bytes.subarray(bytes.length - 25), [3, 1, 1, 2, 4, 4, 2, 8])).toBe(
      '010167 02 00 0000 30000000 00000000 0300 0000000000001c40', // queued: 3 frames, orders 7 to 9
    )
  })

  it('has records of the lengths that are drawn', () => {
    expect(Object.fromEntries(Object.entries(RecordType).map(([name, type]) => [name, recordBytes[type]]))).toEqual({
      NAME: 2,
      QUEUED: 22,
      QUEUED_COPIES: 26,
      LEASED: 28,
      RETURNED: 32,
      DEAD_LETTERED: 38,
      DIED: 24,
      SEEN: 28,
      ACKNOWLEDGED: 28,
      DROPPED: 30,
      RETAINED: 22,
      CLEARED: 22,
      VALUE: 8,
      BODY: 30,
      MOVED: 14,
      PLACE: 32,
    })
  })
})
